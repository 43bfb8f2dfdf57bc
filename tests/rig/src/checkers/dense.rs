//! C2, dense: in each room and view the numbers are 1, 2, 3 … without hole or repeat, and a number names the same entry
//! wherever it is told: in the database, by every node, live and in pages. The guest view is the staff view without what is
//! for staff, numbered on its own.
//!
//! Nothing is restored in a run, so that an epoch other than the log's is a violation, too.

use super::Verdict;
use super::index::{Index, at_seq, found_for};
use crate::history::{Event, Given, Reading, Room, View};

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict = Verdict::new("C2", "numbers have no hole, and one number is one entry, for everybody everywhere");
    for room in index.rooms() {
        for view in [View::Staff, View::Guest] {
            let readings = index.readings(room, view);
            for reading in readings {
                dense(reading, &mut verdict);
            }
            for other in readings.iter().skip(1) {
                same(readings[0], other, &mut verdict);
            }
        }
        guests(index, room, &mut verdict);
    }
    streams(index, &mut verdict);
    for leak in found_for(index.history, "C2") {
        verdict.violated("page", || format!("{}: {}", leak.place, leak.what));
    }
    verdict
}

/// A reading is 1, 2, 3 …
fn dense(reading: &Reading, verdict: &mut Verdict) {
    let mut last = 0;
    for given in &reading.entries {
        verdict.looked();
        let place = || format!("room {} as read by {}", reading.room.0, reading.by);
        if given.seq > last + 1 {
            verdict.violated("gap", || format!("after {last} comes {} in {}", given.seq, place()));
        } else if given.seq <= last {
            verdict.violated("repeated", || format!("after {last} comes {} again in {}", given.seq, place()));
        }
        last = given.seq;
    }
}

/// Two readings of a view are the same.
fn same(truth: &Reading, other: &Reading, verdict: &mut Verdict) {
    let room = truth.room.0;
    if truth.epoch != other.epoch {
        let (one, two) = (truth.epoch, other.epoch);
        verdict
            .violated("epoch", || format!("room {room} is in epoch {one} by {} and {two} by {}", truth.by, other.by));
    }
    let (one, two) = (truth.entries.len(), other.entries.len());
    if one != two {
        verdict
            .violated("length", || format!("room {room} has {one} entries by {} and {two} by {}", truth.by, other.by));
    }
    for (one, two) in truth.entries.iter().zip(&other.entries) {
        if (one.seq, one.entry) != (two.seq, two.entry) {
            verdict.violated("map", || {
                let (first, second) =
                    (format!("{} ({})", one.seq, one.entry.0), format!("{} ({})", two.seq, two.entry.0));
                format!("room {room}: {first} by {} stands where {second} stands by {}", truth.by, other.by)
            });
        }
    }
}

/// The guest view is the staff view without what is for staff.
fn guests(index: &Index, room: Room, verdict: &mut Verdict) {
    let (staff, guest) = (index.readings(room, View::Staff), index.readings(room, View::Guest));
    let (Some(staff), Some(guest)) = (staff.first(), guest.first()) else { return };
    let expected = staff.entries.iter().filter(|given| !given.is_for_staff);
    let mut found = guest.entries.iter();
    for wanted in expected {
        match found.next() {
            Some(given) if given.entry == wanted.entry => {}
            other => {
                let seq = other
                    .map_or_else(|| "nothing more".to_owned(), |given| format!("{} ({})", given.seq, given.entry.0));
                let (room, by) = (room.0, &guest.by);
                return verdict.violated("view", || {
                    format!("room {room}: for guests {seq} (by {by}) stands where {} of staff should", wanted.seq)
                });
            }
        }
    }
    if let Some(given) = found.next() {
        verdict.violated("view", || format!("room {}: {} is for guests and not in the staff view", room.0, given.seq));
    }
}

/// What readers were given has the numbers of the log.
fn streams(index: &Index, verdict: &mut Verdict) {
    for seen in &index.history.seen {
        let reader = &index.history.cast.readers[seen.reader.0 as usize];
        let (room, who) = (reader.room.0, seen.reader.0);
        let readings = index.readings(reader.room, index.view(reader));
        let Some(truth) = readings.first() else { continue };
        match &seen.event {
            Event::Attached { epoch, .. } if *epoch != truth.epoch => {
                let right = truth.epoch;
                verdict
                    .violated("epoch", || format!("reader {who} was told epoch {epoch} of room {room}: it is {right}"));
            }
            Event::Page(given) | Event::Live(given) => {
                verdict.looked();
                if at_seq(&truth.entries, given.seq).is_none_or(|stored| !is_same(stored, given)) {
                    verdict.violated("map", || mismatch(who, room, given, at_seq(&truth.entries, given.seq)));
                }
            }
            _ => {}
        }
    }
}

fn is_same(stored: &Given, given: &Given) -> bool {
    stored.entry == given.entry && stored.op == given.op
}

fn mismatch(reader: u32, room: u32, given: &Given, stored: Option<&Given>) -> String {
    let op = |given: &Given| given.op.map_or_else(|| "no op".to_owned(), |op| format!("op {}", op.0));
    let right = stored.map_or_else(|| "nothing".to_owned(), |stored| format!("{} ({})", stored.entry.0, op(stored)));
    let (seq, wrong) = (given.seq, format!("{} ({})", given.entry.0, op(given)));
    format!("reader {reader} was given {wrong} as {seq} of room {room}, where the log holds {right}")
}

#[cfg(test)]
mod tests {
    use crate::checkers::dense::check;
    use crate::checkers::fixture::{Story, assert_told, entry, first_live};
    use crate::history::{Event, Leak, View};

    #[test]
    fn a_hole_in_the_log_is_told() {
        let mut history = Story::whole();
        history.readings[0].entries.remove(2);
        assert_told(check, &history, "gap", &["after 2 comes 4", "room 0"]);
    }

    #[test]
    fn a_number_given_twice_is_told() {
        let mut history = Story::whole();
        history.readings[0].entries[2].seq = 2;
        assert_told(check, &history, "repeated", &["after 2 comes 2 again"]);
    }

    #[test]
    fn nodes_that_hold_different_entries_are_told() {
        let mut history = Story::whole();
        history.readings[1].entries.swap(1, 2);
        history.readings[1].entries[1].seq = 2;
        history.readings[1].entries[2].seq = 3;
        assert_told(check, &history, "map", &["room 0: 2 (", "node-0"]);
        let mut history = Story::whole();
        history.readings[1].entries.pop();
        assert_told(check, &history, "length", &["room 0 has"]);
        let mut history = Story::whole();
        history.readings[1].epoch = 2;
        assert_told(check, &history, "epoch", &["room 0 is in epoch 1"]);
    }

    #[test]
    fn a_hole_that_only_guests_could_see_is_told() {
        let mut history = Story::whole();
        for reading in history.readings.iter_mut().filter(|reading| reading.view == View::Guest) {
            let removed = reading.entries.remove(0).seq;
            for given in &mut reading.entries {
                given.seq -= removed;
            }
        }
        assert_told(check, &history, "view", &["for guests"]);
    }

    #[test]
    fn a_reader_told_another_number_or_entry_is_told() {
        let mut history = Story::whole();
        first_live(&mut history).entry = entry(4711);
        assert_told(check, &history, "map", &["reader 0 was given", "room 0"]);
        let mut history = Story::whole();
        first_live(&mut history).seq = 900;
        assert_told(check, &history, "map", &["as 900 of room 0, where the log holds nothing"]);
    }

    #[test]
    fn a_page_of_the_history_with_holes_is_told() {
        let mut history = Story::whole();
        let place = "a page of the history".to_owned();
        history.leaks.push(Leak { place, what: "reader 0 room 0: holes".to_owned() });
        assert_told(check, &history, "page", &["reader 0 room 0: holes"]);
    }

    #[test]
    fn a_reader_told_another_epoch_is_told() {
        let mut history = Story::whole();
        let Event::Attached { epoch, .. } = &mut history.seen[0].event else { panic!("not attached") };
        *epoch = 2;
        assert_told(check, &history, "epoch", &["told epoch 2"]);
    }
}
