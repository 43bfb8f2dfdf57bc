//! Leases: what the rights of open sessions stand on is read again every few seconds, in one query for all, and at once
//! where it is known to have changed. A change is a push; only the end is a close.
//!
//! A link closes its sockets at its end: each sweep learns how far that is by the database's clock, and the moment it is due
//! the row is read again, as it may have been moved. No clock of this node is asked but the monotonic one. A node that cannot
//! confirm who is allowed in first withholds entries from everybody, and after a minute lets everybody go. Reading one session's
//! rights again is [`crate::commands::renewal`]'s.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use parlour_protocol::close::CloseCode;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;
use crate::commands::renewal::ending;
use crate::domain::principal::{HolderKey, Principal};
use crate::hub::session::Session;
use crate::store::directory::HolderState;
use crate::store::error::StoreError;

/// How often ends that are due are looked for.
const TICK: Duration = Duration::from_millis(100);
/// How often all leases are read again.
const SWEEP: Duration = Duration::from_secs(3);
/// How long the one query of a sweep may take.
const SWEEP_DEADLINE: Duration = Duration::from_secs(1);
/// How long reading the rights again may take for all sessions whose rights a sweep found changed.
const RENEWALS_DEADLINE: Duration = Duration::from_secs(2);
/// How long entries flow without a confirmation.
const WITHHOLD_AFTER: Duration = Duration::from_secs(10);
/// How long sessions are kept without a confirmation.
const CLOSE_AFTER: Duration = Duration::from_secs(60);
/// How long past its end a session is kept while the database does not answer.
const PAST_END_MAX: Duration = Duration::from_secs(1);

impl Commands {
    /// Keeps the rights of all open sessions current until cancelled.
    pub async fn run_leases(&self, cancelled: CancellationToken) {
        let (confirmed, confirmations) = watch::channel(Instant::now());
        let leases =
            async { tokio::join!(self.keep_sweeping(confirmed), self.keep_renewing(), self.keep_guard(confirmations)) };
        // Cancel-safe: what was not read again is not told to anybody.
        cancelled.run_until_cancelled(leases).await;
    }

    /// Reads all leases again and again, and ends what is due between.
    async fn keep_sweeping(&self, confirmed: watch::Sender<Instant>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = Watch { confirmed, sweep_at: Instant::now(), ends: HashMap::new() };
        loop {
            // Both branches are cancel-safe: neither takes anything that is not asked for again.
            tokio::select! {
                () = self.sweep_soon.notified() => watch.sweep_at = Instant::now(),
                _ = ticks.tick() => {}
            }
            contained(self.round(&mut watch)).await;
        }
    }

    async fn round(&self, watch: &mut Watch) {
        self.end_what_is_due(watch).await;
        if watch.sweep_at <= Instant::now() {
            watch.sweep_at = Instant::now() + SWEEP;
            self.sweep(watch).await;
        }
    }

    /// Reads at once what is said to have changed, on this node or another.
    async fn keep_renewing(&self) {
        loop {
            contained(async {
                let changed = self.hub.renewals().changed().await;
                self.renew_changed(changed).await;
                // An end may have moved, and the next one must be met to the second.
                self.sweep_soon.notify_one();
            })
            .await;
        }
    }

    /// Withholds entries while rights cannot be confirmed, and lets everybody go when that lasts.
    async fn keep_guard(&self, mut confirmations: watch::Receiver<Instant>) {
        metrics::gauge!("parlour_entries_withheld").set(0.0);
        loop {
            let confirmed = *confirmations.borrow_and_update();
            if is_silent(&mut confirmations, confirmed + WITHHOLD_AFTER).await {
                contained(self.withhold(&mut confirmations, confirmed + CLOSE_AFTER)).await;
            }
        }
    }

    async fn withhold(&self, confirmations: &mut watch::Receiver<Instant>, close_at: Instant) {
        tracing::error!("rights could not be confirmed for {WITHHOLD_AFTER:?}: entries are withheld from everybody");
        metrics::gauge!("parlour_entries_withheld").set(1.0);
        self.hub.withhold();
        if is_silent(confirmations, close_at).await {
            tracing::error!("rights could not be confirmed for {CLOSE_AFTER:?}: every session is closed");
            loop {
                self.hub.sessions().iter().for_each(|session| session.close(CloseCode::TryAgainLater));
                if !is_silent(confirmations, Instant::now() + SWEEP).await {
                    break;
                }
            }
        }
        self.hub.resume();
        metrics::gauge!("parlour_entries_withheld").set(0.0);
        tracing::info!("rights are confirmed again: entries are given out");
    }

    /// Compares all sessions with what their rights stand on, in one query, and brings those in line that are not.
    async fn sweep(&self, watch: &mut Watch) {
        let asked = Instant::now();
        let outdated = match timeout(SWEEP_DEADLINE, self.compare(watch)).await {
            Ok(Ok(outdated)) => outdated,
            Ok(Err(error)) => return tracing::warn!("leases were not read: {error}"),
            Err(_) => return tracing::warn!("leases were not read within {SWEEP_DEADLINE:?}"),
        };
        match timeout(RENEWALS_DEADLINE, self.renew_all(outdated)).await {
            Ok(Ok(())) => drop(watch.confirmed.send_replace(asked)),
            Ok(Err(error)) => tracing::warn!("rights that changed were not read: {error}"),
            Err(_) => {
                tracing::warn!("rights that changed were not all read within {RENEWALS_DEADLINE:?}");
                // Fewer are left each time; only what is due comes between.
                watch.sweep_at = Instant::now();
            }
        }
    }

    /// Ends the sessions whose holders are gone; returns those that stand on something that has changed.
    async fn compare(&self, watch: &mut Watch) -> Result<Vec<Arc<Session>>, StoreError> {
        let mut sessions = self.hub.sessions();
        let holders: HashSet<HolderKey> = sessions.iter().map(|session| session.principal().holder()).collect();
        watch.ends.retain(|holder, _| holders.contains(holder));
        if holders.is_empty() {
            return Ok(Vec::new());
        }
        let holders: Vec<HolderKey> = holders.into_iter().collect();
        let states = self.store.leases(&holders).await?;
        let now = Instant::now();
        let states: HashMap<HolderKey, HolderState> = states.into_iter().map(|state| (state.key, state)).collect();
        watch.ends = states.values().filter_map(|state| Some((state.key, now + until_end(state)?))).collect();
        sessions.retain(|session| {
            let principal = session.principal();
            match states.get(&principal.holder()) {
                Some(state) if !state.ended => !(is_current(&principal, state) && session.is_settled()),
                over => {
                    session.close(ending(&principal, over));
                    false
                }
            }
        });
        Ok(sessions)
    }

    /// Reads again what should have ended by now, and closes what has. What the database does not answer for is closed, too.
    async fn end_what_is_due(&self, watch: &mut Watch) {
        let now = Instant::now();
        let due: Vec<HolderKey> = watch.ends.iter().filter(|(_, at)| **at <= now).map(|(holder, _)| *holder).collect();
        if due.is_empty() {
            return;
        }
        let mut sessions = self.hub.sessions();
        sessions.retain(|session| due.contains(&session.principal().holder()));
        // Together, in one wait: a silent database must not let the many of one link outstay it one after the other.
        let ends = &watch.ends;
        let renewals = sessions.iter().map(|session| async move {
            let answered = timeout(SWEEP_DEADLINE, self.renew(session)).await;
            let principal = session.principal();
            let is_over = ends.get(&principal.holder()).is_some_and(|at| at.elapsed() >= PAST_END_MAX);
            if !matches!(answered, Ok(Ok(()))) && is_over {
                session.close(ending(&principal, None));
            }
        });
        join_all(renewals).await;
    }
}

/// What the last sweeps learned.
struct Watch {
    /// As of when all rights were last confirmed.
    confirmed: watch::Sender<Instant>,
    /// When the next sweep is due.
    sweep_at: Instant,
    /// When holders end, by the monotonic clock.
    ends: HashMap<HolderKey, Instant>,
}

/// Whether nothing was confirmed until then.
async fn is_silent(confirmations: &mut watch::Receiver<Instant>, until: Instant) -> bool {
    timeout_at(until, confirmations.changed()).await.is_err()
}

/// Runs one piece of the upkeep: revocation must outlive a defect in any of them.
async fn contained(piece: impl Future<Output = ()>) {
    if AssertUnwindSafe(piece).catch_unwind().await.is_err() {
        tracing::error!("a round of the leases panicked; the next one goes on");
    }
}

fn until_end(state: &HolderState) -> Option<Duration> {
    state.ends_in_ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

fn is_current(principal: &Principal, state: &HolderState) -> bool {
    principal.version == state.version
        && principal.organization.version == state.organization_version
        && principal.session_version() == state.session_version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_withheld_only_after_more_than_one_try_and_before_everybody_is_let_go() {
        let sweep_at_worst = SWEEP_DEADLINE + RENEWALS_DEADLINE;
        assert!(sweep_at_worst <= SWEEP, "a sweep is over when the next one is due");
        assert!(2 * SWEEP + sweep_at_worst < WITHHOLD_AFTER, "two sweeps after the last good one have failed");
        assert!(WITHHOLD_AFTER + 2 * SWEEP < CLOSE_AFTER, "a pause is tried before a close");
        assert!(SWEEP + SWEEP_DEADLINE < Duration::from_secs(5), "a revocation is felt within five seconds");
        assert!(TICK + SWEEP_DEADLINE <= 2 * PAST_END_MAX, "an end is met although the database is silent");
    }
}
