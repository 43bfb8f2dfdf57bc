//! Damaging examples: a recipe of random bytes says which example and what happens to it. What is near a message gets deeper
//! than what is random: bits flip, parts are cut, repeated, swapped between examples, lengths lie, numbers and nests grow.
//!
//! The same corpus and recipe always make the same input. Nothing here knows a format but by its dictionary.

/// Numbers that programs stumble over.
const NUMBERS: &[&str] = &[
    "-1",
    "-0",
    "0",
    "1.0",
    "1e9",
    "1e400",
    "-1e-400",
    "2147483648",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
];

/// Bytes that mean something in text, MessagePack or frame headers.
const BYTES: &[u8] =
    b"\x00\x01\x0a\x1f\x20\"\\/[]{}:,`-.09\x7d\x7e\x7f\x80\x81\x88\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc4\xc6\
    \xca\xcb\xcf\xd3\xd9\xda\xdb\xdc\xdd\xde\xdf\xe0\xed\xf0\xf4\xfe\xff";

/// Headers that promise more than there is.
const LIES: &[&[u8]] = &[
    b"\xdb\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\x7f\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xda\xff\xff",
    b"\xdc\xff\xff",
    b"\xde\x80\x00",
    b"\xd9\xff",
    b"\xdd\x00\x00\x07\xd1",
    b"\xdf\x00\x00\x07\xd0",
    b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x82\xfe\xff\xff",
    b"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x01",
    b"\xfe\x00\x7d",
    b"\xff\x00\x00\x00\x00\x00\x00\xff\xff",
];

/// What opens a nest, and what closes it.
const NESTS: &[(&[u8], &[u8])] =
    &[(b"[", b"]"), (b"{\"a\":", b"}"), (b"\x91", b""), (b"\x81\xa1a", b""), (b"\xdc\x00\x01", b""), (b"[[", b"")];

/// Takes decisions out of random bytes; when they are used up every further one is 0.
struct Recipe<'a>(&'a [u8]);

impl<'a> Recipe<'a> {
    fn number(&mut self) -> usize {
        let taken = self.take(2);
        taken.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    /// A number below a bound; 0 when there is none.
    fn below(&mut self, bound: usize) -> usize {
        self.number() % bound.max(1)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A part of something: where it begins and ends. Mostly short.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = if self.below(4) == 0 { length - start } else { (length - start).min(24) };
        start..start + self.below(longest + 1)
    }
}

/// What inputs are made of.
pub struct Kit<'a> {
    pub corpus: &'a [Vec<u8>],
    /// Words of the format.
    pub dictionary: &'a [&'a [u8]],
    /// No input is longer.
    pub bytes_max: usize,
}

/// An example, damaged.
pub fn damaged(kit: &Kit<'_>, recipe: &[u8]) -> Vec<u8> {
    let mut recipe = Recipe(recipe);
    let mut input = kit.corpus[recipe.below(kit.corpus.len())].clone();
    // Often one blow, sometimes many.
    let blows = [1, 1, 1, 2, 2, 3, 5, 12];
    for _ in 0..recipe.of(&blows) {
        strike(&mut input, kit, &mut recipe);
        input.truncate(kit.bytes_max);
    }
    input
}

fn strike(input: &mut Vec<u8>, kit: &Kit<'_>, recipe: &mut Recipe<'_>) {
    let at = recipe.below(input.len() + 1);
    match recipe.below(14) {
        0 => change(input, at, |byte| byte ^ (1 << recipe.below(8))),
        1 => change(input, at, |_| recipe.of(BYTES)),
        2 => change(input, at, |byte| byte.wrapping_add(1 + recipe.below(16) as u8).wrapping_sub(8)),
        3 => input.truncate(at),
        4 => drop(input.drain(recipe.part(input.len()))),
        5 => repeat(input, kit.bytes_max, recipe),
        6 => splice(input, at, kit.corpus, recipe),
        7 => insert(input, at, recipe.take(8)),
        8 => insert(input, at, recipe.of(LIES)),
        9 => overwrite(input, at, recipe.of(LIES)),
        10 => number(input, at, recipe.of(NUMBERS)),
        11 => nest(input, recipe),
        _ if kit.dictionary.is_empty() => {}
        12 => insert(input, at, recipe.of(kit.dictionary)),
        _ => overwrite(input, at, recipe.of(kit.dictionary)),
    }
}

fn change(input: &mut [u8], at: usize, how: impl FnOnce(u8) -> u8) {
    if let Some(byte) = input.get_mut(at) {
        *byte = how(*byte);
    }
}

fn insert(input: &mut Vec<u8>, at: usize, what: &[u8]) {
    input.splice(at..at, what.iter().copied());
}

fn overwrite(input: &mut Vec<u8>, at: usize, what: &[u8]) {
    let end = input.len().min(at + what.len());
    input.splice(at..end, what.iter().copied());
}

/// A part again and again: now and then as often as the longest input allows.
fn repeat(input: &mut Vec<u8>, bytes_max: usize, recipe: &mut Recipe<'_>) {
    let part = recipe.part(input.len());
    let piece = input[part.clone()].to_vec();
    let room = bytes_max.saturating_sub(input.len()) / piece.len().max(1);
    // Seldom so often that it takes long.
    let times = recipe.of(&[1, 1, 1, 1, 2, 2, 2, 3, 4, 4, 8, 16, 16, 30, 2_001, room]).min(room);
    insert(input, part.end, &piece.repeat(times));
}

/// A part of another example, in the place of one here or between two.
fn splice(input: &mut Vec<u8>, at: usize, corpus: &[Vec<u8>], recipe: &mut Recipe<'_>) {
    let other = &corpus[recipe.below(corpus.len())];
    let piece = &other[recipe.part(other.len())];
    let end = if recipe.below(2) == 0 { at } else { input.len().min(at + piece.len()) };
    input.splice(at..end, piece.iter().copied());
}

/// The first number written in digits from here on becomes another.
fn number(input: &mut Vec<u8>, at: usize, what: &str) {
    let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|offset| at + offset) else { return };
    let digits = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    input.splice(start..start + digits, what.bytes());
}

fn nest(input: &mut Vec<u8>, recipe: &mut Recipe<'_>) {
    let part = recipe.part(input.len());
    let (open, close) = recipe.of(NESTS);
    let levels = recipe.of(&[1, 1, 1, 2, 2, 3, 30, 30, 31, 31, 32, 32, 33, 47, 130, 8_000]);
    insert(input, part.end, &close.repeat(levels));
    insert(input, part.start, &open.repeat(levels));
}

#[test]
fn no_recipe_is_too_short_and_the_same_one_makes_the_same() {
    let corpus = vec![b"{\"id\":7}".to_vec(), vec![]];
    let kit = Kit { corpus: &corpus, dictionary: &[b"x"], bytes_max: 1_000 };
    for length in 0..200_usize {
        let recipe: Vec<u8> = (0..length).map(|at| (at * 37 + length * 11) as u8).collect();
        let input = damaged(&kit, &recipe);
        assert_eq!(input, damaged(&kit, &recipe));
        assert!(input.len() <= kit.bytes_max);
    }
    let mut input = b"{\"id\":7}".to_vec();
    number(&mut input, 2, "-1");
    assert_eq!(input, b"{\"id\":-1}");
}
