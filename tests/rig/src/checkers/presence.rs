//! C9, presence: when everything is quiet each node names exactly those whose sockets are attached, no ghost and nobody
//! missing; and while it is told, nobody goes away twice, comes twice, or is said to have gone while they are there.
//!
//! Signs may be merged for a slow socket, and nodes that cannot hear each other know less: what is told while something lies
//! between the observer, the observed and Redis is not held against anybody. The end is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::Verdict;
use super::index::{Index, Spell};
use super::windows::{Windows, link, parts_nodes, parts_postgres, stops};
use crate::history::{Event, History, Nanos, Node, Reader, ReaderInfo, Room, nanos};
use crate::plan::{Kind, Link};

/// Whoever was attached for this long cannot be said to have gone: grace, lease and what cores add.
const SURELY_THERE: Duration = Duration::from_secs(20);

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict =
        Verdict::new("C9", "who is there is said to be there, and nobody else; each comes once and goes once");
    attendances(index.history, &mut verdict);
    let trouble = Windows::of(index.history, is_trouble);
    let there = there(index);
    for (reader, info) in index.readers().filter(|(_, info)| !info.stalls) {
        told(index, (reader, info), &trouble, &there, &mut verdict);
    }
    verdict
}

/// What may keep a sign from coming, or make it wrong for a while.
fn is_trouble(kind: &Kind) -> bool {
    let is_any_node = (0..u8::MAX).map(Node).any(|node| stops(kind, node));
    is_any_node
        || parts_nodes(kind)
        || parts_postgres(kind, Node(0))
        || matches!(link(kind), Some(Link::Clients(_) | Link::Postgres(_)))
}

/// At the end, every node tells the truth.
fn attendances(history: &History, verdict: &mut Verdict) {
    for attendance in &history.attendances {
        verdict.looked();
        let (node, room) = (attendance.node.0, attendance.room.0);
        let real: BTreeSet<&str> = attendance.real.iter().map(String::as_str).collect();
        for (who, state) in &attendance.told {
            let is_there = real.contains(who.as_str());
            match state.as_str() {
                "online" if !is_there => {
                    verdict.violated("ghost", || format!("node {node} says that {who} is in room {room}: a ghost"));
                }
                "unknown" => {
                    verdict
                        .violated("undecided", || format!("node {node} does not know whether {who} is in room {room}"));
                }
                _ => {}
            }
        }
        for who in real {
            if attendance.told.get(who).is_none_or(|state| state == "offline") {
                verdict.violated("missing", || format!("node {node} does not say that {who} is in room {room}"));
            }
        }
    }
}

type There = HashMap<(Room, String), Vec<Spell>>;

/// When everybody was attached somewhere.
fn there(index: &Index) -> There {
    let mut there = There::new();
    for (reader, info) in index.readers() {
        let id = index.history.cast.people[info.person.0 as usize].id.clone();
        let spells = index.spells(reader, |event| matches!(event, Event::Cut(_)));
        there.entry((info.room, id)).or_default().extend(spells);
    }
    there
}

/// What one observer is told, from one attach to the next.
fn told(index: &Index, (reader, info): (Reader, &ReaderInfo), trouble: &Windows, there: &There, verdict: &mut Verdict) {
    let mut last: BTreeMap<&str, (&str, Nanos)> = BTreeMap::new();
    for (at, event) in index.stream(reader) {
        match event {
            Event::Attached { .. } | Event::Cut(_) | Event::Behind => last.clear(),
            Event::Presence { who, state } => {
                verdict.looked();
                let (name, room) = (reader.0, info.room.0);
                if let Some((before, since)) = last.insert(who, (state, at)) {
                    if before == state && !trouble.touch(since, at) {
                        verdict.violated("twice", || {
                            format!("reader {name} of room {room} was told twice that {who} is {state}")
                        });
                    }
                }
                let from = at.saturating_sub(nanos(SURELY_THERE));
                let spells = there.get(&(info.room, who.clone()));
                let is_there = spells.into_iter().flatten().any(|spell| spell.from <= from && spell.to > at);
                if state == "offline" && is_there && at >= nanos(SURELY_THERE) && !trouble.touch(from, at) {
                    verdict.violated("gone", || {
                        format!("reader {name} of room {room} was told that {who} has gone, who was there")
                    });
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told};
    use crate::checkers::index::Index;
    use crate::checkers::presence::check;
    use crate::history::{Event, Reader};
    use crate::plan::Kind;

    fn presence(who: &str, state: &str) -> Event {
        Event::Presence { who: who.to_owned(), state: state.to_owned() }
    }

    #[test]
    fn a_ghost_a_missing_one_and_an_undecided_one_are_told() {
        let mut history = Story::whole();
        history.attendances[0].told.insert("person-9".to_owned(), "online".to_owned());
        assert_told(check, &history, "ghost", &["node 0 says that person-9 is in room 0"]);
        let mut history = Story::whole();
        history.attendances[1].told.clear();
        assert_told(check, &history, "missing", &["node 1 does not say that person-0 is in room 0"]);
        let mut history = Story::whole();
        history.attendances[2].told.insert("person-0".to_owned(), "unknown".to_owned());
        assert_told(check, &history, "undecided", &["node 2 does not know whether person-0"]);
    }

    #[test]
    fn nobody_goes_or_comes_twice() {
        let mut story = Story::new();
        for state in ["online", "offline", "offline"] {
            story.see(Reader(0), presence("person-9", state));
        }
        assert_told(check, &story.end(), "twice", &["reader 0 of room 0 was told twice that person-9 is offline"]);
        let mut story = Story::new();
        for _ in 0..2 {
            story.see(Reader(0), presence("person-1", "online"));
        }
        assert_told(check, &story.end(), "twice", &["person-1 is online"]);
    }

    #[test]
    fn whoever_is_there_is_not_said_to_have_gone() {
        let mut story = Story::new();
        story.wait(25_000);
        story.see(Reader(0), presence("person-1", "offline"));
        assert_told(check, &story.end(), "gone", &["reader 0 of room 0 was told that person-1 has gone"]);
        let mut story = Story::new();
        story.wait(25_000);
        story.strike(Kind::KillRedis, 100);
        story.see(Reader(0), presence("person-1", "offline"));
        assert!(check(&Index::new(&story.end())).is_kept(), "nodes could not hear each other");
    }
}
