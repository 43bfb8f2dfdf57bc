//! Reads a Rust file as far as the architecture rules need: which module it belongs to, and its code without comments, without
//! the insides of strings and without test modules. It is no parser and knows no types. The rules are in `rules.rs`.

use std::fs;
use std::path::Path;

/// A file of `src/`.
pub struct Source {
    /// From the root of the repository, with forward slashes.
    pub path: String,
    /// As it is on disk.
    pub text: String,
    /// The same with comments, the insides of strings and test modules blanked; lines keep their numbers.
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: without_tests(&without_comments_and_strings(text)) }
    }

    /// Every file of `src/` but those of test modules.
    pub fn tree(root: &Path) -> Vec<Self> {
        let mut paths = Vec::new();
        collect(&root.join("src"), &mut paths);
        paths.sort();
        let files = paths.iter().map(|path| (relative(root, path), fs::read_to_string(path).unwrap()));
        let all: Vec<Self> = files.map(|(path, text)| Self::new(&path, &text)).collect();
        let tests: Vec<String> = all.iter().flat_map(Self::test_modules).collect();
        all.into_iter().filter(|file| !tests.iter().any(|test| file.path.starts_with(test.as_str()))).collect()
    }

    /// `hub` for `src/hub/room.rs`, `listener` for `src/listener.rs`.
    pub fn module(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// Whether the file is `src/x.rs` or `src/x/mod.rs`, where `super` means the whole crate.
    pub fn is_module_root(&self) -> bool {
        self.path.matches('/').count() == 1 || (self.path.matches('/').count() == 2 && self.path.ends_with("/mod.rs"))
    }

    /// Where a word or path stands in the code, with nothing of an identifier before or after it.
    pub fn places(&self, word: &str) -> Vec<usize> {
        let inside = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let bytes = self.code.as_bytes();
        let ends_open = !inside(word.as_bytes().last());
        self.code
            .match_indices(word)
            .map(|(at, _)| at)
            .filter(|at| *at == 0 || !inside(bytes.get(at - 1)))
            .filter(|at| ends_open || !inside(bytes.get(at + word.len())))
            .collect()
    }

    pub fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// The modules named after `crate::`, with their places; groups in braces are looked into.
    pub fn imports(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for at in self.places("crate::") {
            let rest = &self.code[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads_of_group(group).into_iter().map(|head| (at, head))),
                None => found.push((at, identifier(rest))),
            }
        }
        found
    }

    /// Where the modules are that exist for tests only: `src/hub/fixture.rs` and `src/hub/fixture/` for
    /// `#[cfg(test)] mod fixture;` in `src/hub/mod.rs`.
    pub fn test_modules(&self) -> Vec<String> {
        let (directory, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let inside = match file {
            "mod.rs" | "lib.rs" | "main.rs" => directory.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let mut places = Vec::new();
        for rest in self.text.split("\n#[cfg(test)]").skip(1) {
            let item = rest.split([';', '{']).next().unwrap_or(rest);
            if !rest[item.len()..].starts_with(';') {
                continue;
            }
            if let Some((_, path)) = item.split_once("#[path = \"") {
                places.push(format!("{directory}/{}", path.split('"').next().unwrap_or(path)));
            } else if let Some(name) = item.split_whitespace().skip_while(|word| *word != "mod").nth(1) {
                places.extend([format!("{inside}/{name}.rs"), format!("{inside}/{name}/")]);
            }
        }
        places
    }
}

fn collect(directory: &Path, paths: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/")
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The first words of `a::b, c::{d, e}, f}`: `a`, `c`, `f`.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0_usize, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if c.is_whitespace() => {}
            _ if fresh => {
                heads.push(identifier(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

/// Blanks comments and the insides of strings and character literals, byte by byte, so that places stay the same.
fn without_comments_and_strings(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end =
            end_of_blank(&bytes[at..], at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_'));
        for byte in &mut code[at..at + end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += end.max(1);
    }
    String::from_utf8(code).expect("whole comments and strings were blanked, so no character is cut")
}

/// How many bytes from here on are a comment, string or character literal; 0 when none begins here.
fn end_of_blank(rest: &[u8], after_word: bool) -> usize {
    let find = |needle: &[u8], from: usize| {
        let found = rest[from.min(rest.len())..].windows(needle.len()).position(|window| window == needle);
        found.map_or(rest.len(), |at| from + at + needle.len())
    };
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => find(b"*/", 2),
        [b'r', ..] if !after_word => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            let closing = [b"\"", &b"#".repeat(hashes)[..]].concat();
            if rest.get(1 + hashes) == Some(&b'"') { find(&closing, 2 + hashes) } else { 0 }
        }
        [b'"', ..] => end_of_quoted(rest),
        [b'\'', b'\\', ..] => end_of_quoted(rest),
        // `'x'` is a literal, `'x` a lifetime; a character has at most four bytes.
        [b'\'', ..] => {
            (2..=5).find(|at| rest.get(*at) == Some(&b'\'')).map_or(0, |at| one_character(&rest[1..at], at + 1))
        }
        _ => 0,
    }
}

fn one_character(inside: &[u8], length: usize) -> usize {
    let one = std::str::from_utf8(inside).is_ok_and(|text| text.chars().count() == 1);
    if one { length } else { 0 }
}

fn end_of_quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != rest[0] {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// Blanks the item after each `#[cfg(test)]`: up to its `;`, or to the end of its braces.
fn without_tests(code: &str) -> String {
    let mut code = code.to_owned();
    while let Some(start) = code.find("#[cfg(test)]") {
        let end = end_of_item(&code[start..]).map_or(code.len(), |length| start + length);
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        code.replace_range(start..end, &blank);
    }
    code
}

fn end_of_item(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return Some(at + 1),
            '{' => depth += 1,
            '}' if depth <= 1 => return Some(at + 1),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
