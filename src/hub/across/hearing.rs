//! What a node makes of what its peers say. Never waits for anybody, and never believes where a right is decided.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parlour_protocol::id::{ConversationId, OrganizationId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::bus::Channel;
use crate::bus::inbound::Received;
use crate::bus::message::{Beacon, Held, Message, Moved, Presence as Announcement, Sign};
use crate::domain::node::NodeId;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::hub::Hub;
use crate::hub::agenda::Due;
use crate::hub::repair::contain;

/// Messages taken out of a lane at once, so that entries of one room leave in one turn.
const TAKEN_MAX: usize = 256;

impl Hub {
    /// Listens to one lane until it ends.
    pub(in crate::hub) async fn listen(self: Arc<Self>, mut lane: mpsc::Receiver<Received>) {
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
            Sign::Seen { seen } => self.tell_seen(room, &seen),
            Sign::Share { share } => self.tell_share(room, &share),
        }
    }
}
