//! Pushes: what the server says unasked (SPEC §2.2). A push has no number.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::entry::{Audience, Entry, Who};
use crate::id::{ConversationId, PersonId};
use crate::reply::{CardSeen, PresenceState};
use crate::share::{Right, Share};
use crate::time::Timestamp;

/// A push of any kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Push {
    /// An entry was committed.
    Entry {
        /// Where.
        conversation: ConversationId,
        /// The log's epoch.
        epoch: i64,
        /// Number in the hearer's view.
        seq: i64,
        /// The entry.
        entry: Arc<Entry>,
    },
    /// Somebody types.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        who: Who,
        /// Whether they type.
        active: bool,
        /// Life of the sign without renewal.
        expires_ms: u64,
    },
    /// Somebody came or left, or their node fell silent.
    Presence {
        /// Where.
        conversation: ConversationId,
        /// Who.
        who: Who,
        /// Came, left, or cannot be heard right now.
        state: PresenceState,
        /// Whether the conversation is on their screen; staff view only.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        viewing: bool,
    },
    /// A guest has seen more of a card; staff view only.
    Seen {
        /// Where.
        conversation: ConversationId,
        /// All that this guest has seen of the version by now.
        seen: Box<CardSeen>,
    },
    /// Somebody read further.
    Receipt {
        /// Where.
        conversation: ConversationId,
        /// Who.
        who: Who,
        /// Reached a device, in the hearer's numbering.
        received: i64,
        /// Was read, in the hearer's numbering.
        read: i64,
    },
    /// The session's rights changed.
    Permission {
        /// Where.
        conversation: ConversationId,
        /// Replaces what the session had.
        permissions: Vec<Right>,
    },
    /// Entry pushes were dropped or withheld; attach again from the last seq received.
    Head {
        /// Where.
        conversation: ConversationId,
        /// The log's epoch.
        epoch: i64,
        /// The newest entry, in the hearer's view.
        seq: i64,
    },
    /// Entries are withheld for now; the next `head` of this conversation ends it: attach again from where you stand.
    Paused {
        /// Where.
        conversation: ConversationId,
    },
    /// A share was made or changed.
    Share {
        /// Where.
        conversation: ConversationId,
        /// As it now stands.
        share: Box<Share>,
    },
    /// A row of the staff member's list changed.
    Inbox {
        /// As it now stands.
        conversation: Box<ConversationRow>,
    },
    /// The node will close this socket; come back after this time.
    Advice {
        /// Individual, so that not everybody comes back at once.
        retry_after_ms: u64,
    },
}

/// A conversation as a row of the list, for one member of staff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConversationRow {
    /// Identity.
    pub id: ConversationId,
    /// The title people see.
    pub title: String,
    /// `open`, `snoozed` or `closed`.
    pub status: String,
    /// The sales stage.
    pub stage: String,
    /// Where it came from.
    pub channel: String,
    /// Who made it; none when a service did.
    pub user_id: Option<PersonId>,
    /// Who is responsible.
    pub assigned_to: Option<PersonId>,
    /// The newest entry, in the staff view.
    pub head: i64,
    /// When the newest entry was committed.
    pub last_entry_at: Option<Timestamp>,
    /// The newest message, note, card or selection, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_entry: Option<Preview>,
    /// The asking person's own watermark.
    pub read: i64,
    /// Entries of others after `read`.
    pub unread: i64,
    /// Whether a guest is present.
    pub online: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything about it changed.
    pub updated_at: Timestamp,
}

/// An entry in a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preview {
    /// The entry's kind.
    pub kind: String,
    /// Who may see it.
    pub audience: Audience,
    /// Who wrote it.
    pub author: Who,
    /// At most 120 characters, as last edited; empty when it was redacted.
    pub preview: String,
    /// When it was committed.
    pub at: Timestamp,
}
