//! A node as far as the bus sees it: something that publishes, subscribes and hears. And the things it says.

use std::sync::Arc;
use std::time::Duration;

use parlour::bus::inbound::{Inbound, Received};
use parlour::bus::interest::Subscription;
use parlour::bus::memory::{MemoryBus, Wire};
use parlour::bus::message::{Message, Sign};
use parlour::bus::redis::config::RedisConfig;
use parlour::bus::{Bus, BusConfig, Channel, Health, Line};
use parlour::domain::node::NodeId;
use parlour::domain::room::{Committed, RoomKey};
use parlour_protocol::entry::{Audience, Content, Entry, Text, Who, WhoKind};
use parlour_protocol::id::{ClientId, ConversationId, EntryId, OrganizationId};
use parlour_protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::until::{PATIENCE, until};

/// A node on a bus; dropped, it stops.
pub struct BusNode {
    /// Its identity.
    pub id: NodeId,
    /// Its end of the bus.
    pub bus: Arc<dyn Bus>,
    /// What it hears.
    pub inbound: Inbound,
    tasks: TaskTracker,
    stop: CancellationToken,
    _stop_at_drop: DropGuard,
}

impl BusNode {
    /// On a wire of this process.
    pub fn on_wire(wire: &Arc<Wire>) -> Self {
        let node = NodeId::generate();
        let (bus, inbound) = MemoryBus::join(wire, node);
        Self::new(Line { node, bus: Arc::new(bus), inbound }, CancellationToken::new(), TaskTracker::new())
    }

    /// On a Redis that may be there or not.
    pub fn on_redis(config: &RedisConfig) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let line = BusConfig::Redis(config.clone()).start(&tasks, &stop).expect("a URL that can be read");
        Self::new(line, stop, tasks)
    }

    fn new(line: Line, stop: CancellationToken, tasks: TaskTracker) -> Self {
        let Line { node, bus, inbound } = line;
        Self { id: node, bus, inbound, tasks, _stop_at_drop: stop.clone().drop_guard(), stop }
    }

    /// Waits until it is up.
    pub async fn up(&self) {
        until("the bus is up", async || (self.bus.health() == Health::Up).then_some(())).await;
    }

    /// Waits until it is down.
    pub async fn down(&self) {
        until("the bus is down", async || (self.bus.health() == Health::Down).then_some(())).await;
    }

    /// A confirmed subscription.
    pub async fn hears(&self, channel: Channel) -> Subscription {
        let subscription = self.bus.subscribe(channel);
        assert!(subscription.confirmed(PATIENCE).await, "{channel} is heard");
        subscription
    }

    /// Waits for doubt.
    pub async fn doubts(&self) {
        timeout(PATIENCE, self.inbound.doubt().raised()).await.expect("doubt is raised");
    }

    /// Whether doubt was raised; asked twice in a row it was not.
    pub async fn doubted(&self) -> bool {
        timeout(Duration::ZERO, self.inbound.doubt().raised()).await.is_ok()
    }

    /// The next message in any lane.
    pub async fn next(&mut self) -> Received {
        self.next_within(PATIENCE).await.expect("something is heard")
    }

    /// The next message in any lane, if there is one in time.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Received> {
        let [even, odd] = self.inbound.durable.as_mut_slice() else { panic!("two lanes of entries") };
        let next = async {
            tokio::select! {
                said = even.recv() => said,
                said = odd.recv() => said,
                said = self.inbound.control.recv() => said,
                said = self.inbound.ephemeral.recv() => said,
            }
        };
        timeout(patience, next).await.ok().flatten()
    }

    /// Stops in order: what was published is still said.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        timeout(PATIENCE, self.tasks.wait()).await.expect("the bus ends");
    }
}

/// A room of an organization of its own.
pub fn room() -> RoomKey {
    RoomKey { organization: OrganizationId::generate(), conversation: ConversationId::generate() }
}

/// An entry of a room.
pub fn entry(room: RoomKey, seq: i64) -> Message {
    entry_of(room, seq, format!("entry {seq}"))
}

/// An entry of a room, with a text.
pub fn entry_of(room: RoomKey, seq: i64, text: String) -> Message {
    let entry = Entry {
        id: EntryId::generate(),
        client_id: ClientId::generate(),
        content: Content::Note(Text::new(text)),
        audience: Audience::Staff,
        author: Who { kind: WhoKind::Staff, id: "author".to_owned(), name: "Ada".to_owned() },
        at: Timestamp(OffsetDateTime::UNIX_EPOCH),
    };
    Message::Entries(vec![Committed { room, epoch: 1, seq, guest_seq: None, entry: Arc::new(entry) }])
}

/// Somebody types.
pub fn typing() -> Message {
    let who = Who { kind: WhoKind::Guest, id: "guest".to_owned(), name: "Maria".to_owned() };
    Message::Sign(Sign::Typing { who, active: true })
}

/// The number of the one entry that was said.
pub fn seq_of(said: &Received) -> i64 {
    match &said.message {
        Message::Entries(entries) => entries[0].seq,
        other => panic!("no entry: {other:?}"),
    }
}
