//! C7, revocation: once an end of somebody's rights was answered, nothing that they begin is acknowledged, on any node; within
//! 5 s their sockets have ended and nothing written later reaches them; they are not let in again.
//!
//! For hearing and sockets, time does not count while the reader's node was stopped or cut from its clients or PostgreSQL: it
//! cannot know, or cannot tell. But a node that cannot read rights withholds everything after 10 s, so that this excuse ends.
//! For writing there is no excuse at all: rights are compared in the transaction.

use std::collections::HashMap;
use std::time::Duration;

use super::Verdict;
use super::index::{Index, found_for, given};
use super::windows::{Windows, parts_clients, parts_nodes, parts_postgres, stops};
use crate::history::{Event, Nanos, Node, Outcome, Person, Reader, Revocation, nanos};

/// Within this a node has read the rights of everybody on it.
const NOTICED: Duration = Duration::from_secs(5);
/// After this a node that cannot read rights gives entries to nobody.
const WITHHELD: Duration = Duration::from_secs(10);
/// What two busy cores may add.
const SLACK: Duration = Duration::from_secs(3);

/// Lags between an end of rights and the end of a socket.
#[derive(Default)]
struct Lags {
    all: Vec<Nanos>,
    without_redis: Vec<Nanos>,
}

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict = Verdict::new("C7", "whose rights ended writes nothing from then on, and hears nothing after 5 s");
    let mut ends: HashMap<Person, Vec<(&Revocation, Nanos)>> = HashMap::new();
    for end in &index.history.revocations {
        let Some(effective) = end.effective else { continue };
        ends.entry(end.person).or_default().push((end, effective));
        verdict.looked();
    }
    for leak in found_for(index.history, "C7") {
        verdict.violated("shut out", || leak.what.clone());
    }
    writes(index, &ends, &mut verdict);
    let mut lags = Lags::default();
    for (reader, info) in index.readers() {
        for (end, effective) in ends.get(&info.person).into_iter().flatten().filter(|(end, _)| end.how != "cut") {
            Heard { index, reader, end, effective: *effective }.check(info.stalls, &mut lags, &mut verdict);
        }
    }
    lags.figures(&mut verdict);
    verdict
}

/// Nothing begun after the end is acknowledged.
fn writes(index: &Index, ends: &HashMap<Person, Vec<(&Revocation, Nanos)>>, verdict: &mut Verdict) {
    for op in &index.history.ops {
        let Some((end, effective)) = ends.get(&op.person).and_then(|ends| ends.iter().min_by_key(|(_, at)| *at)) else {
            continue;
        };
        if op.invoked <= *effective {
            continue;
        }
        verdict.looked();
        if let Outcome::Ok { seq, .. } = op.outcome {
            let late = (op.invoked - effective) / 1_000_000;
            verdict.violated("written", || {
                let (person, room) = (op.person.0, op.room.0);
                format!(
                    "person {person} ({}) began op {} {late} ms later, and it is {seq} of room {room}",
                    end.how, op.id.0
                )
            });
        }
    }
}

/// What one reader heard after the end of its rights.
struct Heard<'a> {
    index: &'a Index<'a>,
    reader: Reader,
    end: &'a Revocation,
    effective: Nanos,
}

impl Heard<'_> {
    fn check(&self, stalls: bool, lags: &mut Lags, verdict: &mut Verdict) {
        let history = self.index.history;
        let mut node = None;
        let mut excuses = (Windows::default(), Windows::default());
        let mut is_open = false;
        for (at, event) in self.index.stream(self.reader) {
            if let Event::Attached { node: other, resumed, since, .. } = event {
                if node != Some(*other) {
                    excuses = (Self::cannot_tell(self.index, *other), Windows::of(history, |kind| stops(kind, *other)));
                }
                (node, is_open) = (Some(*other), *resumed || since.is_none());
                if excuses.0.free(self.effective, at) > nanos(NOTICED + SLACK) {
                    self.told(verdict, "let in", &format!("was attached on node {}", other.0), at);
                }
            }
            self.hears(event, &excuses, verdict);
            if let Event::Cut(_) = event {
                if is_open && at >= self.effective {
                    self.closed(at, &excuses.0, stalls, lags, verdict);
                }
                is_open = false;
            }
        }
        if is_open && !stalls && excuses.0.free(self.effective, history.ended) > nanos(NOTICED + SLACK) {
            self.told(verdict, "open", "was attached to the end", history.ended);
        }
    }

    /// When a node cannot read rights, or cannot tell its clients.
    fn cannot_tell(index: &Index, node: Node) -> Windows {
        Windows::of(index.history, |kind| stops(kind, node) || parts_clients(kind, node) || parts_postgres(kind, node))
    }

    /// Nothing that was begun long after the end is given.
    fn hears(&self, event: &Event, excuses: &(Windows, Windows), verdict: &mut Verdict) {
        let Some(given) = given(event) else { return };
        let Some(op) = given.op.and_then(|op| self.index.op(op)).filter(|op| op.invoked > self.effective) else {
            return;
        };
        verdict.looked();
        let noticed = excuses.0.free(self.effective, op.invoked) > nanos(NOTICED + SLACK);
        let withheld = excuses.1.free(self.effective, op.invoked) > nanos(WITHHELD + SLACK);
        if noticed || withheld {
            let what = format!("was given {} of op {}, begun", given.seq, op.id.0);
            self.told(verdict, "heard", &what, op.invoked);
        }
    }

    fn closed(&self, at: Nanos, excuses: &Windows, stalls: bool, lags: &mut Lags, verdict: &mut Verdict) {
        // Only the first socket was open when the rights ended; a later one is `let in`, or was refused.
        verdict.looked();
        if stalls {
            return;
        }
        if excuses.free(self.effective, at) > nanos(NOTICED + SLACK) {
            return self.told(verdict, "open", "was cut only", at);
        }
        if !excuses.touch(self.effective, at) {
            lags.all.push(at - self.effective);
            if Windows::of(self.index.history, parts_nodes).touch(self.effective, at) {
                lags.without_redis.push(at - self.effective);
            }
        }
    }

    fn told(&self, verdict: &mut Verdict, kind: &'static str, what: &str, at: Nanos) {
        verdict.violated(kind, || {
            let (person, reader) = (self.end.person.0, self.reader.0);
            let room = self.index.history.cast.readers[self.reader.0 as usize].room.0;
            let late = at.saturating_sub(self.effective) / 1_000_000;
            format!("person {person} ({}): reader {reader} of room {room} {what} {late} ms after it", self.end.how)
        });
    }
}

impl Lags {
    fn figures(mut self, verdict: &mut Verdict) {
        self.all.sort_unstable();
        let count = self.all.len();
        let milliseconds = |lag: &Nanos| *lag as f64 / 1e6;
        for (name, share) in [("closed_p50_ms", 0.50), ("closed_p99_ms", 0.99), ("closed_max_ms", 1.0)] {
            let rank = ((count as f64 * share).ceil() as usize).clamp(1, count.max(1)) - 1;
            if let Some(lag) = self.all.get(rank) {
                verdict.figures.insert(name, milliseconds(lag));
            }
        }
        if let Some(longest) = self.without_redis.iter().max() {
            verdict.figures.insert("closed_without_redis_max_ms", milliseconds(longest));
        }
        verdict.figures.insert("closed", count as f64);
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told};
    use crate::checkers::index::Index;
    use crate::checkers::revocation::check;
    use crate::history::{Act, Node, Person, Reader};
    use crate::plan::{Kind, Link};

    /// The guest's link is revoked, and 300 ms later its socket has ended.
    fn revoked() -> Story {
        let mut story = Story::new();
        story.say(Person(4));
        story.revoke(Person(4), "revoked");
        story.wait(300);
        story
    }

    #[test]
    fn a_link_that_ends_in_time_is_measured() {
        let mut story = revoked();
        story.cut(Reader(3), 4510);
        story.say(Person(0));
        let verdict = check(&Index::new(&story.end()));
        assert!(verdict.is_kept(), "{verdict:?}");
        assert!((300.0..310.0).contains(&verdict.figures["closed_max_ms"]));
    }

    #[test]
    fn what_is_written_afterwards_is_told() {
        let mut story = revoked();
        story.cut(Reader(3), 4510);
        story.say(Person(4));
        assert_told(check, &story.end(), "written", &["person 4 (revoked) began op 1", "it is 2 of room 0"]);
        let mut story = Story::new();
        story.revoke(Person(4), "cut");
        let card = story.act(Person(2), Act::Card);
        story.act(Person(4), Act::Select(card, 'a'));
        assert_told(check, &story.end(), "written", &["person 4 (cut) began op 1"]);
    }

    #[test]
    fn a_socket_that_stays_open_is_told() {
        let mut story = revoked();
        story.wait(9_000);
        story.cut(Reader(3), 4510);
        assert_told(check, &story.clone().end(), "open", &["reader 3 of room 0 was cut only 93"]);
        let mut story = revoked();
        story.wait(9_000);
        assert_told(check, &story.end(), "open", &["was attached to the end"]);
    }

    #[test]
    fn what_is_heard_after_the_bound_is_told() {
        let mut story = revoked();
        story.wait(8_000);
        story.say(Person(0));
        assert_told(check, &story.end(), "heard", &["was given 2 of op 1, begun 83"]);
    }

    #[test]
    fn somebody_let_in_again_is_told() {
        let mut story = revoked();
        story.cut(Reader(3), 4510);
        story.wait(9_000);
        story.attach(Reader(3), Node(1));
        assert_told(check, &story.end(), "let in", &["was attached on node 1"]);
    }

    #[test]
    fn a_stopped_node_cannot_tell_and_one_without_database_must_withhold() {
        for (kind, is_excused) in [
            (Kind::StopNode(Node(0)), true),
            (Kind::Stall(Link::Clients(Node(0))), true),
            (Kind::StopRedis, false),
            (Kind::StopNode(Node(1)), false),
        ] {
            let mut story = revoked();
            story.strike(kind.clone(), 9_000);
            story.cut(Reader(3), 4510);
            assert_eq!(check(&Index::new(&story.end())).is_kept(), is_excused, "{kind:?}");
        }
        let mut story = revoked();
        story.strike(Kind::Stall(Link::Postgres(Node(0))), 20_000);
        story.say(Person(0));
        assert_told(check, &story.end(), "heard", &["of op 1"]);
    }
}
