//! The people and machines of a simulated world: nodes that live and die, clients that come, go and come back.
//!
//! They act; what is right is decided in [`crate::hub::simulation::reader`] and [`crate::hub::simulation::world`]. Every name is
//! made of the seed, so that one seed is one history.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlour_protocol::codec::Codec;
use parlour_protocol::entry::Position;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{ConversationId, GuestId, OrganizationId, PersonId, ShareId};
use parlour_protocol::reply::ConversationRef;
use parlour_protocol::share::{Permission, Right};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bus::Line;
use crate::domain::node::NodeId;
use crate::domain::policy::{self, Facts};
use crate::domain::principal::{Actor, Organization, Principal, View};
use crate::domain::role::Role;
use crate::domain::room::RoomKey;
use crate::hub::catch_up::Welcome;
use crate::hub::outbox::Outbox;
use crate::hub::session::Session;
use crate::hub::simulation::ledger::Way;
use crate::hub::simulation::network::Network;
use crate::hub::simulation::plan::{Casting, mix};
use crate::hub::simulation::reader::{Reader, Tap, person};
use crate::hub::{Hub, HubConfig, locked};

/// The room of a number; every other one is of another organization.
pub fn room(seed: u64, number: usize) -> RoomKey {
    RoomKey {
        organization: OrganizationId(name(seed, "organization", number as u64 % 2)),
        conversation: ConversationId(name(seed, "conversation", number as u64)),
    }
}

/// A name that depends on nothing but the seed and what it is for.
pub fn name(seed: u64, kind: &str, number: u64) -> Uuid {
    let kind = kind.bytes().fold(0, |sum: u64, byte| sum * 31 + u64::from(byte));
    Uuid::from_u64_pair(mix(&[seed, kind, number]), mix(&[number, kind, seed]))
}

/// A node in one of its lives.
pub struct Node {
    pub hub: Arc<Hub>,
    pub id: NodeId,
    pub up_since: Instant,
    /// Attaches, deliveries and the hub's own upkeep; they die with the node.
    pub tasks: JoinSet<()>,
    /// When its farewell is complete.
    pub stops_at: Option<Instant>,
    /// Until when it withholds entries.
    pub withholds_until: Option<Instant>,
}

impl Node {
    /// Starts a node.
    pub fn start(network: &Arc<Network>, way: Way, id: NodeId, config: HubConfig) -> Self {
        let (phone, inbound) = network.join(id, way.node);
        let hub = Arc::new(Hub::new(Arc::new(way), Line { node: id, bus: Arc::new(phone), inbound }, config));
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&hub).run(CancellationToken::new()));
        Self { hub, id, up_since: Instant::now(), tasks, stops_at: None, withholds_until: None }
    }
}

/// How a client stands.
#[derive(Clone, Debug)]
pub enum Phase {
    /// Not attached, and not on its way.
    Out,
    /// It asked; a refusal will be left here.
    Attaching(Arc<Mutex<Option<ErrorBody>>>),
    /// It was refused, or its node died, and it tries again then.
    Waiting(Instant),
    Live,
    /// It is attached and hears no entries until it is told more.
    Paused,
}

/// A client.
pub struct Client {
    pub casting: Casting,
    pub reader: Reader,
    pub node: usize,
    pub session: Option<Arc<Session>>,
    pub tap: Arc<Tap>,
    pub phase: Phase,
    /// Whether it looks at the conversation, as far as its node knows.
    pub is_viewing: bool,
    /// Since when it has been present without a break.
    pub present_since: Option<Instant>,
    /// Since when it hears entries, and its socket takes everything.
    pub hears_since: Instant,
    /// Since when it has wanted to be live and could be.
    pub able_since: Instant,
    pub stalls_until: Option<Instant>,
    who: String,
    principal: Arc<Principal>,
    asked: u64,
}

impl Client {
    pub fn new(seed: u64, casting: Casting) -> Self {
        let key = room(seed, casting.room);
        let principal = Arc::new(principal(seed, casting, key));
        let codec = if casting.is_guest { Codec::MessagePack } else { Codec::Json };
        let now = Instant::now();
        Self {
            casting,
            reader: Reader::new(key, principal.view(), codec),
            node: casting.node,
            session: None,
            tap: Arc::default(),
            phase: Phase::Out,
            is_viewing: false,
            present_since: None,
            hears_since: now,
            able_since: now,
            stalls_until: None,
            who: person(&serde_json::to_value(principal.who()).expect("a name is JSON")),
            principal,
            asked: 0,
        }
    }

    /// Who it is in the eyes of others.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// Whether it hears entries now, and nothing keeps it.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live) && self.stalls_until.is_none()
    }

    /// Whether it is, or may be, attached.
    pub fn may_be_present(&self) -> bool {
        !matches!(self.phase, Phase::Out)
    }

    pub fn facts(&self) -> Facts {
        let RoomKey { organization, conversation } = self.reader.room;
        Facts { organization, conversation, user_id: None, assigned_to: None, watchers: Vec::new(), access_version: 1 }
    }

    /// Opens a socket at a node.
    pub fn connect(&mut self, node: usize, hub: &Arc<Hub>) {
        self.tap = Arc::default();
        self.reader.reconnect();
        let outbox = Arc::new(Outbox::new(Arc::clone(&self.tap) as _));
        self.session = Some(hub.open(Arc::clone(&self.principal), self.reader.codec, outbox));
        self.node = node;
        self.stalls_until = None;
    }

    /// Closes its socket, without reading what is still in it.
    pub fn disconnect(&mut self, hub: &Arc<Hub>) {
        if let Some(session) = self.session.take() {
            hub.leave(&session);
        }
        self.tap = Arc::default();
        self.phase = Phase::Out;
        self.present_since = None;
        self.is_viewing = false;
        self.stalls_until = None;
    }

    /// Attaches from where it stands.
    pub fn attach(&mut self, node: &mut Node) {
        let Some(session) = self.session.clone() else { return };
        self.asked += 1;
        // Looking ends with the attachment.
        self.is_viewing = false;
        self.reader.attach_began = Instant::now();
        self.reader.forget_typing();
        let refusal = Arc::<Mutex<Option<ErrorBody>>>::default();
        self.phase = Phase::Attaching(Arc::clone(&refusal));
        let grant = policy::authorize(&session.principal(), &self.facts()).expect("everybody may read");
        let since = self.reader.position.map(|seq| Position { epoch: 1, seq });
        let (hub, asked, id) = (Arc::clone(&node.hub), self.asked, self.reader.room.conversation);
        node.tasks.spawn(async move {
            let conversation = ConversationRef { id, title: "Lisbon".to_owned(), status: None, stage: None };
            let welcome = Welcome { conversation, rights: vec![Right::Read], seen: None, receipts: Vec::new() };
            if let Err(error) = hub.attach(&session, asked, grant, since, async { Ok(welcome) }).await {
                *locked(&refusal) = Some(error);
            }
        });
    }

    /// When it tries again, if it was refused.
    pub fn refused(&mut self) {
        if let Phase::Attaching(refusal) = &self.phase
            && locked(refusal).is_some()
        {
            self.present_since = None;
            self.phase = Phase::Waiting(Instant::now() + Duration::from_millis(500));
        }
    }

    /// Takes what the socket holds.
    pub fn flush(&self) {
        if let Some(session) = &self.session {
            session.outbox().flush();
            session.announce_stale();
        }
    }
}

fn principal(seed: u64, casting: Casting, room: RoomKey) -> Principal {
    let organization = Organization { id: room.organization, name: "Meridian".to_owned(), active: true, version: 1 };
    // Different for both kinds: by name and id people are told in order.
    let id = name(seed, if casting.is_guest { "guest" } else { "staff" }, casting.person as u64);
    let actor = match casting.is_guest {
        true => Actor::Guest {
            guest: GuestId(id),
            share: ShareId(id),
            conversation: room.conversation,
            permissions: vec![Permission::View, Permission::Respond],
        },
        false => {
            let role = Role::find("dmc_admin").expect("a role of ours");
            Actor::Staff { person: PersonId(id), role, permissions: role.permissions(), session_version: 1 }
        }
    };
    Principal { organization, name: "Somebody".to_owned(), version: 1, ends_at: None, actor }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let view = if self.reader.view == View::Guest { "guest" } else { "staff" };
        let (person, node, position) = (self.casting.person, self.node, self.reader.position);
        write!(f, "{view} {person} in room {} at node {node}, {position:?}, {:?}", self.casting.room, self.phase)
    }
}
