//! Who is present in a room: people, not sessions, on whichever node. In memory only; never stored.
//!
//! The first session of a person brings them online; the last one to leave takes them offline after a grace, so that a phone
//! that changes networks does not flicker. Peers announce whom they hold; who is held only by peers that cannot be heard right
//! now is `unknown`, not gone. This file keeps the books and says what changed; [`crate::hub::signs`] tells the others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Mutex;

use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::{ConversationId, OrganizationId, SessionId};
use parlour_protocol::reply::{Member, PresenceState};
use tokio::time::Instant;

use crate::bus::message::Held;
use crate::domain::node::NodeId;
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
    /// When they are gone from this node for good, if no session comes back before.
    leaves_at: Option<Instant>,
    /// Peers that hold them.
    peers: Vec<NodeId>,
}

/// The span of all conversations there may be.
pub const EVERY_CONVERSATION: (ConversationId, ConversationId) =
    (ConversationId(uuid::Uuid::nil()), ConversationId(uuid::Uuid::max()));

/// Somebody's state has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which room.
    pub room: RoomKey,
    /// Who.
    pub who: Who,
    /// To what.
    pub state: PresenceState,
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

    /// A session left; whether it was the person's last one here, so that they go offline at `leaves_at` unless one comes back.
    pub fn leave(&self, room: RoomKey, who: &Who, session: SessionId, leaves_at: Instant) -> bool {
        let mut books = locked(&self.books);
        let Some(present) = books.rooms.get_mut(&room).and_then(|people| people.get_mut(&key(who))) else {
            return false;
        };
        let before = present.sessions.len();
        present.sessions.retain(|other| *other != session);
        let was_last = before > 0 && present.sessions.is_empty();
        if was_last {
            present.leaves_at = Some(leaves_at);
        }
        was_last
    }

    /// Lets a person go whose grace has run out.
    pub fn expire(&self, room: RoomKey, who: &Who, now: Instant) -> Settled {
        let mut books = locked(&self.books);
        if !books.rooms.get(&room).is_some_and(|people| people.contains_key(&key(who))) {
            return Settled::default();
        }
        books.settle(room, who, |present| {
            let is_over = present.leaves_at.is_some_and(|leaves_at| leaves_at <= now);
            if is_over {
                present.leaves_at = None;
            }
            is_over
        })
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
    pub fn state(&self, room: RoomKey, who: &Who) -> PresenceState {
        let books = locked(&self.books);
        let present = books.rooms.get(&room).and_then(|people| people.get(&key(who)));
        present.and_then(|present| present.state(&books.unheard)).unwrap_or(PresenceState::Offline)
    }

    /// Everybody who is, or may be, there.
    pub fn members(&self, room: RoomKey) -> Vec<Member> {
        let books = locked(&self.books);
        let people = books.rooms.get(&room).into_iter().flat_map(HashMap::values);
        let mut members: Vec<Member> = people
            .filter_map(|present| Some(Member { who: present.who.clone(), state: present.state(&books.unheard)? }))
            .collect();
        members.sort_by(|a, b| (&a.who.name, &a.who.id).cmp(&(&b.who.name, &b.who.id)));
        members
    }

    /// Whether a guest is online.
    pub fn has_guest(&self, room: RoomKey) -> bool {
        let books = locked(&self.books);
        let is_online = |present: &Present| present.state(&books.unheard) == Some(PresenceState::Online);
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
        let before = present.state(&self.unheard);
        act(present);
        let after = present.state(&self.unheard);
        if after.is_none() {
            people.remove(&key(who));
            if people.is_empty() {
                self.rooms.remove(&room);
            }
        }
        let state = after.unwrap_or(PresenceState::Offline);
        (before != after).then(|| Change { room, who: who.clone(), state })
    }

    /// Takes an announcement in.
    fn take(&mut self, node: NodeId, room: RoomKey, number: u64, people: Vec<Who>) -> Vec<Change> {
        let rooms = self.held.entry(node).or_default();
        if rooms.get(&room).is_some_and(|last| *last >= number) {
            return Vec::new();
        }
        if people.is_empty() {
            rooms.remove(&room);
        } else {
            rooms.insert(room, number);
        }
        let listed: HashSet<PersonKey> = people.iter().map(key).collect();
        let known = self.rooms.get(&room).into_iter().flat_map(HashMap::iter);
        let gone = known.filter(|(key, present)| present.peers.contains(&node) && !listed.contains(*key));
        let gone: Vec<Who> = gone.map(|(_, present)| present.who.clone()).collect();
        let left: Vec<Option<Change>> = gone
            .iter()
            .map(|who| self.change(room, who, |present| present.peers.retain(|peer| *peer != node)))
            .collect();
        let came = people.iter().map(|who| {
            self.change(room, who, |present| {
                if !present.peers.contains(&node) {
                    present.peers.push(node);
                }
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
        let held = people.filter(|present| present.peers.contains(&node));
        held.filter_map(|present| {
            let state = present.state(&self.unheard)?;
            (present.state(&before) != Some(state)).then(|| Change { room, who: present.who.clone(), state })
        })
        .collect()
    }
}

impl Present {
    fn new(who: &Who) -> Self {
        Self { who: who.clone(), sessions: Vec::new(), leaves_at: None, peers: Vec::new() }
    }

    fn is_here(&self) -> bool {
        !self.sessions.is_empty() || self.leaves_at.is_some()
    }

    /// None: nobody holds them.
    fn state(&self, unheard: &HashSet<NodeId>) -> Option<PresenceState> {
        if self.is_here() || self.peers.iter().any(|peer| !unheard.contains(peer)) {
            return Some(PresenceState::Online);
        }
        (!self.peers.is_empty()).then_some(PresenceState::Unknown)
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

fn here(people: &HashMap<PersonKey, Present>) -> Vec<Who> {
    people.values().filter(|present| present.is_here()).map(|present| present.who.clone()).collect()
}
