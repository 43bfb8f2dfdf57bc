//! Committers: everything queued becomes one call, one commit, then the answers; what arrived meanwhile is the next batch.
//!
//! No timer: an idle committer commits a lone draft at once. A conversation always goes to the same committer, so its drafts
//! keep their order. A conversation that somebody else holds locked moves to the patient lane, which waits for it on a
//! connection of its own, so that nobody else waits; it moves back when its queue there is empty.
//! A lost connection reruns the same batch: keys make its outcome knowable. Never answer before the call has returned.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::domain::draft::Draft;
use crate::domain::room::{Committed, RoomKey};
use crate::store::error::StoreError;
use crate::store::log::append::{Verdict, Wait, call};
use crate::store::log::{AppendError, CommitHook};

/// Drafts in one call.
const BATCH_MAX: usize = 512;
/// Drafts of one organization in one call while others wait.
const BATCH_ORGANIZATION_MAX: usize = 64;
/// Life of a draft in the queues; after it nothing is tried any more.
const DEADLINE: Duration = Duration::from_secs(2);
/// Pause between two tries to reach the database.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// A draft with whoever waits for its verdict.
pub(in crate::store::log) struct Pending {
    pub draft: Draft,
    pub reply: oneshot::Sender<Result<Verdict, AppendError>>,
    pub deadline: Instant,
}

impl Pending {
    pub fn new(draft: Draft) -> (Self, oneshot::Receiver<Result<Verdict, AppendError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { draft, reply, deadline: Instant::now() + DEADLINE }, answer)
    }

    fn key(&self) -> (RoomKey, uuid::Uuid, uuid::Uuid) {
        (self.draft.room, self.draft.principal.author(), self.draft.client_id.0)
    }
}

/// How many drafts of each conversation the patient lane holds. While it holds any, later ones must queue behind them.
type Patients = Arc<Mutex<HashMap<RoomKey, usize>>>;

/// One lane of a committer: a queue, a connection and the way it waits.
pub(in crate::store::log) struct Lane {
    pub queue: mpsc::Receiver<Pending>,
    pub options: PgConnectOptions,
    pub hook: CommitHook,
    /// Set while the database does not answer; admission is narrower then.
    pub failing: Arc<AtomicBool>,
    kind: Kind,
    connection: Option<PgConnection>,
    carried: VecDeque<Pending>,
}

enum Kind {
    /// Skips conversations that are locked, and hands them over.
    Fast { patients: Patients, lane: mpsc::UnboundedSender<Pending> },
    /// Waits for locks, one conversation at a time.
    Patient { patients: Patients },
}

/// The two lanes of one committer.
pub(in crate::store::log) fn lanes(
    queue: mpsc::Receiver<Pending>,
    options: &PgConnectOptions,
    hook: &CommitHook,
    failing: &Arc<AtomicBool>,
) -> (Lane, Lane, mpsc::UnboundedReceiver<Pending>) {
    let patients = Patients::default();
    // Unbounded, yet bounded: it holds only drafts that were admitted to the bounded queue and still wait for an answer.
    let (lane, handed_over) = mpsc::unbounded_channel();
    let (_, nothing) = mpsc::channel(1);
    let build = |queue, kind| Lane {
        queue,
        options: options.clone(),
        hook: Arc::clone(hook),
        failing: Arc::clone(failing),
        kind,
        connection: None,
        carried: VecDeque::new(),
    };
    let fast = build(queue, Kind::Fast { patients: Arc::clone(&patients), lane });
    let patient = build(nothing, Kind::Patient { patients });
    (fast, patient, handed_over)
}

impl Lane {
    /// Runs the fast lane until its queue is closed and empty.
    pub async fn run_fast(mut self) {
        loop {
            if self.carried.is_empty() {
                match self.queue.recv().await {
                    Some(pending) => self.admit(pending),
                    None => return,
                }
            }
            while self.carried.len() < 2 * BATCH_MAX {
                match self.queue.try_recv() {
                    Ok(pending) => self.admit(pending),
                    Err(_) => break,
                }
            }
            let batch = take_batch(&mut self.carried);
            if !batch.is_empty() {
                self.commit(batch).await;
            }
        }
    }

    /// Runs the patient lane until the fast lane is gone and nothing is left.
    pub async fn run_patient(mut self, mut handed_over: mpsc::UnboundedReceiver<Pending>) {
        loop {
            if self.carried.is_empty() {
                match handed_over.recv().await {
                    Some(pending) => self.carried.push_back(pending),
                    None => return,
                }
            }
            while let Ok(pending) = handed_over.try_recv() {
                self.carried.push_back(pending);
            }
            let Some(room) = self.carried.front().map(|pending| pending.draft.room) else { continue };
            let (same, other) = self.carried.drain(..).partition(|pending| pending.draft.room == room);
            self.carried = other;
            let mut queue: VecDeque<Pending> = same;
            while !queue.is_empty() {
                let batch = take_batch(&mut queue);
                self.commit(batch).await;
            }
        }
    }

    /// Takes a draft in, or sends it after those of its conversation that wait in the patient lane.
    fn admit(&mut self, pending: Pending) {
        if let Kind::Fast { patients, lane } = &self.kind {
            let mut waiting = patients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = waiting.get_mut(&pending.draft.room) {
                *count += 1;
                if let Err(closed) = lane.send(pending) {
                    answer(closed.0, Err(AppendError::unavailable("shutting down")));
                }
                return;
            }
        }
        self.carried.push_back(pending);
    }

    /// Commits a batch and answers everybody in it.
    async fn commit(&mut self, batch: Vec<Pending>) {
        let wait = match self.kind {
            Kind::Fast { .. } => Wait::Skip,
            Kind::Patient { .. } => Wait::Lock,
        };
        match self.call(&batch, wait).await {
            Ok(verdicts) => self.answer(batch, verdicts).await,
            Err(CallError::Statement(_)) if batch.len() > 1 => {
                // One draft broke the statement for all: each on its own, so that only the broken one fails.
                for pending in batch {
                    match self.call(std::slice::from_ref(&pending), wait).await {
                        Ok(verdicts) => self.answer(vec![pending], verdicts).await,
                        Err(error) => self.fail(vec![pending], &error),
                    }
                }
            }
            Err(error) => self.fail(batch, &error),
        }
    }

    /// Answers first, then hands what was committed to the hook.
    async fn answer(&mut self, batch: Vec<Pending>, verdicts: Vec<Verdict>) {
        let mut committed: Vec<Committed> = Vec::with_capacity(batch.len());
        let mut busy = Vec::new();
        for (pending, verdict) in batch.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Busy => {
                    busy.push(pending);
                    continue;
                }
                Verdict::Accepted(ref entry) => committed.push(entry.clone()),
                _ => {}
            }
            self.release(pending.draft.room);
            answer(pending, Ok(verdict));
        }
        self.hand_over(busy);
        if !committed.is_empty() {
            (self.hook)(committed).await;
        }
    }

    /// Gives drafts of locked conversations to the patient lane, together with what is carried of the same conversations.
    fn hand_over(&mut self, busy: Vec<Pending>) {
        let rooms: HashSet<RoomKey> = busy.iter().map(|pending| pending.draft.room).collect();
        if rooms.is_empty() {
            return;
        }
        let Kind::Fast { patients, lane } = &self.kind else {
            for pending in busy {
                answer(pending, Err(AppendError::unavailable("the conversation is locked")));
            }
            return;
        };
        let (mut following, rest): (VecDeque<_>, VecDeque<_>) =
            self.carried.drain(..).partition(|pending| rooms.contains(&pending.draft.room));
        self.carried = rest;
        let mut waiting = patients.lock().unwrap_or_else(PoisonError::into_inner);
        for pending in busy.into_iter().chain(following.drain(..)) {
            *waiting.entry(pending.draft.room).or_default() += 1;
            if let Err(closed) = lane.send(pending) {
                answer(closed.0, Err(AppendError::unavailable("shutting down")));
            }
        }
    }

    /// Tells the fast lane that the patient lane is done with a draft.
    fn release(&self, room: RoomKey) {
        if let Kind::Patient { patients } = &self.kind {
            let mut waiting = patients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = waiting.get_mut(&room) {
                *count -= 1;
                if *count == 0 {
                    waiting.remove(&room);
                }
            }
        }
    }

    fn fail(&self, batch: Vec<Pending>, error: &CallError) {
        for pending in batch {
            self.release(pending.draft.room);
            answer(pending, Err(error.answer()));
        }
    }

    /// Calls the append function until it answers or the batch's time is up.
    async fn call(&mut self, batch: &[Pending], wait: Wait) -> Result<Vec<Verdict>, CallError> {
        let drafts: Vec<&Draft> = batch.iter().map(|pending| &pending.draft).collect();
        let deadline = batch.iter().map(|pending| pending.deadline).min().unwrap_or_else(Instant::now);
        let mut sent = false;
        loop {
            let error = match self.try_call(&drafts, wait, deadline, &mut sent).await {
                Ok(verdicts) => {
                    self.failing.store(false, Ordering::Relaxed);
                    return Ok(verdicts);
                }
                Err(error) => error,
            };
            if let Some(CallError::Statement(error)) = statement_error(&error) {
                return Err(CallError::Statement(error));
            }
            let is_locked = sqlstate(&error) == Some("55P03".into());
            if !is_locked {
                self.failing.store(true, Ordering::Relaxed);
                self.connection = None;
            }
            if Instant::now() + RECONNECT_PAUSE >= deadline {
                return Err(if sent && !is_locked { CallError::Unknown(error) } else { CallError::Unavailable(error) });
            }
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn try_call(
        &mut self,
        drafts: &[&Draft],
        wait: Wait,
        deadline: Instant,
        sent: &mut bool,
    ) -> Result<Vec<Verdict>, sqlx::Error> {
        let timed_out = |_| sqlx::Error::PoolTimedOut;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => tokio::time::timeout_at(deadline, PgConnection::connect_with(&self.options))
                .await
                .map_err(timed_out)??,
        };
        *sent = true;
        let verdicts =
            tokio::time::timeout_at(deadline, call(&mut connection, drafts, wait)).await.map_err(timed_out)?;
        // A connection that timed out is dropped with the statement still on it; one that answered is kept.
        if verdicts.is_ok() || verdicts.as_ref().is_err_and(|error| matches!(error, sqlx::Error::Database(_))) {
            self.connection = Some(connection);
        }
        verdicts
    }
}

/// Why a batch has no verdicts.
enum CallError {
    /// The statement itself failed; it had no effect.
    Statement(sqlx::Error),
    /// The database was not reached in time; the statement had no effect.
    Unavailable(sqlx::Error),
    /// The statement was sent and its answer was lost.
    Unknown(sqlx::Error),
}

impl CallError {
    fn answer(&self) -> AppendError {
        match self {
            Self::Statement(error) => AppendError::Store(StoreError::Unexpected(error.to_string())),
            Self::Unavailable(error) => AppendError::Store(StoreError::Unavailable(error.to_string())),
            Self::Unknown(error) => AppendError::Store(StoreError::OutcomeUnknown(error.to_string())),
        }
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(database) => database.code().map(|code| code.into_owned()),
        _ => None,
    }
}

/// An error of the statement itself, as opposed to one of reaching or running the database.
fn statement_error(error: &sqlx::Error) -> Option<CallError> {
    let is_statement = match error {
        sqlx::Error::Database(_) => {
            !matches!(sqlstate(error).as_deref().and_then(|code| code.get(..2)), Some("08" | "53" | "57" | "40" | "55"))
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => false,
        _ => true,
    };
    is_statement.then(|| CallError::Statement(sqlx::Error::Protocol(error.to_string())))
}

fn answer(pending: Pending, verdict: Result<Verdict, AppendError>) {
    // The waiter may be gone; what was committed is committed.
    let _ = pending.reply.send(verdict);
}

/// Takes the next batch out of a queue, in order. A draft stays behind when the batch already holds its key or its card (one
/// call could not tell which came first), or enough of its organization while others wait; then so does everything after it
/// in the same conversation.
fn take_batch(queue: &mut VecDeque<Pending>) -> Vec<Pending> {
    let organizations: HashSet<_> = queue.iter().map(|pending| pending.draft.room.organization).collect();
    let per_organization = if organizations.len() > 1 { BATCH_ORGANIZATION_MAX } else { BATCH_MAX };
    let mut batch: Vec<Pending> = Vec::new();
    let mut behind = VecDeque::new();
    let (mut keys, mut cards, mut held) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut counts: HashMap<_, usize> = HashMap::new();
    for pending in queue.drain(..) {
        let room = pending.draft.room;
        let card = pending.draft.card.as_ref().map(|change| change.card);
        let count = counts.entry(room.organization).or_default();
        let fits = batch.len() < BATCH_MAX
            && *count < per_organization
            && !held.contains(&room)
            && !keys.contains(&pending.key())
            && !card.is_some_and(|card| cards.contains(&card));
        if fits {
            *count += 1;
            keys.insert(pending.key());
            cards.extend(card);
            batch.push(pending);
        } else {
            held.insert(room);
            behind.push_back(pending);
        }
    }
    *queue = behind;
    batch
}
