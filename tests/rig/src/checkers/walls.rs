//! C8, walls: nothing of one organization reaches another, nothing for staff reaches a guest, and a redacted text is given to
//! nobody who asks after its redaction.
//!
//! The scans are made where the bytes are: in every reader's frames, in tables, channels, logs and metrics; what they found
//! is in the history. Here what a reader was given is held against who may read it, too.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::Verdict;
use super::index::{Index, found_for, given};
use super::windows::{Windows, parts_clients, stops};
use crate::history::{Act, Event, Given, Nanos, OpId, Outcome, Reader, ReaderInfo, Tenant, View, nanos};

/// How long after a redaction a page may still carry the text: a client waits so long for its answer, and memory forgets
/// within 2 s.
const ANSWERED: Duration = Duration::from_secs(12);

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let promise = "nobody is given anything of another organization, of staff, or of a text that was redacted";
    let mut verdict = Verdict::new("C8", promise);
    for leak in found_for(index.history, "C8") {
        verdict.violated("leak", || format!("{}: {}", leak.place, leak.what));
    }
    for reading in &index.history.readings {
        for given in &reading.entries {
            verdict.looked();
            if reading.view == View::Guest && given.is_for_staff {
                let (room, by) = (reading.room.0, &reading.by);
                verdict.violated("staff only", || {
                    format!("{} of room {room} is for staff, and guests read it by {by}", given.seq)
                });
            }
        }
    }
    let tenants = tenants_of(index);
    let redacted = redacted(index);
    for (reader, info) in index.readers() {
        let mut excuses = Windows::default();
        for (at, event) in index.stream(reader) {
            verdict.looked();
            match event {
                Event::Attached { node, .. } => {
                    excuses = Windows::of(index.history, |kind| stops(kind, *node) || parts_clients(kind, *node));
                }
                Event::Presence { who, .. } | Event::Typing { who, .. } => {
                    stranger(index, (reader, info), who, &tenants, &mut verdict);
                }
                Event::Page(page) => unredacted((reader, info), page, at, &redacted, &excuses, &mut verdict),
                _ => {}
            }
            if let Some(given) = given(event) {
                entitled(index, (reader, info), given, &mut verdict);
            }
        }
    }
    verdict
}

/// Whose everybody is. Somebody may be of several organizations.
fn tenants_of<'a>(index: &Index<'a>) -> HashMap<&'a str, BTreeSet<Tenant>> {
    let mut tenants: HashMap<&str, BTreeSet<Tenant>> = HashMap::new();
    for person in &index.history.cast.people {
        tenants.entry(&person.id).or_default().insert(person.tenant);
    }
    tenants
}

/// When a text was redacted, with everything that it was replaced by before.
fn redacted(index: &Index) -> HashMap<OpId, Nanos> {
    let mut redacted: HashMap<OpId, Nanos> = HashMap::new();
    for op in &index.history.ops {
        if let (Act::Redact(target), Outcome::Ok { .. }, Some(at)) = (&op.act, &op.outcome, op.completed) {
            let first = redacted.entry(*target).or_insert(at);
            *first = at.min(*first);
        }
    }
    if redacted.is_empty() {
        return redacted;
    }
    let edits = index.history.ops.iter().filter_map(|op| match op.act {
        Act::Edit(target) => Some((op.id, *redacted.get(&target)?)),
        _ => None,
    });
    let edits: Vec<(OpId, Nanos)> = edits.collect();
    redacted.extend(edits);
    redacted
}

/// A page given to somebody who asked after a redaction has the text no more.
fn unredacted(
    (reader, info): (Reader, &ReaderInfo),
    page: &Given,
    at: Nanos,
    redacted: &HashMap<OpId, Nanos>,
    excuses: &Windows,
    verdict: &mut Verdict,
) {
    let Some((op, gone)) = page.op.and_then(|op| Some((op, *redacted.get(&op)?))) else { return };
    if !page.is_redacted && excuses.free(gone, at) > nanos(ANSWERED) {
        verdict.violated("redacted", || {
            let late = (at - gone) / 1_000_000;
            let (reader, room, seq) = (reader.0, info.room.0, page.seq);
            format!(
                "reader {reader} was given the text of {seq} of room {room} (op {}) {late} ms after its redaction",
                op.0
            )
        });
    }
}

/// Nobody of another organization is named.
fn stranger(
    index: &Index,
    (reader, info): (Reader, &ReaderInfo),
    who: &str,
    tenants: &HashMap<&str, BTreeSet<Tenant>>,
    verdict: &mut Verdict,
) {
    let own = index.history.cast.rooms[info.room.0 as usize].tenant;
    if tenants.get(who).is_some_and(|tenants| !tenants.contains(&own)) {
        let (reader, room) = (reader.0, info.room.0);
        verdict.violated("stranger", || {
            format!("reader {reader} of room {room} was told of {who}, who is of another organization")
        });
    }
}

/// What somebody is given is of their room, and for them.
fn entitled(index: &Index, (reader, info): (Reader, &ReaderInfo), given: &Given, verdict: &mut Verdict) {
    let (who, room, seq) = (reader.0, info.room, given.seq);
    if let Some(op) = given.op.and_then(|op| index.op(op))
        && op.room != room
    {
        verdict.violated("other room", || {
            format!("reader {who} of room {} was given op {} of room {} as {seq}", room.0, op.id.0, op.room.0)
        });
    }
    if index.view(info) == View::Guest && given.is_for_staff {
        verdict.violated("staff only", || {
            format!("reader {who}, a guest, was given {seq} of room {}, which is for staff", room.0)
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told, first_live};
    use crate::checkers::index::Index;
    use crate::checkers::walls::check;
    use crate::history::{Act, Event, Leak, Node, Person, Reader, View};

    #[test]
    fn what_a_scan_found_is_told() {
        let mut history = Story::whole();
        history.leaks.push(Leak { place: "log of node-1".to_owned(), what: "canary of tenant 0".to_owned() });
        assert_told(check, &history, "leak", &["log of node-1: canary of tenant 0"]);
    }

    #[test]
    fn what_is_for_staff_is_not_for_guests() {
        let mut history = Story::whole();
        let reading = history.readings.iter_mut().find(|reading| reading.view == View::Guest).unwrap();
        reading.entries[0].is_for_staff = true;
        assert_told(check, &history, "staff only", &["1 of room 0 is for staff, and guests read it by"]);
        let mut history = Story::whole();
        for seen in &mut history.seen {
            if let (Reader(1), Event::Live(given)) = (seen.reader, &mut seen.event) {
                given.is_for_staff = true;
            }
        }
        assert_told(check, &history, "staff only", &["reader 1, a guest, was given 1"]);
    }

    #[test]
    fn an_entry_of_another_room_is_told() {
        let mut history = Story::whole();
        let other = history.ops.iter().find(|op| op.room.0 == 1).unwrap().id;
        first_live(&mut history).op = Some(other);
        assert_told(check, &history, "other room", &["reader 0 of room 0 was given op", "of room 1"]);
    }

    #[test]
    fn a_stranger_is_told() {
        let mut story = Story::new();
        story.see(Reader(0), Event::Typing { who: "person-3".to_owned(), active: true });
        assert_told(check, &story.end(), "stranger", &["reader 0 of room 0 was told of person-3"]);
    }

    #[test]
    fn a_redacted_text_comes_in_no_later_page() {
        let mut story = Story::new();
        story.say(Person(0));
        story.cut(Reader(0), 1006);
        let said = story.say(Person(1));
        story.act(Person(1), Act::Redact(said));
        story.wait(20_000);
        story.attach(Reader(0), Node(1));
        let mut history = story.end();
        assert!(check(&Index::new(&history)).is_kept());
        for seen in &mut history.seen {
            if let Event::Page(given) = &mut seen.event {
                given.is_redacted = false;
            }
        }
        assert_told(check, &history, "redacted", &["reader 0 was given the text of 2 of room 0 (op 1) 200"]);
    }
}
