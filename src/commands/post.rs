//! Everything that puts an entry into a log: messages, notes, their edits and redactions, cards, choices.
//!
//! In two steps: a draft takes its place in the order, then its author waits for COMMIT. So one socket's commands keep their
//! order although their commits overlap. When the log says that what a decision was made on has moved, it is read again and
//! decided anew, a bounded number of times. Delivery is the log's hook's business.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use parlour_protocol::card::{CardState, Offer};
use parlour_protocol::entry::{Content, NumberedEntry};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::{CardId, ClientId, ConversationId, EntryId};
use parlour_protocol::reply::{Appended, Selected};
use serde_json::Value;

use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::commands::revise::Named;
use crate::domain::draft::Draft;
use crate::domain::offer;
use crate::domain::policy::{Edit, Grant, Note, Offer as MayOffer, Read, Select, Send};
use crate::domain::principal::{Principal, View};
use crate::domain::revision;
use crate::domain::selection::{CardRecord, Choice, Decision, decide};
use crate::domain::text::{MessageText, TextError};
use crate::store::cards;
use crate::store::error::StoreError;
use crate::store::log::append::Verdict;
use crate::store::log::{Range, Submission};

/// Decisions on one command before it is given up: rights or cards that move that often mean trouble.
const TRIES_MAX: usize = 4;

/// A post that has its place in the order; awaited, it answers after COMMIT. Only a socket, which keeps its commands in order,
/// needs the two steps apart. Dropped, the post is stored if the log takes it as it is, and nobody learns what became of it.
#[must_use = "a post that has begun is answered only when it is awaited, too"]
pub struct Begun<'a, T>(Pin<Box<dyn Future<Output = Result<T, Failure>> + std::marker::Send + 'a>>);

impl<'a, T> Begun<'a, T> {
    fn new(rest: impl Future<Output = Result<T, Failure>> + std::marker::Send + 'a) -> Self {
        Self(Box::pin(rest))
    }
}

impl<T> Future for Begun<'_, T> {
    type Output = Result<T, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

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

/// What somebody wants to post.
pub(in crate::commands) struct Post {
    pub principal: Arc<Principal>,
    pub conversation: ConversationId,
    pub client_id: ClientId,
    pub what: What,
}

pub(in crate::commands) enum What {
    Message(MessageText),
    Note(MessageText),
    Edit(Named, MessageText),
    Redaction(Named),
    Card(Offer),
    Choice(Choice),
}

/// What the log made of a post, once nothing is left to decide.
struct Stored {
    appended: Appended,
    /// The facts of a definite refusal.
    refusal: Option<Value>,
}

impl Commands {
    /// Sends a message; answers after COMMIT.
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
        self.begin_send(principal, conversation, client_id, text).await?.await
    }

    /// Writes an internal note; answers after COMMIT.
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
        self.begin_note(principal, conversation, client_id, text).await?.await
    }

    /// Gives a message its place in the order.
    ///
    /// # Errors
    /// As [`Commands::send`].
    pub async fn begin_send(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        text: String,
    ) -> Result<Begun<'_, Appended>, Failure> {
        let what = What::Message(message_text(text)?);
        self.say(Post { principal: Arc::clone(principal), conversation, client_id, what }).await
    }

    /// Gives an internal note its place in the order.
    ///
    /// # Errors
    /// As [`Commands::send`].
    pub async fn begin_note(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        text: String,
    ) -> Result<Begun<'_, Appended>, Failure> {
        let what = What::Note(message_text(text)?);
        self.say(Post { principal: Arc::clone(principal), conversation, client_id, what }).await
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
        let what = What::Card(content);
        let post = Post { principal: Arc::clone(principal), conversation, client_id, what };
        let appended = self.say(post).await?.await?;
        // Read back, because a repeat names the card that the first one made.
        let grant = self.grant::<Read>(principal, conversation).await?;
        let entry = self.entry(&grant, appended.seq).await?;
        let Some(Content::Card(body)) = entry.map(|numbered| numbered.entry.content) else {
            return Err(Failure::Internal(format!("entry {} is no card", appended.entry_id)));
        };
        let card = body.card;
        Ok(Offered { card: card.id, version: card.version, state: card.state, appended })
    }

    /// Gives a choice on a card its place in the order.
    ///
    /// # Errors
    /// As [`Commands::send`], and `CONFLICT` when the card moved on or somebody was first.
    pub async fn begin_select(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        choice: Choice,
    ) -> Result<Begun<'_, Selected>, Failure> {
        let what = What::Choice(choice);
        let post = Post { principal: Arc::clone(principal), conversation, client_id, what };
        let submission = self.begin(&post).await?;
        Ok(Begun::new(async move {
            let Stored { appended, refusal } = self.settle(post, submission).await?;
            match refusal {
                Some(facts) => Err(conflict("the card has moved on; nothing was chosen", facts)),
                // The first choice decides: whatever was stored left the card decided.
                None => Ok(Selected {
                    entry_id: appended.entry_id,
                    seq: appended.seq,
                    duplicate: appended.duplicate,
                    state: CardState::Decided,
                }),
            }
        }))
    }

    pub(in crate::commands) async fn say(&self, post: Post) -> Result<Begun<'_, Appended>, Failure> {
        let submission = self.begin(&post).await?;
        Ok(Begun::new(async move {
            let Stored { appended, refusal } = self.settle(post, submission).await?;
            match refusal {
                Some(facts) => Err(conflict("too late: the entry stays as it is; `details.reason` says why", facts)),
                None => Ok(appended),
            }
        }))
    }

    /// Takes a post that may be made, and is not one too many.
    async fn begin(&self, post: &Post) -> Result<Submission, Failure> {
        let draft = self.draft(post).await?;
        self.pace.charge(post, Instant::now())?;
        Ok(self.log.submit(draft)?)
    }

    async fn submit(&self, post: &Post) -> Result<Submission, Failure> {
        let draft = self.draft(post).await?;
        Ok(self.log.submit(draft)?)
    }

    /// Waits for the verdict, and decides and submits again while the ground moves.
    async fn settle(&self, mut post: Post, mut submission: Submission) -> Result<Stored, Failure> {
        for _ in 0..TRIES_MAX {
            match read(submission.verdict().await?, post.principal.view())? {
                Outcome::Stored(stored) => return Ok(stored),
                Outcome::GroundMoved => {}
                Outcome::RightsMoved => {
                    self.forget(&post.principal, post.conversation);
                    let fresh = self.auth.reload(&post.principal).await?;
                    post.principal = fresh.ok_or_else(Failure::unauthenticated)?;
                }
            }
            submission = self.submit(&post).await?;
        }
        Err(Failure::Store(StoreError::Unavailable("rights, card or entry kept moving".into())))
    }

    /// Authorizes and drafts.
    async fn draft(&self, post: &Post) -> Result<Draft, Failure> {
        let Post { principal, conversation, client_id, what } = post;
        let (conversation, client_id) = (*conversation, *client_id);
        Ok(match what {
            What::Message(text) => {
                Draft::message(&self.grant::<Send>(principal, conversation).await?, client_id, text.clone())
            }
            What::Note(text) => {
                Draft::note(&self.grant::<Note>(principal, conversation).await?, client_id, text.clone())
            }
            What::Edit(target, text) => {
                let grant = self.grant::<Edit>(principal, conversation).await?;
                let target = self.revisable(&grant, *target, revision::edit).await?;
                Draft::edit(&grant, client_id, target, text.clone())
            }
            What::Redaction(target) => self.redaction(post, *target).await?,
            What::Card(offer) => {
                Draft::card(&self.grant::<MayOffer>(principal, conversation).await?, client_id, offer.clone())
            }
            What::Choice(choice) => {
                let grant = self.grant::<Select>(principal, conversation).await?;
                let card = self.card(&grant, choice.card).await?;
                let decision = decide(&card, &principal.who(), choice);
                if let Decision::Invalid(rule) = decision {
                    return Err(Failure::Refused(ErrorBody::invalid("options", rule)));
                }
                Draft::selection(&grant, client_id, choice, &card, decision)
                    .ok_or_else(|| Failure::Internal("an invalid choice got past its check".into()))?
            }
        })
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

enum Outcome {
    Stored(Stored),
    GroundMoved,
    RightsMoved,
}

fn read(verdict: Verdict, view: View) -> Result<Outcome, Failure> {
    let stored = |entry_id: EntryId, seq, guest_seq: Option<i64>, duplicate| {
        let seq = match view {
            View::Staff => seq,
            View::Guest => guest_seq.unwrap_or(0),
        };
        Outcome::Stored(Stored { appended: Appended { entry_id, seq, duplicate }, refusal: None })
    };
    let refused = |facts, duplicate| {
        let nothing = Appended { entry_id: EntryId(uuid::Uuid::nil()), seq: 0, duplicate };
        Outcome::Stored(Stored { appended: nothing, refusal: Some(facts) })
    };
    Ok(match verdict {
        Verdict::Accepted(entry) => stored(entry.entry.id, entry.seq, entry.guest_seq, false),
        Verdict::Repeat(first) => stored(first.entry, first.seq, first.guest_seq, true),
        Verdict::Refused(facts) => refused(facts, false),
        Verdict::RepeatRefused(facts) => refused(facts, true),
        Verdict::StaleCard | Verdict::StaleTarget => Outcome::GroundMoved,
        Verdict::StaleGrant => Outcome::RightsMoved,
        Verdict::Ended => return Err(Failure::unauthenticated()),
        Verdict::NotFound => return Err(Failure::not_found()),
        Verdict::Mismatch => return Err(Failure::mismatch()),
        Verdict::Busy => return Err(Failure::Store(StoreError::Unavailable("the conversation is locked".into()))),
    })
}

fn conflict(what: &str, facts: Value) -> Failure {
    let mut body = ErrorBody::new(ErrorCode::Conflict, what);
    if let Value::Object(facts) = facts {
        body.details = facts;
    }
    Failure::Refused(body)
}

pub(in crate::commands) fn message_text(text: String) -> Result<MessageText, Failure> {
    MessageText::parse(text).map_err(|error| match error {
        TextError::TooLong => Failure::refused(ErrorCode::TooLarge, format!("text: {error}")),
        TextError::Empty | TextError::Control => Failure::Refused(ErrorBody::invalid("text", &error.to_string())),
    })
}
