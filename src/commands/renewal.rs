//! Renewal: the rights of open sessions read again, so many at a time, and what has ended closed with the code that says so.
//!
//! When that is due is decided by [`crate::commands::lease`], or said by whoever changed something. A session whose rights
//! cannot be read keeps the old ones and counts as not confirmed; it never gets any that were not read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use parlour_protocol::close::CloseCode;
use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::{ConversationId, OrganizationId, ShareId};
use tokio::time::timeout;

use crate::commands::Commands;
use crate::domain::policy::{Facts, rights};
use crate::domain::principal::{HolderKey, Principal};
use crate::hub::renewals::Changed;
use crate::hub::session::Session;
use crate::store::conversations;
use crate::store::directory::HolderState;
use crate::store::error::StoreError;

/// Sessions whose rights are read at once: enough for a thousand in a second, and a few connections are left for others.
const AT_ONCE: usize = 8;
/// Sessions brought in line together: what was done is kept when the time is up, so that the next sweep has fewer left.
const IN_LINE_AT_ONCE: usize = 256;
/// Conversations whose facts are read in one query.
const FACTS_AT_ONCE: usize = 1_000;
/// How long reading what is said to have changed may take; the next sweep goes on with the rest.
const DEADLINE: Duration = Duration::from_secs(2);

impl Commands {
    /// The rights of a share have changed: tells whoever holds its sessions, and reads those of this node again before it
    /// returns.
    pub async fn renew_share(&self, organization: OrganizationId, share: ShareId) {
        self.hub.rights_changed(HolderKey { kind: WhoKind::Guest, organization, id: share.0 });
        self.renew_or_warn(self.hub.sessions_of_share(share)).await;
    }

    /// Reads the rights again that are said to have changed.
    pub(in crate::commands) async fn renew_changed(&self, changed: Changed) {
        let Changed::Of(holders) = changed else { return };
        let mut sessions = self.hub.sessions();
        sessions.retain(|session| holders.contains(&session.principal().holder()));
        self.renew_or_warn(sessions).await;
    }

    async fn renew_or_warn(&self, sessions: Vec<Arc<Session>>) {
        match timeout(DEADLINE, self.renew_all(sessions)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("rights of a session were not read, the next sweep tries again: {error}"),
            Err(_) => tracing::warn!("rights were not all read within {DEADLINE:?}, the next sweep tries again"),
        }
    }

    /// Gives sessions the rights of now, or ends them; one that fails holds up no other. Cancelled, it has done some of them.
    pub(in crate::commands) async fn renew_all(&self, sessions: Vec<Arc<Session>>) -> Result<(), StoreError> {
        let mut failed = None;
        for some in sessions.chunks(IN_LINE_AT_ONCE) {
            failed = self.renew_some(some.to_vec()).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn renew_some(&self, sessions: Vec<Arc<Session>>) -> Result<(), StoreError> {
        let reloads = sessions.into_iter().map(|session| async move {
            match self.reload(&session).await {
                // A defect of this one: it must not keep the rights of all others from being confirmed.
                Err(StoreError::Unexpected(text)) => {
                    tracing::error!("rights of a session cannot be read, it is closed: {text}");
                    session.close(CloseCode::TryAgainLater);
                    Ok(None)
                }
                outcome => outcome,
            }
        });
        let reloaded: Vec<_> = stream::iter(reloads).buffer_unordered(AT_ONCE).collect().await;
        let mut failed = None;
        let mut by_organization: HashMap<OrganizationId, Vec<Renewed>> = HashMap::new();
        for outcome in reloaded {
            match outcome {
                Ok(Some(renewed)) => {
                    by_organization.entry(renewed.principal.organization.id).or_default().push(renewed);
                }
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        for renewed in by_organization.into_values() {
            self.bring_in_line(&renewed).await?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Gives a session the rights of now, or ends it.
    pub(in crate::commands) async fn renew(&self, session: &Arc<Session>) -> Result<(), StoreError> {
        self.renew_all(vec![Arc::clone(session)]).await
    }

    /// Reads a session's principal again, or ends it; none when there is nothing to settle now.
    async fn reload(&self, session: &Arc<Session>) -> Result<Option<Renewed>, StoreError> {
        let before = session.principal();
        let Some(principal) = self.auth.reload(&before).await? else {
            let state = self.store.leases(&[before.holder()]).await?.pop();
            // Whoever brought a newer credential meanwhile is looked at by the next sweep.
            if Arc::ptr_eq(&session.principal(), &before) {
                session.close(ending(&before, state.as_ref()));
            }
            return Ok(None);
        };
        let is_done = session.renew_principal(&before, Arc::clone(&principal));
        Ok(is_done.then(|| Renewed { session: Arc::clone(session), principal, attached: session.attachments() }))
    }

    /// Brings what sessions of one organization hear in line with their principals, on facts read once for all.
    async fn bring_in_line(&self, renewed: &[Renewed]) -> Result<(), StoreError> {
        let Some(scope) = renewed.first().map(|one| one.principal.scope()) else { return Ok(()) };
        let attached: HashSet<ConversationId> = renewed.iter().flat_map(|one| one.attached.iter().copied()).collect();
        let attached: Vec<ConversationId> = attached.into_iter().collect();
        let mut facts: HashMap<ConversationId, Facts> = HashMap::new();
        for some in attached.chunks(FACTS_AT_ONCE) {
            let mut tx = self.store.tenant(scope).await?;
            let found = conversations::facts_of(&mut tx, some).await?;
            tx.commit().await?;
            facts.extend(found.into_iter().map(|found| (found.facts.conversation, found.facts)));
        }
        for Renewed { session, principal, attached } in renewed {
            if !Arc::ptr_eq(&session.principal(), principal) {
                // Newer rights were read meanwhile: whoever did brings it in line, or the next sweep does.
                continue;
            }
            for conversation in attached {
                self.forget(principal, *conversation);
                let now = facts.get(conversation).map(|facts| rights(principal, facts)).unwrap_or_default();
                self.hub.set_rights(session, *conversation, &now);
            }
            session.settle(principal);
        }
        Ok(())
    }
}

/// A session with its rights of now, which what it is attached to is not in line with yet.
struct Renewed {
    session: Arc<Session>,
    principal: Arc<Principal>,
    attached: Vec<ConversationId>,
}

/// How a session ends whose holder, as it now stands, does not admit it any more.
pub(in crate::commands) fn ending(principal: &Principal, state: Option<&HolderState>) -> CloseCode {
    let is_logged_out = |state: &HolderState| !state.ended && state.session_version != principal.session_version();
    match principal.kind() {
        WhoKind::Guest => CloseCode::LinkEnded,
        // The person is still allowed in, with a fresh log-in.
        WhoKind::Staff if state.is_some_and(is_logged_out) => CloseCode::TokenExpired,
        WhoKind::Staff | WhoKind::Service => CloseCode::Forbidden,
    }
}
