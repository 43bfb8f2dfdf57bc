//! The plan: which faults strike when, and for how long. One seed is one plan; a plan is a file that can be run again, with
//! fewer faults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::history::Node;

/// A fault of the plan, numbered as in the list of faults in docs/rig.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its number in the plan.
    pub number: u32,
    /// When it strikes, in milliseconds after the workload began.
    pub at_ms: u64,
    /// How long its cause lasts, in milliseconds; 0 where it is over at once.
    pub for_ms: u64,
    /// What it is.
    pub kind: Kind,
}

/// What breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// F1: SIGKILL of a node; it is started again when its time is over.
    KillNode(Node),
    /// F2: SIGSTOP of a node, then SIGCONT.
    StopNode(Node),
    /// F3: SIGTERM of a node; it drains, ends, and is started again.
    RestartNode(Node),
    /// F4: SIGKILL of all of PostgreSQL, started again at once.
    KillPostgres,
    /// F5: SIGKILL of one backend: PostgreSQL restarts itself.
    KillBackend,
    /// F6: SIGSTOP of all of PostgreSQL, then SIGCONT.
    StopPostgres,
    /// F7: SIGKILL of Redis; it is started again, empty.
    KillRedis,
    /// F8: SIGSTOP of Redis, then SIGCONT.
    StopRedis,
    /// F9: FLUSHALL and CLIENT KILL TYPE pubsub.
    FlushRedis,
    /// F10: what goes one way on a link is swallowed.
    Blackhole(Link, Way),
    /// F11: a link carries nothing for a while, then everything.
    Stall(Link),
    /// F12: the link's connections are reset, in the middle of a frame if possible.
    Reset(Link),
    /// F13: a link carries bytes one by one or in tiny slices.
    Slice(Link),
    /// F14: a link carries a few kilobytes a second.
    Slow(Link),
    /// F16: a node's wall clock is wrong by so many seconds; it is restarted with it, and again without.
    Skew(Node, i32),
    /// F17: clients that stop reading, read byte by byte, or half-close.
    LazyClients,
    /// F18: a lock is held on the log's tables for a while, or long transactions fill the pool.
    LockTables,
    /// F21: rights end: a link is revoked, expires, or is cut; a member is disabled.
    EndRights,
    /// The bus lies: what is published to rooms by a node is confirmed, and goes nowhere.
    LyingBus(Node),
}

/// A link between two processes, each through a proxy of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Clients to a node.
    Clients(Node),
    /// A node to Redis.
    Redis(Node),
    /// A node to PostgreSQL.
    Postgres(Node),
}

/// A direction, seen from whoever opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// What it sends.
    Out,
    /// What it is to receive.
    Back,
}

/// What a fault takes away. Two faults of one place never overlap: healing one would heal the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A node, for its clients: itself, its way to them or to the database.
    Node(Node),
    /// A node's way to Redis.
    Bus(Node),
    /// PostgreSQL, for everybody.
    Postgres,
    /// Redis, for everybody.
    Redis,
    /// Nothing: clients do it, and only some.
    Clients,
}

/// A plan, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What it was made from.
    pub seed: u64,
    /// How long the workload runs at least, in seconds.
    pub seconds: u64,
    /// How many messages must be acknowledged at least; the run goes on until they are.
    pub acks: u64,
    /// The faults, by time.
    pub faults: Vec<Fault>,
}

impl Kind {
    /// What it takes away.
    pub fn place(&self) -> Place {
        match self {
            Self::KillNode(node) | Self::StopNode(node) | Self::RestartNode(node) | Self::Skew(node, _) => {
                Place::Node(*node)
            }
            Self::KillPostgres | Self::KillBackend | Self::StopPostgres | Self::LockTables => Place::Postgres,
            Self::KillRedis | Self::StopRedis | Self::FlushRedis => Place::Redis,
            Self::Blackhole(link, _) | Self::Stall(link) | Self::Reset(link) | Self::Slice(link) | Self::Slow(link) => {
                match link {
                    Link::Clients(node) | Link::Postgres(node) => Place::Node(*node),
                    Link::Redis(node) => Place::Bus(*node),
                }
            }
            Self::LyingBus(node) => Place::Bus(*node),
            Self::LazyClients | Self::EndRights => Place::Clients,
        }
    }

    /// Whether the workload does it; the machine does the others.
    pub fn is_of_clients(&self) -> bool {
        self.place() == Place::Clients
    }
}

impl Place {
    /// Whether a node may not be itself while this is taken away.
    pub fn is_of(self, node: Node) -> bool {
        match self {
            Self::Node(of) | Self::Bus(of) => of == node,
            Self::Postgres | Self::Redis => true,
            Self::Clients => false,
        }
    }
}

impl Fault {
    /// When it strikes, after the workload began.
    pub fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }

    /// How long its cause lasts.
    pub fn lasts(&self) -> Duration {
        Duration::from_millis(self.for_ms)
    }
}
