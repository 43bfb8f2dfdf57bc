//! C11, liveness: every operation has a definite end, soon after the last fault is over; everything that was broken works
//! again; and after all every room takes a message at every node.
//!
//! Somebody whose rights ended may never learn what became of a try: that is no wait, and not counted.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Verdict;
use super::index::Index;
use crate::history::{Nanos, Op, Outcome, Person, nanos};

/// How long an operation may take once nothing is broken.
const ANSWERED: Duration = Duration::from_secs(10);
/// What two busy cores may add.
const SLACK: Duration = Duration::from_secs(3);

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict =
        Verdict::new("C11", "every operation ends, everything recovers, and every room works at every node");
    let history = index.history;
    let ended: BTreeSet<Person> = history.revocations.iter().map(|end| end.person).collect();
    for op in history.ops.iter().filter(|op| op.invoked < history.ended && !ended.contains(&op.person)) {
        verdict.looked();
        definite(op, history.calm_since, &mut verdict);
    }
    let mut longest: Nanos = 0;
    for strike in &history.strikes {
        verdict.looked();
        let (number, kind) = (strike.fault.number, &strike.fault.kind);
        match strike.recovered {
            Some(at) => longest = longest.max(at.saturating_sub(strike.healed)),
            None => verdict.violated("unrecovered", || {
                format!(
                    "fault {number} ({kind:?}) was over at {} ms, and what it broke did not recover",
                    strike.healed / 1_000_000
                )
            }),
        }
    }
    verdict.figures.insert("longest_recovery_ms", longest as f64 / 1e6);
    if history.probes.is_empty() {
        verdict.violated("untried", || "no room was tried after the run".to_owned());
    }
    for probe in &history.probes {
        verdict.looked();
        if probe.took.is_none_or(|took| took > nanos(ANSWERED)) {
            let (room, node) = (probe.room.0, probe.node.0);
            verdict.violated("dead", || format!("room {room} did not take a message at node {node} after the run"));
        }
    }
    verdict
}

fn definite(op: &Op, calm: Nanos, verdict: &mut Verdict) {
    let (id, room, tries) = (op.id.0, op.room.0, op.tries);
    match op.completed.filter(|_| op.outcome != Outcome::Unknown) {
        None => verdict.violated("pending", || {
            format!("op {id} in room {room}, begun at {} ms, has no end after {tries} tries", op.invoked / 1_000_000)
        }),
        Some(at) => {
            let took = at.saturating_sub(op.invoked.max(calm));
            if took > nanos(ANSWERED + SLACK) {
                let took = took / 1_000_000;
                verdict
                    .violated("slow", || format!("op {id} in room {room} took {took} ms although nothing was broken"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told};
    use crate::checkers::index::Index;
    use crate::checkers::liveness::check;
    use crate::history::{Outcome, Person};

    #[test]
    fn an_operation_without_an_end_is_told() {
        let mut history = Story::whole();
        (history.ops[1].outcome, history.ops[1].completed) = (Outcome::Unknown, None);
        assert_told(check, &history, "pending", &["op 1 in room 0", "has no end"]);
        // Whoever may no longer ask cannot know.
        let mut story = Story::new();
        story.say(Person(4));
        story.revoke(Person(4), "revoked");
        let mut history = story.end();
        history.ops[0].outcome = Outcome::Unknown;
        assert!(check(&Index::new(&history)).is_kept());
    }

    #[test]
    fn an_operation_that_hangs_when_all_is_well_is_told() {
        let mut history = Story::whole();
        history.ops[1].completed = Some(history.calm_since + 14_000_000_000);
        assert_told(check, &history, "slow", &["op 1 in room 0 took 14000 ms"]);
    }

    #[test]
    fn a_fault_that_stays_and_a_room_that_is_dead_are_told() {
        let mut history = Story::whole();
        history.strikes[0].recovered = None;
        assert_told(check, &history, "unrecovered", &["fault 0 (StopNode(Node(0)))", "did not recover"]);
        let mut history = Story::whole();
        history.probes[1].took = None;
        assert_told(check, &history, "dead", &["room 0 did not take a message at node 1"]);
        let mut history = Story::whole();
        history.probes.clear();
        assert_told(check, &history, "untried", &["no room was tried"]);
    }
}
