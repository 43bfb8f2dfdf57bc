//! Changing what is already in the log: another text for an entry of one's own, or the end of a text for good.
//!
//! The log stays as it is: an edit and a redaction are entries themselves, posted like any other ([`crate::commands::post`]).
//! What may be changed is for `domain::revision` to say.

use std::sync::Arc;

use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::{ClientId, ConversationId, EntryId};
use parlour_protocol::reply::Appended;

use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::commands::post::{Begun, Post, What, message_text};
use crate::domain::draft::Draft;
use crate::domain::policy::{Edit, Grant, Redact};
use crate::domain::principal::Principal;
use crate::domain::revision::{self, Refusal, Revisable, Target, Whose};
use crate::store::log::read;

/// An entry as whoever sees it names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// The entry.
    pub entry: EntryId,
    /// Its number in the caller's view.
    pub seq: i64,
}

impl Commands {
    /// Gives another text for an entry of the caller's own its place in the order.
    ///
    /// # Errors
    /// As [`Commands::send`], and `CONFLICT` when it is too late.
    pub async fn begin_edit(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        target: Named,
        text: String,
    ) -> Result<Begun<'_, Appended>, Failure> {
        let what = What::Edit(target, message_text(text)?);
        self.say(Post { principal: Arc::clone(principal), conversation, client_id, what }).await
    }

    /// Gives the end of a text its place in the order.
    ///
    /// # Errors
    /// As [`Commands::begin_edit`].
    pub async fn begin_redact(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        target: Named,
    ) -> Result<Begun<'_, Appended>, Failure> {
        let what = What::Redaction(target);
        self.say(Post { principal: Arc::clone(principal), conversation, client_id, what }).await
    }

    /// Whoever may redact what others wrote may; everybody else what they wrote themselves.
    pub(in crate::commands) async fn redaction(&self, post: &Post, target: Named) -> Result<Draft, Failure> {
        let Post { principal, conversation, client_id, .. } = post;
        match self.grant::<Redact>(principal, *conversation).await {
            Ok(grant) => {
                let rule =
                    |principal: &Principal, target: &Target| revision::redact(principal, target, Whose::Anybodys);
                Ok(Draft::redaction(&grant, *client_id, self.revisable(&grant, target, rule).await?))
            }
            // Only who may not redact others' is asked about their own; a database that was slow has refused nobody.
            Err(Failure::Refused(refusal)) if refusal.code == ErrorCode::Forbidden => {
                let grant = self.grant::<Edit>(principal, *conversation).await?;
                let rule = |principal: &Principal, target: &Target| revision::redact(principal, target, Whose::Own);
                Ok(Draft::own_redaction(&grant, *client_id, self.revisable(&grant, target, rule).await?))
            }
            Err(failure) => Err(failure),
        }
    }

    /// The entry a post wants to change, if the rule lets its author.
    pub(in crate::commands) async fn revisable<A>(
        &self,
        grant: &Grant<A>,
        Named { entry, seq }: Named,
        rule: impl FnOnce(&Principal, &Target) -> Result<Revisable, Refusal>,
    ) -> Result<Revisable, Failure> {
        let mut tx = self.store.tenant(grant.principal().scope()).await?;
        let found = read::target(&mut tx, grant, seq, entry).await?;
        tx.commit().await?;
        rule(grant.principal(), &found.ok_or_else(Failure::not_found)?).map_err(|refusal| match refusal {
            Refusal::Kind => Failure::Refused(ErrorBody::invalid("entry_id", "only messages and notes have a text")),
            Refusal::Foreign => Failure::refused(ErrorCode::Forbidden, "somebody else wrote it"),
        })
    }
}
