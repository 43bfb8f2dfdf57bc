//! What is committed and on its way to screens: an entry with its numbers in both views.
//!
//! A [`Committed`] exists only after COMMIT; the log makes it, the hub delivers it, and nobody changes it in between, but
//! for the text that a later redaction ends.

use std::sync::Arc;

use parlour_protocol::entry::Entry;
use parlour_protocol::id::{ConversationId, EntryId, OrganizationId};

use crate::domain::principal::View;
use crate::domain::revision;

/// What a room is known by: never a conversation alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomKey {
    /// The tenant.
    pub organization: OrganizationId,
    /// The conversation.
    pub conversation: ConversationId,
}

/// An entry after COMMIT.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// Where.
    pub room: RoomKey,
    /// The log's epoch.
    pub epoch: i64,
    /// Number in the staff view.
    pub seq: i64,
    /// Number in the guest view; none when guests never see it.
    pub guest_seq: Option<i64>,
    /// The entry.
    pub entry: Arc<Entry>,
}

impl Committed {
    /// The entry's number in a view; none when it is not in it.
    pub fn seq_in(&self, view: View) -> Option<i64> {
        match view {
            View::Staff => Some(self.seq),
            View::Guest => self.guest_seq,
        }
    }

    /// Takes its text out if a redaction of `target` concerns it; whether it does.
    pub fn forget(&mut self, target: EntryId) -> bool {
        // Shared with whoever reads it now: copied only where it must change.
        revision::concerns(target, &self.entry) && revision::forget(target, Arc::make_mut(&mut self.entry))
    }
}

/// Where a conversation's log stands, in both views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log's epoch.
    pub epoch: i64,
    /// Newest number in the staff view.
    pub seq: i64,
    /// Newest number in the guest view.
    pub guest_seq: i64,
}

impl Head {
    /// The newest number in a view.
    pub fn seq_in(&self, view: View) -> i64 {
        match view {
            View::Staff => self.seq,
            View::Guest => self.guest_seq,
        }
    }
}
