//! The server's own desk: what a socket asks for, asked of `auth` and `commands`. It translates and nothing else.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::command;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::ConversationId;
use parlour_protocol::reply::{Appended, CardSeen, ConversationRef, Empty, Page, Receipt, Selected, Watermarks};

use crate::auth::{self, Auth};
use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::commands::post::Begun;
use crate::commands::revise::Named;
use crate::domain::policy::{Facts, Grant, Read};
use crate::domain::principal::{Principal, View};
use crate::domain::selection::Choice;
use crate::store::log::Range;
use crate::ws::desk::{Answer, Authenticated, Desk};

/// The desk of a running server.
pub struct FrontDesk {
    auth: Arc<Auth>,
    commands: Arc<Commands>,
}

impl FrontDesk {
    /// A desk over the server's services.
    pub fn new(auth: Arc<Auth>, commands: Arc<Commands>) -> Self {
        Self { auth, commands }
    }
}

/// The outward form; the inward one is logged here, as nobody further out sees it.
fn outward(failure: impl Into<Failure>) -> ErrorBody {
    let failure = failure.into();
    if failure.is_ours() {
        tracing::error!("a command failed: {failure}");
    }
    ErrorBody::from(&failure)
}

fn later<'a, T: 'a>(begun: Begun<'a, T>) -> Answer<'a, T> {
    Box::pin(async move { begun.await.map_err(outward) })
}

fn admitted(known: auth::Authenticated) -> Authenticated {
    // A link can end before the token does.
    let expires_in = match (known.expires_in, known.ends_in) {
        (Some(token), Some(link)) => Some(token.min(link)),
        (token, link) => token.or(link),
    };
    Authenticated { principal: known.principal, expires_in }
}

impl Desk for FrontDesk {
    fn authenticate(&self, token: String) -> Answer<'_, Authenticated> {
        Box::pin(async move { self.auth.authenticate(&token).await.map(admitted).map_err(outward) })
    }

    fn redeem(&self, ticket: String, origin: Option<String>) -> Answer<'_, Authenticated> {
        Box::pin(async move { self.auth.redeem(&ticket, origin.as_deref()).await.map(admitted).map_err(outward) })
    }

    fn reload(&self, principal: Arc<Principal>) -> Answer<'_, Option<Arc<Principal>>> {
        Box::pin(async move { self.auth.reload(&principal).await.map_err(outward) })
    }

    fn guest_token(&self, principal: &Principal) -> Result<(String, Duration), ErrorBody> {
        let minted = self.auth.guest_token(principal).map_err(outward)?;
        Ok((minted.token, minted.expires_in))
    }

    fn facts(&self, principal: Arc<Principal>, conversation: ConversationId) -> Answer<'_, (Facts, ConversationRef)> {
        Box::pin(async move {
            let found = self.commands.facts(&principal, conversation).await.map_err(outward)?;
            let is_staff = principal.view() == View::Staff;
            let reference = ConversationRef {
                id: conversation,
                title: found.title,
                status: is_staff.then_some(found.status),
                stage: is_staff.then_some(found.stage),
            };
            Ok((found.facts, reference))
        })
    }

    fn remembered_facts(&self, principal: &Principal, conversation: ConversationId) -> Option<Facts> {
        self.commands.remembered_facts(principal, conversation)
    }

    fn readers(&self, grant: Grant<Read>) -> Answer<'_, (Vec<Receipt>, Option<Vec<CardSeen>>)> {
        Box::pin(async move { self.commands.readers(&grant).await.map_err(outward) })
    }

    fn send(&self, principal: Arc<Principal>, command: command::Send) -> Answer<'_, Answer<'_, Appended>> {
        Box::pin(async move {
            let command::Send { conversation, client_id, text } = command;
            self.commands.begin_send(&principal, conversation, client_id, text).await.map(later).map_err(outward)
        })
    }

    fn edit(&self, principal: Arc<Principal>, command: command::Edit) -> Answer<'_, Answer<'_, Appended>> {
        Box::pin(async move {
            let command::Edit { conversation, client_id, entry_id, seq, text } = command;
            let target = Named { entry: entry_id, seq };
            let begun = self.commands.begin_edit(&principal, conversation, client_id, target, text).await;
            begun.map(later).map_err(outward)
        })
    }

    fn redact(&self, principal: Arc<Principal>, command: command::Redact) -> Answer<'_, Answer<'_, Appended>> {
        Box::pin(async move {
            let command::Redact { conversation, client_id, entry_id, seq } = command;
            let target = Named { entry: entry_id, seq };
            self.commands.begin_redact(&principal, conversation, client_id, target).await.map(later).map_err(outward)
        })
    }

    fn note(&self, principal: Arc<Principal>, command: command::Note) -> Answer<'_, Answer<'_, Appended>> {
        Box::pin(async move {
            let command::Note { conversation, client_id, text } = command;
            self.commands.begin_note(&principal, conversation, client_id, text).await.map(later).map_err(outward)
        })
    }

    fn select(&self, principal: Arc<Principal>, command: command::Select) -> Answer<'_, Answer<'_, Selected>> {
        Box::pin(async move {
            let command::Select { conversation, client_id, card, version, options } = command;
            let choice = Choice { card, version, options };
            self.commands.begin_select(&principal, conversation, client_id, choice).await.map(later).map_err(outward)
        })
    }

    fn seen(&self, principal: Arc<Principal>, command: command::Seen) -> Answer<'_, Empty> {
        Box::pin(async move {
            let command::Seen { conversation, card, version, options } = command;
            self.commands.seen(&principal, conversation, card, version, &options).await.map_err(outward)?;
            Ok(Empty {})
        })
    }

    fn read(&self, principal: Arc<Principal>, command: command::Read) -> Answer<'_, Watermarks> {
        Box::pin(async move {
            let command::Read { conversation, received, read } = command;
            self.commands.read(&principal, conversation, received, read).await.map_err(outward)
        })
    }

    fn history(
        &self,
        principal: Arc<Principal>,
        conversation: ConversationId,
        range: Range,
        limit: u32,
    ) -> Answer<'_, Page> {
        Box::pin(
            async move { self.commands.history(&principal, conversation, range, Some(limit)).await.map_err(outward) },
        )
    }
}
