//! What waits for a committer: a draft with its place in the queue and whoever wants its verdict, and how batches are taken.
//!
//! Knows nothing of the database. A draft is answered exactly once; until then it holds one of the log's places.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use crate::domain::draft::Draft;
use crate::domain::room::RoomKey;
use crate::store::error::StoreError;
use crate::store::log::AppendError;
use crate::store::log::append::Verdict;

/// Drafts in one call.
pub(in crate::store::log) const BATCH_MAX: usize = 512;
/// Drafts of one organization in one call while others wait.
const BATCH_ORGANIZATION_MAX: usize = 64;
/// Life of a draft in the queues; after it nothing new is tried, and what was begun may take half a second more: an answer
/// within two.
const DEADLINE: Duration = Duration::from_millis(1_500);

/// A draft with whoever waits for its verdict.
pub(in crate::store::log) struct Pending {
    pub draft: Draft,
    pub deadline: Instant,
    /// Whether a try was sent of which it is not known what became.
    pub uncertain: bool,
    reply: oneshot::Sender<Result<Verdict, AppendError>>,
    _place: OwnedSemaphorePermit,
}

impl Pending {
    pub fn new(draft: Draft, place: OwnedSemaphorePermit) -> (Self, oneshot::Receiver<Result<Verdict, AppendError>>) {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + DEADLINE;
        (Self { draft, deadline, uncertain: false, reply, _place: place }, answer)
    }

    pub fn room(&self) -> RoomKey {
        self.draft.room
    }

    pub fn answer(self, verdict: Result<Verdict, AppendError>) {
        // The waiter may be gone; what was committed is committed.
        let _ = self.reply.send(verdict);
    }

    /// Answers that nothing more is tried.
    pub fn give_up(self, why: &str) {
        let why = why.to_owned();
        let error = if self.uncertain { StoreError::OutcomeUnknown(why) } else { StoreError::Unavailable(why) };
        self.answer(Err(error.into()));
    }

    fn key(&self) -> (RoomKey, uuid::Uuid, uuid::Uuid) {
        (self.room(), self.draft.principal.author(), self.draft.client_id.0)
    }
}

/// Takes the next batch out of a queue, in order. A draft stays behind when the batch already holds its key, its card or its
/// target (one call could not tell which came first), or enough of its organization while others wait; then so does everything after it
/// in the same conversation.
pub(in crate::store::log) fn take_batch(queue: &mut VecDeque<Pending>) -> Vec<Pending> {
    let organizations: HashSet<_> = queue.iter().map(|pending| pending.room().organization).collect();
    let per_organization = if organizations.len() > 1 { BATCH_ORGANIZATION_MAX } else { BATCH_MAX };
    let mut batch: Vec<Pending> = Vec::new();
    let mut behind = VecDeque::new();
    let (mut keys, mut touched, mut held) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut counts: HashMap<_, usize> = HashMap::new();
    for pending in queue.drain(..) {
        let room = pending.room();
        let touches = pending.draft.touches();
        let count = counts.entry(room.organization).or_default();
        let fits = batch.len() < BATCH_MAX
            && *count < per_organization
            && !held.contains(&room)
            && !keys.contains(&pending.key())
            && !touches.is_some_and(|what| touched.contains(&what));
        if fits {
            *count += 1;
            keys.insert(pending.key());
            touched.extend(touches);
            batch.push(pending);
        } else {
            held.insert(room);
            behind.push_back(pending);
        }
    }
    *queue = behind;
    batch
}
