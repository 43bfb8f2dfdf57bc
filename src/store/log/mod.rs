//! The log: appending entries by group commit, and reading them. The only way to an entry, in or out.
//!
//! Appends are acknowledged after COMMIT and never before. What was committed is handed to the hook as [`Committed`], in the
//! order of its numbers. Reading is behind [`ReadLog`], so that the hub can be tested and simulated without a database.

pub mod append;
mod committer;
mod lanes;
mod queue;
pub mod read;
mod trouble;

use std::pin::Pin;
use std::sync::Arc;

use parlour_protocol::entry::{NumberedEntry, Position};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::domain::draft::Draft;
use crate::domain::policy::{Grant, Read};
use crate::domain::room::{Committed, Head, RoomKey};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::log::append::Verdict;
use crate::store::log::queue::Pending;
use crate::store::log::trouble::Trouble;
use crate::store::tenant::TenantTx;

/// Committers of a node. Each has a connection for its batches and one to wait for locked conversations.
const COMMITTERS: usize = 2;
/// Drafts without an answer yet, over all committers and both their lanes.
pub const QUEUE_MAX: usize = 2_048;
/// The same while the database does not answer.
const QUEUE_FAILING_MAX: usize = 256;

/// A boxed future, so that the trait can be used behind `Arc<dyn ReadLog>`.
pub type LogFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where a view of a log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The log's epoch.
    pub epoch: i64,
    /// The oldest entry kept.
    pub floor: i64,
    /// The newest entry.
    pub head: i64,
}

/// Which part of a view to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest entries.
    Newest,
    /// Entries above a number, oldest first.
    After(i64),
    /// Entries below a number, those nearest to it.
    Before(i64),
    /// Entries on both sides of a number.
    Around(i64),
}

/// A part of a view, in order and without hole.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    /// The entries with their numbers in the reader's view.
    pub entries: Vec<NumberedEntry>,
    /// The view's bounds at the time of reading.
    pub bounds: Bounds,
    /// Whether more entries lie in the direction asked.
    pub has_more: bool,
}

impl LogPage {
    /// The position after this page, for a reader who stood at `before`.
    pub fn position(&self, before: i64) -> Position {
        Position { epoch: self.bounds.epoch, seq: self.entries.last().map_or(before, |last| last.seq) }
    }
}

/// Reading the log. Every method reads from the primary, so that what was acknowledged before the call is in the answer.
pub trait ReadLog: Send + Sync + 'static {
    /// A page of the view the grant's principal reads; at most `limit` entries and 128 KiB. None when the conversation is gone.
    fn page(&self, grant: &Grant<Read>, range: Range, limit: u32) -> LogFuture<'_, Option<LogPage>>;

    /// For rooms: everything after a number of the staff view, in order, at most 200 entries.
    fn after(&self, room: RoomKey, seq: i64) -> LogFuture<'_, Vec<Committed>>;

    /// For rooms: where the logs stand, in one query. Rooms whose conversation is gone are left out.
    fn heads(&self, rooms: Vec<RoomKey>) -> LogFuture<'_, Vec<(RoomKey, Head)>>;
}

/// What happens right after entries were committed and their authors answered: delivery. Must not fail or block long.
pub type CommitHook = Arc<dyn Fn(Handover) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What the hook is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Handover {
    /// These were committed; in the order of their numbers.
    Committed(Vec<Committed>),
    /// Drafts for these rooms were answered with "outcome unknown": they may have been committed, or may be yet.
    Unsure(Vec<RoomKey>),
}

/// Why a draft has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full or the database does not answer: nothing was stored, or the outcome is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content holds U+0000, which PostgreSQL cannot store.
    #[error("the content holds U+0000")]
    Nul,
}

impl AppendError {
    fn unavailable(why: &str) -> Self {
        Self::Store(StoreError::Unavailable(why.to_owned()))
    }
}

/// The writing side: committers with a bounded queue in front.
#[derive(Debug)]
pub struct Log {
    queues: Vec<mpsc::Sender<Pending>>,
    /// One for each draft that may be without an answer.
    places: Arc<Semaphore>,
    trouble: Arc<Trouble>,
}

impl Log {
    /// Starts the committers on the tracker; they end when the log is dropped and their queues are empty.
    pub fn start(store: &Store, hook: &CommitHook, tracker: &TaskTracker) -> Self {
        let trouble = Arc::new(Trouble::none());
        let queues = (0..COMMITTERS)
            .map(|_| {
                let (sender, queue) = mpsc::channel(QUEUE_MAX);
                let (fast, patient) = lanes::lanes(queue, store.options(), hook, &trouble);
                tracker.spawn(fast.run());
                tracker.spawn(patient.run());
                sender
            })
            .collect();
        Self { queues, places: Arc::new(Semaphore::new(QUEUE_MAX)), trouble }
    }

    /// Takes a draft's place in the order of its conversation, now. The submission answers after COMMIT; whatever was accepted
    /// has then been, or is being, handed to the hook, whether or not anybody still waits.
    ///
    /// # Errors
    /// When the queue is full, the database does not answer, or the content cannot be stored.
    pub fn submit(&self, draft: Draft) -> Result<Submission, AppendError> {
        if draft.holds_nul() {
            return Err(AppendError::Nul);
        }
        if self.trouble.is_failing() && self.waiting() >= QUEUE_FAILING_MAX {
            return Err(AppendError::unavailable("the database does not answer"));
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| AppendError::unavailable("too many writes are waiting"))?;
        let (pending, answer) = Pending::new(draft, place);
        let queue = &self.queues[self.lane_of(pending.room())];
        queue.try_send(pending).map_err(|_| AppendError::unavailable("the committer is gone"))?;
        Ok(Submission(answer))
    }

    /// Submits a draft and waits for its verdict.
    ///
    /// # Errors
    /// As [`Log::submit`] and [`Submission::verdict`].
    pub async fn append(&self, draft: Draft) -> Result<Verdict, AppendError> {
        self.submit(draft)?.verdict().await
    }

    /// Drafts without an answer yet.
    pub fn waiting(&self) -> usize {
        QUEUE_MAX - self.places.available_permits()
    }

    fn lane_of(&self, room: RoomKey) -> usize {
        // The low bits of a UUID version 7 are random.
        usize::try_from(room.conversation.0.as_u128() % self.queues.len() as u128).unwrap_or(0)
    }
}

/// A draft that has its place in the order.
#[derive(Debug)]
pub struct Submission(oneshot::Receiver<Result<Verdict, AppendError>>);

impl Submission {
    /// What the log says to the draft.
    ///
    /// # Errors
    /// When the database did not answer in time.
    pub async fn verdict(self) -> Result<Verdict, AppendError> {
        let lost = || AppendError::Store(StoreError::OutcomeUnknown("shutting down".into()));
        self.0.await.unwrap_or_else(|_| Err(lost()))
    }
}

/// Appends a draft inside a transaction that also writes other rows. What was accepted must be handed to the hub by the
/// caller, after its commit.
///
/// # Errors
/// When the database does not answer or the content cannot be stored; the transaction is then unusable.
pub async fn append_in(tx: &mut TenantTx, draft: &Draft) -> Result<Verdict, AppendError> {
    if draft.holds_nul() {
        return Err(AppendError::Nul);
    }
    let verdicts = append::call(tx.conn(), &[draft], append::Wait::Lock).await.map_err(StoreError::from)?;
    verdicts.into_iter().next().ok_or_else(|| StoreError::Unexpected("no verdict".into()).into())
}
