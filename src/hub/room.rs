//! A room: a conversation's live form on this node. It can be dropped and rebuilt at any time; the log is the truth.
//!
//! One short lock holds the order of entries, what is to be delivered, the members and a small tail of what was delivered.
//! Nothing waits under it: one deliverer at a time works outside (see [`crate::hub::delivery`]), others only append. A closed
//! room stays closed; whoever still holds it finds out and asks for a new one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use parlour_protocol::entry::{Content, Entry, NumberedEntry};
use parlour_protocol::id::EntryId;
use tokio::time::Instant;

use crate::bus::interest::Subscription;
use crate::domain::principal::View;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::hub::frame::Turn;
use crate::hub::locked;
use crate::hub::member::Member;
use crate::hub::sequence::{Hole, Offered, Sequence};
use crate::hub::told::Told;

/// Entries of one turn, so that one write stays near what a socket takes.
const TURN_ENTRIES_MAX: usize = 128;
/// The tail kept in memory for those who come back.
pub const TAIL_ENTRIES_MAX: usize = 256;
/// See [`TAIL_ENTRIES_MAX`].
pub const TAIL_BYTES_MAX: usize = 256 * 1024;
/// What an entry weighs besides its text.
const ENTRY_BYTES: usize = 256;

/// The members of a room as of one moment; copied only when somebody still reads an older copy.
pub type Members = Arc<Vec<Arc<Member>>>;

/// A conversation's live form.
pub struct Room {
    key: RoomKey,
    /// The conversation's channel is heard for as long as the room lives.
    channel: Subscription,
    state: Mutex<State>,
    /// Locked before `state`, and while members are told.
    told: Mutex<Told>,
}

#[derive(Default)]
struct State {
    sequence: Sequence,
    tail: Tail,
    /// In order, not yet taken by a deliverer.
    pending: VecDeque<Committed>,
    /// A turn whose deliverer was dropped on its way; members that have heard it will skip it.
    unfinished: Option<Arc<Turn>>,
    is_delivering: bool,
    members: Members,
    empty_since: Option<Instant>,
    is_repairing: bool,
    /// What is next in order cannot be read, and an operator was told.
    stands_still: bool,
    is_closed: bool,
}

/// The newest entries, and where the log stood before the first of them.
#[derive(Default)]
struct Tail {
    before: Option<Head>,
    entries: VecDeque<Committed>,
    bytes: usize,
}

/// What a room makes of entries it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// Something is missing, and nobody looks for it yet.
    pub needs_repair: bool,
    /// The log was restored: the room must be given up.
    pub new_epoch: Option<Head>,
}

/// Why a room was not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotJoined {
    /// It was closed before.
    Closed,
    /// It has as many members as it may have.
    Full {
        /// How many that is.
        max: usize,
    },
}

/// A deliverer's turn at the room; dropping it lets the next one in.
pub(super) struct Delivering<'a> {
    room: &'a Room,
    turn: Option<Arc<Turn>>,
}

impl Room {
    /// A room that does not know yet where its log stands.
    pub fn new(key: RoomKey, channel: Subscription) -> Self {
        Self { key, channel, state: Mutex::default(), told: Mutex::default() }
    }

    /// Waits, no longer than this, until what other nodes say about the conversation is heard.
    pub(super) async fn hears_others(&self, patience: Duration) {
        self.channel.confirmed(patience).await;
    }

    /// What it is known by.
    pub fn key(&self) -> RoomKey {
        self.key
    }

    /// Where it stands: the last entry in order; none before it has started.
    pub fn head(&self) -> Option<Head> {
        locked(&self.state).sequence.head()
    }

    /// Its members at this moment.
    pub fn members(&self) -> Members {
        Arc::clone(&locked(&self.state).members)
    }

    /// What its members were told of who is there; nobody is told anything else of it while this is held.
    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        locked(&self.told)
    }

    /// Takes a member in, unless there are `max` already; from now on it is given every turn.
    pub(super) fn join(&self, member: &Arc<Member>, max: usize) -> Result<(), NotJoined> {
        let mut state = locked(&self.state);
        if state.is_closed {
            return Err(NotJoined::Closed);
        }
        if state.members.len() >= max {
            return Err(NotJoined::Full { max });
        }
        Arc::make_mut(&mut state.members).push(Arc::clone(member));
        state.empty_since = None;
        Ok(())
    }

    /// Lets a member go; whether that left the room empty.
    pub(super) fn leave(&self, member: &Arc<Member>, now: Instant) -> bool {
        let mut state = locked(&self.state);
        let Some(index) = state.members.iter().position(|other| Arc::ptr_eq(other, member)) else { return false };
        Arc::make_mut(&mut state.members).swap_remove(index);
        let is_empty = state.members.is_empty();
        if is_empty {
            state.empty_since = Some(now);
        }
        is_empty
    }

    /// Starts the order where the log stands, unless that was done.
    pub(super) fn start(&self, head: Head) {
        let mut state = locked(&self.state);
        if state.sequence.head().is_none() {
            state.tail.before = Some(head);
        }
        state.let_through(|sequence, ready| sequence.start(head, ready));
    }

    /// Takes committed entries, in any order; what is next in order becomes pending.
    pub(super) fn accept(&self, entries: Vec<Committed>) -> Accepted {
        let mut state = locked(&self.state);
        let mut new_epoch = None;
        for entry in entries {
            debug_assert_eq!(entry.room, self.key, "an entry goes to its own room");
            let head = Head { epoch: entry.epoch, seq: entry.seq, guest_seq: entry.guest_seq.unwrap_or(0) };
            if state.let_through(|sequence, ready| sequence.offer(entry, ready)) == Offered::NewEpoch {
                new_epoch = Some(head);
            }
        }
        Accepted { needs_repair: state.claim_repair(), new_epoch }
    }

    /// Learns where the log stands; whether something is missing and nobody looks for it yet.
    pub(super) fn learn(&self, head: Head) -> bool {
        let mut state = locked(&self.state);
        state.sequence.learn(head.seq);
        state.claim_repair()
    }

    /// What must be read from the log; none when nothing is missing any more, which ends the repair.
    pub(super) fn hole(&self) -> Option<Hole> {
        let mut state = locked(&self.state);
        let hole = if state.is_closed { None } else { state.sequence.hole() };
        state.is_repairing = hole.is_some();
        state.stands_still &= state.is_repairing;
        hole
    }

    /// What is missing cannot be read; whether that is news.
    pub(super) fn stands_still(&self) -> bool {
        !std::mem::replace(&mut locked(&self.state).stands_still, true)
    }

    /// Whether entries wait although nobody delivers: a deliverer was dropped on its way.
    pub(super) fn is_stuck(&self) -> bool {
        let state = locked(&self.state);
        !state.is_delivering && (state.unfinished.is_some() || !state.pending.is_empty())
    }

    /// Becomes the deliverer; none while there is one.
    pub(super) fn deliverer(&self) -> Option<Delivering<'_>> {
        let mut state = locked(&self.state);
        if state.is_delivering {
            return None;
        }
        state.is_delivering = true;
        Some(Delivering { room: self, turn: None })
    }

    /// Closes the room if it has been empty for this long, or never had a member; whether it is closed.
    pub(super) fn close_if_empty(&self, empty_for: Duration, now: Instant) -> bool {
        let mut state = locked(&self.state);
        if state.members.is_empty() && state.empty_since.is_none_or(|since| since + empty_for <= now) {
            state.is_closed = true;
        }
        state.is_closed
    }

    /// Closes the room for good and lets everybody go; they are to be told `head`, where it is known better.
    pub(super) fn close(&self, head: Option<Head>) -> Members {
        let mut state = locked(&self.state);
        state.is_closed = true;
        state.pending.clear();
        state.unfinished = None;
        if let Some(head) = head {
            state.sequence = Sequence::default();
            state.sequence.start(head, &mut Vec::new());
        }
        std::mem::take(&mut state.members)
    }

    /// The entries of a view after `seq` and where the log stands, if memory provably holds them all.
    pub(super) fn recent(&self, view: View, epoch: i64, seq: i64, limit: usize) -> Option<(Vec<NumberedEntry>, Head)> {
        let state = locked(&self.state);
        let head = state.sequence.head().filter(|head| head.epoch == epoch && !state.is_closed)?;
        let is_covered = state.tail.before?.seq_in(view) <= seq && seq <= head.seq_in(view);
        if !is_covered || head.seq_in(view) - seq > limit as i64 {
            return None;
        }
        let newer = state.tail.entries.iter().filter_map(|entry| Some((entry.seq_in(view)?, entry)));
        let entries = newer
            .filter(|(number, _)| *number > seq)
            .map(|(number, committed)| NumberedEntry { seq: number, entry: committed.entry.as_ref().clone() })
            .collect();
        Some((entries, head))
    }
}

impl Delivering<'_> {
    /// The next turn and whom to give it to. None ends the delivery, in the same instant in which others may begin one.
    pub(super) fn next(&mut self) -> Option<(Arc<Turn>, Members)> {
        let mut state = locked(&self.room.state);
        self.turn = state.unfinished.take().or_else(|| {
            let count = state.pending.len().min(TURN_ENTRIES_MAX);
            (count > 0).then(|| Arc::new(Turn::new(self.room.key, state.pending.drain(..count).collect())))
        });
        if self.turn.is_none() {
            state.is_delivering = false;
        }
        self.turn.clone().map(|turn| (turn, Arc::clone(&state.members)))
    }
}

impl Drop for Delivering<'_> {
    fn drop(&mut self) {
        // Only a deliverer that was dropped on its way, or panicked, still holds a turn.
        if let Some(turn) = self.turn.take() {
            let mut state = locked(&self.room.state);
            state.is_delivering = false;
            if !state.is_closed {
                state.unfinished = Some(turn);
            }
        }
    }
}

impl State {
    fn let_through<T>(&mut self, act: impl FnOnce(&mut Sequence, &mut Vec<Committed>) -> T) -> T {
        let mut ready = Vec::new();
        let result = act(&mut self.sequence, &mut ready);
        for entry in ready {
            if let Content::Redaction(redaction) = &entry.entry.content {
                // What was late, or still waits, goes out without the text that is over.
                for waiting in &mut self.pending {
                    waiting.forget(redaction.entry_id);
                }
            }
            self.tail.push(entry.clone());
            // Nobody to deliver to: the tail and the log are enough.
            if !self.members.is_empty() {
                self.pending.push_back(entry);
            }
        }
        result
    }

    fn claim_repair(&mut self) -> bool {
        let claims = !self.is_repairing && self.sequence.hole().is_some();
        self.is_repairing |= claims;
        claims
    }
}

impl Tail {
    fn push(&mut self, entry: Committed) {
        if let Content::Redaction(redaction) = &entry.entry.content {
            self.blank(redaction.entry_id);
        }
        self.bytes += weight(&entry.entry);
        self.entries.push_back(entry);
        while self.entries.len() > TAIL_ENTRIES_MAX || self.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= weight(&oldest.entry);
            if let Some(before) = &mut self.before {
                before.seq = oldest.seq;
                before.guest_seq = oldest.guest_seq.unwrap_or(before.guest_seq);
            }
        }
    }

    /// Nobody who comes after a redaction reads from memory what the log no longer holds.
    fn blank(&mut self, target: EntryId) {
        for kept in &mut self.entries {
            let before = weight(&kept.entry);
            if kept.forget(target) {
                self.bytes = self.bytes - before + weight(&kept.entry);
            }
        }
    }
}

/// About what an entry occupies: its text, or a share of the longest allowed form.
pub(super) fn weight(entry: &Entry) -> usize {
    ENTRY_BYTES
        + match &entry.content {
            Content::Message(body) | Content::Note(body) => body.text.len(),
            Content::Card(body) => {
                let offer = &body.card.offer;
                (offer.options.len() + offer.details.len()) * 1024
            }
            Content::Edit(body) => body.text.len(),
            Content::Selection(_) | Content::Share(_) | Content::Redaction(_) => 1024,
            Content::Other(other) => other.body.to_string().len(),
        }
}
