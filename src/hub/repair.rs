//! Repair: what the feed of committed entries lost is read from the log.
//!
//! A hole shows itself when a later entry arrives; a lost *last* entry does not, so the heads of all rooms are compared with
//! the log, in one query, every other second. One task per node does both, beside every deadline of the hub
//! ([`crate::hub::agenda`]). It must never wait for one room while another is due.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::domain::room::Head;
use crate::hub::agenda::Due;
use crate::hub::room::Room;
use crate::hub::{Hub, delivery};

/// A read of the log that takes longer is given up and tried again.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries at the same hole.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// Things being handled at once.
const RUNNING_MAX: usize = 64;

impl Hub {
    /// Keeps the hub's deadlines and repairs its rooms until it is cancelled. Run one per hub.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        let mut heads = interval(self.config.heads_every);
        heads.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>> = FuturesUnordered::new();
        let mut comparing = false;
        let compared = Arc::new(tokio::sync::Notify::new());
        loop {
            // Every branch is cancel-safe: the list and the ticks keep what they did not return.
            tokio::select! {
                () = cancelled.cancelled() => return,
                due = self.agenda.next(), if running.len() < RUNNING_MAX => {
                    let hub = Arc::clone(&self);
                    running.push(Box::pin(async move { hub.contained(due).await }));
                }
                _ = heads.tick(), if !comparing => {
                    comparing = true;
                    let (hub, compared) = (Arc::clone(&self), Arc::clone(&compared));
                    running.push(Box::pin(async move {
                        contain(hub.compare_heads()).await;
                        compared.notify_one();
                    }));
                }
                () = compared.notified() => comparing = false,
                Some(()) = running.next() => {}
            }
        }
    }

    /// Handles what is due; a repair that panicked is tried again, as the room counts on it.
    async fn contained(&self, due: Due) {
        let again = match &due {
            Due::Repair(key) => Some(Due::Repair(*key)),
            Due::Evict(_) | Due::Offline(..) | Due::TypingEnd(..) => None,
        };
        if !contain(self.settle(due)).await
            && let Some(again) = again
        {
            self.agenda.at(Instant::now() + RETRY_AFTER, again);
        }
    }

    async fn settle(&self, due: Due) {
        let now = Instant::now();
        match due {
            Due::Repair(key) => {
                if let Some(room) = self.room(key) {
                    self.repair(&room).await;
                }
            }
            Due::Evict(key) => self.evict(key, now),
            Due::Offline(key, who) => self.go_offline(key, &who, now),
            Due::TypingEnd(key, who) => self.expire_typing(key, &who, now),
        }
    }

    /// Reads what a room misses, page by page, until nothing is missing.
    async fn repair(&self, room: &Arc<Room>) {
        while let Some(after) = room.hole() {
            let key = room.key();
            let read = timeout(READ_TIMEOUT, self.log.after(key, after)).await;
            let entries = match read {
                Ok(Ok(entries)) if !entries.is_empty() => entries,
                Ok(Ok(_)) => return self.agenda.at(Instant::now() + RETRY_AFTER, Due::Repair(key)),
                Ok(Err(error)) => return self.retry_repair(room, &error.to_string()),
                Err(_) => return self.retry_repair(room, "the log did not answer in time"),
            };
            metrics::counter!("parlour_gap_filled_total").increment(entries.len() as u64);
            self.deliver_to(room, entries).await;
        }
    }

    fn retry_repair(&self, room: &Room, error: &str) {
        let conversation = room.key().conversation;
        tracing::warn!(conversation.id = %conversation, error, "conversation {conversation} misses entries and its log cannot be read yet");
        self.agenda.at(Instant::now() + RETRY_AFTER, Due::Repair(room.key()));
    }

    /// Compares where all rooms with members stand with the log, in one query.
    pub(super) async fn compare_heads(&self) {
        let mut rooms: Vec<(Arc<Room>, Head)> = self.all_rooms();
        rooms.retain(|(room, _)| !room.members().is_empty());
        for (room, _) in rooms.iter().filter(|(room, _)| room.is_stuck()) {
            self.settle_delivery(room, delivery::run(room).await);
        }
        if rooms.is_empty() {
            return;
        }
        let keys = rooms.iter().map(|(room, _)| room.key()).collect();
        let heads = match timeout(READ_TIMEOUT, self.log.heads(keys)).await {
            Ok(Ok(heads)) => heads,
            Ok(Err(error)) => return tracing::warn!(%error, "the heads of the rooms cannot be compared with the log"),
            Err(_) => return tracing::warn!("the log did not tell the heads of the rooms in time"),
        };
        let heads: std::collections::HashMap<_, _> = heads.into_iter().collect();
        for (room, before) in rooms {
            if let Some(head) = heads.get(&room.key()) {
                self.compare(&room, before, *head);
            }
        }
    }

    fn compare(&self, room: &Arc<Room>, before: Head, head: Head) {
        if head.epoch != before.epoch || head.seq < before.seq {
            let conversation = room.key().conversation;
            tracing::error!(
                conversation.id = %conversation, before.epoch, before.seq, head.epoch, head.seq,
                "the log of conversation {conversation} went back; its members are resynchronised"
            );
            self.give_up(room, Some(head));
        } else if room.learn(head) {
            self.agenda.at(Instant::now() + self.config.repair_after, Due::Repair(room.key()));
        }
    }
}

/// Runs one piece of upkeep; its panic is logged by the panic hook and ends nothing else. Whether it came to its end.
async fn contain(upkeep: impl Future<Output = ()>) -> bool {
    let is_done = AssertUnwindSafe(upkeep).catch_unwind().await.is_ok();
    if !is_done {
        tracing::error!("a piece of the hub's upkeep panicked; the rest goes on");
    }
    is_done
}
