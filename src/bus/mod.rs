//! The bus: what nodes tell each other. Everything on it is a hint.
//!
//! A message may be lost, repeated or come out of order, and nobody may notice: entries are numbered and what is missing is read
//! from the log ([`crate::hub::repair`]), everything else is state that is told again. So nothing ever waits for the bus, a
//! publish cannot fail, and nothing is kept on it. Two implementations pass one suite (`tests/it/bus.rs`): [`memory`] for one
//! process, [`redis`] between many. What travels is in [`message`], how in [`envelope`].

pub mod envelope;
pub mod inbound;
pub mod interest;
pub mod memory;
pub mod message;
pub mod redis;

use std::fmt;
use std::sync::Arc;

use parlour_protocol::id::OrganizationId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::inbound::Inbound;
use crate::bus::interest::Subscription;
use crate::bus::memory::MemoryBus;
use crate::bus::message::Message;
use crate::bus::redis::RedisBus;
use crate::bus::redis::config::{RedisConfig, RedisConfigError};
use crate::domain::node::NodeId;
use crate::domain::room::RoomKey;

/// Where something is said. A node hears only the channels it subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// About one conversation: entries and signs.
    Conversation(RoomKey),
    /// About an organization: changed rights and rows, and who is present.
    Organization(OrganizationId),
    /// Between all nodes: beacons, farewells and questions.
    Nodes,
}

impl fmt::Display for Channel {
    /// The channel's name on the wire. Organizations never share one (PRODUCT: names begin with `org:<id>:`), and no braces: in
    /// a Redis Cluster they would put a whole organization on one slot.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conversation(room) => write!(f, "org:{}:conversation:{}", room.organization, room.conversation),
            Self::Organization(organization) => write!(f, "org:{organization}:all"),
            Self::Nodes => f.write_str("parlour:nodes"),
        }
    }
}

/// Whether what is said arrives, as far as a node can tell by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Connected both ways.
    Up,
    /// Nothing is heard, or nothing can be said: what peers do is learned from the log alone.
    Down,
}

/// A node's connection to the others: who it is, how it speaks and how it hears.
pub struct Line {
    /// What the node is known by.
    pub node: NodeId,
    /// Its way to speak.
    pub bus: Arc<dyn Bus>,
    /// What it hears.
    pub inbound: Inbound,
}

impl Line {
    /// The line of a node without peers.
    pub fn alone() -> Self {
        let node = NodeId::generate();
        let (bus, inbound) = MemoryBus::alone(node);
        Self { node, bus: Arc::new(bus), inbound }
    }
}

/// A way to tell other nodes.
///
/// Promises: messages of one sender on one channel arrive in the order they were published, or not at all; whatever was
/// published on a channel after its subscription was confirmed arrives, unless [`inbound::Inbound::doubt`] says otherwise or the wire
/// swallowed it silently. No promise is made between channels or lanes, and none at all about arrival.
pub trait Bus: Send + Sync + 'static {
    /// Says something to everybody who hears the channel, except ourselves; a beacon comes back to us, too. Never waits and
    /// cannot fail: what cannot be sent is dropped and counted.
    fn publish(&self, channel: Channel, message: Message);

    /// Hears a channel until the subscription is dropped, and a little longer.
    fn subscribe(&self, channel: Channel) -> Subscription;

    /// How it is doing.
    fn health(&self) -> Health;
}

/// Which bus a node is on.
#[derive(Clone, Debug, Default)]
pub enum BusConfig {
    /// None: the node has no peers.
    #[default]
    Memory,
    /// Redis.
    Redis(RedisConfig),
}

impl BusConfig {
    /// Starts the bus; it ends with `stop`.
    ///
    /// # Errors
    /// When the configuration cannot be that of any Redis. Whether Redis is there makes no difference.
    pub fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) -> Result<Line, RedisConfigError> {
        match self {
            Self::Memory => Ok(Line::alone()),
            Self::Redis(config) => {
                let node = NodeId::generate();
                let (bus, inbound) = RedisBus::start(config, node, tasks, stop)?;
                Ok(Line { node, bus: Arc::new(bus), inbound })
            }
        }
    }
}
