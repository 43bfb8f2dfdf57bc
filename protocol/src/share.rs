//! Shares as staff see them, and the rights a link or a session carries.

use serde::{Deserialize, Serialize};

use crate::id::{ConversationId, PersonId, ShareId};
use crate::time::Timestamp;

/// What a link lets its people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read the guest view; every link has it.
    View,
    /// Send messages and show typing.
    Respond,
    /// Choose on cards.
    SelectOptions,
}

impl Permission {
    /// The word used in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Respond => "respond",
            Self::SelectOptions => "select_options",
        }
    }
}

/// What a session may do in one conversation, as clients are told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Attach, read history and mark as read.
    Read,
    /// Send messages.
    Send,
    /// Write internal notes.
    Note,
    /// Redact what others wrote. What one wrote oneself needs no right of its own.
    Redact,
    /// Offer cards.
    Card,
    /// Choose on cards.
    Select,
    /// Create, change and revoke shares.
    Share,
    /// Show typing.
    Typing,
}

/// A share, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Share {
    /// Identity; not the secret.
    pub id: ShareId,
    /// The one conversation it opens.
    pub conversation_id: ConversationId,
    /// For staff only.
    pub label: Option<String>,
    /// Always holds `view`.
    pub permissions: Vec<Permission>,
    /// The member of staff who made it; none when a service did.
    pub created_by: Option<PersonId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// When it was ended by staff.
    pub revoked_at: Option<Timestamp>,
    /// Where it stands now.
    pub status: ShareStatus,
    /// Renderings of the page, previews and bots left out.
    pub opens: i64,
    /// Claims.
    pub access_count: i64,
    /// Attempts after its end or beyond its seats.
    pub blocked: i64,
    /// Devices it admits.
    pub seats: i32,
    /// Devices that came in.
    pub seats_used: i32,
    /// The last open or claim.
    pub last_accessed: Option<Timestamp>,
}

/// Where a share stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShareStatus {
    /// Live, and nobody came yet.
    Unopened,
    /// Live.
    Live,
    /// Ended by itself.
    Expired,
    /// Ended by staff.
    Revoked,
}
