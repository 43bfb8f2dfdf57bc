//! Whatever a perfect server could have done passes every checker, and one random damage to what readers were given or to what
//! is stored is told by at least one.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof, proptest};
use proptest::sample::Index as Pick;

use super::fixture::{Story, entry};
use super::{Verdict, check};
use crate::history::{Act, Event, History, Node, OpId, Outcome, Person, Reader, Seen};

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Say(u32),
    Note,
    Edit(Pick),
    Redact(Pick),
    Offer,
    Choose(Pick),
    Cut(u32),
    Come(u32, u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..5_u32).prop_map(Step::Say),
        1 => Just(Step::Note),
        1 => any::<Pick>().prop_map(Step::Edit),
        1 => any::<Pick>().prop_map(Step::Redact),
        1 => Just(Step::Offer),
        2 => any::<Pick>().prop_map(Step::Choose),
        2 => (0..5_u32).prop_map(Step::Cut),
        2 => (0..5_u32, 0..3_u8).prop_map(|(reader, node)| Step::Come(reader, node)),
        1 => (0..3_000_u64).prop_map(Step::Wait),
    ]
}

/// A story from steps; in the end everybody is there and holds everything.
fn told(steps: &[Step]) -> History {
    let mut story = Story::new();
    let (mut texts, mut cards): (Vec<(OpId, Person)>, Vec<OpId>) = (Vec::new(), Vec::new());
    // Every damage needs something to hurt.
    for person in [0, 1, 0, 1] {
        texts.push((story.say(Person(person)), Person(person)));
    }
    for step in steps {
        match step {
            Step::Say(person) => {
                story.say(Person(*person));
            }
            Step::Note => {
                story.act(Person(0), Act::Note);
            }
            Step::Edit(pick) => {
                let (text, author) = texts[pick.index(texts.len())];
                story.act(author, Act::Edit(text));
            }
            Step::Redact(pick) if texts.len() > 1 => {
                let (text, author) = texts.swap_remove(pick.index(texts.len()));
                story.act(author, Act::Redact(text));
            }
            Step::Offer => cards.push(story.act(Person(2), Act::Card)),
            Step::Choose(pick) if !cards.is_empty() => {
                story.act(Person(1), Act::Select(cards[pick.index(cards.len())], 'a'));
            }
            Step::Cut(reader) => story.cut(Reader(*reader), 1006),
            Step::Come(reader, node) => story.attach(Reader(*reader), Node(*node)),
            Step::Wait(milliseconds) => story.wait(*milliseconds),
            Step::Redact(_) | Step::Choose(_) => {}
        }
    }
    (0..5).for_each(|reader| story.attach(Reader(reader), Node(0)));
    story.say(Person(0));
    story.end()
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Damage {
    DropGiven,
    RepeatGiven,
    SwapGiven,
    RenumberGiven,
    AlienGiven,
    DropStored,
    RepeatStored,
    SwapStored,
    AlienStored,
    ForgetAnswer,
    OtherAnswer,
    OtherBody,
}

const DAMAGES: [Damage; 12] = [
    Damage::DropGiven,
    Damage::RepeatGiven,
    Damage::SwapGiven,
    Damage::RenumberGiven,
    Damage::AlienGiven,
    Damage::DropStored,
    Damage::RepeatStored,
    Damage::SwapStored,
    Damage::AlienStored,
    Damage::ForgetAnswer,
    Damage::OtherAnswer,
    Damage::OtherBody,
];

/// Where in what was seen a reader was given something; more than once for each, so that it can be swapped.
fn given(history: &History, reader: Reader) -> Vec<usize> {
    let is_given = |seen: &Seen| seen.reader == reader && super::index::given(&seen.event).is_some();
    (0..history.seen.len()).filter(|at| is_given(&history.seen[*at])).collect()
}

fn damage_given(history: &mut History, damage: Damage, pick: Pick) {
    let places = given(history, Reader(0));
    let nth = pick.index(places.len() - 1);
    let (at, next) = (places[nth], places[nth + 1]);
    let again = history.seen[at].clone();
    let (Event::Live(one) | Event::Page(one)) = &mut history.seen[at].event else { return };
    match damage {
        Damage::DropGiven => drop(history.seen.remove(at)),
        Damage::RepeatGiven => history.seen.insert(at + 1, again),
        Damage::SwapGiven => history.seen.swap(at, next),
        Damage::RenumberGiven => one.seq += 1,
        Damage::AlienGiven => one.entry = entry(4711),
        _ => one.is_as_said = false,
    }
}

fn damage_stored(history: &mut History, damage: Damage, pick: Pick) {
    let reading = pick.index(2);
    let log = &mut history.readings[reading].entries;
    let at = pick.index(log.len() - 1);
    match damage {
        Damage::DropStored => drop(log.remove(at)),
        Damage::RepeatStored => log.insert(at + 1, log[at].clone()),
        Damage::SwapStored => {
            let (one, two) = (log[at].entry, log[at + 1].entry);
            (log[at].entry, log[at + 1].entry) = (two, one);
        }
        _ => log[at].entry = entry(4711),
    }
}

fn damage_answer(history: &mut History, damage: Damage, pick: Pick) {
    let op = &mut history.ops[pick.index(4)];
    if let (Damage::OtherAnswer, Outcome::Ok { seq, .. }) = (damage, &mut op.outcome) {
        *seq += 1;
    } else {
        op.outcome = Outcome::Refused("INVALID".to_owned());
    }
}

fn hurt(history: &mut History, damage: Damage, pick: Pick) {
    match damage {
        Damage::DropStored | Damage::RepeatStored | Damage::SwapStored | Damage::AlienStored => {
            damage_stored(history, damage, pick);
        }
        Damage::ForgetAnswer | Damage::OtherAnswer => damage_answer(history, damage, pick),
        _ => damage_given(history, damage, pick),
    }
}

fn violations(verdicts: &[Verdict]) -> Vec<String> {
    let told =
        |verdict: &Verdict| verdict.violations.iter().map(|what| format!("{}: {what}", verdict.checker)).collect();
    verdicts.iter().flat_map(|verdict| -> Vec<String> { told(verdict) }).collect()
}

proptest! {
    #[test]
    fn whatever_a_perfect_server_does_passes(steps in proptest::collection::vec(step(), 0..40)) {
        let told = violations(&check(&told(&steps)));
        prop_assert!(told.is_empty(), "{told:#?}");
    }

    #[test]
    fn one_damage_is_told(
        steps in proptest::collection::vec(step(), 0..40),
        which in 0..DAMAGES.len(),
        pick in any::<Pick>(),
    ) {
        let mut history = told(&steps);
        hurt(&mut history, DAMAGES[which], pick);
        prop_assert!(!violations(&check(&history)).is_empty(), "{:?} was not told", DAMAGES[which]);
    }
}
