//! C3, real time: if one operation was answered before another was begun, anywhere, the first has the smaller number; and
//! what one person sent one after another over one socket has its order.
//!
//! The number is the order, so that one walk from the end of the log is enough: no search.

use std::collections::HashMap;

use super::Verdict;
use super::index::Index;
use crate::history::{Act, Nanos, Node, Op, Outcome, Person, Room, View};

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict = Verdict::new("C3", "what was answered before something else was begun comes before it");
    for room in index.rooms() {
        let log = index.log(room, View::Staff);
        let stored: Vec<(i64, &Op)> =
            log.iter().filter_map(|given| Some((given.seq, given.op.and_then(|id| index.op(id))?))).collect();
        answered_first(room, &stored, &mut verdict);
        sent_first(room, &stored, &mut verdict);
    }
    verdict
}

/// From the newest to the oldest: whatever is numbered later must not have been answered before this was begun.
fn answered_first(room: Room, stored: &[(i64, &Op)], verdict: &mut Verdict) {
    let mut earliest: Option<(Nanos, i64, &Op)> = None;
    for (seq, op) in stored.iter().rev() {
        verdict.looked();
        if let Some((answered, later, other)) = earliest
            && answered < op.invoked
        {
            verdict.violated("reordered", || {
                let before = (op.invoked - answered) / 1_000;
                let (first, second) = (format!("op {} ({later})", other.id.0), format!("op {} ({seq})", op.id.0));
                format!(
                    "room {}: {first} was answered {before} µs before {second} was begun, and comes after it",
                    room.0
                )
            });
        }
        if let (Outcome::Ok { .. }, Some(answered)) = (&op.outcome, op.completed)
            && earliest.is_none_or(|(best, ..)| answered < best)
        {
            earliest = Some((answered, *seq, op));
        }
    }
}

/// What was sent once, over a socket, by one person at one node, comes in the order sent. What was tried again may have lost
/// its place, and what goes over HTTP never had one.
fn sent_first(room: Room, stored: &[(i64, &Op)], verdict: &mut Verdict) {
    let mut newest: HashMap<(Person, Node), (Nanos, i64, &Op)> = HashMap::new();
    for (seq, op) in stored {
        let is_over_a_socket = !matches!(op.act, Act::Push | Act::Card);
        if op.tries != 1 || !is_over_a_socket || !matches!(op.outcome, Outcome::Ok { .. }) {
            continue;
        }
        let last = newest.entry((op.person, op.node)).or_insert((op.invoked, *seq, op));
        if op.invoked < last.0 {
            let (other, before) = (last.2.id.0, last.1);
            verdict.violated("pipeline", || {
                let (room, person) = (room.0, op.person.0);
                format!("room {room}: person {person} sent op {} ({seq}) before op {other} ({before})", op.id.0)
            });
        } else {
            *last = (op.invoked, *seq, op);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told};
    use crate::checkers::realtime::check;
    use crate::history::Person;

    #[test]
    fn what_was_answered_before_something_was_begun_comes_before_it() {
        let mut history = Story::whole();
        let entries = &mut history.readings[0].entries;
        let (one, two) = (entries[0].op, entries[3].op);
        (entries[0].op, entries[3].op) = (two, one);
        assert_told(check, &history, "reordered", &["room 0: op", "and comes after it"]);
    }

    #[test]
    fn what_overlaps_may_have_either_order() {
        let mut story = Story::new();
        let first = story.say(Person(0));
        let second = story.say(Person(1));
        let mut history = story.end();
        let (begun, answered) = (history.ops[0].invoked, history.ops[1].completed);
        history.ops[1].invoked = begun;
        history.ops[0].completed = answered;
        let entries = &mut history.readings[0].entries;
        (entries[0].op, entries[1].op) = (Some(second), Some(first));
        assert!(check(&crate::checkers::index::Index::new(&history)).is_kept());
    }

    #[test]
    fn one_persons_pipeline_keeps_its_order() {
        let mut story = Story::new();
        let first = story.say(Person(0));
        let second = story.say(Person(0));
        let mut history = story.end();
        let answered = history.ops[1].completed;
        history.ops[0].completed = answered;
        let entries = &mut history.readings[0].entries;
        (entries[0].op, entries[1].op) = (Some(second), Some(first));
        assert_told(check, &history, "pipeline", &["person 0 sent op 0 (2) before op 1 (1)"]);
        // Tried again, it may have lost its place.
        history.ops[0].tries = 2;
        history.ops[0].completed = history.ops[1].completed.map(|at| at + 1);
        assert!(check(&crate::checkers::index::Index::new(&history)).is_kept());
    }
}
