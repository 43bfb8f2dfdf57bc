//! What the hub's unit tests are made of: entries, principals, sockets that can stall, and a log in memory that can lose
//! what it should have delivered.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use parlour_protocol::codec::Codec;
use parlour_protocol::entry::{Audience, Content, Entry, NumberedEntry, Position, Text, Who, WhoKind};
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{ClientId, ConversationId, EntryId, GuestId, OrganizationId, PersonId, ShareId};
use parlour_protocol::reply::ConversationRef;
use parlour_protocol::share::{Permission, Right};
use parlour_protocol::time::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::task::yield_now;

use crate::bus::interest::{Interests, Subscription};
use crate::bus::memory::{MemoryBus, Wire};
use crate::bus::message::{Lane, Message};
use crate::bus::{Bus, Channel, Health, Line};
use crate::domain::limits::LimitsProfile;
use crate::domain::node::NodeId;
use crate::domain::policy::{self, Facts, Grant, Read, ShowTyping};
use crate::domain::principal::{Actor, Organization, Principal, View};
use crate::domain::role::Role;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::hub::catch_up::Welcome;
use crate::hub::limits::HubLimits;
use crate::hub::outbox::{Outbox, Sink};
use crate::hub::session::Session;
use crate::hub::{Hub, HubConfig, frame, locked};
use crate::store::error::StoreError;
use crate::store::log::{Bounds, LogFuture, LogPage, Range, ReadLog};

/// A room of its own organization.
pub fn room_key() -> RoomKey {
    RoomKey { organization: OrganizationId::generate(), conversation: ConversationId::generate() }
}

/// An entry with these numbers, of epoch 1.
pub fn committed(room: RoomKey, seq: i64, guest_seq: Option<i64>) -> Committed {
    let text = Text::new(format!("entry {seq}"));
    let (content, audience) = match guest_seq {
        Some(_) => (Content::Message(text), Audience::Everyone),
        None => (Content::Note(text), Audience::Staff),
    };
    let entry = Entry {
        id: EntryId::generate(),
        client_id: ClientId::generate(),
        content,
        audience,
        author: Who { kind: WhoKind::Staff, id: "author".to_owned(), name: "Ada".to_owned() },
        at: Timestamp(OffsetDateTime::UNIX_EPOCH),
    };
    Committed { room, epoch: 1, seq, guest_seq, entry: Arc::new(entry) }
}

/// The log of one conversation, in memory.
pub struct MemoryLog {
    key: RoomKey,
    pub entries: Mutex<Vec<Committed>>,
    epoch: Mutex<i64>,
    /// Reads yield to other tasks this often, so that deliveries come between.
    pub slow: usize,
    /// Reads fail.
    pub is_down: AtomicBool,
    /// Reads that begin now never end.
    pub is_hung: AtomicBool,
    /// How often it was read.
    pub reads: AtomicUsize,
}

impl MemoryLog {
    pub fn new(key: RoomKey, slow: usize) -> Arc<Self> {
        Arc::new(Self {
            key,
            entries: Mutex::default(),
            epoch: Mutex::new(1),
            slow,
            is_down: false.into(),
            is_hung: false.into(),
            reads: 0.into(),
        })
    }

    /// Commits an entry; every third is a note.
    pub fn commit(&self) -> Committed {
        let mut entries = locked(&self.entries);
        let (seq, guest_seq) = entries.last().map_or((1, 0), |last| (last.seq + 1, guest_head(&entries)));
        let entry = committed(self.key, seq, (seq % 3 != 0).then_some(guest_seq + 1));
        entries.push(entry.clone());
        entry
    }

    /// What a restore from a backup does: another epoch, fewer entries.
    pub fn restore(&self, epoch: i64, keep: usize) {
        *locked(&self.epoch) = epoch;
        let mut entries = locked(&self.entries);
        entries.truncate(keep);
        entries.iter_mut().for_each(|entry| entry.epoch = epoch);
    }

    pub fn head(&self) -> Head {
        let entries = locked(&self.entries);
        let (seq, guest_seq) = (entries.len() as i64, guest_head(&entries));
        Head { epoch: *locked(&self.epoch), seq, guest_seq }
    }

    fn is_empty(&self) -> bool {
        locked(&self.entries).is_empty()
    }

    async fn pause(&self) {
        for _ in 0..self.slow {
            yield_now().await;
        }
    }

    /// What a read of PostgreSQL goes through first.
    async fn reach(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.is_hung.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.pause().await;
        if self.is_down.load(Ordering::Relaxed) { Err(StoreError::Unavailable("down".to_owned())) } else { Ok(()) }
    }

    fn read(&self, view: View, range: Range, limit: usize) -> LogPage {
        let head = self.head();
        let all: Vec<_> =
            locked(&self.entries).iter().filter_map(|e| Some((e.seq_in(view)?, e.entry.clone()))).collect();
        let numbered = |(seq, entry): (i64, Arc<Entry>)| NumberedEntry { seq, entry: entry.as_ref().clone() };
        let (entries, has_more): (Vec<_>, _) = match range {
            Range::After(after) => {
                let newer: Vec<_> = all.into_iter().filter(|(seq, _)| *seq > after).collect();
                let has_more = newer.len() > limit;
                (newer.into_iter().take(limit).map(numbered).collect(), has_more)
            }
            _ => (all.iter().skip(all.len().saturating_sub(limit)).cloned().map(numbered).collect(), all.len() > limit),
        };
        let bounds = Bounds { epoch: head.epoch, floor: 1, head: head.seq_in(view) };
        LogPage { entries, bounds, has_more }
    }
}

fn guest_head(entries: &[Committed]) -> i64 {
    entries.iter().filter_map(|entry| entry.guest_seq).next_back().unwrap_or(0)
}

impl ReadLog for MemoryLog {
    fn page(&self, grant: &Grant<Read>, range: Range, limit: u32) -> LogFuture<'_, Option<LogPage>> {
        let view = grant.principal().view();
        Box::pin(async move {
            self.reach().await?;
            let page = self.read(view, range, limit as usize);
            self.pause().await;
            Ok(Some(page))
        })
    }

    fn after(&self, _room: RoomKey, seq: i64) -> LogFuture<'_, Vec<Committed>> {
        Box::pin(async move {
            self.reach().await?;
            Ok(locked(&self.entries).iter().filter(|entry| entry.seq > seq).take(200).cloned().collect())
        })
    }

    fn heads(&self, rooms: Vec<RoomKey>) -> LogFuture<'_, Vec<(RoomKey, Head)>> {
        Box::pin(async move {
            self.reach().await?;
            let known = rooms.into_iter().filter(|room| *room == self.key || self.is_empty());
            let heads = known.map(|room| (room, self.head())).collect();
            self.pause().await;
            Ok(heads)
        })
    }
}

/// A socket that takes everything, or nothing while it is stalled.
#[derive(Default)]
pub struct Tap {
    pub is_stalled: AtomicBool,
    /// Writing panics, as a defect would.
    pub is_poisoned: AtomicBool,
    /// Happens once, at the next write.
    pub meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    taken: Mutex<Vec<u8>>,
}

impl Sink for Tap {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        assert!(!self.is_poisoned.load(Ordering::Relaxed), "a defect, on purpose");
        if self.is_stalled.load(Ordering::Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let meanwhile = locked(&self.meanwhile).take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        locked(&self.taken).extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

/// A client as the hub sees it.
pub struct Actress {
    pub session: Arc<Session>,
    pub tap: Arc<Tap>,
}

impl Actress {
    /// What it heard since it was last asked.
    pub fn heard(&self) -> Vec<Value> {
        self.session.outbox().flush();
        self.session.announce_stale();
        let taken = std::mem::take(&mut *locked(&self.tap.taken));
        let (mut at, mut heard) = (0, Vec::new());
        while at < taken.len() {
            let end = at + frame::boundary(&taken[at..], 1);
            let header = match taken[at + 1] {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            if taken[at] & 0x0f < 8 {
                heard.push(self.session.codec().decode_value(&taken[at + header..end]).unwrap());
            }
            at = end;
        }
        heard
    }

    /// The numbers of the entries in what it heard: of replies and of pushes, in order.
    pub fn seqs(heard: &[Value]) -> Vec<i64> {
        let mut seqs = Vec::new();
        for message in heard {
            for entry in message["ok"]["entries"].as_array().into_iter().flatten() {
                seqs.push(entry["seq"].as_i64().unwrap());
            }
            if message["type"] == "entry" {
                seqs.push(message["seq"].as_i64().unwrap());
            }
        }
        seqs
    }
}

/// What is told of each message before it is published.
type Witness = Arc<dyn Fn(&Message) + Send + Sync>;

/// A bus that swallows what it is told to, without a word.
pub struct Swallowing {
    bus: MemoryBus,
    pub lanes: Mutex<Vec<Lane>>,
    /// New subscriptions are asked for and never confirmed.
    pub is_slow: AtomicBool,
    pub witness: Mutex<Option<Witness>>,
    unconfirmed: Arc<Interests>,
}

impl Bus for Swallowing {
    fn publish(&self, channel: Channel, message: Message) {
        let witness = locked(&self.witness).clone();
        if let Some(witness) = witness {
            witness(&message);
        }
        if !locked(&self.lanes).contains(&message.lane()) {
            self.bus.publish(channel, message);
        }
    }

    fn subscribe(&self, channel: Channel) -> Subscription {
        if self.is_slow.load(Ordering::Relaxed) {
            return self.unconfirmed.subscribe(channel, Health::Up);
        }
        self.bus.subscribe(channel)
    }

    fn health(&self) -> Health {
        self.bus.health()
    }
}

/// A hub over a log of one conversation, and its clients.
pub struct Stage {
    pub key: RoomKey,
    pub log: Arc<MemoryLog>,
    pub hub: Arc<Hub>,
    pub bus: Arc<Swallowing>,
}

impl Stage {
    pub fn new(slow: usize) -> Self {
        let key = room_key();
        Self::on(&Arc::default(), key, MemoryLog::new(key, slow))
    }

    /// A node on a wire, over a log it may share with others.
    pub fn on(wire: &Arc<Wire>, key: RoomKey, log: Arc<MemoryLog>) -> Self {
        let node = NodeId::generate();
        let (bus, inbound) = MemoryBus::join(wire, node);
        let bus = Arc::new(Swallowing {
            bus,
            lanes: Mutex::default(),
            is_slow: false.into(),
            witness: Mutex::default(),
            unconfirmed: Arc::default(),
        });
        let line = Line { node, bus: Arc::clone(&bus) as _, inbound };
        let config = HubConfig { limits: HubLimits::under(LimitsProfile::Test), ..HubConfig::default() };
        let hub = Arc::new(Hub::new(Arc::clone(&log) as _, line, config));
        Self { key, log, hub, bus }
    }

    /// Another conversation in the hub of a stage whose log is empty: it answers for every room alike.
    pub fn over(other: &Self) -> Self {
        let key = room_key();
        Self { key, log: MemoryLog::new(key, 0), hub: Arc::clone(&other.hub), bus: Arc::clone(&other.bus) }
    }

    fn enter(&self, actor: Actor, codec: Codec) -> Actress {
        let organization =
            Organization { id: self.key.organization, name: "Meridian".to_owned(), active: true, version: 1 };
        let principal = Principal { organization, name: "Somebody".to_owned(), version: 1, ends_at: None, actor };
        let tap = Arc::new(Tap::default());
        let session = self.hub.open(Arc::new(principal), codec, Arc::new(Outbox::new(tap.clone())));
        Actress { session, tap }
    }

    pub fn staff(&self) -> Actress {
        self.staff_as(PersonId::generate())
    }

    pub fn staff_as(&self, person: PersonId) -> Actress {
        let role = Role::find("dmc_admin").unwrap();
        self.enter(Actor::Staff { person, role, permissions: role.permissions(), session_version: 1 }, Codec::Json)
    }

    pub fn guest(&self) -> Actress {
        self.guest_as(GuestId::generate())
    }

    pub fn guest_as(&self, guest: GuestId) -> Actress {
        let permissions = vec![Permission::View, Permission::Respond];
        let share = ShareId::generate();
        self.enter(Actor::Guest { guest, share, conversation: self.key.conversation, permissions }, Codec::MessagePack)
    }

    pub fn grant(&self, actress: &Actress) -> Grant<Read> {
        policy::authorize(&actress.session.principal(), &self.facts()).unwrap()
    }

    pub fn typing_grant(&self, actress: &Actress) -> Grant<ShowTyping> {
        policy::authorize(&actress.session.principal(), &self.facts()).unwrap()
    }

    /// A grant for another conversation, as a staff member of the same organization would get it.
    pub fn grant_elsewhere(&self, actress: &Actress, conversation: ConversationId) -> Grant<Read> {
        let staff = self.staff();
        self.hub.leave(&staff.session);
        let facts = Facts { conversation, ..self.facts() };
        debug_assert_eq!(staff.session.organization(), actress.session.organization());
        policy::authorize(&staff.session.principal(), &facts).unwrap()
    }

    pub fn session_is_attached(&self, actress: &Actress) -> bool {
        actress.session.is_attached(self.key)
    }

    fn facts(&self) -> Facts {
        let RoomKey { organization, conversation } = self.key;
        Facts { organization, conversation, user_id: None, assigned_to: None, watchers: Vec::new(), access_version: 1 }
    }

    /// Attaches; the reply is among what the actress hears.
    pub async fn attach(&self, actress: &Actress, since: Option<i64>) {
        self.try_attach(actress, since).await.unwrap();
    }

    /// Attaches, or is refused.
    pub async fn try_attach(&self, actress: &Actress, since: Option<i64>) -> Result<(), ErrorBody> {
        let since = since.map(|seq| Position { epoch: 1, seq });
        let id = self.key.conversation;
        let welcome = async move {
            Ok(Welcome {
                conversation: ConversationRef { id, title: "Lisbon".to_owned(), status: None, stage: None },
                rights: vec![Right::Read],
                seen: None,
                receipts: Vec::new(),
            })
        };
        self.hub.attach(&actress.session, 1, self.grant(actress), since, welcome).await
    }

    /// Commits and delivers so many entries, one by one.
    pub async fn say(&self, count: usize) {
        for _ in 0..count {
            self.hub.deliver(vec![self.log.commit()]).await;
        }
    }
}
