//! Who is present in a room: people, not sessions, on whichever node. In memory only; never stored.
//!
//! The first session of a person brings them online; the last one to leave takes them offline after a grace, so that a phone
//! that changes networks does not flicker. Peers announce whom they hold; who is held only by peers that cannot be heard right
//! now is `unknown`, not gone. Who looks at the conversation right now is `viewing`; that is for staff alone. This file keeps
//! the books and says what changed; [`crate::hub::told`] tells the others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Mutex;

use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::{ConversationId, OrganizationId, SessionId};
use parlour_protocol::reply::{Member, PresenceState};
use tokio::time::Instant;

use crate::bus::message::{Held, HeldPerson};
use crate::domain::node::NodeId;
use crate::domain::principal::View;
use crate::domain::room::RoomKey;
use crate::hub::locked;

/// Who is where.
#[derive(Debug, Default)]
pub struct Presence {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// In the order of organizations, so that one's rooms lie together.
    rooms: BTreeMap<RoomKey, HashMap<PersonKey, Present>>,
    /// The last announcement of every peer about a room in which it holds somebody.
    held: HashMap<NodeId, BTreeMap<RoomKey, u64>>,
    /// Peers that cannot be heard right now.
    unheard: HashSet<NodeId>,
    /// Our own announcements so far.
    announcements: u64,
    /// The last of them about each room in which we hold somebody.
    announced: HashMap<RoomKey, u64>,
}

/// Two names stand for one principal when these agree.
type PersonKey = (WhoKind, String);

#[derive(Debug)]
struct Present {
    who: Who,
    sessions: Vec<SessionId>,
    /// Those of the sessions that show the conversation.
    viewers: Vec<SessionId>,
    /// When they are gone from this node for good, if no session comes back before.
    leaves_at: Option<Instant>,
    /// Peers that hold them, and whether they look at the conversation there.
    peers: Vec<(NodeId, bool)>,
}

/// How somebody stands in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether present.
    pub state: PresenceState,
    /// Whether the conversation is on a screen of theirs, as far as is known.
    pub viewing: bool,
}

impl Standing {
    /// Of whom nobody holds.
    pub(super) const GONE: Self = Self { state: PresenceState::Offline, viewing: false };

    /// As a view is told it: guests do not learn who looks.
    pub fn in_view(self, view: View) -> Self {
        Self { viewing: self.viewing && view == View::Staff, ..self }
    }
}

/// The span of all conversations there may be.
pub const EVERY_CONVERSATION: (ConversationId, ConversationId) =
    (ConversationId(uuid::Uuid::nil()), ConversationId(uuid::Uuid::max()));

/// Somebody's standing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which room.
    pub room: RoomKey,
    /// Who.
    pub who: Who,
    /// How they stood.
    pub before: Standing,
    /// How they stand.
    pub standing: Standing,
}

/// What came of a change on this node.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What the others are to be told, if anything.
    pub change: Option<Change>,
    /// Whom this node holds has changed: peers are to be told.
    pub is_news: bool,
}

impl Presence {
    /// A session of a person is in the room.
    pub fn enter(&self, room: RoomKey, who: &Who, session: SessionId) -> Settled {
        let mut books = locked(&self.books);
        books.settle(room, who, |present| {
            let was_held = present.is_here();
            present.leaves_at = None;
            if !present.sessions.contains(&session) {
                present.sessions.push(session);
            }
            !was_held
        })
    }

    /// A session left, and looks no more; whether it was the person's last one here, so that they go offline at `leaves_at`
    /// unless one comes back.
    pub fn leave(&self, room: RoomKey, who: &Who, session: SessionId, leaves_at: Instant) -> (bool, Settled) {
        let mut was_last = false;
        let settled = self.settle_known(room, who, |present| {
            let before = present.sessions.len();
            present.sessions.retain(|other| *other != session);
            was_last = before > 0 && present.sessions.is_empty();
            if was_last {
                present.leaves_at = Some(leaves_at);
            }
            present.set_viewing(session, false)
        });
        (was_last, settled)
    }

    /// A session that is in the room shows the conversation, or no longer does.
    pub fn view(&self, room: RoomKey, who: &Who, session: SessionId, viewing: bool) -> Settled {
        self.settle_known(room, who, |present| present.set_viewing(session, viewing))
    }

    /// Lets a person go whose grace has run out.
    pub fn expire(&self, room: RoomKey, who: &Who, now: Instant) -> Settled {
        self.settle_known(room, who, |present| {
            let is_over = present.leaves_at.is_some_and(|leaves_at| leaves_at <= now);
            if is_over {
                present.leaves_at = None;
            }
            is_over
        })
    }

    /// As [`Books::settle`], for somebody who has a record; nobody is invented.
    fn settle_known(&self, room: RoomKey, who: &Who, act: impl FnOnce(&mut Present) -> bool) -> Settled {
        let mut books = locked(&self.books);
        if !books.rooms.get(&room).is_some_and(|people| people.contains_key(&key(who))) {
            return Settled::default();
        }
        books.settle(room, who, act)
    }

    /// A peer said whom it holds in a room; what changed by it. An announcement older than the last is nothing.
    pub fn announced(&self, node: NodeId, organization: OrganizationId, held: Held) -> Vec<Change> {
        let room = RoomKey { organization, conversation: held.conversation };
        locked(&self.books).take(node, room, held.number, held.people)
    }

    /// A peer listed every room from the first to the last of `span` in which it holds somebody; what changed in the others.
    pub fn complete(
        &self,
        node: NodeId,
        organization: OrganizationId,
        span: (ConversationId, ConversationId),
        listed: &HashSet<ConversationId>,
    ) -> Vec<Change> {
        let mut books = locked(&self.books);
        let room = |conversation| RoomKey { organization, conversation };
        let Some(held) = books.held.get(&node).filter(|_| span.0 <= span.1) else { return Vec::new() };
        let between = held.range(room(span.0)..=room(span.1));
        let gone: Vec<(RoomKey, u64)> =
            between.filter(|(room, _)| !listed.contains(&room.conversation)).map(|(room, n)| (*room, *n)).collect();
        gone.into_iter().flat_map(|(room, number)| books.take(node, room, number + 1, Vec::new())).collect()
    }

    /// A peer is gone, with everybody it alone held.
    pub fn forget(&self, node: NodeId) -> Vec<Change> {
        let mut books = locked(&self.books);
        let rooms: Vec<(RoomKey, u64)> =
            books.held.get(&node).into_iter().flatten().map(|(room, number)| (*room, *number)).collect();
        let changes =
            rooms.into_iter().flat_map(|(room, number)| books.take(node, room, number + 1, Vec::new())).collect();
        books.held.remove(&node);
        books.unheard.remove(&node);
        changes
    }

    /// A peer can be heard again, or not right now.
    pub fn set_heard(&self, node: NodeId, is_heard: bool) -> Vec<Change> {
        let mut books = locked(&self.books);
        let was_heard = if is_heard { !books.unheard.remove(&node) } else { books.unheard.insert(node) };
        if was_heard == is_heard {
            return Vec::new();
        }
        let rooms: Vec<RoomKey> = books.held.get(&node).into_iter().flatten().map(|(room, _)| *room).collect();
        rooms.into_iter().flat_map(|room| books.turned(room, node, is_heard)).collect()
    }

    /// Nothing is heard of an organization any more, because nobody of it is here: what peers said about it is forgotten.
    pub fn forget_organization(&self, organization: OrganizationId) {
        let mut books = locked(&self.books);
        let Books { rooms, held, .. } = &mut *books;
        for held in held.values_mut() {
            let its: Vec<RoomKey> = held.range(span(organization)).map(|(room, _)| *room).collect();
            for room in its {
                held.remove(&room);
            }
        }
        let its: Vec<RoomKey> = rooms.range(span(organization)).map(|(room, _)| *room).collect();
        for room in its {
            let Some(people) = rooms.get_mut(&room) else { continue };
            people.values_mut().for_each(|present| present.peers.clear());
            people.retain(|_, present| present.is_here());
            if people.is_empty() {
                rooms.remove(&room);
            }
        }
    }

    /// The number of a peer's last announcement about a room; 0 when it holds nobody there.
    pub fn number(&self, node: NodeId, room: RoomKey) -> u64 {
        locked(&self.books).held.get(&node).and_then(|rooms| rooms.get(&room)).copied().unwrap_or(0)
    }

    /// Whom this node itself holds in a room now, to be announced.
    pub fn announce(&self, room: RoomKey) -> Held {
        let mut books = locked(&self.books);
        let people = books.rooms.get(&room).map(here).unwrap_or_default();
        books.announcements += 1;
        let number = books.announcements;
        if people.is_empty() {
            books.announced.remove(&room);
        } else {
            books.announced.insert(room, number);
        }
        Held { conversation: room.conversation, number, people }
    }

    /// Whom this node itself holds in an organization, in the order of conversations, as announced before.
    pub fn held_in(&self, organization: OrganizationId) -> Vec<Held> {
        let books = locked(&self.books);
        let held = books.rooms.range(span(organization)).map(|(room, people)| Held {
            conversation: room.conversation,
            // What is held but not announced yet will be, with a higher number.
            number: books.announced.get(room).copied().unwrap_or(0),
            people: here(people),
        });
        held.filter(|held| !held.people.is_empty()).collect()
    }

    /// How somebody stands in a room now.
    pub fn standing(&self, room: RoomKey, who: &Who) -> Standing {
        let books = locked(&self.books);
        let present = books.rooms.get(&room).and_then(|people| people.get(&key(who)));
        present.and_then(|present| present.standing(&books.unheard)).unwrap_or(Standing::GONE)
    }

    /// Everybody who is, or may be, there, as a view is told it.
    pub fn members(&self, room: RoomKey, view: View) -> Vec<Member> {
        let books = locked(&self.books);
        let people = books.rooms.get(&room).into_iter().flat_map(HashMap::values);
        let mut members: Vec<Member> = people
            .filter_map(|present| {
                let Standing { state, viewing } = present.standing(&books.unheard)?.in_view(view);
                Some(Member { who: present.who.clone(), state, viewing })
            })
            .collect();
        members.sort_by(|a, b| (&a.who.name, &a.who.id).cmp(&(&b.who.name, &b.who.id)));
        members
    }

    /// Whether a guest is online.
    pub fn has_guest(&self, room: RoomKey) -> bool {
        let books = locked(&self.books);
        let is_online = |present: &Present| {
            present.standing(&books.unheard).is_some_and(|standing| standing.state == PresenceState::Online)
        };
        books.rooms.get(&room).is_some_and(|people| {
            people.values().any(|present| present.who.kind == WhoKind::Guest && is_online(present))
        })
    }
}

impl Books {
    /// Changes one person's record, which is made when missing and dropped when nobody holds them any more.
    fn settle(&mut self, room: RoomKey, who: &Who, act: impl FnOnce(&mut Present) -> bool) -> Settled {
        let mut is_news = false;
        let change = self.change(room, who, |present| is_news = act(present));
        Settled { change, is_news }
    }

    fn change(&mut self, room: RoomKey, who: &Who, act: impl FnOnce(&mut Present)) -> Option<Change> {
        let people = self.rooms.entry(room).or_default();
        let present = people.entry(key(who)).or_insert_with(|| Present::new(who));
        let before = present.standing(&self.unheard);
        act(present);
        let after = present.standing(&self.unheard);
        if after.is_none() {
            people.remove(&key(who));
            if people.is_empty() {
                self.rooms.remove(&room);
            }
        }
        let (before, standing) = (before.unwrap_or(Standing::GONE), after.unwrap_or(Standing::GONE));
        (before != standing).then(|| Change { room, who: who.clone(), before, standing })
    }

    /// Takes an announcement in.
    fn take(&mut self, node: NodeId, room: RoomKey, number: u64, people: Vec<HeldPerson>) -> Vec<Change> {
        let rooms = self.held.entry(node).or_default();
        if rooms.get(&room).is_some_and(|last| *last >= number) {
            return Vec::new();
        }
        if people.is_empty() {
            rooms.remove(&room);
        } else {
            rooms.insert(room, number);
        }
        let listed: HashSet<PersonKey> = people.iter().map(|held| key(&held.who)).collect();
        let known = self.rooms.get(&room).into_iter().flat_map(HashMap::iter);
        let gone = known.filter(|(key, present)| present.is_held_by(node) && !listed.contains(*key));
        let gone: Vec<Who> = gone.map(|(_, present)| present.who.clone()).collect();
        let left: Vec<Option<Change>> = gone
            .iter()
            .map(|who| self.change(room, who, |present| present.peers.retain(|(peer, _)| *peer != node)))
            .collect();
        let came = people.iter().map(|HeldPerson { who, viewing }| {
            self.change(room, who, |present| {
                present.peers.retain(|(peer, _)| *peer != node);
                present.peers.push((node, *viewing));
            })
        });
        came.chain(left).flatten().collect()
    }

    /// What changed in a room when a peer came into or out of hearing; `unheard` says so already.
    fn turned(&self, room: RoomKey, node: NodeId, is_heard: bool) -> Vec<Change> {
        let mut before = self.unheard.clone();
        if is_heard {
            before.insert(node)
        } else {
            before.remove(&node)
        };
        let people = self.rooms.get(&room).into_iter().flat_map(HashMap::values);
        let held = people.filter(|present| present.is_held_by(node));
        held.filter_map(|present| {
            let (before, standing) = (present.standing(&before)?, present.standing(&self.unheard)?);
            (before != standing).then(|| Change { room, who: present.who.clone(), before, standing })
        })
        .collect()
    }
}

impl Present {
    fn new(who: &Who) -> Self {
        Self { who: who.clone(), sessions: Vec::new(), viewers: Vec::new(), leaves_at: None, peers: Vec::new() }
    }

    fn is_here(&self) -> bool {
        !self.sessions.is_empty() || self.leaves_at.is_some()
    }

    fn is_held_by(&self, node: NodeId) -> bool {
        self.peers.iter().any(|(peer, _)| *peer == node)
    }

    /// Whether what peers are told has changed by it.
    fn set_viewing(&mut self, session: SessionId, viewing: bool) -> bool {
        let was_viewing = !self.viewers.is_empty();
        self.viewers.retain(|other| *other != session);
        if viewing && self.sessions.contains(&session) {
            self.viewers.push(session);
        }
        was_viewing == self.viewers.is_empty()
    }

    /// None: nobody holds them.
    fn standing(&self, unheard: &HashSet<NodeId>) -> Option<Standing> {
        let mut heard = self.peers.iter().filter(|(peer, _)| !unheard.contains(peer));
        let viewing = !self.viewers.is_empty() || heard.clone().any(|(_, viewing)| *viewing);
        if self.is_here() || heard.next().is_some() {
            return Some(Standing { state: PresenceState::Online, viewing });
        }
        (!self.peers.is_empty()).then_some(Standing { state: PresenceState::Unknown, viewing })
    }
}

fn key(who: &Who) -> PersonKey {
    (who.kind, who.id.clone())
}

/// All rooms of an organization.
fn span(organization: OrganizationId) -> RangeInclusive<RoomKey> {
    let (first, last) = EVERY_CONVERSATION;
    RoomKey { organization, conversation: first }..=RoomKey { organization, conversation: last }
}

fn here(people: &HashMap<PersonKey, Present>) -> Vec<HeldPerson> {
    let held = people.values().filter(|present| present.is_here());
    held.map(|present| HeldPerson { who: present.who.clone(), viewing: !present.viewers.is_empty() }).collect()
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
