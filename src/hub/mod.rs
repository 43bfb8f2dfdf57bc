//! The hub: the live half of Parlour. What was committed goes in, frames on members' sockets come out.
//!
//! It holds nothing that cannot be lost: rooms, presence and typing live in memory and are rebuilt from the log and the
//! sockets. It decides no rights (its calls take a `Grant` or what a grant was built on) and it never writes to the log. The
//! way of an entry: [`Hub::deliver`] → [`sequence`] (order) → [`delivery`] (turns) → [`member`] (exactly the next number) →
//! [`outbox`] (the socket). The way in: [`catch_up`]. What was lost on the way: [`repair`]. Other nodes: [`across`].

pub mod across;
pub mod agenda;
pub mod catch_up;
mod delivery;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod forgetting;
pub mod frame;
pub mod inbox;
pub mod limits;
pub mod member;
pub mod outbox;
pub mod pause;
pub mod pledge;
pub mod presence;
#[cfg(test)]
mod races;
pub mod renewals;
mod repair;
pub mod room;
pub mod sequence;
pub mod session;
pub mod signs;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod told;
pub mod typing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::entry::Who;
use parlour_protocol::id::SessionId;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::inbound::Inbound;
use crate::bus::{Bus, Channel, Line};
use crate::domain::node::NodeId;
use crate::domain::principal::Principal;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::hub::across::beacon::Moves;
use crate::hub::across::changed::Changed;
use crate::hub::across::peers::{Peers, PeersConfig};
use crate::hub::across::tenants::Tenants;
use crate::hub::agenda::{Agenda, Due};
use crate::hub::delivery::Delivered;
use crate::hub::inbox::Inbox;
use crate::hub::limits::{Holders, HubLimits};
use crate::hub::member::Member;
use crate::hub::outbox::Outbox;
use crate::hub::pause::Pause;
use crate::hub::presence::Presence;
use crate::hub::renewals::Renewals;
use crate::hub::room::Room;
use crate::hub::session::Session;
use crate::hub::typing::Typing;
use crate::store::log::{CommitHook, Handover, ReadLog};

/// The hub's times and limits.
#[derive(Clone, Copy, Debug)]
pub struct HubConfig {
    /// How long an early arrival waits for what is missing before the log is read.
    pub repair_after: Duration,
    /// How often the heads of all rooms are compared with the log while the bus is in doubt.
    pub heads_every: Duration,
    /// How often they are compared otherwise.
    pub heads_at_rest_every: Duration,
    /// How often this node gives a sign of life, with the heads that moved.
    pub beacon_every: Duration,
    /// How long an attach waits for its room's channel; unheard, it goes on and is caught up later.
    pub channel_patience: Duration,
    /// How long an empty room is kept.
    pub evict_after: Duration,
    /// How long somebody whose last session left still counts as present.
    pub offline_grace: Duration,
    /// How long those a peer held still count as present after it said farewell: they are on their way to another node.
    pub farewell_grace: Duration,
    /// The times of silence between nodes.
    pub peers: PeersConfig,
    /// How many of what.
    pub limits: HubLimits,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            repair_after: Duration::from_millis(50),
            heads_every: Duration::from_secs(2),
            heads_at_rest_every: Duration::from_secs(10),
            beacon_every: Duration::from_secs(1),
            channel_patience: Duration::from_millis(250),
            evict_after: Duration::from_secs(60),
            offline_grace: Duration::from_secs(10),
            farewell_grace: Duration::from_secs(4),
            peers: PeersConfig::default(),
            limits: HubLimits::default(),
        }
    }
}

/// The live half of one node.
pub struct Hub {
    config: HubConfig,
    log: Arc<dyn ReadLog>,
    node: NodeId,
    bus: Arc<dyn Bus>,
    /// What the bus lets be heard; taken by [`Hub::run`].
    inbound: Mutex<Option<Inbound>>,
    /// Something may not have been heard.
    doubt: Notify,
    rooms: DashMap<RoomKey, Arc<Room>>,
    sessions: DashMap<SessionId, Arc<Session>>,
    holders: Holders,
    agenda: Agenda,
    presence: Presence,
    typing: Typing,
    inbox: Inbox,
    renewals: Renewals,
    pause: Pause,
    peers: Peers,
    tenants: Tenants,
    moves: Moves,
    changed_rows: Changed,
    changed_presence: Changed,
    /// Held from looking whom we hold until it is published, so that nobody tells yesterday's news last.
    announcing: Mutex<()>,
}

/// What the hub holds right now, for gauges and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rooms in memory.
    pub rooms: usize,
    /// Authenticated sockets.
    pub sessions: usize,
    /// Attachments.
    pub members: usize,
    /// Other nodes that can be heard.
    pub peers: usize,
}

/// What waits for the sockets of a node, for gauges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// Bytes, of any kind.
    pub bytes: usize,
    /// Sockets for which something waits.
    pub sockets: usize,
}

impl Hub {
    /// A hub over a log, on a line to other nodes. [`Hub::run`] must be run beside it.
    pub fn new(log: Arc<dyn ReadLog>, line: Line, config: HubConfig) -> Self {
        let Line { node, bus, inbound } = line;
        Self {
            peers: Peers::new(config.peers, Instant::now()),
            config,
            log,
            node,
            bus,
            inbound: Mutex::new(Some(inbound)),
            doubt: Notify::new(),
            rooms: DashMap::new(),
            sessions: DashMap::new(),
            holders: Holders::default(),
            agenda: Agenda::default(),
            presence: Presence::default(),
            typing: Typing::default(),
            inbox: Inbox::default(),
            renewals: Renewals::default(),
            pause: Pause::default(),
            tenants: Tenants::default(),
            moves: Moves::default(),
            changed_rows: Changed::default(),
            changed_presence: Changed::default(),
            announcing: Mutex::default(),
        }
    }

    /// Takes a socket in that has authenticated. Of one too many of a person or device the oldest is closed.
    pub fn open(&self, principal: Arc<Principal>, codec: Codec, outbox: Arc<Outbox>) -> Arc<Session> {
        let session = Arc::new(Session::new(principal, codec, outbox));
        let organization = session.organization();
        self.sessions.insert(session.id(), Arc::clone(&session));
        if let Some(oldest) = self.holders.enter(&self.config.limits, &session) {
            oldest.close(CloseCode::TooManySockets);
        }
        if self.tenants.enter(organization, || self.bus.subscribe(Channel::Organization(organization))) {
            self.ask_soon(organization);
        }
        session
    }

    /// Lets a session go, with everything that hangs on it.
    pub fn leave(&self, session: &Arc<Session>) {
        let was_open = self.sessions.remove(&session.id()).is_some();
        self.holders.leave(session);
        self.inbox.unsubscribe(session);
        for member in session.all_attachments() {
            self.part(&member);
        }
        for room in self.typing.rooms_of(session.id()) {
            self.stop_typing(session, room);
        }
        if was_open && self.tenants.leave(session.organization()) {
            self.presence.forget_organization(session.organization());
        }
    }

    /// Every session of this node.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.iter().map(|session| Arc::clone(session.value())).collect()
    }

    /// Ends a session's attachment to a conversation; nothing when there is none.
    pub fn detach(&self, session: &Arc<Session>, room: RoomKey) {
        if let Some(member) = session.attachment(room) {
            self.part(&member);
        }
    }

    /// What the log tells the hub after each commit.
    pub fn commit_hook(self: &Arc<Self>) -> CommitHook {
        let hub = Arc::clone(self);
        Arc::new(move |handover| {
            let hub = Arc::clone(&hub);
            Box::pin(async move {
                match handover {
                    Handover::Committed(entries) => hub.deliver(entries).await,
                    Handover::Unsure(rooms) => hub.unsure(rooms),
                }
            })
        })
    }

    /// Delivers what this node committed, in any order, to whoever hears it here, and tells the other nodes. Called after COMMIT
    /// and never before; entries of one room keep the order of their numbers, whoever calls.
    pub async fn deliver(&self, entries: Vec<Committed>) {
        let mut by_room: BTreeMap<RoomKey, Vec<Committed>> = BTreeMap::new();
        for entry in entries {
            by_room.entry(entry.room).or_default().push(entry);
        }
        for (key, entries) in by_room {
            self.publish_entries(key, &entries);
            self.row_changed(key);
            if let Some(room) = self.room(key) {
                self.deliver_to(&room, entries).await;
            }
        }
    }

    /// Subscriptions to lists and the marks of changed rows.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The holders whose rights have changed.
    pub fn renewals(&self) -> &Renewals {
        &self.renewals
    }

    /// What the hub holds right now.
    pub fn counts(&self) -> Counts {
        let members = self.rooms.iter().map(|room| room.members().len()).sum();
        Counts { rooms: self.rooms.len(), sessions: self.sessions.len(), members, peers: self.peers.heard_count() }
    }

    /// What waits for the sockets right now.
    pub fn unsent(&self) -> Unsent {
        self.sessions.iter().map(|session| session.outbox().unsent_bytes()).fold(Unsent::default(), |sum, bytes| {
            Unsent { bytes: sum.bytes + bytes, sockets: sum.sockets + usize::from(bytes > 0) }
        })
    }

    async fn deliver_to(&self, room: &Arc<Room>, entries: Vec<Committed>) {
        let accepted = room.accept(entries);
        if let Some(head) = accepted.new_epoch {
            return self.give_up(room, Some(head));
        }
        if accepted.needs_repair {
            self.agenda.at(Instant::now() + self.config.repair_after, Due::Repair(room.key()));
        }
        self.settle_delivery(room, delivery::run(room).await);
    }

    fn settle_delivery(&self, room: &Arc<Room>, delivered: Delivered) {
        if delivered == Delivered::Panicked {
            let conversation = room.key().conversation;
            tracing::error!(conversation.id = %conversation, "a delivery to conversation {conversation} panicked; its room is rebuilt");
            self.give_up(room, None);
        }
    }

    /// Closes a room that cannot go on and has its members attach again.
    fn give_up(&self, room: &Arc<Room>, head: Option<Head>) {
        let members = room.close(head);
        self.forget_room(room);
        for member in members.iter() {
            member.go_stale();
        }
    }

    /// The guard of the map is gone before the caller does anything with the room.
    fn room(&self, key: RoomKey) -> Option<Arc<Room>> {
        self.rooms.get(&key).map(|room| Arc::clone(room.value()))
    }

    /// None when the node holds as many as it may. Those who come in the same instant may make it one or two more.
    fn room_or_new(&self, key: RoomKey) -> Option<Arc<Room>> {
        if self.room(key).is_none() && self.rooms.len() >= self.config.limits.rooms {
            return None;
        }
        let new = || Arc::new(Room::new(key, self.bus.subscribe(Channel::Conversation(key))));
        Some(Arc::clone(self.rooms.entry(key).or_insert_with(new).value()))
    }

    /// Every room that has started, with where it stands.
    fn all_rooms(&self) -> Vec<(Arc<Room>, Head)> {
        self.rooms.iter().filter_map(|room| Some((Arc::clone(room.value()), room.head()?))).collect()
    }

    fn forget_room(&self, room: &Arc<Room>) {
        self.rooms.remove_if(&room.key(), |_, current| Arc::ptr_eq(current, room));
    }

    fn leave_room(&self, member: &Arc<Member>) {
        let now = Instant::now();
        member.retire();
        if member.room().leave(member, now) {
            self.agenda.at(now + self.config.evict_after, Due::Evict(member.room().key()));
        }
    }

    fn evict(&self, key: RoomKey, now: Instant) {
        if let Some(room) = self.room(key)
            && room.close_if_empty(self.config.evict_after, now)
        {
            self.forget_room(&room);
        }
    }
}

/// Locks without minding poison: state under the hub's locks is whole between statements, and panics are contained.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether two names stand for one principal; what it is called may differ.
fn same_person(a: &Who, b: &Who) -> bool {
    a.kind == b.kind && a.id == b.id
}
