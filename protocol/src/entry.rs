//! Entries: the immutable items of a conversation's log, and who wrote and may see them.
//!
//! An entry carries no number of its own: its `seq` belongs to the view it is read in and travels beside it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, from_value};

use crate::card::{Card, CardState};
use crate::id::{CardId, ClientId, EntryId, ShareId};
use crate::share::Permission;
use crate::time::Timestamp;

/// Where a reader stands in one view of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Changes only after a restore that re-used numbers.
    pub epoch: i64,
    /// The last entry read; 0 is before the first.
    pub seq: i64,
}

/// Who may see an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Staff, services and guests.
    Everyone,
    /// Staff and services only.
    Staff,
}

impl Audience {
    /// The audience of that word.
    pub fn find(word: &str) -> Option<Self> {
        [Self::Everyone, Self::Staff].into_iter().find(|audience| audience.as_str() == word)
    }

    /// The word used in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Staff => "staff",
        }
    }
}

/// The three kinds of principals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WhoKind {
    /// A person of the organization.
    Staff,
    /// A person on a share link.
    Guest,
    /// A system behind an API key.
    Service,
}

impl WhoKind {
    /// The kind of that word.
    pub fn find(word: &str) -> Option<Self> {
        [Self::Staff, Self::Guest, Self::Service].into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word used in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staff => "staff",
            Self::Guest => "guest",
            Self::Service => "service",
        }
    }
}

/// A principal as others see it. `id` is opaque.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Who {
    /// What kind of principal.
    pub kind: WhoKind,
    /// Opaque; equal ids of one kind are the same principal.
    pub id: String,
    /// The name to show.
    pub name: String,
}

/// One immutable item of a conversation's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// Identity, the same in every view.
    pub id: EntryId,
    /// The author's idempotency key.
    pub client_id: ClientId,
    /// `kind` and `body`.
    #[serde(flatten)]
    pub content: Content,
    /// Who may see it.
    pub audience: Audience,
    /// Who wrote it.
    pub author: Who,
    /// When it was committed, by the database's clock.
    pub at: Timestamp,
}

/// What an entry says, by kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = crate::schema::exactly_one))]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum Content {
    /// A chat message.
    Message(Text),
    /// An internal note; its audience is always staff.
    Note(Text),
    /// Another text for an earlier message or note; its audience is the target's.
    Edit(Edit),
    /// An earlier message or note was blanked, with its edits; its audience is the target's.
    Redaction(Redaction),
    /// A card as offered.
    Card(CardBody),
    /// A choice that was accepted.
    Selection(Selection),
    /// Something happened to a share; its audience is always staff.
    Share(ShareChange),
    /// A kind that this version does not know, because a newer node of the same site wrote it: kept, counted and passed on as
    /// it is. Never made here.
    #[serde(untagged)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Other(Other),
}

impl Content {
    /// The content of a kind and its body, as they are stored.
    ///
    /// # Errors
    /// When the body does not fit a known kind.
    pub fn read(kind: &str, body: Value) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            "message" => Self::Message(from_value(body)?),
            "note" => Self::Note(from_value(body)?),
            "edit" => Self::Edit(from_value(body)?),
            "redaction" => Self::Redaction(from_value(body)?),
            "card" => Self::Card(from_value(body)?),
            "selection" => Self::Selection(from_value(body)?),
            "share" => Self::Share(from_value(body)?),
            other => Self::Other(Other { kind: OtherKind(other.to_owned()), body }),
        })
    }

    /// The word used in the database and on the wire.
    pub fn kind(&self) -> &str {
        match self {
            Self::Message(_) => "message",
            Self::Note(_) => "note",
            Self::Edit(_) => "edit",
            Self::Redaction(_) => "redaction",
            Self::Card(_) => "card",
            Self::Selection(_) => "selection",
            Self::Share(_) => "share",
            Self::Other(other) => &other.kind.0,
        }
    }
}

/// An entry of a kind that this version does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Other {
    /// Its kind.
    pub kind: OtherKind,
    /// Whatever it says.
    pub body: Value,
}

/// A kind that this version does not know. The known ones are none, so that a damaged entry of theirs is not taken for news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct OtherKind(String);

impl TryFrom<String> for OtherKind {
    type Error = &'static str;

    fn try_from(kind: String) -> Result<Self, Self::Error> {
        let is_known = KINDS.contains(&kind.as_str());
        if is_known { Err("the body does not fit the kind") } else { Ok(Self(kind)) }
    }
}

/// The kinds that this version knows.
pub const KINDS: [&str; 7] = ["message", "note", "edit", "redaction", "card", "selection", "share"];

/// The body of a message or note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Text {
    /// Plain text, never markup; empty once redacted.
    pub text: String,
    /// Whether it was blanked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

impl Text {
    /// A text as written.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), redacted: false }
    }
}

/// The body of an `edit` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Edit {
    /// The message or note.
    pub entry_id: EntryId,
    /// Its new text, whole; empty once redacted.
    pub text: String,
    /// Whether it was blanked, with its target.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

/// The body of a `redaction` entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Redaction {
    /// The message or note that was blanked.
    pub entry_id: EntryId,
}

/// The body of a `card` entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CardBody {
    /// The card, whole, as of this entry.
    pub card: Card,
}

/// The body of a `selection` entry; readable without the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Selection {
    /// The card chosen on.
    pub card: CardId,
    /// The exact version chosen on.
    pub version: i32,
    /// Ids of the chosen options.
    pub options: Vec<String>,
    /// The card's title.
    pub title: String,
    /// The chosen options' labels.
    pub labels: Vec<String>,
    /// The card's state after the choice.
    pub state: CardState,
}

/// The body of a `share` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShareChange {
    /// Which share.
    pub share: ShareId,
    /// What happened.
    pub action: ShareAction,
    /// The share's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Permissions after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
    /// Expiry after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// What can happen to a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ShareAction {
    /// Made by staff or a service.
    Created,
    /// A new device came in by it.
    Claimed,
    /// Permissions, expiry or seats changed.
    Changed,
    /// Ended by staff.
    Revoked,
}

/// An entry with its number in the reader's view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NumberedEntry {
    /// Number in the reader's view.
    pub seq: i64,
    /// The entry.
    pub entry: Entry,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Both ways in which a content is read.
    fn read(kind: &str, body: Value) -> Result<Content, serde_json::Error> {
        let tagged = from_value(json!({ "kind": kind, "body": body }));
        let stored = Content::read(kind, body);
        assert_eq!(tagged.as_ref().ok(), stored.as_ref().ok());
        stored
    }

    #[test]
    fn a_kind_unheard_of_is_kept_as_it_is() {
        let poll = read("poll", json!({ "votes": [1, { "deep": null }] })).unwrap();
        assert_eq!(poll.kind(), "poll");
        assert_eq!(json!(poll), json!({ "kind": "poll", "body": { "votes": [1, { "deep": null }] } }));
    }

    #[test]
    fn a_damaged_body_of_a_known_kind_is_no_news() {
        for kind in KINDS {
            assert!(read(kind, json!({ "poisoned": true })).is_err(), "{kind}");
        }
    }
}
