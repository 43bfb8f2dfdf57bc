//! Repair: what the feed of committed entries lost is read from the log.
//!
//! A hole shows itself when a later entry arrives; a lost *last* entry does not, so nodes beacon the heads they moved, and while
//! beacons are late the heads of all rooms are compared with the log, in one query, every other second; otherwise rarely. One
//! task per node does both, beside every deadline of the hub ([`crate::hub::agenda`]). It must never wait for one room while
//! another is due.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::bus::Channel;
use crate::bus::inbound::Doubt;
use crate::domain::room::{Head, RoomKey};
use crate::hub::agenda::Due;
use crate::hub::room::Room;
use crate::hub::sequence::Hole;
use crate::hub::{Hub, HubConfig, delivery, locked};
use crate::store::error::StoreError;

/// A read of the log that takes longer is given up and tried again.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries at the same hole.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// Between two tries at a hole that holds what cannot be read: until somebody mends it, or a version that can reads it.
const UNREADABLE_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Between two tries to learn what became of an uncertain commit.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(1);
/// Once in so many beacons peers are asked whom they hold of each organization, whatever was lost before.
const ASK_TURNS: u64 = 60;
/// How often the hub looks who can be heard.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Reads of the log at once, so that rooms that miss something leave connections to everybody else.
const READING_MAX: usize = 64;

/// A piece of upkeep that waits for something.
type Upkeep = Pin<Box<dyn Future<Output = ()> + Send>>;
type Running = FuturesUnordered<Upkeep>;

impl Hub {
    /// Listens to other nodes, keeps the hub's deadlines and repairs its rooms until it is cancelled. Run once per hub.
    pub async fn run(self: Arc<Self>, cancelled: CancellationToken) {
        let Some(inbound) = locked(&self.inbound).take() else { return tracing::error!("a hub is run twice") };
        // Dropped with this future, whichever way it ends.
        let mut lanes = JoinSet::new();
        let doubt = inbound.doubt();
        for lane in inbound.durable.into_iter().chain([inbound.control, inbound.ephemeral]) {
            lanes.spawn(Arc::clone(&self).listen(lane));
        }
        let _nodes = self.bus.subscribe(Channel::Nodes);
        // Cancel-safe: what was heard and not taken in is found in the log by whoever comes next.
        cancelled.run_until_cancelled(self.keep_up(doubt)).await;
    }

    async fn keep_up(self: &Arc<Self>, doubt: Doubt) {
        let mut beacons = ticks(self.config.beacon_every);
        let mut looks = ticks(LOOK_EVERY);
        let mut comparing = Comparing::new(&self.config, Instant::now());
        let (mut reading, mut asking) = (Running::new(), Running::new());
        let mut to_read = VecDeque::new();
        // One comparison at a time, so one word of it.
        let (compared, mut comparisons) = mpsc::channel(1);
        let mut turn = 0;
        loop {
            // Every branch is cancel-safe: the list and the ticks keep what they did not return. In this order, so that one
            // history follows from one seed. Nobody starves: ticks are ready once a period; reads are as many as were taken from
            // the agenda, and add none but through it; what is on the agenda is finite and for later. Doubts come last, as they
            // may be raised with every message that is dropped; should they wait, heads are compared in their turn all the same.
            tokio::select! {
                biased;
                _ = beacons.tick() => {
                    turn += 1;
                    contain(async { self.send_beacons() }).await;
                    contain(async { self.ask_in_turn(turn, ASK_TURNS) }).await;
                }
                _ = looks.tick() => drop(contain(async { self.look_around() }).await),
                Some(is_answered) = comparisons.recv() => comparing.ended(is_answered),
                Some(()) = reading.next() => {}
                Some(()) = asking.next() => {}
                due = self.agenda.next() => match due {
                    Due::Repair(_) | Due::Unsure(_) => to_read.push_back(due),
                    // As many as there are organizations here, at most.
                    Due::Ask(_) => asking.push(Arc::clone(self).handle(due)),
                    // Nothing else waits for anything, so it must not wait for those that do.
                    _ => self.contained(due).await,
                },
                () = doubt.raised() => {
                    self.ask_all();
                    comparing.soon();
                }
                () = self.doubt.notified() => comparing.soon(),
            }
            while reading.len() < READING_MAX
                && let Some(due) = to_read.pop_front()
            {
                reading.push(Arc::clone(self).handle(due));
            }
            if comparing.is_due(Instant::now(), self.peers.in_doubt(Instant::now())) {
                let (hub, compared) = (Arc::clone(self), compared.clone());
                reading.push(Box::pin(async move {
                    let mut is_answered = false;
                    contain(async { is_answered = hub.compare_heads().await }).await;
                    let _ = compared.send(is_answered).await;
                }));
            }
        }
    }

    fn handle(self: Arc<Self>, due: Due) -> Upkeep {
        Box::pin(async move { self.contained(due).await })
    }

    /// Handles what is due; a repair that panicked is tried again, as the room counts on it.
    async fn contained(&self, due: Due) {
        let again = match &due {
            Due::Repair(key) => Some(Due::Repair(*key)),
            Due::Evict(_) | Due::Offline(..) | Due::TypingEnd(..) | Due::Unsure(_) => None,
            Due::Announce | Due::TellRows | Due::Ask(_) | Due::Gone(_) => None,
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
            Due::Unsure(keys) => self.look_up(keys).await,
            Due::Announce => self.announce(),
            Due::TellRows => self.tell_rows(),
            Due::Ask(organization) => self.ask(organization).await,
            Due::Gone(node) => self.gone(node),
        }
    }

    /// Reads what a room misses, page by page, until nothing is missing.
    async fn repair(&self, room: &Arc<Room>) {
        while let Some(Hole { after, is_tail }) = room.hole() {
            let key = room.key();
            let read = timeout(READ_TIMEOUT, self.log.after(key, after)).await;
            let entries = match read {
                Ok(Ok(entries)) if !entries.is_empty() => entries,
                Ok(Ok(_)) => return self.agenda.at(Instant::now() + RETRY_AFTER, Due::Repair(key)),
                Ok(Err(StoreError::Unexpected(error))) => return self.wait_until_mended(room, &error),
                Ok(Err(error)) => return self.retry_repair(room, &error.to_string()),
                Err(_) => return self.retry_repair(room, "the log did not answer in time"),
            };
            let name = if is_tail { "parlour_tail_filled_total" } else { "parlour_gap_filled_total" };
            metrics::counter!(name).increment(entries.len() as u64);
            self.deliver_to(room, entries).await;
            if room.head().is_some_and(|head| head.seq == after) {
                // None of it was next: the log goes back, or begins later. The comparison of heads finds out.
                return self.agenda.at(Instant::now() + RETRY_AFTER, Due::Repair(key));
            }
        }
    }

    fn retry_repair(&self, room: &Room, error: &str) {
        let conversation = room.key().conversation;
        tracing::warn!(conversation.id = %conversation, error, "conversation {conversation} misses entries and its log cannot be read yet");
        self.agenda.at(Instant::now() + RETRY_AFTER, Due::Repair(room.key()));
    }

    /// The room stands still where its log cannot be read. Told once: trying again changes nothing by itself.
    fn wait_until_mended(&self, room: &Room, error: &str) {
        let conversation = room.key().conversation;
        if room.stands_still() {
            tracing::error!(conversation.id = %conversation, error, "conversation {conversation} stands still: its log cannot be read");
        }
        self.agenda.at(Instant::now() + UNREADABLE_RETRY_AFTER, Due::Repair(room.key()));
    }

    /// Compares where all rooms stand with the log, in one query: also those without members, which answer from memory whoever
    /// comes next. Whether the log answered.
    pub(super) async fn compare_heads(&self) -> bool {
        let rooms: Vec<(Arc<Room>, Head)> = self.all_rooms();
        for (room, _) in rooms.iter().filter(|(room, _)| room.is_stuck()) {
            self.settle_delivery(room, delivery::run(room).await);
        }
        if rooms.is_empty() {
            return true;
        }
        let keys = rooms.iter().map(|(room, _)| room.key()).collect();
        let heads = match timeout(READ_TIMEOUT, self.log.heads(keys)).await {
            Ok(Ok(heads)) => heads,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the heads of the rooms cannot be compared with the log");
                return false;
            }
            Err(_) => {
                tracing::warn!("the log did not tell the heads of the rooms in time");
                return false;
            }
        };
        let heads: HashMap<_, _> = heads.into_iter().collect();
        for (room, before) in rooms {
            if let Some(head) = heads.get(&room.key()) {
                self.compare(&room, before, *head);
            }
        }
        true
    }

    /// Asks the log where rooms stand to which something may have been committed, and tells whoever should know. Until the log
    /// answers: nobody else can know.
    async fn look_up(&self, keys: Vec<RoomKey>) {
        // Before the log is asked: what is delivered meanwhile may be newer than its answer.
        let rooms = keys.iter().filter_map(|key| self.room(*key));
        let before: Vec<(Arc<Room>, Head)> = rooms.filter_map(|room| Some((Arc::clone(&room), room.head()?))).collect();
        let Ok(Ok(heads)) = timeout(READ_TIMEOUT, self.log.heads(keys.clone())).await else {
            return self.agenda.at(Instant::now() + LOOK_UP_AGAIN, Due::Unsure(keys));
        };
        let heads: HashMap<_, _> = heads.into_iter().collect();
        heads.iter().for_each(|(key, head)| self.moves.head(*key, *head, Instant::now()));
        for (room, before) in before {
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

/// When the heads of all rooms are compared next.
struct Comparing {
    in_doubt_every: Duration,
    at_rest_every: Duration,
    /// When the last comparison began.
    began: Instant,
    was_in_doubt: bool,
    is_wanted: bool,
    is_running: bool,
    /// The last one got no answer: what it was asked for stays in doubt.
    is_unanswered: bool,
}

impl Comparing {
    fn new(config: &HubConfig, now: Instant) -> Self {
        Self {
            in_doubt_every: config.heads_every,
            at_rest_every: config.heads_at_rest_every,
            began: now,
            was_in_doubt: false,
            is_wanted: false,
            is_running: false,
            is_unanswered: false,
        }
    }

    /// Something may have been missed: as soon as the one under way is done, which may have looked too early.
    fn soon(&mut self) {
        self.is_wanted = true;
    }

    /// The one under way is over.
    fn ended(&mut self, is_answered: bool) {
        (self.is_running, self.is_unanswered) = (false, !is_answered);
    }

    /// Whether a comparison is to begin now; then it counts as begun.
    fn is_due(&mut self, now: Instant, in_doubt: bool) -> bool {
        if in_doubt != self.was_in_doubt {
            self.was_in_doubt = in_doubt;
            self.is_wanted |= in_doubt;
            metrics::gauge!("parlour_bus_in_doubt").set(f64::from(u8::from(in_doubt)));
        }
        let every = if in_doubt || self.is_unanswered { self.in_doubt_every } else { self.at_rest_every };
        let is_due = !self.is_running && (self.is_wanted || now >= self.began + every);
        if is_due {
            (self.is_wanted, self.is_running, self.began) = (false, true, now);
        }
        is_due
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Runs one piece of upkeep; its panic is logged by the panic hook and ends nothing else. Whether it came to its end.
pub(super) async fn contain(upkeep: impl Future<Output = ()>) -> bool {
    let is_done = AssertUnwindSafe(upkeep).catch_unwind().await.is_ok();
    if !is_done {
        tracing::error!("a piece of the hub's upkeep panicked; the rest goes on");
    }
    is_done
}
