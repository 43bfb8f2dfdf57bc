//! Drafts: entries to be. A draft is built only from a [`Grant`] for the very thing it does, so the log never has to ask who may.
//!
//! The hash is taken of what the caller asked for, after parsing, so that JSON, MessagePack and HTTP agree on what a repeat is.

use std::sync::Arc;

use parlour_protocol::card::{Card, CardState, Offer};
use parlour_protocol::entry::{Audience, CardBody, Content, Edit, Redaction, ShareChange, Text};
use parlour_protocol::id::{CardId, ClientId, EntryId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::domain::policy::{
    Edit as MayEdit, Grant, ManageShares, Note, Offer as MayOffer, Read, Redact, Select, Send,
};
use crate::domain::principal::Principal;
use crate::domain::revision::Revisable;
use crate::domain::room::RoomKey;
use crate::domain::selection::{CardRecord, Choice, Decision};
use crate::domain::text::MessageText;

/// An entry to be, with all that the append function must compare.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who writes.
    pub principal: Arc<Principal>,
    /// Where.
    pub room: RoomKey,
    /// The conversation's version the grant was made on.
    pub access_version: i32,
    /// The entry's identity, if it is accepted.
    pub entry: EntryId,
    /// The author's idempotency key.
    pub client_id: ClientId,
    /// What it says.
    pub content: Content,
    /// Who may see it.
    pub audience: Audience,
    /// SHA-256 of the parsed request.
    pub hash: [u8; 32],
    /// The card it makes or changes.
    pub card: Option<CardChange>,
    /// The staff number of the entry it edits or redacts.
    pub target: Option<i64>,
    /// A definite refusal to remember instead of an entry.
    pub refusal: Option<Map<String, Value>>,
}

/// A compare-and-set on a card.
#[derive(Clone, Debug, PartialEq)]
pub struct CardChange {
    /// Which card.
    pub card: CardId,
    /// The revision decided on; 0 for a card to be made.
    pub revision: i32,
    /// The columns to set.
    pub change: Value,
}

/// Something that is already there and that a draft changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Touched {
    /// A card.
    Card(CardId),
    /// An entry, by its staff number.
    Entry(RoomKey, i64),
}

impl Draft {
    /// A message.
    pub fn message(grant: &Grant<Send>, client_id: ClientId, text: MessageText) -> Self {
        let text = text.into_string();
        let hash = hash("message", &text);
        Self::new(grant, client_id, Content::Message(Text::new(text)), hash)
    }

    /// An internal note.
    pub fn note(grant: &Grant<Note>, client_id: ClientId, text: MessageText) -> Self {
        let text = text.into_string();
        let hash = hash("note", &text);
        Self::new(grant, client_id, Content::Note(Text::new(text)), hash)
    }

    /// Another text for an entry of one's own.
    pub fn edit(grant: &Grant<MayEdit>, client_id: ClientId, target: Revisable, text: MessageText) -> Self {
        let edit = Edit { entry_id: target.entry(), text: text.into_string(), redacted: false };
        let hash = hash("edit", &edit);
        Self::revision(grant, client_id, target, Content::Edit(edit), hash)
    }

    /// The end of the text of an entry of one's own.
    pub fn own_redaction(grant: &Grant<MayEdit>, client_id: ClientId, target: Revisable) -> Self {
        Self::redaction_of(grant, client_id, target)
    }

    /// The end of the text of anybody's entry.
    pub fn redaction(grant: &Grant<Redact>, client_id: ClientId, target: Revisable) -> Self {
        Self::redaction_of(grant, client_id, target)
    }

    fn redaction_of<A>(grant: &Grant<A>, client_id: ClientId, target: Revisable) -> Self {
        let redaction = Redaction { entry_id: target.entry() };
        let hash = hash("redaction", &redaction);
        Self::revision(grant, client_id, target, Content::Redaction(redaction), hash)
    }

    /// What concerns another entry is heard by whoever sees that one. What comes too late is remembered as refused.
    fn revision<A>(grant: &Grant<A>, client_id: ClientId, target: Revisable, content: Content, hash: [u8; 32]) -> Self {
        let mut draft = Self::new(grant, client_id, content, hash);
        draft.audience = target.audience();
        match target.late() {
            Some(late) => draft.refusal = Some(Map::from_iter([("reason".to_owned(), late.as_str().into())])),
            None => draft.target = Some(target.seq()),
        }
        draft
    }

    /// A new card, open for choices.
    pub fn card(grant: &Grant<MayOffer>, client_id: ClientId, offer: Offer) -> Self {
        let hash = hash("card", &offer);
        let change = json!({ "kind": offer.kind, "state": CardState::Open, "offer": offer });
        let card = Card { id: CardId::generate(), version: 1, offer, state: CardState::Open };
        let id = card.id;
        let mut draft = Self::new(grant, client_id, Content::Card(CardBody { card }), hash);
        draft.card = Some(CardChange { card: id, revision: 0, change });
        draft
    }

    /// A choice as decided on `card`; none when the choice was invalid.
    pub fn selection(
        grant: &Grant<Select>,
        client_id: ClientId,
        choice: &Choice,
        card: &CardRecord,
        decision: Decision,
    ) -> Option<Self> {
        let (selection, change, refusal) = match decision {
            Decision::Invalid(_) => return None,
            Decision::Accepted { selection, holder } => {
                let change = json!({ "state": selection.state, "holder": holder });
                (selection, change, None)
            }
            Decision::Refused(facts) => {
                let nothing = parlour_protocol::entry::Selection {
                    card: card.id,
                    version: choice.version,
                    options: choice.options.clone(),
                    title: card.offer.title.clone(),
                    labels: Vec::new(),
                    state: card.state,
                };
                (nothing, Value::Null, Some(facts))
            }
        };
        let mut draft = Self::new(grant, client_id, Content::Selection(selection), hash("selection", choice));
        draft.card = Some(CardChange { card: card.id, revision: card.revision, change });
        draft.refusal = refusal;
        Some(draft)
    }

    /// Staff made, changed or revoked a share; `request` is what they asked for.
    pub fn share<R: Serialize>(
        grant: &Grant<ManageShares>,
        client_id: ClientId,
        request: &R,
        change: ShareChange,
    ) -> Self {
        let hash = hash("share", &(change.action, request));
        Self::new(grant, client_id, Content::Share(change), hash)
    }

    /// A guest came in by a share for the first time on a device.
    pub fn claim(grant: &Grant<Read>, client_id: ClientId, change: ShareChange) -> Self {
        let hash = hash("claim", &change.share);
        Self::new(grant, client_id, Content::Share(change), hash)
    }

    /// What is already there and would be changed; one batch changes it once.
    pub fn touches(&self) -> Option<Touched> {
        let card = self.card.as_ref().map(|change| Touched::Card(change.card));
        card.or(self.target.map(|seq| Touched::Entry(self.room, seq)))
    }

    /// Whether the content or the author's name holds U+0000, which PostgreSQL cannot store.
    pub fn holds_nul(&self) -> bool {
        let escaped = serde_json::to_string(&self.content).unwrap_or_default();
        escaped.contains("\\u0000") && has_nul(&serde_json::to_value(&self.content).unwrap_or_default())
            || self.principal.name.contains('\0')
    }

    fn new<A>(grant: &Grant<A>, client_id: ClientId, content: Content, hash: [u8; 32]) -> Self {
        let principal = Arc::clone(grant.principal());
        let room = RoomKey { organization: principal.organization.id, conversation: grant.conversation() };
        Self {
            principal,
            room,
            access_version: grant.access_version(),
            entry: EntryId::generate(),
            client_id,
            audience: audience(&content),
            content,
            hash,
            card: None,
            target: None,
            refusal: None,
        }
    }
}

/// Who may see what stands for itself. What concerns another entry has that one's audience.
fn audience(content: &Content) -> Audience {
    match content {
        Content::Message(_) | Content::Card(_) | Content::Selection(_) => Audience::Everyone,
        Content::Note(_) | Content::Share(_) | Content::Edit(_) | Content::Redaction(_) | Content::Other(_) => {
            Audience::Staff
        }
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn hash<R: Serialize>(kind: &str, request: &R) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(kind.as_bytes());
    digest.update([0]);
    // Struct fields serialise in their declared order, so equal requests give equal bytes.
    digest.update(serde_json::to_vec(request).unwrap_or_default());
    digest.finalize().into()
}
