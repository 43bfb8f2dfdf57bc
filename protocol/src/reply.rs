//! Replies: exactly one per command, under the command's number (SPEC §2.1, §3).

use serde::{Deserialize, Serialize};

use crate::card::CardState;
use crate::command::OptionSeen;
use crate::entry::{NumberedEntry, Position, Who, WhoKind};
use crate::error::ErrorBody;
use crate::id::{CardId, ConversationId, EntryId, OrganizationId, SessionId};
use crate::limits::Limits;
use crate::share::{Permission, Right};
use crate::time::Timestamp;

/// A reply frame: `{"id":7,"ok":{…}}` or `{"id":7,"error":{…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Reply"))]
pub struct Reply<T> {
    /// The command's number; none when the command had none that could be read.
    pub id: Option<u64>,
    /// Success or error.
    #[serde(flatten)]
    pub outcome: Outcome<T>,
}

/// Success or error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// Done.
    Ok(T),
    /// Refused or failed.
    Error(ErrorBody),
}

/// A reply without facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Empty {}

/// Reply to `hello`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "HelloReply"))]
pub struct Hello {
    /// This socket.
    pub session: SessionId,
    /// Who the server took the caller for.
    pub principal: PrincipalInfo,
    /// Period of the server's pings.
    pub heartbeat_ms: u64,
    /// Life left in the token; refresh at 80 %. None: no end is known (API keys without expiry).
    pub expires_in_ms: Option<u64>,
    /// What this socket may ask for.
    pub limits: Limits,
}

/// The caller, as told to itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrincipalInfo {
    /// What kind of principal.
    pub kind: WhoKind,
    /// Opaque; equals `author.id` of the caller's entries.
    pub id: String,
    /// The name others see.
    pub name: String,
    /// The tenant.
    pub organization: OrganizationRef,
    /// Staff: the role in the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Guest: the one conversation of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// Guest: the link's permissions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
}

/// An organization by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OrganizationRef {
    /// Identity.
    pub id: OrganizationId,
    /// The name people see.
    pub name: String,
}

/// Reply to `refresh`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refreshed {
    /// Life of the renewed authentication.
    pub expires_in_ms: Option<u64>,
    /// Guest: the new token, for HTTP and the next socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_token: Option<String>,
}

/// Reply to `attach`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Attached {
    /// `since` cannot be continued; nothing is attached.
    Reset {
        /// Always false.
        resumed: bool,
        /// Where the log stands.
        reset: Reset,
    },
    /// Entries, and live unless `has_more`.
    Page(Box<AttachedPage>),
}

/// Where a log stands, for a reader that cannot resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reset {
    /// The current epoch.
    pub epoch: i64,
    /// The oldest entry kept, in the reader's view.
    pub floor: i64,
    /// The newest entry, in the reader's view.
    pub head: i64,
}

/// The entries of an attach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttachedPage {
    /// Whether the entries continue the client's `since`.
    pub resumed: bool,
    /// The last entry given (or `since`, when there was none to give).
    pub position: Position,
    /// In order, without hole.
    pub entries: Vec<NumberedEntry>,
    /// Newer entries remain and the session is not live: attach again.
    pub has_more: bool,
    /// What the conversation is; only when live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationRef>,
    /// What this session may do here; only when live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Right>>,
    /// Who is present; only when live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    /// How far others have read; only when live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipts: Option<Vec<Receipt>>,
    /// What guests have seen of the newest cards; only when live, staff view only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Vec<CardSeen>>,
}

/// A conversation by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConversationRef {
    /// Identity.
    pub id: ConversationId,
    /// The title people see.
    pub title: String,
    /// `open`, `snoozed` or `closed`; staff view only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The sales stage; staff view only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

/// Somebody who is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Member {
    /// Who.
    pub who: Who,
    /// Whether present, as far as is known.
    pub state: PresenceState,
    /// Whether the conversation is on their screen; staff view only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub viewing: bool,
}

/// Whether somebody is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PresenceState {
    /// At least one session.
    Online,
    /// No session.
    Offline,
    /// Last seen through another node that cannot be heard right now. Not gone.
    Unknown,
}

/// How far somebody has read, in the numbering of whoever hears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Receipt {
    /// Who.
    pub who: Who,
    /// Reached a device of theirs.
    pub received: i64,
    /// Was read.
    pub read: i64,
}

/// What a guest has seen of a card version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardSeen {
    /// Who looked.
    pub who: Who,
    /// At which card.
    pub card: CardId,
    /// At which version of it.
    pub version: i32,
    /// The options that were visible, and for how long.
    pub options: Vec<OptionSeen>,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen.
    pub last_at: Timestamp,
}

/// Reply to `presence`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Members {
    /// Who is present.
    pub members: Vec<Member>,
}

/// Reply to `send`, `edit`, `redact` and `note`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Appended {
    /// The entry.
    pub entry_id: EntryId,
    /// Its number in the author's own view.
    pub seq: i64,
    /// Whether an earlier command with the same `client_id` had stored it.
    pub duplicate: bool,
}

/// Reply to `select`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Selected {
    /// The selection entry.
    pub entry_id: EntryId,
    /// Its number in the chooser's own view.
    pub seq: i64,
    /// Whether an earlier command with the same `client_id` had stored it.
    pub duplicate: bool,
    /// The card's state after the choice.
    pub state: CardState,
}

/// Reply to `read`: the watermarks as they now stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Watermarks {
    /// Reached a device.
    pub received: i64,
    /// Was read.
    pub read: i64,
}

/// Reply to `history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Page {
    /// In order, without hole.
    pub entries: Vec<NumberedEntry>,
    /// The current epoch.
    pub epoch: i64,
    /// The newest entry, in the reader's view.
    pub head: i64,
    /// Whether more entries lie in the direction asked.
    pub has_more: bool,
}
