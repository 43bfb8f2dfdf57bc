//! Across nodes: what this node tells its peers, and what it makes of what they say. All of it hints ([`crate::bus`]).
//!
//! Entries of peers take the same way as our own, through [`crate::hub::sequence`], which minds neither order nor repetition;
//! a beacon that knows more than a room sends it to the log ([`crate::hub::repair`]). Nothing here may wait for a peer, and
//! nothing that peers say is believed where it decides a right: changed rights are read again from the database.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::id::{ConversationId, OrganizationId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bus::ear::Said;
use crate::bus::message::{Announced, Beacon, Held, Message, Moved, Presence as Announcement, Sign};
use crate::bus::{Channel, Health};
use crate::domain::node::NodeId;
use crate::domain::principal::HolderKey;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::hub::agenda::Due;
use crate::hub::peers::Turn;
use crate::hub::presence::{Change, EVERY_CONVERSATION};
use crate::hub::repair::contain;
use crate::hub::{Hub, locked};

/// Messages taken out of a lane at once, so that entries of one room leave in one turn.
const TAKEN_MAX: usize = 256;
/// Changes of presence, and of rows, that come within this time are told together.
const COALESCE: Duration = Duration::from_millis(20);
/// Peers are asked whom they hold after this, so that several reasons are one question.
const ASK_AFTER: Duration = Duration::from_millis(200);
/// How long a question waits to be sure of hearing the answers.
const ASK_PATIENCE: Duration = Duration::from_secs(1);
/// Rooms in one announcement, so that it stays far below what a bus takes.
const ROOMS_PER_ANNOUNCEMENT: usize = 128;
/// When what became of an uncertain commit is looked up: it may still be under way at first.
const UNSURE_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

impl Hub {
    /// Listens to one lane until it ends.
    pub(super) async fn listen(self: Arc<Self>, mut lane: mpsc::Receiver<Said>) {
        let mut taken = Vec::new();
        while lane.recv_many(&mut taken, TAKEN_MAX).await > 0 {
            let mut entries: BTreeMap<RoomKey, Vec<Committed>> = BTreeMap::new();
            for said in taken.drain(..) {
                match (said.channel, said.message) {
                    (Channel::Conversation(room), Message::Entries(more)) => {
                        entries.entry(room).or_default().extend(more)
                    }
                    (channel, message) => {
                        contain(async { self.hear(said.by, channel, message) }).await;
                    }
                }
            }
            for (key, entries) in entries {
                if let Some(room) = self.room(key) {
                    contain(self.deliver_to(&room, entries)).await;
                }
            }
        }
    }

    /// Takes in what a peer said, besides entries.
    fn hear(&self, by: NodeId, channel: Channel, message: Message) {
        match (channel, message) {
            (Channel::Nodes, Message::Beacon(beacon)) => self.hear_beacon(by, &beacon),
            (Channel::Nodes, Message::Farewell) => {
                self.peers.left(by);
                self.agenda.at(Instant::now() + self.config.farewell_grace, Due::Gone(by));
                // What it committed last and was lost, no beacon of it tells any more.
                self.doubt.notify_one();
            }
            (Channel::Nodes, Message::Asks(organization)) => self.announce_all(organization),
            (Channel::Organization(organization), message) => {
                // What is heard a little longer than it is wanted.
                if self.tenants.has(organization) {
                    self.hear_organization(by, organization, message);
                }
            }
            (Channel::Conversation(room), Message::Sign(sign)) => self.hear_sign(room, sign),
            (channel, _) => tracing::error!(%channel, "a message was heard where it does not belong"),
        }
    }

    fn hear_organization(&self, by: NodeId, organization: OrganizationId, message: Message) {
        match message {
            Message::Rights(holders) => holders.into_iter().for_each(|holder| self.renewals.mark(holder)),
            Message::Rows(conversations) => {
                for conversation in conversations {
                    self.inbox.mark(RoomKey { organization, conversation });
                }
            }
            Message::Presence(announcement) => self.hear_presence(by, organization, announcement),
            Message::Entries(_) | Message::Beacon(_) | Message::Farewell | Message::Asks(_) | Message::Sign(_) => {
                tracing::error!(organization.id = %organization, "a message was heard where it does not belong");
            }
        }
    }

    fn hear_beacon(&self, by: NodeId, beacon: &Beacon) {
        let now = Instant::now();
        if by == self.node {
            return self.peers.echo(now);
        }
        if self.peers.heard(by, now) {
            tracing::info!(node.id = %by, "node {by} is there");
            if beacon.number > 1 {
                // It was there before, and so may be its people: given up too early, it does not tell of them by itself.
                self.ask_all();
            }
        }
        for moved in &beacon.moved {
            if let Some(head) = moved.head {
                self.learn(moved.room, head);
            }
            self.compare_presence(by, moved);
        }
    }

    /// A room's log stands at least here, somebody says.
    fn learn(&self, key: RoomKey, head: Head) {
        let Some(room) = self.room(key) else { return };
        match room.head() {
            Some(known) if known.epoch == head.epoch => {
                if room.learn(head) {
                    self.agenda.at(Instant::now() + self.config.repair_after, Due::Repair(key));
                }
            }
            // The log was restored, perhaps; it is asked itself.
            Some(known) if known.epoch < head.epoch => self.doubt.notify_one(),
            Some(_) | None => {}
        }
    }

    fn compare_presence(&self, by: NodeId, moved: &Moved) {
        let RoomKey { organization, conversation } = moved.room;
        let missed = moved.presence.filter(|last| last.number > self.presence.number(by, moved.room));
        match missed {
            Some(last) if self.tenants.has(organization) => {
                if last.holds {
                    self.ask_soon(organization);
                } else {
                    let nobody = Held { conversation, number: last.number, people: Vec::new() };
                    self.tell_all(self.presence.announced(by, organization, nobody));
                }
            }
            Some(_) | None => {}
        }
    }

    fn hear_presence(&self, by: NodeId, organization: OrganizationId, announcement: Announcement) {
        // Whoever holds somebody is known, and so will be gone one day.
        if self.peers.met(by, Instant::now()) {
            self.ask_all();
        }
        let Announcement { complete, rooms } = announcement;
        let listed: HashSet<ConversationId> = rooms.iter().map(|held| held.conversation).collect();
        for held in rooms {
            self.tell_all(self.presence.announced(by, organization, held));
        }
        if let Some(span) = complete {
            self.tell_all(self.presence.complete(by, organization, span, &listed));
        }
    }

    fn hear_sign(&self, room: RoomKey, sign: Sign) {
        match sign {
            Sign::Typing { who, active: true } => {
                let now = Instant::now();
                if self.typing.begin(room, &who, None, now) {
                    self.show_typing(room, &who, true, now);
                }
            }
            Sign::Typing { who, active: false } => {
                if self.typing.end_elsewhere(room, &who) {
                    self.show_typing(room, &who, false, Instant::now());
                }
            }
            Sign::Receipt { who, staff, guest } => self.tell_receipt(room, &who, staff, guest),
            Sign::Share { share } => self.tell_share(room, &share),
        }
    }

    /// Tells peers what was committed here, and notes it for the beacons.
    pub(super) fn publish_entries(&self, key: RoomKey, entries: &[Committed]) {
        let newest = entries.iter().max_by_key(|entry| (entry.epoch, entry.seq));
        if let Some(newest) = newest {
            // The guest view's number is that of the newest entry in it, which may be an older one.
            let guest_seq = entries.iter().filter_map(|entry| entry.guest_seq).max().unwrap_or(0);
            let head = Head { epoch: newest.epoch, seq: newest.seq, guest_seq };
            self.moves.head(key, head, Instant::now());
        }
        self.bus.publish(Channel::Conversation(key), Message::Entries(entries.to_vec()));
    }

    /// It is not known whether something was committed to these rooms: it is looked up, and told if so.
    pub fn unsure(&self, rooms: Vec<RoomKey>) {
        let now = Instant::now();
        let rooms: Vec<RoomKey> = rooms.into_iter().collect::<HashSet<_>>().into_iter().collect();
        for after in UNSURE_AFTER {
            self.agenda.at(now + after, Due::Unsure(rooms.clone()));
        }
    }

    /// Rights were changed that sessions on any node may stand on: they are read again everywhere.
    pub fn rights_changed(&self, holder: HolderKey) {
        self.renewals.mark(holder);
        self.bus.publish(Channel::Organization(holder.organization), Message::Rights(vec![holder]));
    }

    /// A conversation's row in the lists of its organization's staff may have changed.
    pub fn row_changed(&self, room: RoomKey) {
        self.inbox.mark(room);
        if self.changed_rows.add(room) {
            self.agenda.at(Instant::now() + COALESCE, Due::TellRows);
        }
    }

    pub(super) fn tell_rows(&self) {
        for (organization, conversations) in self.changed_rows.take() {
            for some in conversations.chunks(ROOMS_PER_ANNOUNCEMENT) {
                self.bus.publish(Channel::Organization(organization), Message::Rows(some.to_vec()));
            }
        }
    }

    /// Whom this node holds in a room has changed.
    pub(super) fn announce_soon(&self, room: RoomKey) {
        if self.changed_presence.add(room) {
            self.agenda.at(Instant::now() + COALESCE, Due::Announce);
        }
    }

    pub(super) fn announce(&self) {
        let _in_order = locked(&self.announcing);
        let now = Instant::now();
        for (organization, conversations) in self.changed_presence.take() {
            for some in conversations.chunks(ROOMS_PER_ANNOUNCEMENT) {
                let rooms: Vec<Held> = some
                    .iter()
                    .map(|conversation| {
                        let room = RoomKey { organization, conversation: *conversation };
                        let held = self.presence.announce(room);
                        let announced = Announced { number: held.number, holds: !held.people.is_empty() };
                        self.moves.presence(room, announced, now);
                        held
                    })
                    .collect();
                let announcement = Announcement { complete: None, rooms };
                self.bus.publish(Channel::Organization(organization), Message::Presence(announcement));
            }
        }
    }

    /// Asks peers whom they hold in an organization, a little later.
    pub(super) fn ask_soon(&self, organization: OrganizationId) {
        if self.tenants.begin_asking(organization) {
            self.agenda.at(Instant::now() + ASK_AFTER, Due::Ask(organization));
        }
    }

    /// Asks, and tells whom we hold ourselves: the peer may have missed as much of us.
    pub(super) async fn ask(&self, organization: OrganizationId) {
        let subscription = self.tenants.subscription(organization);
        // Unconfirmed, the question is of no use; when the bus is back everybody is asked.
        let is_heard = match subscription {
            Some(subscription) => subscription.confirmed(ASK_PATIENCE).await,
            None => false,
        };
        // Only now, so that no more than one question about an organization waits.
        self.tenants.end_asking(organization);
        if is_heard {
            self.bus.publish(Channel::Nodes, Message::Asks(organization));
            self.announce_all(organization);
        }
    }

    /// Tells whom this node holds in an organization, all of it.
    pub(super) fn announce_all(&self, organization: OrganizationId) {
        let _in_order = locked(&self.announcing);
        let all = self.presence.held_in(organization);
        let mut chunks = all.chunks(ROOMS_PER_ANNOUNCEMENT).peekable();
        let (mut from, last) = EVERY_CONVERSATION;
        loop {
            let rooms = chunks.next().unwrap_or_default();
            let to = match rooms.last() {
                Some(held) if chunks.peek().is_some() => held.conversation,
                _ => last,
            };
            let announcement = Announcement { complete: Some((from, to)), rooms: rooms.to_vec() };
            self.bus.publish(Channel::Organization(organization), Message::Presence(announcement));
            if to == last {
                return;
            }
            from = ConversationId(Uuid::from_u128(to.0.as_u128() + 1));
        }
    }

    /// Sends this second's beacons.
    pub(super) fn send_beacons(&self) {
        for beacon in self.moves.beacons(Instant::now()) {
            self.bus.publish(Channel::Nodes, Message::Beacon(beacon));
        }
    }

    /// Who else is registered, and how long ago each was alive by the database's clock.
    pub fn registered(&self, nodes: &[(NodeId, Duration)]) {
        let others: Vec<_> = nodes.iter().copied().filter(|(node, _)| *node != self.node).collect();
        self.peers.registered(&others, Instant::now());
    }

    /// What this node is known by among its peers.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Whether peers can neither be told nor heard: their entries are found in the log, seconds later.
    pub fn is_cut_off(&self) -> bool {
        self.bus.health() == Health::Down || self.peers.is_deaf(Instant::now())
    }

    /// Tells peers that this node has stopped: whoever it held is gone.
    pub fn say_farewell(&self) {
        self.bus.publish(Channel::Nodes, Message::Farewell);
    }

    /// Looks who can be heard, and tells members whose friends are out of sight.
    pub(super) fn look_around(&self) {
        let now = Instant::now();
        // One line tells of one trouble: a bus that is down says so itself, and while we are deaf every peer is unheard.
        let is_told = self.bus.health() == Health::Down;
        for turn in self.peers.turns(now) {
            match turn {
                Turn::Deaf if !is_told => {
                    tracing::warn!(
                        "our own beacons do not come back: what other nodes do is read from the log, a little later"
                    );
                }
                Turn::Hearing => tracing::info!("our own beacons come back again"),
                Turn::Deaf => {}
                Turn::Heard(node) => {
                    self.tell_all(self.presence.set_heard(node, true));
                    // Its silence may have been longer than its beacons repeat: who came and left meanwhile is not known.
                    self.ask_all();
                }
                Turn::Unheard(node) => {
                    if !is_told && !self.peers.is_deaf(now) {
                        tracing::warn!(node.id = %node, "node {node} cannot be heard; whoever it holds is shown as unknown");
                    }
                    self.tell_all(self.presence.set_heard(node, false));
                }
                Turn::Gone(node) => {
                    tracing::warn!(node.id = %node, "node {node} is gone");
                    self.gone(node);
                }
            }
        }
    }

    /// A peer is gone with everybody it alone held.
    pub(super) fn gone(&self, node: NodeId) {
        self.tell_all(self.presence.forget(node));
    }

    /// After a break nothing is known for sure: everybody is asked anew.
    pub(super) fn ask_all(&self) {
        self.tenants.all().into_iter().for_each(|organization| self.ask_soon(organization));
    }

    /// Asks about some organizations, so that everybody is asked about each in `turns` turns: questions and answers get lost.
    pub(super) fn ask_in_turn(&self, turn: u64, turns: u64) {
        let is_due =
            |organization: &OrganizationId| organization.0.as_u128() % u128::from(turns) == u128::from(turn % turns);
        self.tenants.all().into_iter().filter(is_due).for_each(|organization| self.ask_soon(organization));
    }

    fn tell_all(&self, changes: Vec<Change>) {
        changes.iter().for_each(|change| self.tell_change(change, |_| true));
    }
}
