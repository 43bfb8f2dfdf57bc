//! Who waits for whom. Each committer of a node has two lanes, each with a connection of its own.
//!
//! The fast lane: everything queued becomes one call; what arrived meanwhile is the next batch. No timer: an idle lane commits
//! a lone draft at once. A conversation always goes to the same pair of lanes, so its drafts keep their order.
//! The patient lane: conversations that somebody else holds locked, so that nobody else waits for them. A conversation moves
//! back when its queue there is empty and its entries are handed over.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;

use crate::domain::room::RoomKey;
use crate::store::log::CommitHook;
use crate::store::log::append::Wait;
use crate::store::log::committer::Committer;
use crate::store::log::queue::{BATCH_MAX, Pending, take_batch};
use crate::store::log::trouble::Trouble;

/// Drafts of one conversation in the patient lane, so that a locked conversation does not take every place of the log.
const PATIENTS_OF_ROOM_MAX: usize = 256;
/// How long the patient lane waits for one conversation before it looks at the others again.
const PATIENT_LOCK_TIMEOUT_MS: &str = "100";

/// How many drafts of each conversation the patient lane holds. While it holds any, later ones must queue behind them.
#[derive(Clone, Default)]
struct Patients(Arc<Mutex<HashMap<RoomKey, usize>>>);

impl Patients {
    fn counts(&self) -> MutexGuard<'_, HashMap<RoomKey, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self, room: RoomKey) -> bool {
        self.counts().contains_key(&room)
    }

    /// Takes one more draft of a conversation; false when there are too many.
    fn add(&self, room: RoomKey) -> bool {
        let mut counts = self.counts();
        let count = counts.entry(room).or_default();
        let fits = *count < PATIENTS_OF_ROOM_MAX;
        *count += usize::from(fits);
        fits
    }

    /// Drafts of these conversations were tried; `left` of them stay.
    fn settle(&self, tried: &[RoomKey], left: &[Pending]) {
        let mut counts = self.counts();
        for pending in left {
            *counts.entry(pending.room()).or_default() += 1;
        }
        for room in tried {
            if let Some(count) = counts.get_mut(room) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(room);
                }
            }
        }
    }
}

/// The lane that never waits for a lock.
pub(in crate::store::log) struct FastLane {
    queue: mpsc::Receiver<Pending>,
    committer: Committer,
    carried: VecDeque<Pending>,
    patients: Patients,
    patient_lane: mpsc::UnboundedSender<Pending>,
}

/// The lane that waits.
pub(in crate::store::log) struct PatientLane {
    handed_over: mpsc::UnboundedReceiver<Pending>,
    committer: Committer,
    carried: VecDeque<Pending>,
    patients: Patients,
}

/// The two lanes behind one queue.
pub(in crate::store::log) fn lanes(
    queue: mpsc::Receiver<Pending>,
    options: &PgConnectOptions,
    hook: &CommitHook,
    trouble: &Arc<Trouble>,
) -> (FastLane, PatientLane) {
    let patients = Patients::default();
    // Unbounded, yet bounded: whatever is in it holds one of the log's places.
    let (patient_lane, handed_over) = mpsc::unbounded_channel();
    let patient_options = options.clone().options([("lock_timeout", PATIENT_LOCK_TIMEOUT_MS)]);
    let fast = FastLane {
        queue,
        committer: Committer::new(options.clone(), hook, trouble),
        carried: VecDeque::new(),
        patients: patients.clone(),
        patient_lane,
    };
    let committer = Committer::new(patient_options, hook, trouble);
    (fast, PatientLane { handed_over, committer, carried: VecDeque::new(), patients })
}

impl FastLane {
    /// Runs until the queue is closed and empty.
    pub async fn run(mut self) {
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
                let busy = self.committer.commit(batch, Wait::Skip).await;
                self.hand_over(busy);
            }
        }
    }

    /// Takes a draft in, or sends it after those of its conversation that wait in the patient lane.
    fn admit(&mut self, pending: Pending) {
        if self.patients.holds(pending.room()) {
            self.send_to_patients(pending);
        } else {
            self.carried.push_back(pending);
        }
    }

    /// Gives drafts of locked conversations to the patient lane, together with what is carried of the same conversations.
    fn hand_over(&mut self, busy: Vec<Pending>) {
        if busy.is_empty() {
            return;
        }
        let rooms: HashSet<RoomKey> = busy.iter().map(Pending::room).collect();
        let (following, rest): (VecDeque<_>, VecDeque<_>) =
            self.carried.drain(..).partition(|pending| rooms.contains(&pending.room()));
        self.carried = rest;
        busy.into_iter().chain(following).for_each(|pending| self.send_to_patients(pending));
    }

    fn send_to_patients(&self, pending: Pending) {
        if !self.patients.add(pending.room()) {
            pending.give_up("too many writes wait for the conversation");
        } else if let Err(closed) = self.patient_lane.send(pending) {
            closed.0.give_up("shutting down");
        }
    }
}

impl PatientLane {
    /// Runs until the fast lane is gone and nothing is left.
    pub async fn run(mut self) {
        loop {
            if self.carried.is_empty() {
                match self.handed_over.recv().await {
                    Some(pending) => self.carried.push_back(pending),
                    None => return,
                }
            }
            while let Ok(pending) = self.handed_over.try_recv() {
                self.carried.push_back(pending);
            }
            let batch = take_batch(&mut self.carried);
            let busy = self.commit(batch, Wait::Skip).await;
            if !busy.is_empty() {
                busy.into_iter().rev().for_each(|pending| self.carried.push_front(pending));
                self.wait_for_one().await;
            }
        }
    }

    /// Waits a moment for the first conversation's lock; if it does not come, the next turn waits for the next one.
    async fn wait_for_one(&mut self) {
        let Some(room) = self.carried.front().map(Pending::room) else { return };
        let (mut same, others): (VecDeque<_>, VecDeque<_>) =
            self.carried.drain(..).partition(|pending| pending.room() == room);
        self.carried = others;
        let batch = take_batch(&mut same);
        let busy = self.commit(batch, Wait::Lock).await;
        self.carried.extend(busy);
        self.carried.extend(same);
    }

    /// Commits and, after the hook, tells the fast lane what is no longer waited for.
    async fn commit(&mut self, batch: Vec<Pending>, wait: Wait) -> Vec<Pending> {
        let tried: Vec<RoomKey> = batch.iter().map(Pending::room).collect();
        let busy = self.committer.commit(batch, wait).await;
        self.patients.settle(&tried, &busy);
        busy
    }
}
