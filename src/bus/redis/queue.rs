//! What waits to be said, bounded in messages and in bytes: entries and control first, what may be lost after them.
//!
//! Putting something in never waits. At the limit the oldest of what may be lost gives way; of the rest the newest is not taken,
//! because beacons tell of it anyway. While the queue is shut it takes nothing. The publisher empties it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use parlour_protocol::entry::Content;
use parlour_protocol::limits::CARD_BYTES_MAX;
use tokio::sync::Notify;

use crate::bus::Channel;
use crate::bus::message::{Lane, Message};

/// Entries and control: messages waiting.
const FIRST_MAX: usize = 8_192;
/// Entries and control: bytes waiting.
const FIRST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What may be lost: messages waiting.
const LATER_MAX: usize = 2_048;
/// What may be lost: bytes waiting.
const LATER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Messages said at once, with one round trip.
pub const BATCH_MAX: usize = 512;
/// Bytes said at once; a single message may be larger.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Names, ids and numbers around a text.
const FRAME_BYTES: usize = 256;

/// What waits to be said.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    full: metrics::Counter,
    shut: metrics::Counter,
}

#[derive(Debug, Default)]
struct Waiting {
    is_open: bool,
    first: Line,
    later: Line,
}

#[derive(Debug, Default)]
struct Line {
    messages: VecDeque<(Channel, Message, usize)>,
    bytes: usize,
}

impl Queue {
    /// A shut queue.
    pub fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            full: metrics::counter!("parlour_bus_dropped_total", "reason" => "queue_full"),
            shut: metrics::counter!("parlour_bus_dropped_total", "reason" => "down"),
        }
    }

    /// Takes a message, or drops it or an older one, and counts.
    pub fn put(&self, channel: Channel, message: Message) {
        let bytes = weight(&message);
        let mut waiting = self.locked();
        if !waiting.is_open {
            return self.shut.increment(1);
        }
        let was_empty = waiting.first.messages.is_empty() && waiting.later.messages.is_empty();
        let dropped = match message.lane() {
            Lane::Durable | Lane::Control => waiting.first.put_or_drop((channel, message, bytes)),
            Lane::Ephemeral => waiting.later.put_and_drop((channel, message, bytes)),
        };
        drop(waiting);
        if dropped > 0 {
            self.full.increment(dropped);
        }
        if was_empty {
            self.arrived.notify_one();
        }
    }

    /// Waits until there is something to say. For one caller; cancel-safe.
    pub async fn arrived(&self) {
        while self.is_empty() {
            self.arrived.notified().await;
        }
    }

    /// The next to be said, in order.
    pub fn take(&self) -> Vec<(Channel, Message)> {
        let mut waiting = self.locked();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            let next = waiting.first.take();
            let Some((channel, message, weight)) = next.or_else(|| waiting.later.take()) else { break };
            batch.push((channel, message));
            bytes += weight;
        }
        batch
    }

    /// Takes messages from now on.
    pub fn open(&self) {
        self.locked().is_open = true;
    }

    /// Takes none any more; what waits stays.
    pub fn shut(&self) {
        self.locked().is_open = false;
    }

    /// Drops what waits, and counts it.
    pub fn clear(&self) {
        let mut waiting = self.locked();
        let dropped = waiting.first.messages.len() + waiting.later.messages.len();
        (waiting.first, waiting.later) = (Line::default(), Line::default());
        drop(waiting);
        self.shut.increment(dropped as u64);
    }

    fn is_empty(&self) -> bool {
        let waiting = self.locked();
        waiting.first.messages.is_empty() && waiting.later.messages.is_empty()
    }

    /// State is whole between statements, so poison says nothing.
    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Where it does not fit, it is the one to go; how many went.
    fn put_or_drop(&mut self, item: (Channel, Message, usize)) -> u64 {
        if self.messages.len() >= FIRST_MAX || self.bytes + item.2 > FIRST_BYTES_MAX {
            return 1;
        }
        self.bytes += item.2;
        self.messages.push_back(item);
        0
    }

    /// Where it does not fit, the oldest go; how many went.
    fn put_and_drop(&mut self, item: (Channel, Message, usize)) -> u64 {
        self.bytes += item.2;
        self.messages.push_back(item);
        let mut dropped = 0;
        while self.messages.len() > LATER_MAX || self.bytes > LATER_BYTES_MAX {
            self.take();
            dropped += 1;
        }
        dropped
    }

    fn take(&mut self) -> Option<(Channel, Message, usize)> {
        let item = self.messages.pop_front()?;
        self.bytes -= item.2;
        Some(item)
    }
}

/// About how many bytes a message will be, without writing it; rather too many.
fn weight(message: &Message) -> usize {
    match message {
        Message::Entries(entries) => entries.iter().map(|entry| content(&entry.entry.content)).sum(),
        Message::Rights(holders) => FRAME_BYTES + 64 * holders.len(),
        Message::Beacon(beacon) => FRAME_BYTES + 64 * beacon.moved.len(),
        Message::Rows(conversations) => FRAME_BYTES + 40 * conversations.len(),
        Message::Presence(presence) => {
            FRAME_BYTES + presence.rooms.iter().map(|held| 64 + 128 * held.people.len()).sum::<usize>()
        }
        Message::Farewell | Message::Asks(_) => FRAME_BYTES,
        Message::Sign(_) => 4 * FRAME_BYTES,
    }
}

fn content(content: &Content) -> usize {
    match content {
        Content::Message(text) | Content::Note(text) => 2 * FRAME_BYTES + text.text.len(),
        Content::Card(_) | Content::Selection(_) => CARD_BYTES_MAX,
        Content::Edit(edit) => 2 * FRAME_BYTES + edit.text.len(),
        Content::Share(_) | Content::Redaction(_) => 4 * FRAME_BYTES,
        Content::Other(other) => 2 * FRAME_BYTES + other.body.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::entry::{Who, WhoKind};

    use super::*;
    use crate::bus::message::Sign;
    use crate::hub::fixture::{committed, room_key};

    fn open() -> (Queue, Channel) {
        let queue = Queue::new();
        queue.open();
        (queue, Channel::Conversation(room_key()))
    }

    fn typing(number: usize) -> Message {
        let who = Who { kind: WhoKind::Guest, id: number.to_string(), name: "Maria".into() };
        Message::Sign(Sign::Typing { who, active: true })
    }

    fn entry(seq: i64) -> Message {
        Message::Entries(vec![committed(room_key(), seq, None)])
    }

    #[test]
    fn entries_go_before_what_may_be_lost() {
        let (queue, channel) = open();
        for message in [typing(1), entry(1), typing(2), Message::Farewell] {
            queue.put(channel, message);
        }
        let lanes: Vec<_> = queue.take().iter().map(|(_, message)| message.lane()).collect();
        assert_eq!(lanes, [Lane::Durable, Lane::Control, Lane::Ephemeral, Lane::Ephemeral]);
        assert!(queue.take().is_empty());
    }

    #[test]
    fn at_the_limit_the_oldest_sign_and_the_newest_entry_go() {
        let (queue, channel) = open();
        for number in 0..2 * LATER_MAX {
            queue.put(channel, typing(number));
        }
        assert!(queue.locked().later.bytes <= LATER_BYTES_MAX);
        assert!(queue.take()[0].1 != typing(0), "the oldest went");
        for _ in 0..FIRST_MAX + 10 {
            queue.put(channel, Message::Farewell);
        }
        assert_eq!(queue.locked().first.messages.len(), FIRST_MAX);
        queue.clear();
        let waiting = queue.locked();
        assert_eq!((waiting.first.bytes, waiting.later.bytes), (0, 0));
    }

    #[test]
    fn bytes_count_too() {
        let (queue, channel) = open();
        let mut large = committed(room_key(), 1, None);
        let text = parlour_protocol::entry::Text::new("x".repeat(100_000));
        std::sync::Arc::make_mut(&mut large.entry).content = Content::Note(text);
        for _ in 0..1_000 {
            queue.put(channel, Message::Entries(vec![large.clone()]));
        }
        assert!(queue.locked().first.bytes <= FIRST_BYTES_MAX);
        assert!(queue.take().len() < 12, "a batch is bounded, too");
    }

    #[test]
    fn a_shut_queue_takes_nothing_and_keeps_what_it_has() {
        let (queue, channel) = open();
        queue.put(channel, entry(1));
        queue.shut();
        queue.put(channel, entry(2));
        assert_eq!(queue.take().len(), 1);
    }

    #[test]
    fn no_message_is_much_heavier_than_it_says() {
        let node = crate::domain::node::NodeId::generate();
        let channel = Channel::Conversation(room_key());
        let who = Who { kind: WhoKind::Guest, id: "g".repeat(36), name: "Maria Unterwegs".into() };
        let held = crate::bus::message::Held {
            conversation: room_key().conversation,
            number: 1,
            people: vec![crate::bus::message::HeldPerson { who, viewing: false }; 50],
        };
        let presence = crate::bus::message::Presence { complete: None, rooms: vec![held] };
        for message in [entry(1), typing(1), Message::Farewell, Message::Presence(presence)] {
            let bytes = crate::bus::envelope::encode(node, channel, &message).len();
            assert!(bytes <= weight(&message) + FRAME_BYTES, "{message:?}: {bytes} bytes");
        }
    }
}
