//! Leases: what the rights of open sessions stand on is read again every few seconds, in one query for all, and at once
//! where it is known to have changed. A change is a push; only the end is a close.
//!
//! A link closes its sockets at its end: the database's word, asked for the moment the end is due. A node that cannot confirm
//! for a minute lets everybody go, as it no longer knows who is allowed in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::close::CloseCode;
use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::ShareId;
use time::OffsetDateTime;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;
use crate::domain::policy::rights;
use crate::domain::principal::Principal;
use crate::hub::session::Session;
use crate::store::conversations;
use crate::store::directory::{HolderKey, HolderState};
use crate::store::error::StoreError;

/// How often ends that are due are looked for.
const TICK: Duration = Duration::from_millis(500);
/// Every how many ticks all leases are read again.
const TICKS_PER_SWEEP: u32 = 6;
const SWEEP_DEADLINE: Duration = Duration::from_secs(1);
/// How long sessions are kept without a confirmation.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(60);
/// How long past its end a session is kept while the database does not answer.
const PAST_END_MAX: Duration = Duration::from_secs(1);

impl Commands {
    /// Keeps the rights of all open sessions current until cancelled.
    pub async fn run_leases(&self, cancelled: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut confirmed = Instant::now();
        let mut count = 0_u32;
        loop {
            // Both branches are cancel-safe: neither takes anything.
            tokio::select! {
                () = cancelled.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.end_what_is_due().await;
            count = count.wrapping_add(1);
            if count % TICKS_PER_SWEEP == 0 {
                confirmed = self.sweep_or_give_up(confirmed).await;
            }
        }
    }

    /// Reads the rights of a share's sessions again, now: it was changed or revoked.
    pub async fn renew_share(&self, share: ShareId) {
        for session in self.hub.sessions_of_share(share) {
            self.renew_or_warn(&session).await;
        }
    }

    async fn sweep_or_give_up(&self, confirmed: Instant) -> Instant {
        match timeout(SWEEP_DEADLINE, self.sweep()).await {
            Ok(Ok(())) => return Instant::now(),
            Ok(Err(error)) => tracing::warn!("leases were not read: {error}"),
            Err(_) => tracing::warn!("leases were not read within {SWEEP_DEADLINE:?}"),
        }
        if confirmed.elapsed() >= UNCONFIRMED_MAX {
            tracing::error!("rights could not be confirmed for {UNCONFIRMED_MAX:?}: every session is closed");
            self.hub.sessions().iter().for_each(|session| session.close(CloseCode::TryAgainLater));
        }
        confirmed
    }

    /// Compares all sessions with what their rights stand on, in one query.
    async fn sweep(&self) -> Result<(), StoreError> {
        let sessions = self.hub.sessions();
        let holders: HashSet<HolderKey> = sessions.iter().map(|session| holder_of(&session.principal())).collect();
        if holders.is_empty() {
            return Ok(());
        }
        let holders: Vec<HolderKey> = holders.into_iter().collect();
        let states = self.store.leases(&holders).await?;
        let states: HashMap<HolderKey, HolderState> = states.into_iter().map(|state| (state.key, state)).collect();
        for session in &sessions {
            let principal = session.principal();
            match states.get(&holder_of(&principal)).filter(|state| !state.ended) {
                None => end(session),
                Some(state) if is_current(&principal, state) => {}
                Some(_) => self.renew(session).await?,
            }
        }
        Ok(())
    }

    /// Asks the database about sessions whose end is due by this node's clock, and closes those that have ended.
    async fn end_what_is_due(&self) {
        let now = OffsetDateTime::now_utc();
        for session in self.hub.sessions() {
            let Some(ends_at) = session.principal().ends_at.filter(|ends_at| ends_at.0 <= now) else { continue };
            let answered = timeout(SWEEP_DEADLINE, self.renew(&session)).await;
            if !matches!(answered, Ok(Ok(()))) && now - ends_at.0 >= PAST_END_MAX {
                end(&session);
            }
        }
    }

    async fn renew_or_warn(&self, session: &Arc<Session>) {
        if let Err(error) = self.renew(session).await {
            tracing::warn!("rights of a session were not read, the next sweep tries again: {error}");
        }
    }

    /// Gives a session the rights of now, or ends it.
    async fn renew(&self, session: &Arc<Session>) -> Result<(), StoreError> {
        let Some(principal) = self.auth.reload(&session.principal()).await? else {
            end(session);
            return Ok(());
        };
        session.set_principal(Arc::clone(&principal));
        for conversation in session.attachments() {
            self.forget(&principal, conversation);
            let mut tx = self.store.tenant(principal.scope()).await?;
            let found = conversations::facts(&mut tx, conversation).await?;
            tx.commit().await?;
            let now = found.map(|found| rights(&principal, &found.facts)).unwrap_or_default();
            self.hub.set_rights(session, conversation, &now);
        }
        Ok(())
    }
}

fn end(session: &Session) {
    session.close(match session.principal().kind() {
        WhoKind::Guest => CloseCode::LinkEnded,
        WhoKind::Staff | WhoKind::Service => CloseCode::Forbidden,
    });
}

fn holder_of(principal: &Principal) -> HolderKey {
    HolderKey { kind: principal.kind(), organization: principal.organization.id, id: principal.holder() }
}

fn is_current(principal: &Principal, state: &HolderState) -> bool {
    principal.version == state.version && principal.organization.version == state.organization_version
}
