//! The desk: what the socket edge asks of authentication and commands, in one narrow place.
//!
//! The server's own desk calls `auth` and `commands`; the tests of framing and fan-out bring one of their own, so that they
//! need no database. Failures come in their outward form; inner detail was logged before it got here.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::command;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::ConversationId;
use parlour_protocol::reply::{Appended, CardSeen, ConversationRef, Empty, Page, Receipt, Selected, Watermarks};

use crate::domain::policy::{Facts, Grant, Read};
use crate::domain::principal::Principal;
use crate::store::log::Range;

/// A future answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ErrorBody>> + Send + 'a>>;

/// Who stands behind a credential.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// With rights as read from the database.
    pub principal: Arc<Principal>,
    /// Life left in the credential; none when no end is known.
    pub expires_in: Option<Duration>,
}

/// What the socket edge asks for.
///
/// `send`, `edit`, `redact`, `note` and `select` answer in two steps: the first is over when the draft's place in the order is taken, and holds
/// the second, which is over when it was committed. The first steps of one socket are run one after the other, the second ones
/// together: so effects keep the order sent although commits overlap.
pub trait Desk: Send + Sync + 'static {
    /// Who stands behind a token of any kind.
    fn authenticate(&self, token: String) -> Answer<'_, Authenticated>;

    /// Who stands behind a ticket that was shown by a page of that origin.
    fn redeem(&self, ticket: String, origin: Option<String>) -> Answer<'_, Authenticated>;

    /// The same principal with rights as they are now; none when it is no longer allowed in.
    fn reload(&self, principal: Arc<Principal>) -> Answer<'_, Option<Arc<Principal>>>;

    /// A fresh token for a guest, and its life.
    ///
    /// # Errors
    /// `INTERNAL` when it cannot be made.
    fn guest_token(&self, principal: &Principal) -> Result<(String, Duration), ErrorBody>;

    /// What a decision about a conversation needs, and its name.
    fn facts(&self, principal: Arc<Principal>, conversation: ConversationId) -> Answer<'_, (Facts, ConversationRef)>;

    /// The last that is known of that without asking anybody, for what is not worth refusing while the database is away. Never for
    /// a write, nor for reading entries.
    fn remembered_facts(&self, principal: &Principal, conversation: ConversationId) -> Option<Facts>;

    /// How far others have read, in the numbers of the grant's principal; for staff, what guests have seen of cards, too.
    fn readers(&self, grant: Grant<Read>) -> Answer<'_, (Vec<Receipt>, Option<Vec<CardSeen>>)>;

    /// Sends a message.
    fn send(&self, principal: Arc<Principal>, command: command::Send) -> Answer<'_, Answer<'_, Appended>>;

    /// Replaces a text.
    fn edit(&self, principal: Arc<Principal>, command: command::Edit) -> Answer<'_, Answer<'_, Appended>>;

    /// Blanks a text.
    fn redact(&self, principal: Arc<Principal>, command: command::Redact) -> Answer<'_, Answer<'_, Appended>>;

    /// Writes a note.
    fn note(&self, principal: Arc<Principal>, command: command::Note) -> Answer<'_, Answer<'_, Appended>>;

    /// Chooses on a card.
    fn select(&self, principal: Arc<Principal>, command: command::Select) -> Answer<'_, Answer<'_, Selected>>;

    /// Notes what of a card was on a guest's screen.
    fn seen(&self, principal: Arc<Principal>, command: command::Seen) -> Answer<'_, Empty>;

    /// Moves the principal's watermarks, and has the others told.
    fn read(&self, principal: Arc<Principal>, command: command::Read) -> Answer<'_, Watermarks>;

    /// A page of the transcript.
    fn history(
        &self,
        principal: Arc<Principal>,
        conversation: ConversationId,
        range: Range,
        limit: u32,
    ) -> Answer<'_, Page>;
}
