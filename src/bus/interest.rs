//! Which channels a node wants to hear. Subscriptions are counted, so that two rooms in a row share one, and outlive their last
//! holder a little, so that a client that comes right back causes no traffic.
//!
//! This file keeps the books; the implementations of [`crate::bus::Bus`] carry them out and confirm.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use crate::bus::{Channel, Health};

/// How long a channel is heard after its last holder let go.
pub const LINGER: Duration = Duration::from_secs(5);

/// The channels a node wants to hear, and which of them it hears.
#[derive(Debug, Default)]
pub struct Interests {
    books: Mutex<Books>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Books {
    channels: HashMap<Channel, Interest>,
    /// Not asked for yet, in the order of the wishes; some may have been let go since.
    wanted: Vec<Channel>,
    /// Let go, and when; some may have been taken up again since.
    idle: VecDeque<(Instant, Channel)>,
}

#[derive(Debug)]
struct Interest {
    holders: usize,
    stage: Stage,
    /// When it was let go by the last holder.
    idle_since: Option<Instant>,
    heard: watch::Sender<Heard>,
    /// Somebody went on without waiting for the confirmation: when it comes, what was said before it may be missing.
    is_doubtful: bool,
}

/// How far the implementation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be asked for.
    Wanted,
    /// Asked for.
    Asked,
}

/// Whether a channel is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// Not yet; it is on its way.
    Soon,
    /// Not for now: nobody should wait.
    Not,
    /// Yes.
    Yes,
}

/// What an implementation has to do next.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// To be heard from now on.
    pub subscribe: Vec<Channel>,
    /// To be heard no longer.
    pub unsubscribe: Vec<Channel>,
    /// When to look again, because channels linger.
    pub again_at: Option<Instant>,
}

/// One holder's wish to hear a channel; dropped, the wish ends.
#[derive(Debug)]
pub struct Subscription {
    channel: Channel,
    interests: Arc<Interests>,
}

impl Subscription {
    /// Waits until the channel is heard, at most for so long and not at all while the bus is down; whether it is. Who goes on
    /// without is caught up later: the confirmation then raises doubt.
    pub async fn confirmed(&self, patience: Duration) -> bool {
        let Some(mut heard) = self.interests.watch(self.channel) else { return false };
        let answer = timeout(patience, heard.wait_for(|heard| *heard != Heard::Soon)).await;
        let is_heard = answer.is_ok_and(|heard| heard.is_ok_and(|heard| *heard == Heard::Yes));
        is_heard || self.interests.go_on_without(self.channel)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.interests.release(self.channel);
    }
}

impl Interests {
    /// A new wish; wakes the implementation when it is the first for its channel.
    pub fn subscribe(self: &Arc<Self>, channel: Channel, health: Health) -> Subscription {
        let mut books = self.locked();
        let Books { channels, wanted, .. } = &mut *books;
        let interest = channels.entry(channel).or_insert_with(|| Interest::wanted(health));
        interest.holders += 1;
        interest.idle_since = None;
        let is_wanted = interest.stage == Stage::Wanted;
        if is_wanted {
            wanted.push(channel);
        }
        drop(books);
        if is_wanted {
            self.changed.notify_one();
        }
        Subscription { channel, interests: Arc::clone(self) }
    }

    /// Waits until [`Interests::take_changes`] may have something. For one caller; cancel-safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What is to be done now. Channels to subscribe count as asked for; those to unsubscribe are forgotten.
    pub fn take_changes(&self, now: Instant) -> Changes {
        let mut books = self.locked();
        let Books { channels, wanted, idle } = &mut *books;
        let mut changes = Changes::default();
        for channel in wanted.drain(..) {
            let Some(interest) = channels.get_mut(&channel) else { continue };
            if interest.stage == Stage::Wanted && interest.holders > 0 {
                interest.stage = Stage::Asked;
                changes.subscribe.push(channel);
            }
        }
        while let Some((since, channel)) = idle.front().copied() {
            if since + LINGER > now {
                changes.again_at = Some(since + LINGER);
                break;
            }
            idle.pop_front();
            if channels.get(&channel).is_some_and(|interest| interest.idle_since == Some(since)) {
                channels.remove(&channel);
                changes.unsubscribe.push(channel);
            }
        }
        changes
    }

    /// The channel is heard from now on; whether somebody went on without waiting, so that what came before may be missing.
    pub fn confirm(&self, channel: Channel) -> bool {
        let mut books = self.locked();
        let Some(interest) = books.channels.get_mut(&channel) else { return false };
        interest.heard.send_replace(Heard::Yes);
        std::mem::take(&mut interest.is_doubtful)
    }

    /// Nothing is heard any more: everything is to be asked for again, and nobody waits meanwhile. What only lingers is forgotten:
    /// nobody would let go of it for as long as the bus is down.
    pub fn lose_all(&self) {
        let mut books = self.locked();
        let Books { channels, wanted, idle } = &mut *books;
        wanted.clear();
        idle.clear();
        channels.retain(|_, interest| interest.holders > 0);
        for (channel, interest) in channels.iter_mut() {
            interest.stage = Stage::Wanted;
            interest.heard.send_replace(Heard::Not);
            wanted.push(*channel);
        }
    }

    /// The bus is back: what is wanted will be heard soon.
    pub fn expect_all(&self) {
        for interest in self.locked().channels.values() {
            interest.heard.send_if_modified(|heard| {
                let was_not = *heard == Heard::Not;
                if was_not {
                    *heard = Heard::Soon;
                }
                was_not
            });
        }
        self.changed.notify_one();
    }

    /// Whether a channel is heard now.
    pub fn hears(&self, channel: Channel) -> bool {
        self.locked().channels.get(&channel).is_some_and(|interest| *interest.heard.borrow() == Heard::Yes)
    }

    fn watch(&self, channel: Channel) -> Option<watch::Receiver<Heard>> {
        self.locked().channels.get(&channel).map(|interest| interest.heard.subscribe())
    }

    /// Notes that a holder goes on; whether the confirmation came in this very moment.
    fn go_on_without(&self, channel: Channel) -> bool {
        let mut books = self.locked();
        let Some(interest) = books.channels.get_mut(&channel) else { return false };
        let is_heard = *interest.heard.borrow() == Heard::Yes;
        interest.is_doubtful |= !is_heard;
        is_heard
    }

    fn release(&self, channel: Channel) {
        let mut books = self.locked();
        let Books { channels, idle, .. } = &mut *books;
        let Some(interest) = channels.get_mut(&channel) else { return };
        interest.holders = interest.holders.saturating_sub(1);
        if interest.holders == 0 {
            let now = Instant::now();
            interest.idle_since = Some(now);
            idle.push_back((now, channel));
            drop(books);
            self.changed.notify_one();
        }
    }

    /// State is whole between statements, so poison says nothing.
    fn locked(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Interest {
    fn wanted(health: Health) -> Self {
        let heard = watch::Sender::new(match health {
            Health::Up => Heard::Soon,
            Health::Down => Heard::Not,
        });
        Self { holders: 0, stage: Stage::Wanted, idle_since: None, heard, is_doubtful: false }
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::id::OrganizationId;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    fn interests() -> (Arc<Interests>, Channel) {
        (Arc::default(), Channel::Nodes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_is_asked_for_once_and_let_go_after_lingering() {
        let (interests, channel) = interests();
        let first = interests.subscribe(channel, Health::Up);
        let second = interests.subscribe(channel, Health::Up);
        assert_eq!(interests.take_changes(Instant::now()).subscribe, [channel]);
        assert_eq!(interests.take_changes(Instant::now()), Changes::default());
        drop((first, second));
        let lingering = interests.take_changes(Instant::now());
        assert_eq!((lingering.unsubscribe.len(), lingering.again_at), (0, Some(Instant::now() + LINGER)));
        assert_eq!(interests.take_changes(Instant::now() + LINGER).unsubscribe, [channel]);
        assert_eq!(interests.locked().channels.len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_while_it_lingers_causes_no_traffic() {
        let (interests, channel) = interests();
        drop(interests.subscribe(channel, Health::Up));
        let again = interests.subscribe(channel, Health::Up);
        assert_eq!(interests.take_changes(Instant::now() + LINGER).subscribe, [channel]);
        drop(again);
        let _again = interests.subscribe(channel, Health::Up);
        assert_eq!(interests.take_changes(Instant::now() + LINGER), Changes::default());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_and_who_went_on_raises_doubt() {
        let (interests, channel) = interests();
        let subscription = interests.subscribe(channel, Health::Up);
        assert!(!subscription.confirmed(PATIENCE).await, "nobody confirmed");
        assert!(interests.confirm(channel), "somebody went on without");
        assert!(!interests.confirm(channel), "told once");
        assert!(subscription.confirmed(PATIENCE).await);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_while_the_bus_is_down_and_everything_is_asked_for_again() {
        let (interests, channel) = interests();
        let subscription = interests.subscribe(channel, Health::Up);
        interests.take_changes(Instant::now());
        interests.confirm(channel);
        interests.lose_all();
        let began = Instant::now();
        assert!(!subscription.confirmed(PATIENCE).await);
        assert_eq!(Instant::now(), began, "no time was spent");
        interests.expect_all();
        assert_eq!(interests.take_changes(Instant::now()).subscribe, [channel]);
        assert!(interests.confirm(channel), "the one that did not wait");
        assert!(subscription.confirmed(PATIENCE).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_wants_any_more_is_not_kept_while_the_bus_is_down() {
        let (interests, channel) = interests();
        let _wanted = interests.subscribe(channel, Health::Down);
        for _ in 0..3 {
            for _ in 0..1_000 {
                drop(interests.subscribe(Channel::Organization(OrganizationId::generate()), Health::Down));
            }
            interests.lose_all();
            let books = interests.locked();
            assert_eq!((books.channels.len(), books.idle.len()), (1, 0));
        }
        assert_eq!(interests.take_changes(Instant::now()).subscribe, [channel]);
    }
}
