//! A member: one attachment of one session to one room, and the exact next entry it must hear.
//!
//! Its feed makes going live atomic against delivery: while an attach reads the log, turns are buffered; when the reply is in
//! the outbox, they follow it in order, and from then on each turn goes straight through. A member never hears a number twice
//! and never out of order; where that cannot be kept it goes stale and is told to attach again.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parlour_protocol::id::EntryId;
use parlour_protocol::push::Push;
use parlour_protocol::reply::{CardSeen, Receipt};
use parlour_protocol::share::Right;

use crate::hub::frame::Turn;
use crate::hub::outbox::{AttachmentId, Sent};
use crate::hub::room::Room;
use crate::hub::session::Session;
use crate::hub::{locked, same_person};

/// Entries buffered during one attach; beyond it the reply says that there is more.
const BUFFERED_ENTRIES_MAX: usize = 2_048;

/// One attachment of one session to one room.
pub struct Member {
    id: AttachmentId,
    session: Arc<Session>,
    room: Arc<Room>,
    feed: Mutex<Feed>,
    rights: Mutex<Vec<Right>>,
    receipts: Mutex<Receipts>,
    seen: Mutex<Seen>,
}

/// What guests have seen since the attach read it.
#[derive(Default)]
struct Seen {
    early: Vec<CardSeen>,
    /// The attach has been answered; before, what comes is kept for after it.
    is_told: bool,
}

/// How far others have read, as far as the session knows.
#[derive(Default)]
struct Receipts {
    known: Vec<Receipt>,
    /// The attach has been answered; before, what comes is kept for after it.
    is_told: bool,
}

enum Feed {
    /// The attach is reading the log.
    Buffering { turns: Vec<Arc<Turn>>, entries: usize },
    /// Hears every turn from this number of its view on.
    Live { next: i64 },
    /// Hears no entries: it could not keep up, or its room was given up.
    Stale,
    /// Hears no entries until the node's pause ends; then it becomes stale and is told so.
    Paused,
    /// Is no more; a deliverer may still hold it.
    Gone,
}

/// How going live ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WentLive {
    /// The reply is out and the member hears what follows.
    Yes,
    /// Too much happened meanwhile; nothing was said.
    TooMuch,
    /// The attachment was ended meanwhile; nothing was said.
    Gone,
}

impl Member {
    /// A new attachment, buffering.
    pub(super) fn new(session: Arc<Session>, room: Arc<Room>) -> Self {
        debug_assert_eq!(session.organization(), room.key().organization, "a room admits its own organization only");
        Self {
            id: session.next_attachment(),
            session,
            room,
            feed: Mutex::new(Feed::Buffering { turns: Vec::new(), entries: 0 }),
            rights: Mutex::default(),
            receipts: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Identity within the session.
    pub fn id(&self) -> AttachmentId {
        self.id
    }

    /// Whose attachment.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// To which room.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// Whether the attach has been answered; a stale member is still attached.
    pub fn is_attached(&self) -> bool {
        match &*locked(&self.feed) {
            Feed::Buffering { .. } | Feed::Gone => false,
            Feed::Live { .. } | Feed::Stale | Feed::Paused => true,
        }
    }

    /// Gives a turn. Called by one deliverer at a time, in order.
    pub(super) fn deliver(&self, turn: &Arc<Turn>) {
        let mut feed = locked(&self.feed);
        match &mut *feed {
            Feed::Buffering { turns, entries } => {
                *entries += turn.len();
                if *entries > BUFFERED_ENTRIES_MAX {
                    *feed = Feed::Stale;
                } else {
                    turns.push(Arc::clone(turn));
                }
            }
            Feed::Live { next } => match self.forward(turn, *next) {
                Some(after) => *next = after,
                None => *feed = Feed::Stale,
            },
            Feed::Stale | Feed::Paused | Feed::Gone => {}
        }
    }

    /// Puts the attach's reply into the outbox and goes live from `next` on, so that no turn comes between or is missed. `reply`
    /// is told which texts were ended since the log was read; what came meanwhile follows without them.
    pub(super) fn go_live(&self, next: i64, reply: impl FnOnce(&[EntryId]) -> Bytes) -> WentLive {
        let mut feed = locked(&self.feed);
        let turns = match &mut *feed {
            Feed::Buffering { turns, .. } => std::mem::take(turns),
            Feed::Live { .. } | Feed::Stale | Feed::Paused => return WentLive::TooMuch,
            Feed::Gone => return WentLive::Gone,
        };
        let redacted: Vec<EntryId> = turns.iter().flat_map(|turn| turn.redacted()).collect();
        self.session.outbox().welcome(self.room.key().conversation, reply(&redacted));
        let after = turns.iter().try_fold(next, |next, turn| match turn.without(&redacted) {
            Some(blanked) => self.forward(&blanked, next),
            None => self.forward(turn, next),
        });
        *feed = after.map_or(Feed::Stale, |next| Feed::Live { next });
        WentLive::Yes
    }

    /// Ends the entries and has the session told the room's head.
    pub(super) fn go_stale(&self) {
        let mut feed = locked(&self.feed);
        match *feed {
            Feed::Live { .. } => self.session.outbox().mark_stale(self.id),
            Feed::Buffering { .. } => {}
            // A paused one is told when the pause ends.
            Feed::Stale | Feed::Paused | Feed::Gone => return,
        }
        *feed = Feed::Stale;
    }

    /// Withholds entries, also those that wait for the socket, and has the session told. An attach that still reads the log is
    /// refused when it has ([`crate::hub::pause`]).
    pub(super) fn pause(&self) {
        let mut feed = locked(&self.feed);
        match *feed {
            Feed::Live { .. } | Feed::Stale => {}
            Feed::Buffering { .. } | Feed::Paused | Feed::Gone => return,
        }
        *feed = Feed::Paused;
        self.session.outbox().withdraw(self.id);
        self.session.push(&Push::Paused { conversation: self.room.key().conversation });
    }

    /// Ends what [`Self::pause`] began: the session is told the room's head.
    pub(super) fn resume(&self) {
        let mut feed = locked(&self.feed);
        if matches!(*feed, Feed::Paused) {
            *feed = Feed::Stale;
            // Anew, also where one was said or due before.
            self.session.outbox().forget(self.id);
            self.session.outbox().mark_stale(self.id);
        }
    }

    /// Ends everything: from now on nothing is given to it, also by a deliverer that took the members before it left.
    pub(super) fn retire(&self) {
        *locked(&self.feed) = Feed::Gone;
        self.session.outbox().forget(self.id);
    }

    /// The push that tells where the log stands; none while that is withheld.
    pub(super) fn head_push(&self) -> Option<Push> {
        if matches!(*locked(&self.feed), Feed::Paused) {
            return None;
        }
        let head = self.room.head()?;
        let conversation = self.room.key().conversation;
        Some(Push::Head { conversation, epoch: head.epoch, seq: head.seq_in(self.session.view()) })
    }

    /// Notes what the session was told it may do here; whether that is news.
    pub(super) fn set_rights(&self, rights: &[Right]) -> bool {
        let mut told = locked(&self.rights);
        let is_news = *told != rights;
        if is_news {
            *told = rights.to_vec();
        }
        is_news
    }

    /// Notes a receipt; whether the session is to be told now: it is news, and the attach has been answered.
    pub(super) fn hears(&self, receipt: &Receipt) -> bool {
        let mut receipts = locked(&self.receipts);
        receipts.note(receipt) && receipts.is_told
    }

    /// The attach was answered with these receipts; what came meanwhile and is news beside them.
    pub(super) fn told_receipts(&self, told: Vec<Receipt>) -> Vec<Receipt> {
        let mut receipts = locked(&self.receipts);
        let mut early = std::mem::replace(&mut *receipts, Receipts { known: told, is_told: true }).known;
        early.retain(|receipt| receipts.note(receipt));
        early
    }

    /// Notes what a guest has seen; whether the session is to be told now: the attach has been answered.
    pub(super) fn hears_seen(&self, news: &CardSeen) -> bool {
        let mut seen = locked(&self.seen);
        if !seen.is_told {
            let is_same = |older: &CardSeen| (older.card, older.version) == (news.card, news.version);
            seen.early.retain(|older| !(is_same(older) && same_person(&older.who, &news.who)));
            seen.early.push(news.clone());
        }
        seen.is_told
    }

    /// The attach was answered; what guests have seen meanwhile.
    pub(super) fn told_seen(&self) -> Vec<CardSeen> {
        let mut seen = locked(&self.seen);
        seen.is_told = true;
        std::mem::take(&mut seen.early)
    }

    /// Sends the part of a turn from `next` on; the number to expect then, or none when the member went stale.
    fn forward(&self, turn: &Turn, next: i64) -> Option<i64> {
        debug_assert_eq!(turn.room().organization, self.session.organization(), "no entry leaves its organization");
        let encoded = turn.encoded(self.session.view(), self.session.codec());
        let Some((first, last)) = encoded.span().filter(|(_, last)| *last >= next) else { return Some(next) };
        if first > next {
            tracing::error!(
                conversation.id = %turn.room().conversation, next, first,
                "a member would have missed entries; it is resynchronised"
            );
            self.session.outbox().mark_stale(self.id);
            return None;
        }
        let (frames, count) = encoded.starting_at(next);
        match self.session.outbox().durable(self.id, frames, count) {
            Sent::Accepted => Some(last + 1),
            Sent::Dropped => None,
        }
    }
}

impl Receipts {
    /// Takes a receipt in; whether it is news. Who has read nothing of this view is none.
    fn note(&mut self, receipt: &Receipt) -> bool {
        let Some(known) = self.known.iter_mut().find(|known| same_person(&known.who, &receipt.who)) else {
            self.known.push(receipt.clone());
            return (receipt.received, receipt.read) != (0, 0);
        };
        let is_news = receipt.received > known.received || receipt.read > known.read;
        known.received = known.received.max(receipt.received);
        known.read = known.read.max(receipt.read);
        is_news
    }
}
