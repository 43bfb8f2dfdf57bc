//! Everything that puts an entry into a log: messages, notes, cards, choices.
//!
//! One loop serves all: authorize, append, and when the log says that what the decision was made on has moved, read it again
//! and decide anew, a bounded number of times. The reply comes after COMMIT; delivery is the log's hook's business.

use std::sync::Arc;

use parlour_protocol::card::{CardState, Offer};
use parlour_protocol::entry::{Content, NumberedEntry};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::{CardId, ClientId, ConversationId, EntryId};
use parlour_protocol::reply::{Appended, Selected};
use serde_json::Value;

use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::draft::Draft;
use crate::domain::offer;
use crate::domain::policy::{Asked, Grant, Note, Offer as MayOffer, Read, Select, Send};
use crate::domain::principal::{Principal, View};
use crate::domain::selection::{CardRecord, Choice, Decision, decide};
use crate::domain::text::MessageText;
use crate::store::cards;
use crate::store::error::StoreError;
use crate::store::log::append::Verdict;
use crate::store::log::{AppendError, Range};

/// Decisions on one command before it is given up: rights or cards that move that often mean trouble.
const TRIES_MAX: usize = 4;

/// A card as its author is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The card.
    pub card: CardId,
    /// Its version.
    pub version: i32,
    /// Its state.
    pub state: CardState,
    /// The entry that offers it.
    pub appended: Appended,
}

/// What the log made of a draft, once nothing is left to decide.
struct Stored {
    appended: Appended,
    /// The facts of a definite refusal.
    refusal: Option<Value>,
}

impl Commands {
    /// Sends a message.
    ///
    /// # Errors
    /// `INVALID`, `FORBIDDEN`, `NOT_FOUND`, `IDEMPOTENCY_MISMATCH`, or the database's trouble.
    pub async fn send(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        text: String,
    ) -> Result<Appended, Failure> {
        let text = message_text(text)?;
        let draft = async |grant: Grant<Send>| Ok(Draft::message(&grant, client_id, text.clone()));
        Ok(self.append(principal, conversation, draft).await?.appended)
    }

    /// Writes an internal note.
    ///
    /// # Errors
    /// As [`Commands::send`].
    pub async fn note(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        text: String,
    ) -> Result<Appended, Failure> {
        let text = message_text(text)?;
        let draft = async |grant: Grant<Note>| Ok(Draft::note(&grant, client_id, text.clone()));
        Ok(self.append(principal, conversation, draft).await?.appended)
    }

    /// Offers a card.
    ///
    /// # Errors
    /// As [`Commands::send`], and `TOO_LARGE`.
    pub async fn offer(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        content: Offer,
    ) -> Result<Offered, Failure> {
        offer::check(&content)?;
        let draft = async |grant: Grant<MayOffer>| Ok(Draft::card(&grant, client_id, content.clone()));
        let stored = self.append(principal, conversation, draft).await?;
        let grant = self.grant::<Read>(principal, conversation).await?;
        let entry = self.entry(&grant, stored.appended.seq).await?;
        let Some(Content::Card(body)) = entry.map(|numbered| numbered.entry.content) else {
            return Err(Failure::Internal(format!("entry {} is no card", stored.appended.entry_id)));
        };
        let card = body.card;
        Ok(Offered { card: card.id, version: card.version, state: card.state, appended: stored.appended })
    }

    /// Chooses on a card.
    ///
    /// # Errors
    /// As [`Commands::send`], and `CONFLICT` when the card moved on or somebody was first.
    pub async fn select(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        choice: Choice,
    ) -> Result<Selected, Failure> {
        let draft = async |grant: Grant<Select>| {
            let card = self.card(&grant, choice.card).await?;
            let decision = decide(&card, &grant.principal().who(), &choice);
            if let Decision::Invalid(rule) = decision {
                return Err(Failure::Refused(ErrorBody::invalid("options", rule)));
            }
            Draft::selection(&grant, client_id, &choice, &card, decision)
                .ok_or_else(|| Failure::Internal("an invalid choice got past its check".into()))
        };
        let stored = self.append(principal, conversation, draft).await?;
        match stored.refusal {
            Some(facts) => Err(conflict(facts)),
            None => Ok(Selected {
                entry_id: stored.appended.entry_id,
                seq: stored.appended.seq,
                duplicate: stored.appended.duplicate,
                // The first choice decides: whatever was stored left the card decided.
                state: CardState::Decided,
            }),
        }
    }

    /// Authorizes, drafts and appends, again and again while the ground moves.
    async fn append<A, D>(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        draft: D,
    ) -> Result<Stored, Failure>
    where
        A: Asked,
        D: AsyncFn(Grant<A>) -> Result<Draft, Failure>,
    {
        let mut principal = Arc::clone(principal);
        for _ in 0..TRIES_MAX {
            let grant = self.grant::<A>(&principal, conversation).await?;
            let draft = draft(grant).await?;
            let (entry, view) = (draft.entry, principal.view());
            let verdict = self.log.append(draft).await.map_err(failure)?;
            match settle(verdict, entry, view)? {
                Settled::Stored(stored) => return Ok(stored),
                Settled::DecideAgain => {}
                Settled::AskAgain => {
                    self.forget(&principal, conversation);
                    principal = self.auth.reload(&principal).await?.ok_or_else(Failure::unauthenticated)?;
                }
            }
        }
        Err(Failure::Store(StoreError::Unavailable("rights or card kept moving".into())))
    }

    async fn card(&self, grant: &Grant<Select>, card: CardId) -> Result<CardRecord, Failure> {
        let mut tx = self.store.tenant(grant.principal().scope()).await?;
        let found = cards::find(&mut tx, grant.conversation(), card).await?;
        tx.commit().await?;
        found.ok_or_else(Failure::not_found)
    }

    async fn entry(&self, grant: &Grant<Read>, seq: i64) -> Result<Option<NumberedEntry>, Failure> {
        let page = self.reader.page(grant, Range::After(seq - 1), 1).await?;
        Ok(page.and_then(|page| page.entries.into_iter().next()))
    }
}

enum Settled {
    Stored(Stored),
    /// The card moved on.
    DecideAgain,
    /// The rights moved on.
    AskAgain,
}

fn settle(verdict: Verdict, draft: EntryId, view: View) -> Result<Settled, Failure> {
    let stored = |entry_id, seq, guest_seq: Option<i64>, duplicate, refusal| {
        let seq = match view {
            View::Staff => seq,
            View::Guest => guest_seq.unwrap_or(0),
        };
        Settled::Stored(Stored { appended: Appended { entry_id, seq, duplicate }, refusal })
    };
    Ok(match verdict {
        Verdict::Accepted(entry) => stored(entry.entry.id, entry.seq, entry.guest_seq, false, None),
        Verdict::Repeat(first) => stored(first.entry, first.seq, first.guest_seq, true, None),
        Verdict::Refused(facts) => stored(draft, 0, None, false, Some(facts)),
        Verdict::RepeatRefused(facts) => stored(draft, 0, None, true, Some(facts)),
        Verdict::StaleCard => Settled::DecideAgain,
        Verdict::StaleGrant => Settled::AskAgain,
        Verdict::Ended => return Err(Failure::unauthenticated()),
        Verdict::NotFound => return Err(Failure::not_found()),
        Verdict::Mismatch => {
            let message = "this client_id was used before with another content; use a new one";
            return Err(Failure::refused(ErrorCode::IdempotencyMismatch, message));
        }
        Verdict::Busy => return Err(Failure::Store(StoreError::Unavailable("the conversation is locked".into()))),
    })
}

fn conflict(facts: Value) -> Failure {
    let mut body = ErrorBody::new(ErrorCode::Conflict, "the card has moved on; nothing was chosen");
    if let Value::Object(facts) = facts {
        body.details = facts;
    }
    Failure::Refused(body)
}

fn message_text(text: String) -> Result<MessageText, Failure> {
    use crate::domain::text::TextError;
    MessageText::parse(text).map_err(|error| match error {
        TextError::TooLong => Failure::refused(ErrorCode::TooLarge, format!("text: {error}")),
        TextError::Empty | TextError::Control => Failure::Refused(ErrorBody::invalid("text", &error.to_string())),
    })
}

fn failure(error: AppendError) -> Failure {
    match error {
        AppendError::Store(error) => Failure::Store(error),
        AppendError::Nul => Failure::Refused(ErrorBody::invalid("body", "must not hold U+0000")),
    }
}
