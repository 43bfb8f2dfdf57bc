//! C1, durable: what was acknowledged is in the log, under that id and number and with that body, wherever it is read; one
//! operation makes one entry at most; what was refused is nowhere; what nobody knows about is there or not, but the same
//! everywhere; and nothing was shown to anybody that is not in the log after all.
//!
//! Numbers that differ between readings are the business of [`super::dense`], what readers missed of [`super::resume`].

use std::collections::HashMap;

use parlour_protocol::id::EntryId;

use super::Verdict;
use super::index::{Index, at_seq, found_for, given, is_refused_for_good};
use crate::history::{Given, Op, OpId, Outcome, Reading, Room, View};

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let promise =
        "what was acknowledged is stored once, unchanged; what was refused is not; nothing else was ever shown";
    let mut verdict = Verdict::new("C1", promise);
    let mut ops: Vec<Vec<&Op>> = vec![Vec::new(); index.history.cast.rooms.len()];
    for op in &index.history.ops {
        ops[op.room.0 as usize].push(op);
    }
    for (room, ops) in (0..).map(Room).zip(&ops) {
        if ops.is_empty() {
            continue;
        }
        if index.readings(room, View::Staff).is_empty() {
            verdict.violated("unread", || format!("room {} was not read after the run", room.0));
            continue;
        }
        let truth = by_operation(index.readings(room, View::Staff)[0]);
        for view in [View::Staff, View::Guest] {
            for reading in index.readings(room, view) {
                entries(index, reading, &mut verdict);
                operations(index, ops, reading, &truth, &mut verdict);
            }
        }
    }
    for leak in found_for(index.history, "C1") {
        verdict.violated("two truths", || format!("{}: {}", leak.place, leak.what));
    }
    acknowledged_twice(index, &mut verdict);
    shown(index, &mut verdict);
    verdict
}

fn by_operation(reading: &Reading) -> HashMap<OpId, &Given> {
    reading.entries.iter().filter_map(|given| Some((given.op?, given))).collect()
}

/// Every entry of a reading was asked for, once, here, and is what was asked for.
fn entries(index: &Index, reading: &Reading, verdict: &mut Verdict) {
    let place = || format!("room {} as read by {}", reading.room.0, reading.by);
    let mut first: HashMap<OpId, i64> = HashMap::new();
    for given in &reading.entries {
        let Some(id) = given.op else { continue };
        let seq = given.seq;
        if let Some(before) = first.insert(id, seq) {
            verdict.violated("duplicated", || {
                format!("op {} is stored twice, as {before} and {seq} in {}", id.0, place())
            });
        }
        match index.op(id) {
            None => {
                verdict.violated("phantom", || format!("{seq} in {} is of op {}, which nobody tried", place(), id.0))
            }
            Some(op) if op.room != reading.room => {
                verdict.violated("phantom", || format!("op {} of room {} is {seq} in {}", id.0, op.room.0, place()));
            }
            Some(op) if is_refused_for_good(op) => verdict.violated("phantom", || {
                format!("op {} was refused ({:?}) and is {seq} in {}", id.0, op.outcome, place())
            }),
            Some(_) if !given.is_as_said => {
                verdict.violated("altered", || format!("op {} is {seq} in {}, but not as it was said", id.0, place()));
            }
            Some(_) => {}
        }
    }
}

/// Every operation of a room is in a reading of it, or not, as its outcome says.
fn operations(index: &Index, ops: &[&Op], reading: &Reading, truth: &HashMap<OpId, &Given>, verdict: &mut Verdict) {
    let place = || format!("room {} as read by {}", reading.room.0, reading.by);
    let held = by_operation(reading);
    for op in ops {
        verdict.looked();
        let stored = truth.get(&op.id);
        let is_shown = reading.view == View::Staff || stored.is_none_or(|given| !given.is_for_staff);
        let (id, found) = (op.id.0, held.get(&op.id));
        match (&op.outcome, found) {
            (Outcome::Ok { entry, seq, .. }, None) if is_shown => verdict.violated("lost", || {
                format!("op {id} was acknowledged as {seq} ({}) and is lost: not in {}", entry.0, place())
            }),
            (Outcome::Ok { entry, .. }, Some(given)) if given.entry != *entry => verdict.violated("renamed", || {
                format!("op {id} was acknowledged as entry {} and is {} in {}", entry.0, given.entry.0, place())
            }),
            (Outcome::Ok { seq, .. }, Some(given))
                if index.history.view(op.person) == reading.view && given.seq != *seq =>
            {
                verdict.violated("renumbered", || {
                    format!("op {id} was acknowledged as {seq} and is {} in {}", given.seq, place())
                });
            }
            (Outcome::Unknown, found) if is_shown && found.is_some() != stored.is_some() => {
                verdict.violated("split", || {
                    let (here, there) = if found.is_some() { ("in", "not in") } else { ("not in", "in") };
                    format!("op {id}, of which nobody knows, is {here} {} and {there} the database", place())
                });
            }
            _ => {}
        }
    }
}

/// No two operations were acknowledged with one entry.
fn acknowledged_twice(index: &Index, verdict: &mut Verdict) {
    let mut owners: HashMap<EntryId, OpId> = HashMap::with_capacity(index.history.ops.len());
    for (op, entry, seq) in index.history.acked() {
        if let Some(other) = owners.insert(entry, op.id) {
            verdict.violated("shared", || {
                let room = op.room.0;
                format!(
                    "ops {} and {} were both acknowledged as entry {} ({seq} in room {room})",
                    other.0, op.id.0, entry.0
                )
            });
        }
    }
}

/// Whatever a reader was given is in the log.
fn shown(index: &Index, verdict: &mut Verdict) {
    for seen in &index.history.seen {
        let Some(given) = given(&seen.event) else { continue };
        verdict.looked();
        let reader = &index.history.cast.readers[seen.reader.0 as usize];
        let log = index.log(reader.room, index.view(reader));
        if at_seq(log, given.seq).is_some_and(|stored| stored.entry == given.entry) {
            continue;
        }
        if index.room_of(given.entry).is_none() {
            verdict.violated("phantom", || {
                let (reader, room, seq) = (seen.reader.0, reader.room.0, given.seq);
                let op = given.op.map_or_else(|| "no operation".to_owned(), |op| format!("op {}", op.0));
                format!("reader {reader} was given {seq} of room {room} ({op}, {}), which is in no log", given.entry.0)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::durable::check;
    use crate::checkers::fixture::{Story, assert_told, entry};
    use crate::history::{Event, Leak, OpId, Outcome};

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_lost() {
        let mut history = Story::whole();
        let lost = history.ops[3].id;
        for reading in &mut history.readings {
            reading.entries.retain(|given| given.op != Some(lost));
        }
        assert_told(check, &history, "lost", &["op 3 was acknowledged", "lost", "room 0", "sql"]);
    }

    #[test]
    fn what_one_node_does_not_hold_is_lost_there() {
        let mut history = Story::whole();
        history.readings.last_mut().unwrap().entries.pop();
        assert_told(check, &history, "lost", &["lost: not in room"]);
    }

    #[test]
    fn what_is_stored_twice_is_duplicated() {
        let mut history = Story::whole();
        let again = history.readings[0].entries[1].op;
        history.readings[0].entries[2].op = again;
        assert_told(check, &history, "duplicated", &["stored twice, as 2 and 3"]);
    }

    #[test]
    fn what_was_refused_must_not_be_there() {
        let mut history = Story::whole();
        history.ops[2].outcome = Outcome::Refused("INVALID".to_owned());
        assert_told(check, &history, "phantom", &["op 2 was refused", "INVALID"]);
        // Rights that ended between two tries say nothing about the first.
        history.ops[2].outcome = Outcome::Refused("UNAUTHENTICATED".to_owned());
        history.ops[2].tries = 2;
        assert!(check(&crate::checkers::index::Index::new(&history)).is_kept());
    }

    #[test]
    fn what_nobody_tried_is_a_phantom() {
        let mut history = Story::whole();
        history.readings[0].entries[1].op = Some(OpId(999));
        assert_told(check, &history, "phantom", &["op 999, which nobody tried"]);
    }

    #[test]
    fn a_body_that_changed_is_altered() {
        let mut history = Story::whole();
        history.readings[1].entries[1].is_as_said = false;
        assert_told(check, &history, "altered", &["not as it was said"]);
    }

    #[test]
    fn an_id_or_number_other_than_acknowledged_is_told() {
        let mut history = Story::whole();
        let Outcome::Ok { entry: id, seq, .. } = &mut history.ops[1].outcome else { panic!("not acked") };
        (*id, *seq) = (entry(4711), *seq + 1);
        assert_told(check, &history, "renamed", &["op 1 was acknowledged as entry"]);
        let mut history = Story::whole();
        let Outcome::Ok { seq, .. } = &mut history.ops[1].outcome else { panic!("not acked") };
        *seq += 1;
        assert_told(check, &history, "renumbered", &["op 1 was acknowledged as"]);
    }

    #[test]
    fn an_unknown_one_is_there_for_all_or_for_nobody() {
        let mut history = Story::whole();
        history.ops[3].outcome = Outcome::Unknown;
        assert!(check(&crate::checkers::index::Index::new(&history)).is_kept());
        let unknown = Some(history.ops[3].id);
        history.readings[0].entries.retain(|given| given.op != unknown);
        assert_told(check, &history, "split", &["op 3, of which nobody knows"]);
    }

    #[test]
    fn two_operations_never_share_an_entry() {
        let mut history = Story::whole();
        history.ops[3].outcome = history.ops[2].outcome.clone();
        assert_told(check, &history, "shared", &["ops 2 and 3"]);
    }

    #[test]
    fn answers_that_contradict_each_other_are_told() {
        let mut history = Story::whole();
        let place = "the answers to operation 3".to_owned();
        history.leaks.push(Leak { place, what: "first Ok as 4, then Ok as 9".to_owned() });
        assert_told(check, &history, "two truths", &["operation 3: first Ok as 4"]);
    }

    #[test]
    fn what_was_shown_and_is_in_no_log_is_a_phantom() {
        let mut history = Story::whole();
        let live = history.seen.iter_mut().find_map(|seen| match &mut seen.event {
            Event::Live(given) => Some(given),
            _ => None,
        });
        live.unwrap().entry = entry(4711);
        assert_told(check, &history, "phantom", &["which is in no log", "reader"]);
    }

    #[test]
    fn a_room_that_nobody_read_is_no_proof() {
        let mut history = Story::whole();
        history.readings.clear();
        assert_told(check, &history, "unread", &["room 0 was not read"]);
    }
}
