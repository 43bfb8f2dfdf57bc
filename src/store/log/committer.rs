//! A committer: one connection, one batch at a time; call, commit, then the answers, then the hook.
//!
//! A lost connection reruns the same batch: keys make its outcome knowable. Never answer before the call has returned, and
//! never say that nothing was stored when an earlier try may have stored it. What is locked elsewhere is given back to the
//! caller: `lanes` decides who waits.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSeverity};
use tokio::time::{Instant, timeout_at};

use crate::domain::draft::Draft;
use crate::domain::room::{Committed, RoomKey};
use crate::store::error::StoreError;
use crate::store::log::append::{Verdict, Wait, call};
use crate::store::log::queue::Pending;
use crate::store::log::trouble::Trouble;
use crate::store::log::{CommitHook, Handover};

/// Pause between two tries to reach the database.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// What a call begun before the deadline may take beyond it, so that an old draft does not cut off a batch that works.
const CALL_GRACE: Duration = Duration::from_millis(500);

/// The connection and everything that happens on it.
pub(in crate::store::log) struct Committer {
    options: PgConnectOptions,
    hook: CommitHook,
    trouble: Arc<Trouble>,
    connection: Option<PgConnection>,
}

impl Committer {
    pub fn new(options: PgConnectOptions, hook: &CommitHook, trouble: &Arc<Trouble>) -> Self {
        Self { options, hook: Arc::clone(hook), trouble: Arc::clone(trouble), connection: None }
    }

    /// Commits a batch, answers everybody in it and calls the hook. Gives back, in order, what is locked elsewhere.
    pub async fn commit(&mut self, batch: Vec<Pending>, wait: Wait) -> Vec<Pending> {
        let mut batch = unexpired(batch);
        if batch.is_empty() {
            return batch;
        }
        match self.call(&mut batch, wait).await {
            Err(CallError::Statement(_)) if batch.len() > 1 => self.commit_each(batch, wait).await,
            result => self.settle(batch, result).await,
        }
    }

    /// One draft broke the statement for all: each on its own, so that only the broken one fails.
    async fn commit_each(&mut self, batch: Vec<Pending>, wait: Wait) -> Vec<Pending> {
        let mut busy: Vec<Pending> = Vec::new();
        let mut held = HashSet::new();
        for pending in batch {
            let room = pending.room();
            if held.contains(&room) {
                busy.push(pending);
                continue;
            }
            let mut one = unexpired(vec![pending]);
            if one.is_empty() {
                continue;
            }
            let result = self.call(&mut one, wait).await;
            let left = self.settle(one, result).await;
            if !left.is_empty() {
                held.insert(room);
            }
            busy.extend(left);
        }
        busy
    }

    /// Answers first, then hands what was committed to the hook.
    async fn settle(&self, batch: Vec<Pending>, result: Result<Vec<Verdict>, CallError>) -> Vec<Pending> {
        let verdicts = match result {
            Ok(verdicts) => verdicts,
            Err(CallError::Locked) => return batch,
            Err(error) => {
                let unsure: Vec<RoomKey> =
                    batch.iter().filter(|pending| pending.uncertain).map(Pending::room).collect();
                batch.into_iter().for_each(|pending| error.tell(pending));
                if !unsure.is_empty() {
                    self.hand_over(Handover::Unsure(unsure)).await;
                }
                return Vec::new();
            }
        };
        let mut committed: Vec<Committed> = Vec::with_capacity(batch.len());
        let mut busy = Vec::new();
        for (pending, verdict) in batch.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Busy => busy.push(pending),
                verdict => {
                    if let Verdict::Accepted(entry) = &verdict {
                        committed.push(entry.clone());
                    }
                    pending.answer(Ok(verdict));
                }
            }
        }
        if !committed.is_empty() {
            metrics::counter!("parlour_entries_committed_total").increment(committed.len() as u64);
            self.hand_over(Handover::Committed(committed)).await;
        }
        busy
    }

    /// A hook must not panic; one that does must not end the committer with it. The rooms find what was lost in the log.
    async fn hand_over(&self, handover: Handover) {
        if AssertUnwindSafe((self.hook)(handover)).catch_unwind().await.is_err() {
            tracing::error!("handing over committed entries panicked; rooms will find them in the log");
        }
    }

    /// Calls the append function until it answers or the batch's time is up.
    async fn call(&mut self, batch: &mut [Pending], wait: Wait) -> Result<Vec<Verdict>, CallError> {
        let deadline = batch.iter().map(|pending| pending.deadline).min().unwrap_or_else(Instant::now);
        loop {
            let error = match self.try_call(batch, wait, deadline).await {
                Ok(verdicts) => {
                    self.trouble.over();
                    return Ok(verdicts);
                }
                Err(CallError::Unreached(error)) => error,
                Err(error) => return Err(error),
            };
            self.trouble.met();
            if Instant::now() + RECONNECT_PAUSE >= deadline {
                self.trouble.given_up(&error);
                return Err(CallError::Unreached(error));
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn try_call(
        &mut self,
        batch: &mut [Pending],
        wait: Wait,
        deadline: Instant,
    ) -> Result<Vec<Verdict>, CallError> {
        let timed_out = |_| sqlx::Error::PoolTimedOut;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => timeout_at(deadline, PgConnection::connect_with(&self.options))
                .await
                .map_err(timed_out)
                .flatten()
                .map_err(CallError::Unreached)?,
        };
        let drafts: Vec<&Draft> = batch.iter().map(|pending| &pending.draft).collect();
        let began = Instant::now();
        let calling = call(&mut connection, &drafts, wait);
        let answered = timeout_at(deadline + CALL_GRACE, calling).await.map_err(timed_out).flatten();
        metrics::histogram!("parlour_append_seconds").record(began.elapsed());
        metrics::counter!("parlour_appends_total", "outcome" => if answered.is_ok() { "answered" } else { "failed" })
            .increment(1);
        match &answered {
            Err(error) if !is_rolled_back(error) => {
                // The connection goes, with the statement perhaps still on it.
                batch.iter_mut().for_each(|pending| pending.uncertain = true);
            }
            _ => self.connection = Some(connection),
        }
        answered.map_err(classify)
    }
}

/// Answers the drafts whose time is up, and keeps the others: they must not share the end of those.
fn unexpired(batch: Vec<Pending>) -> Vec<Pending> {
    let now = Instant::now();
    let (live, expired): (Vec<_>, Vec<_>) = batch.into_iter().partition(|pending| pending.deadline > now);
    expired.into_iter().for_each(|pending| pending.give_up("the write waited for too long"));
    live
}

/// Why a batch has no verdicts.
enum CallError {
    /// Something is locked elsewhere; this try had no effect.
    Locked,
    /// The statement itself failed, or its answer cannot be read.
    Statement(sqlx::Error),
    /// The database was not reached, or could not run the statement, in time.
    Unreached(sqlx::Error),
}

impl CallError {
    fn tell(&self, pending: Pending) {
        match self {
            Self::Statement(error) if !pending.uncertain => {
                pending.answer(Err(StoreError::Unexpected(error.to_string()).into()));
            }
            Self::Statement(error) | Self::Unreached(error) => pending.give_up(&error.to_string()),
            Self::Locked => pending.give_up("the conversation is locked"),
        }
    }
}

/// Whether the server itself said that the statement had no effect. A FATAL says nothing: it may follow the commit.
fn is_rolled_back(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| error.severity() == PgSeverity::Error)
}

/// An error of the statement itself, as opposed to one of reaching or running the database.
fn classify(error: sqlx::Error) -> CallError {
    let is_transient = match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            if code == "55P03" {
                return CallError::Locked;
            }
            matches!(code.get(..2), Some("08" | "53" | "55" | "57" | "40"))
                || code == "25006"
                || !is_rolled_back(&error)
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => true,
        _ => false,
    };
    if is_transient { CallError::Unreached(error) } else { CallError::Statement(error) }
}
