//! C5, staleness: what was acknowledged is on every attached screen within a quarter of a second when all is well, and
//! within 5 s after a message between nodes was lost without an error; nothing stays away until the end.
//!
//! Only time in which the reader was attached counts. Excused is what parts the reader from its node, its node from
//! PostgreSQL, or stops its node; nothing that happens to Redis or to other nodes is an excuse. Readers that do not read are
//! late by their own doing.

use std::time::Duration;

use super::Verdict;
use super::index::{Index, Spell, given};
use super::windows::{Windows, parts_clients, parts_postgres, stops};
use crate::history::{Event, Given, History, Nanos, Node, Op, Outcome, Reader, ReaderInfo, nanos};
use crate::plan::Kind;

/// What is promised after a silent loss.
const SILENT_LOSS: Duration = Duration::from_secs(5);
/// What two busy cores may add, which run servers, databases, clients and this rig at once.
const SLACK: Duration = Duration::from_secs(3);

/// How long things took, beside the verdict.
#[derive(Debug, Default)]
struct Measured {
    /// Live receipts while nothing was broken.
    healthy: Vec<Nanos>,
    /// The longest that anything took while there was no excuse for it.
    worst: Nanos,
}

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict =
        Verdict::new("C5", "what was acknowledged is on every attached screen within 5 s, whatever was lost");
    let excuses = excuses(index.history);
    let broken = Windows::of(index.history, |kind| !matches!(kind, Kind::LazyClients | Kind::EndRights));
    let mut measured = Measured::default();
    for (reader, info) in index.readers().filter(|(_, info)| !info.stalls) {
        let spells = index.spells(reader, |event| matches!(event, Event::Cut(_) | Event::Behind | Event::Paused));
        let mut held = 0;
        for (at, event) in index.stream(reader) {
            let Some(given) = given(event).filter(|given| given.seq > held) else { continue };
            held = given.seq;
            let Some((op, acked)) = acked(index, given) else { continue };
            verdict.looked();
            let late = measured.lateness(&spells, &excuses, acked, at);
            if late > nanos(SILENT_LOSS + SLACK) {
                verdict.violated("stale", || {
                    tell(reader, info, given, op, &format!("{} ms after its ack", late / 1_000_000))
                });
            }
            if matches!(event, Event::Live(_)) && at > acked && !broken.touch(acked, at) {
                measured.healthy.push(at - acked.max(attached_before(&spells, at)));
            }
        }
        let late = never_given(index, (reader, info, held), &spells, &excuses, &mut verdict);
        measured.worst = measured.worst.max(late);
    }
    measured.figures(&mut verdict);
    verdict
}

/// What excuses readers of each node.
fn excuses(history: &History) -> Vec<Windows> {
    let nodes = history.seen.iter().filter_map(|seen| match seen.event {
        Event::Attached { node, .. } => Some(node.0 + 1),
        _ => None,
    });
    let excuse = |node: Node| {
        Windows::of(history, |kind| stops(kind, node) || parts_clients(kind, node) || parts_postgres(kind, node))
    };
    (0..nodes.max().unwrap_or_default()).map(Node).map(excuse).collect()
}

fn acked<'a>(index: &Index<'a>, given: &Given) -> Option<(&'a Op, Nanos)> {
    let op = index.op(given.op?)?;
    matches!(op.outcome, Outcome::Ok { .. }).then_some((op, op.completed?))
}

fn attached_before(spells: &[Spell], at: Nanos) -> Nanos {
    let next = spells.partition_point(|spell| spell.from <= at);
    next.checked_sub(1).map_or(0, |last| spells[last].from)
}

impl Measured {
    /// The longest stretch without excuse in which somebody was attached and did not have what had been acknowledged. What
    /// is neither the worst nor too late is not looked into.
    fn lateness(&mut self, spells: &[Spell], excuses: &[Windows], acked: Nanos, given: Nanos) -> Nanos {
        if given.saturating_sub(acked) <= self.worst.min(nanos(SILENT_LOSS + SLACK)) {
            return 0;
        }
        let late = lateness(spells, excuses, acked, given);
        self.worst = self.worst.max(late);
        late
    }

    fn figures(mut self, verdict: &mut Verdict) {
        self.healthy.sort_unstable();
        let milliseconds = |nanos: Nanos| nanos as f64 / 1e6;
        let count = self.healthy.len();
        for (name, share) in [("healthy_p50_ms", 0.50), ("healthy_p99_ms", 0.99), ("healthy_max_ms", 1.0)] {
            let rank = ((count as f64 * share).ceil() as usize).clamp(1, count.max(1)) - 1;
            if let Some(took) = self.healthy.get(rank) {
                verdict.figures.insert(name, milliseconds(*took));
            }
        }
        verdict.figures.insert("healthy", count as f64);
        verdict.figures.insert("worst_ms", milliseconds(self.worst));
    }
}

fn lateness(spells: &[Spell], excuses: &[Windows], acked: Nanos, given: Nanos) -> Nanos {
    let first = spells.partition_point(|spell| spell.to <= acked);
    let concerned = spells[first..].iter().take_while(|spell| spell.from < given);
    let late = |spell: &Spell| excuses[spell.node.0 as usize].longest_free(acked.max(spell.from), given.min(spell.to));
    concerned.map(late).max().unwrap_or_default()
}

/// What is in the log and never came to a reader that was attached to the end; how long it waited at most.
fn never_given(
    index: &Index,
    (reader, info, held): (Reader, &ReaderInfo, i64),
    spells: &[Spell],
    excuses: &[Windows],
    verdict: &mut Verdict,
) -> Nanos {
    let is_there = spells.last().is_some_and(|spell| !spell.is_over);
    if !is_there || index.unreadable_since(info.person).is_some() {
        return 0;
    }
    let mut worst = 0;
    let view = index.view(info);
    let head = index.head(info.room, view);
    for stored in index.log(info.room, view).iter().filter(|stored| stored.seq > held && stored.seq <= head) {
        let Some((op, acked)) = acked(index, stored) else { continue };
        verdict.looked();
        let late = lateness(spells, excuses, acked, index.history.ended);
        worst = late.max(worst);
        if late > nanos(SILENT_LOSS + SLACK) {
            verdict.violated("never", || tell(reader, info, stored, op, "never"));
        }
    }
    worst
}

fn tell(reader: Reader, info: &ReaderInfo, given: &Given, op: &Op, when: &str) -> String {
    let (reader, room, seq, op) = (reader.0, info.room.0, given.seq, op.id.0);
    format!("reader {reader} was given {seq} of room {room} (op {op}) {when}, although nothing excused it")
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told};
    use crate::checkers::index::Index;
    use crate::checkers::staleness::check;
    use crate::history::{Node, Person, Reader};
    use crate::plan::{Kind, Link, Way};

    /// Reader 0, on node 0, waits ten seconds for what was acknowledged; a fault lasts as long.
    fn late(kind: Option<Kind>) -> Story {
        let mut story = Story::new();
        story.say(Person(0));
        story.hold(Reader(0));
        story.say(Person(1));
        match kind {
            Some(kind) => story.strike(kind, 10_000),
            None => story.wait(10_000),
        }
        story.release(Reader(0));
        story
    }

    #[test]
    fn what_comes_too_late_is_told_and_measured() {
        let history = late(None).end();
        assert_told(check, &history, "stale", &["reader 0 was given 2 of room 0 (op 1) 10000 ms after its ack"]);
        let worst = check(&Index::new(&history)).figures["worst_ms"];
        assert!((10_000.0..10_100.0).contains(&worst), "{worst}");
    }

    #[test]
    fn only_what_parts_the_reader_from_the_log_is_an_excuse() {
        let excused = [
            Kind::StopNode(Node(0)),
            Kind::StopPostgres,
            Kind::Blackhole(Link::Clients(Node(0)), Way::Back),
            Kind::Stall(Link::Postgres(Node(0))),
        ];
        for kind in excused {
            assert!(check(&Index::new(&late(Some(kind.clone())).end())).is_kept(), "{kind:?}");
        }
        let no_excuse = [
            Kind::StopRedis,
            Kind::LyingBus(Node(1)),
            Kind::StopNode(Node(1)),
            Kind::Blackhole(Link::Redis(Node(0)), Way::Back),
            Kind::LazyClients,
        ];
        for kind in no_excuse {
            assert!(!check(&Index::new(&late(Some(kind.clone())).end())).is_kept(), "{kind:?}");
        }
    }

    #[test]
    fn time_away_does_not_count() {
        let mut story = Story::new();
        story.say(Person(0));
        story.cut(Reader(0), 1006);
        story.say(Person(1));
        story.wait(60_000);
        story.attach(Reader(0), Node(2));
        assert!(check(&Index::new(&story.end())).is_kept());
    }

    #[test]
    fn a_page_does_not_make_up_for_what_did_not_come_live() {
        let mut story = Story::new();
        story.say(Person(0));
        story.hold(Reader(0));
        story.say(Person(1));
        story.wait(10_000);
        story.forget(Reader(0));
        story.cut(Reader(0), 1006);
        story.attach(Reader(0), Node(2));
        assert_told(check, &story.end(), "stale", &["given 2 of room 0"]);
    }

    #[test]
    fn what_never_comes_is_told() {
        let mut story = Story::new();
        story.hold(Reader(0));
        story.say(Person(1));
        story.wait(10_000);
        assert_told(check, &story.end(), "never", &["reader 0 was given 1 of room 0 (op 0) never"]);
    }
}
