//! History: everything that was tried, answered, delivered and broken in a run, on one clock.
//!
//! The workload and the supervisor write it, the checkers read it, and nothing in it is an opinion: a checker decides what
//! was wrong. Times are nanoseconds of one monotonic clock, so that their order is the order of real time. Look next in
//! [`crate::checkers`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use parlour_protocol::id::{ClientId, ConversationId, EntryId, OrganizationId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::plan::Fault;

/// Nanoseconds since the run began.
pub type Nanos = u64;

/// A tenant, by its number in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tenant(pub u8);

/// A room, by its number in [`Cast::rooms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Room(pub u32);

/// Somebody with one credential, by their number in [`Cast::people`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person(pub u32);

/// One place where somebody follows one room, over any number of sockets: a person has as many as devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reader(pub u32);

/// A node, by its number in the run: 0, 1, 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Node(pub u8);

/// An operation, by its number; it is also what its entry's key is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId(pub u64);

impl OpId {
    /// The key under which the operation is sent, on every try.
    pub fn key(self, seed: u64) -> ClientId {
        // The bits of a version 8 UUID (RFC 9562 §5.8) that are not ours are the same in all of them.
        ClientId(uuid::Builder::from_custom_bytes(Uuid::from_u64_pair(seed << 16, self.0).into_bytes()).into_uuid())
    }

    /// The operation of a key; `None` for one that no operation of this run made.
    pub fn of(key: ClientId, seed: u64) -> Option<Self> {
        let (_, low) = key.0.as_u64_pair();
        let id = Self(low & 0x3fff_ffff_ffff_ffff);
        (id.key(seed) == key).then_some(id)
    }
}

/// What an audience reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum View {
    /// Every entry.
    Staff,
    /// Those for everyone, numbered on their own.
    Guest,
}

/// Who plays, and where.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cast {
    /// Tenants, by number.
    pub tenants: Vec<TenantInfo>,
    /// Rooms, by number.
    pub rooms: Vec<RoomInfo>,
    /// People and systems, by number.
    pub people: Vec<PersonInfo>,
    /// Readers, by number.
    pub readers: Vec<ReaderInfo>,
}

/// A tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TenantInfo {
    /// Its id.
    pub organization: OrganizationId,
    /// A word that is in everything said in it, and nowhere else may be.
    pub canary: String,
    /// A word that is in what only its staff may read.
    pub staff_canary: String,
}

/// A room.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomInfo {
    /// Whose.
    pub tenant: Tenant,
    /// Its id.
    pub conversation: ConversationId,
    /// Whether it is written to so rarely that a lost last entry is not covered up by the next one.
    pub is_quiet: bool,
}

/// A person or system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PersonInfo {
    /// Whose member, client or service.
    pub tenant: Tenant,
    /// What they read.
    pub view: View,
    /// `author.id` of what they say and `who.id` in presence.
    pub id: String,
}

/// A reader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReaderInfo {
    /// Who reads.
    pub person: Person,
    /// What.
    pub room: Room,
    /// Whether it stops reading now and then, so that what it gets is late by its own doing.
    pub stalls: bool,
}

/// What an operation is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// A message for everyone, over a socket.
    Send,
    /// A note for staff, over a socket.
    Note,
    /// A message by a service, over HTTP.
    Push,
    /// New text for what an operation has said.
    Edit(OpId),
    /// No text any more for what an operation has said.
    Redact(OpId),
    /// An offer.
    Card,
    /// A choice on the first version of the card that an operation has made: its option `a`, `b`, …
    Select(OpId, char),
}

/// What came of an operation in the end, after all tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was acknowledged.
    Ok {
        /// The entry's id.
        entry: EntryId,
        /// Its number in the author's view.
        seq: i64,
        /// Whether an earlier try had done it.
        duplicate: bool,
    },
    /// It was refused for good, under this code.
    Refused(String),
    /// Nobody knows.
    Unknown,
}

/// An operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Op {
    /// Its number.
    pub id: OpId,
    /// Whose.
    pub person: Person,
    /// Where.
    pub room: Room,
    /// What.
    pub act: Act,
    /// The body it was sent with: the text, or a card's title; empty for a choice and a redaction.
    pub text: String,
    /// When it was first tried.
    pub invoked: Nanos,
    /// When it was answered for good.
    pub completed: Option<Nanos>,
    /// What came of it.
    pub outcome: Outcome,
    /// How often it was sent.
    pub tries: u32,
    /// The node that answered last.
    pub node: Node,
}

/// An entry as somebody was given it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Its number in the reader's view.
    pub seq: i64,
    /// Its id.
    pub entry: EntryId,
    /// The operation that its key names; none for entries that the server makes itself (shares).
    pub op: Option<OpId>,
    /// Whether its body is exactly what the operation said, or empty where it says that it was redacted.
    pub is_as_said: bool,
    /// Whether it came without text because it was redacted.
    pub is_redacted: bool,
    /// Whether it is for staff alone.
    pub is_for_staff: bool,
}

/// What a reader saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It asked for everything after a number (none: from the newest page) and was attached.
    Attached {
        /// The node.
        node: Node,
        /// Where it stood.
        since: Option<i64>,
        /// Whether the server went on from there; otherwise the reader begins anew.
        resumed: bool,
        /// The epoch.
        epoch: i64,
        /// The newest number by the server's word.
        head: i64,
    },
    /// It was given an entry in an attach page.
    Page(Given),
    /// It was given an entry live.
    Live(Given),
    /// It was told that entries were dropped for it.
    Behind,
    /// Its node withholds entries.
    Paused,
    /// Somebody's presence was told.
    Presence {
        /// `who.id`.
        who: String,
        /// `online`, `offline` or `unknown`.
        state: String,
    },
    /// Somebody types, or no longer.
    Typing {
        /// `who.id`.
        who: String,
        /// Whether.
        active: bool,
    },
    /// Its socket ended, by its own will or with this close code (1006: without one).
    Cut(u16),
}

/// Something a reader saw, and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Who.
    pub reader: Reader,
    /// When.
    pub at: Nanos,
    /// What.
    pub event: Event,
}

/// An end of somebody's rights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// Whose rights.
    pub person: Person,
    /// How: `revoked`, `expired`, `cut` (may read, no longer write), `disabled`.
    pub how: String,
    /// When it was asked for.
    pub invoked: Nanos,
    /// When it was answered, or was due by the database's clock; `None`: never for sure.
    pub effective: Option<Nanos>,
}

/// A fault as it came to pass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Strike {
    /// Which.
    pub fault: Fault,
    /// When it began.
    pub injected: Nanos,
    /// When its cause was gone.
    pub healed: Nanos,
    /// When what it broke worked again (for a process: ready; for a link: the next success); `None`: not until the end.
    pub recovered: Option<Nanos>,
}

/// What a node, or what it stands on, was like at a moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Nanos,
    /// Of whom: `node-0`, `postgres`, `redis`.
    pub of: String,
    /// Names (as in `/metrics`, or `rss_bytes`, `descriptors`, `connections`) and values.
    pub gauges: BTreeMap<String, f64>,
}

/// Something that was found where it must not be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leak {
    /// Where: a reader's frame, a table, a channel, a log, a metric.
    pub place: String,
    /// What was found there.
    pub what: String,
}

/// One whole reading of a room after the run, by one way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// How: `sql`, or the node and the view.
    pub by: String,
    /// Which room.
    pub room: Room,
    /// Which view.
    pub view: View,
    /// The epoch.
    pub epoch: i64,
    /// Every entry, in order.
    pub entries: Vec<Given>,
}

/// Who a node says is in a room after the run, when everything is quiet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attendance {
    /// The node asked.
    pub node: Node,
    /// Where.
    pub room: Room,
    /// `who.id` and state of everybody it named.
    pub told: BTreeMap<String, String>,
    /// `who.id` of those whose sockets are attached.
    pub real: Vec<String>,
}

/// A last try that everything works: one message in one room at one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// Where.
    pub room: Room,
    /// At which node.
    pub node: Node,
    /// How long it took; `None`: longer than allowed.
    pub took: Option<Nanos>,
}

/// A run, whole.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// What drove it.
    pub seed: u64,
    /// Who played.
    pub cast: Cast,
    /// Everything tried.
    pub ops: Vec<Op>,
    /// Everything seen, for each reader in its order.
    pub seen: Vec<Seen>,
    /// Ends of rights.
    pub revocations: Vec<Revocation>,
    /// Everything broken.
    pub strikes: Vec<Strike>,
    /// How everybody did.
    pub samples: Vec<Sample>,
    /// What turned up where it must not be.
    pub leaks: Vec<Leak>,
    /// When the last fault was over and everything had recovered, or should have.
    pub calm_since: Nanos,
    /// When the workload had stopped and every operation was answered or given up.
    pub ended: Nanos,
    /// What is in the log after all.
    pub readings: Vec<Reading>,
    /// Who is said to be there after all.
    pub attendances: Vec<Attendance>,
    /// Whether everything works after all.
    pub probes: Vec<Probe>,
}

/// Writes a history while it happens. Cheap to clone; every note takes one short lock.
#[derive(Clone, Debug)]
pub struct Recorder {
    began: Instant,
    history: Arc<Mutex<History>>,
}

impl Recorder {
    /// Begins a history.
    pub fn new(seed: u64) -> Self {
        let history = History { seed, ..History::default() };
        Self { began: Instant::now(), history: Arc::new(Mutex::new(history)) }
    }

    /// The time.
    pub fn now(&self) -> Nanos {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// What drives the run.
    pub fn seed(&self) -> u64 {
        self.with(|history| history.seed)
    }

    /// Notes something.
    pub fn with<T>(&self, note: impl FnOnce(&mut History) -> T) -> T {
        note(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes what a reader sees right now.
    pub fn saw(&self, reader: Reader, event: Event) {
        let at = self.now();
        self.with(|history| history.seen.push(Seen { reader, at, event }));
    }

    /// Ends it.
    pub fn finish(self) -> History {
        self.with(std::mem::take)
    }
}

/// As nanoseconds.
pub fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

impl History {
    /// The view in which a person's numbers are.
    pub fn view(&self, person: Person) -> View {
        self.cast.people[person.0 as usize].view
    }

    /// Acknowledged operations.
    pub fn acked(&self) -> impl Iterator<Item = (&Op, EntryId, i64)> {
        self.ops.iter().filter_map(|op| match op.outcome {
            Outcome::Ok { entry, seq, .. } => Some((op, entry, seq)),
            Outcome::Refused(_) | Outcome::Unknown => None,
        })
    }
}
