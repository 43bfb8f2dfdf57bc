//! What this node's beacons tell: the rooms that moved through it, soon and then ever more rarely, so that a peer that missed an
//! entry, even the last one of a quiet conversation, or an announcement of presence, finds out.
//!
//! A change is told in the next beacon and again 1, 2, 4 … 32 seconds later. Nothing here is needed for correctness when it is
//! lost: the heads of all rooms are compared with the log anyway, only later ([`crate::hub::repair`]).

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::message::{Announced, Beacon, Moved};
use crate::domain::room::{Head, RoomKey};
use crate::hub::locked;

/// Rooms in one beacon: at most about a hundred bytes each, so that a beacon stays under 64 KiB.
const ROOMS_PER_BEACON: usize = 512;
/// Beacons at once, so that thousands of active rooms do not have to wait for each other's turn.
const BEACONS_PER_TURN: usize = 16;
/// Rooms remembered; beyond it the one that was told most often is forgotten.
const ROOMS_MAX: usize = 65_536;
/// The first repetition comes after this; each next one after twice the time.
const REPEAT_AFTER: Duration = Duration::from_secs(1);
/// How often a change is told.
const TOLD_MAX: u32 = 7;

/// The rooms to tell of.
#[derive(Debug, Default)]
pub struct Moves {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    number: u64,
    rooms: HashMap<RoomKey, Move>,
    /// When each is to be told next.
    due: BTreeSet<(Instant, RoomKey)>,
}

#[derive(Debug)]
struct Move {
    head: Option<Head>,
    presence: Option<Announced>,
    told: u32,
    due_at: Instant,
}

impl Moves {
    /// A room's log stands at least here.
    pub fn head(&self, room: RoomKey, head: Head, now: Instant) {
        locked(&self.books).moved(room, now, |moved| {
            let is_newer = moved.head.is_none_or(|known| (head.epoch, head.seq) > (known.epoch, known.seq));
            if is_newer {
                moved.head = Some(head);
            }
            is_newer
        });
    }

    /// Whom this node holds in a room was announced.
    pub fn presence(&self, room: RoomKey, announced: Announced, now: Instant) {
        locked(&self.books).moved(room, now, |moved| {
            let is_news = moved.presence != Some(announced);
            moved.presence = Some(announced);
            is_news
        });
    }

    /// The beacons to send now: at least one.
    pub fn beacons(&self, now: Instant) -> Vec<Beacon> {
        let mut books = locked(&self.books);
        let mut beacons = Vec::new();
        loop {
            let moved = books.take_due(now);
            let is_last = moved.len() < ROOMS_PER_BEACON || beacons.len() + 1 == BEACONS_PER_TURN;
            books.number += 1;
            beacons.push(Beacon { number: books.number, moved });
            if is_last {
                return beacons;
            }
        }
    }
}

impl Books {
    fn moved(&mut self, room: RoomKey, now: Instant, act: impl FnOnce(&mut Move) -> bool) {
        if self.rooms.len() >= ROOMS_MAX && !self.rooms.contains_key(&room) {
            self.forget_one();
        }
        let entry = self.rooms.entry(room).or_insert(Move { head: None, presence: None, told: 0, due_at: now });
        if act(entry) {
            self.due.remove(&(entry.due_at, room));
            (entry.told, entry.due_at) = (0, now);
            self.due.insert((now, room));
        }
    }

    fn take_due(&mut self, now: Instant) -> Vec<Moved> {
        let mut taken = Vec::new();
        while taken.len() < ROOMS_PER_BEACON
            && let Some((due_at, room)) = self.due.first().copied().filter(|(due_at, _)| *due_at <= now)
        {
            self.due.remove(&(due_at, room));
            let Some(entry) = self.rooms.get_mut(&room) else { continue };
            taken.push(Moved { room, head: entry.head, presence: entry.presence });
            entry.told += 1;
            if entry.told >= TOLD_MAX {
                self.rooms.remove(&room);
            } else {
                entry.due_at = now + REPEAT_AFTER * 2_u32.pow(entry.told - 1);
                self.due.insert((entry.due_at, room));
            }
        }
        taken
    }

    /// The one that is due last has been told most often.
    fn forget_one(&mut self) {
        if let Some((_, room)) = self.due.pop_last() {
            self.rooms.remove(&room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::fixture::room_key;

    fn head(seq: i64) -> Head {
        Head { epoch: 1, seq, guest_seq: 0 }
    }

    fn rooms(beacons: &[Beacon]) -> usize {
        beacons.iter().map(|beacon| beacon.moved.len()).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_move_is_told_at_once_and_again_ever_more_rarely() {
        let (moves, room, start) = (Moves::default(), room_key(), Instant::now());
        moves.head(room, head(3), start);
        let told = |seconds| rooms(&moves.beacons(start + Duration::from_secs(seconds)));
        let when: Vec<u64> = (0..200).filter(|seconds| told(*seconds) == 1).collect();
        assert_eq!(when, [0, 1, 3, 7, 15, 31, 63]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_head_is_told_and_an_older_one_is_no_news() {
        let (moves, room, now) = (Moves::default(), room_key(), Instant::now());
        moves.head(room, head(3), now);
        moves.head(room, head(2), now);
        let presence = Announced { number: 8, holds: true };
        moves.presence(room, presence, now);
        let beacons = moves.beacons(now);
        assert_eq!(beacons[0].moved, [Moved { room, head: Some(head(3)), presence: Some(presence) }]);
        moves.head(room, head(3), now);
        assert_eq!(rooms(&moves.beacons(now)), 0, "no news");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_beacon_too_and_many_rooms_are_many_beacons() {
        let (moves, now) = (Moves::default(), Instant::now());
        assert_eq!(moves.beacons(now), [Beacon { number: 1, moved: Vec::new() }]);
        for _ in 0..ROOMS_PER_BEACON + 1 {
            moves.head(room_key(), head(1), now);
        }
        let beacons = moves.beacons(now);
        assert_eq!((beacons.len(), rooms(&beacons)), (2, ROOMS_PER_BEACON + 1));
        let numbers: Vec<u64> = beacons.iter().map(|beacon| beacon.number).collect();
        assert_eq!(numbers, [2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn more_rooms_than_fit_are_not_kept() {
        let (moves, now) = (Moves::default(), Instant::now());
        for _ in 0..ROOMS_MAX + 10 {
            moves.head(room_key(), head(1), now);
        }
        assert_eq!(locked(&moves.books).rooms.len(), ROOMS_MAX);
        assert_eq!(locked(&moves.books).due.len(), ROOMS_MAX);
    }
}
