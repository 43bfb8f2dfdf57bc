//! C13, state = log: what somebody's screen shows after following a room (texts as edited or redacted, cards as chosen) is
//! what the log says who reads it afterwards: a snapshot with everything after it equals a later snapshot (Zulip's oracle).
//!
//! And the log agrees with itself: what has a redaction holds no text anywhere, and what has none holds its text.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Verdict;
use super::index::{Index, given};
use crate::history::{Act, Given, OpId, Reader, ReaderInfo, Reading, Room, View};

/// What an entry does to what is shown.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// This text is now that of an edit.
    Edited(OpId, OpId),
    /// This text is gone.
    Redacted(OpId),
    /// This card is decided by a choice.
    Chosen(OpId, OpId),
}

/// What is shown of a text or card that something was done to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shown {
    text: Option<OpId>,
    is_redacted: bool,
    choice: Option<OpId>,
}

type Screen = BTreeMap<OpId, Shown>;

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict = Verdict::new("C13", "what a screen shows after following a room is what the log says");
    let mut logs: HashMap<(Room, View), Vec<(i64, Change)>> = HashMap::new();
    for room in index.rooms() {
        for view in [View::Staff, View::Guest] {
            let redactions = redactions(index, index.log(room, view));
            for reading in index.readings(room, view) {
                agrees(index, reading, &redactions, &mut verdict);
            }
            let log = index.log(room, view).iter();
            // The log as its entries tell it, without what a later redaction has done to earlier ones.
            let told = log.filter_map(|given| Some((given.seq, change(index, given, false)?)));
            logs.insert((room, view), told.collect());
        }
    }
    for (reader, info) in index.readers() {
        let log = logs.get(&(info.room, index.view(info))).map_or(&[][..], Vec::as_slice);
        follows(index, (reader, info), log, &mut verdict);
    }
    verdict
}

fn change(index: &Index, given: &Given, with_flags: bool) -> Option<Change> {
    let op = index.op(given.op?)?;
    let is_redacted = with_flags && given.is_redacted;
    match op.act {
        Act::Send | Act::Note | Act::Push => is_redacted.then_some(Change::Redacted(op.id)),
        Act::Edit(target) if is_redacted => Some(Change::Redacted(target)),
        Act::Edit(target) => Some(Change::Edited(target, op.id)),
        Act::Redact(target) => Some(Change::Redacted(target)),
        Act::Select(card, _) => Some(Change::Chosen(card, op.id)),
        Act::Card => None,
    }
}

fn apply(screen: &mut Screen, change: Change) {
    match change {
        Change::Edited(target, edit) => screen.entry(target).or_default().text = Some(edit),
        Change::Redacted(target) => screen.entry(target).or_default().is_redacted = true,
        Change::Chosen(card, choice) => screen.entry(card).or_default().choice = Some(choice),
    }
}

/// What a log says is redacted.
fn redactions(index: &Index, log: &[Given]) -> BTreeSet<OpId> {
    let acts = log.iter().filter_map(|given| given.op.and_then(|id| index.op(id)));
    acts.filter_map(|op| if let Act::Redact(target) = op.act { Some(target) } else { None }).collect()
}

/// In a reading a text is gone exactly if a redaction says so.
fn agrees(index: &Index, reading: &Reading, redactions: &BTreeSet<OpId>, verdict: &mut Verdict) {
    for given in &reading.entries {
        let Some(op) = given.op.and_then(|id| index.op(id)) else { continue };
        let text = match op.act {
            Act::Send | Act::Note | Act::Push => op.id,
            Act::Edit(target) => target,
            Act::Redact(_) | Act::Card | Act::Select(..) => continue,
        };
        verdict.looked();
        let (seq, room, by) = (given.seq, reading.room.0, &reading.by);
        match (redactions.contains(&text), given.is_redacted) {
            (true, false) => verdict.violated("unredacted", || {
                format!(
                    "{seq} of room {room} (op {}) has its text by {by}, although op {} was redacted",
                    op.id.0, text.0
                )
            }),
            (false, true) => verdict.violated("blanked", || {
                format!("{seq} of room {room} (op {}) has no text by {by}, and no redaction says so", op.id.0)
            }),
            _ => {}
        }
    }
}

/// A reader's screen after all, against what the log says in the stretch that it has read.
fn follows(index: &Index, (reader, info): (Reader, &ReaderInfo), log: &[(i64, Change)], verdict: &mut Verdict) {
    let mut screen = Screen::new();
    let (mut first, mut held) = (None, 0);
    for given in index.stream(reader).filter_map(|(_, event)| given(event)) {
        verdict.looked();
        if given.op.is_some() && !given.is_as_said {
            let (room, seq) = (info.room.0, given.seq);
            verdict.violated("altered", || {
                format!("reader {} was given {seq} of room {room} not as it was said", reader.0)
            });
        }
        if given.seq <= held {
            continue;
        }
        first = first.or(Some(given.seq));
        held = given.seq;
        if let Some(change) = change(index, given, true) {
            apply(&mut screen, change);
        }
    }
    let Some(first) = first else { return };
    let mut expected = Screen::new();
    for (_, change) in log.iter().filter(|(seq, _)| (first..=held).contains(seq)) {
        apply(&mut expected, *change);
    }
    let later: BTreeSet<OpId> = log.iter().filter_map(|(seq, change)| redacted_after(held, *seq, *change)).collect();
    for target in screen.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
        let (mut seen, mut said) = (shown(&screen, *target), shown(&expected, *target));
        // Who comes later is not told the text of what is redacted further on.
        if later.contains(target) && seen.is_redacted {
            said.is_redacted = true;
        }
        if seen.is_redacted && said.is_redacted {
            (seen.text, said.text) = (None, None);
        }
        if seen != said {
            let (room, op) = (info.room.0, target.0);
            verdict.violated("state", || {
                format!("reader {} of room {room} shows op {op} as {seen:?}, the log says {said:?}", reader.0)
            });
        }
    }
}

fn shown(screen: &Screen, target: OpId) -> Shown {
    screen.get(&target).copied().unwrap_or_default()
}

fn redacted_after(held: i64, seq: i64, change: Change) -> Option<OpId> {
    match change {
        Change::Redacted(target) if seq > held => Some(target),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told};
    use crate::checkers::index::{Index, given};
    use crate::checkers::state::check;
    use crate::history::{Act, History, Node, OpId, Person, Reader};

    /// Op 0 is edited twice and op 3 redacted; reader 0 was away for the half of it.
    fn revised() -> History {
        let mut story = Story::new();
        let first = story.say(Person(1));
        story.act(Person(1), Act::Edit(first));
        story.cut(Reader(0), 1006);
        story.act(Person(1), Act::Edit(first));
        let second = story.say(Person(1));
        story.act(Person(1), Act::Edit(second));
        story.act(Person(1), Act::Redact(second));
        story.attach(Reader(0), Node(2));
        story.end()
    }

    #[test]
    fn a_screen_is_what_the_log_says() {
        let verdict = check(&Index::new(&revised()));
        assert!(verdict.is_kept(), "{verdict:?}");
    }

    #[test]
    fn an_edit_that_did_not_come_leaves_another_state() {
        let mut history = revised();
        history.seen.retain(|seen| given(&seen.event).is_none_or(|given| given.op != Some(OpId(2))));
        assert_told(check, &history, "state", &["of room 0 shows op 0 as", "OpId(2)"]);
    }

    fn without_redaction(mut history: History) -> History {
        let is_redaction = |given: &crate::history::Given| given.op == Some(OpId(5));
        history.seen.retain(|seen| given(&seen.event).is_none_or(|given| !is_redaction(given)));
        history
    }

    #[test]
    fn a_redaction_that_did_not_come_leaves_another_state() {
        assert!(check(&Index::new(&without_redaction(revised()))).is_kept(), "it is beyond what was read");
        let mut story = Story::new();
        let first = story.say(Person(1));
        for _ in 0..4 {
            story.say(Person(0));
        }
        story.act(Person(1), Act::Redact(first));
        story.say(Person(0));
        assert_told(check, &without_redaction(story.end()), "state", &["reader 0 of room 0 shows op 0 as"]);
    }

    #[test]
    fn a_text_that_outlives_its_redaction_is_told() {
        let mut history = revised();
        for given in &mut history.readings[1].entries {
            given.is_redacted = false;
        }
        assert_told(check, &history, "unredacted", &["4 of room 0 (op 3) has its text by node-0"]);
    }

    #[test]
    fn a_text_that_is_gone_without_redaction_is_told() {
        let mut history = revised();
        history.readings[0].entries[0].is_redacted = true;
        assert_told(check, &history, "blanked", &["1 of room 0 (op 0) has no text by sql"]);
    }

    #[test]
    fn a_body_that_is_not_what_was_said_is_told() {
        let mut history = revised();
        crate::checkers::fixture::first_live(&mut history).is_as_said = false;
        assert_told(check, &history, "altered", &["reader 0 was given 1 of room 0 not as it was said"]);
    }
}
