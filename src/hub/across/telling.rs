//! What a node tells its peers. Nothing here waits: what cannot be said is told again, or found in the log.

use std::collections::HashSet;
use std::time::Duration;

use parlour_protocol::id::{ConversationId, OrganizationId};
use tokio::time::Instant;
use uuid::Uuid;

use crate::bus::Channel;
use crate::bus::message::{Announced, Held, Message, Presence as Announcement};
use crate::domain::principal::HolderKey;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::hub::agenda::Due;
use crate::hub::presence::EVERY_CONVERSATION;
use crate::hub::{Hub, locked};

/// Changes of presence, and of rows, that come within this time are told together.
const COALESCE: Duration = Duration::from_millis(20);
/// Peers are asked whom they hold after this, so that several reasons are one question.
const ASK_AFTER: Duration = Duration::from_millis(50);
/// How long a question waits to be sure of hearing the answers.
const ASK_PATIENCE: Duration = Duration::from_secs(1);
/// Rooms in one announcement, so that it stays far below what a bus takes.
const ROOMS_PER_ANNOUNCEMENT: usize = 128;
/// When what became of an uncertain commit is looked up: it may still be under way at first.
const UNSURE_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

impl Hub {
    /// Tells peers what was committed here, and notes it for the beacons.
    pub(in crate::hub) fn publish_entries(&self, key: RoomKey, entries: &[Committed]) {
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

    pub(in crate::hub) fn tell_rows(&self) {
        for (organization, conversations) in self.changed_rows.take() {
            for some in conversations.chunks(ROOMS_PER_ANNOUNCEMENT) {
                self.bus.publish(Channel::Organization(organization), Message::Rows(some.to_vec()));
            }
        }
    }

    /// Whom this node holds in a room has changed.
    pub(in crate::hub) fn announce_soon(&self, room: RoomKey) {
        if self.changed_presence.add(room) {
            self.agenda.at(Instant::now() + COALESCE, Due::Announce);
        }
    }

    pub(in crate::hub) fn announce(&self) {
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
    pub(in crate::hub) fn ask_soon(&self, organization: OrganizationId) {
        if self.tenants.begin_asking(organization) {
            self.agenda.at(Instant::now() + ASK_AFTER, Due::Ask(organization));
        }
    }

    /// Asks, and tells whom we hold ourselves: the peer may have missed as much of us.
    pub(in crate::hub) async fn ask(&self, organization: OrganizationId) {
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
    pub(in crate::hub) fn announce_all(&self, organization: OrganizationId) {
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
    pub(in crate::hub) fn send_beacons(&self) {
        for beacon in self.moves.beacons(Instant::now()) {
            self.bus.publish(Channel::Nodes, Message::Beacon(beacon));
        }
    }

    /// After a break nothing is known for sure: everybody is asked anew.
    pub(in crate::hub) fn ask_all(&self) {
        self.tenants.all().into_iter().for_each(|organization| self.ask_soon(organization));
    }

    /// Asks about some organizations, so that everybody is asked about each in `turns` turns: questions and answers get lost.
    pub(in crate::hub) fn ask_in_turn(&self, turn: u64, turns: u64) {
        let is_due =
            |organization: &OrganizationId| organization.0.as_u128() % u128::from(turns) == u128::from(turn % turns);
        self.tenants.all().into_iter().filter(is_due).for_each(|organization| self.ask_soon(organization));
    }

    /// Tells peers that this node has stopped: whoever it held is gone.
    pub fn say_farewell(&self) {
        self.bus.publish(Channel::Nodes, Message::Farewell);
    }
}
