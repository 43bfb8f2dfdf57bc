//! Leases: what the rights of open sessions stand on is read again every few seconds, in one query for all, and at once
//! where it is known to have changed. A change is a push; only the end is a close.
//!
//! A link closes its sockets at its end: each sweep learns how far that is by the database's clock, and the moment it is due
//! the row is read again, as it may have been moved. No clock of this node is asked but the monotonic one. A node that cannot
//! confirm for a minute lets everybody go, as it no longer knows who is allowed in.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use parlour_protocol::close::CloseCode;
use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::ShareId;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;
use crate::domain::policy::rights;
use crate::domain::principal::{HolderKey, Principal};
use crate::hub::session::Session;
use crate::store::conversations;
use crate::store::directory::HolderState;
use crate::store::error::StoreError;

/// How often ends that are due are looked for.
const TICK: Duration = Duration::from_millis(100);
/// How often all leases are read again.
const SWEEP: Duration = Duration::from_secs(3);
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
        let mut watch = Watch { confirmed: Instant::now(), sweep_at: Instant::now(), ends: HashMap::new() };
        loop {
            // All branches are cancel-safe: none takes anything that is not asked for again.
            tokio::select! {
                () = cancelled.cancelled() => return,
                () = self.sweep_soon.notified() => watch.sweep_at = Instant::now(),
                _ = ticks.tick() => {}
            }
            // Revocation must outlive a defect in one round of it.
            if AssertUnwindSafe(self.round(&mut watch)).catch_unwind().await.is_err() {
                tracing::error!("a round of the leases panicked; the next one goes on");
            }
        }
    }

    async fn round(&self, watch: &mut Watch) {
        self.end_what_is_due(watch).await;
        if watch.sweep_at <= Instant::now() {
            watch.sweep_at = Instant::now() + SWEEP;
            self.sweep_or_give_up(watch).await;
        }
    }

    /// Reads the rights of a share's sessions again, now: it was changed or revoked.
    pub async fn renew_share(&self, share: ShareId) {
        for session in self.hub.sessions_of_share(share) {
            self.renew_or_warn(&session).await;
        }
        // The end may have moved, and the next one must be met to the second.
        self.sweep_soon.notify_one();
    }

    async fn sweep_or_give_up(&self, watch: &mut Watch) {
        match timeout(SWEEP_DEADLINE, self.sweep(watch)).await {
            Ok(Ok(())) => {
                watch.confirmed = Instant::now();
                return;
            }
            Ok(Err(error)) => tracing::warn!("leases were not read: {error}"),
            Err(_) => tracing::warn!("leases were not read within {SWEEP_DEADLINE:?}"),
        }
        if watch.confirmed.elapsed() >= UNCONFIRMED_MAX {
            tracing::error!("rights could not be confirmed for {UNCONFIRMED_MAX:?}: every session is closed");
            self.hub.sessions().iter().for_each(|session| session.close(CloseCode::TryAgainLater));
        }
    }

    /// Compares all sessions with what their rights stand on, in one query.
    async fn sweep(&self, watch: &mut Watch) -> Result<(), StoreError> {
        let sessions = self.hub.sessions();
        let holders: HashSet<HolderKey> = sessions.iter().map(|session| holder_of(&session.principal())).collect();
        watch.ends.retain(|holder, _| holders.contains(holder));
        if holders.is_empty() {
            return Ok(());
        }
        let holders: Vec<HolderKey> = holders.into_iter().collect();
        let states = self.store.leases(&holders).await?;
        let now = Instant::now();
        let states: HashMap<HolderKey, HolderState> = states.into_iter().map(|state| (state.key, state)).collect();
        watch.ends = states.values().filter_map(|state| Some((state.key, now + until_end(state)?))).collect();
        for session in &sessions {
            let principal = session.principal();
            match states.get(&holder_of(&principal)).filter(|state| !state.ended) {
                None => end(session),
                Some(state) if is_current(&principal, state) && session.is_settled() => {}
                Some(_) => self.renew(session).await?,
            }
        }
        Ok(())
    }

    /// Reads again what should have ended by now, and closes what has. What the database does not answer for is closed, too.
    async fn end_what_is_due(&self, watch: &mut Watch) {
        let now = Instant::now();
        let due: Vec<HolderKey> = watch.ends.iter().filter(|(_, at)| **at <= now).map(|(holder, _)| *holder).collect();
        if due.is_empty() {
            return;
        }
        let mut sessions = self.hub.sessions();
        sessions.retain(|session| due.contains(&holder_of(&session.principal())));
        // Together, in one wait: a silent database must not let the many of one link outstay it one after the other.
        let ends = &watch.ends;
        let renewals = sessions.iter().map(|session| async move {
            let answered = timeout(SWEEP_DEADLINE, self.renew(session)).await;
            let is_over = ends.get(&holder_of(&session.principal())).is_some_and(|at| at.elapsed() >= PAST_END_MAX);
            if !matches!(answered, Ok(Ok(()))) && is_over {
                end(session);
            }
        });
        join_all(renewals).await;
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
        session.settle(&principal);
        Ok(())
    }
}

/// What the last sweeps learned.
struct Watch {
    /// When all rights were last confirmed.
    confirmed: Instant,
    /// When the next sweep is due.
    sweep_at: Instant,
    /// When holders end, by the monotonic clock.
    ends: HashMap<HolderKey, Instant>,
}

fn until_end(state: &HolderState) -> Option<Duration> {
    state.ends_in_ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
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
