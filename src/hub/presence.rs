//! Who is present in a room: people, not sessions. In memory of this node only; never stored.
//!
//! The first session of a person brings them online; the last one to leave takes them offline after a grace, so that a phone
//! that changes networks does not flicker. This file keeps the books; [`crate::hub`] tells the others.

use std::collections::HashMap;
use std::sync::Mutex;

use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::SessionId;
use parlour_protocol::reply::{Member, PresenceState};
use tokio::time::Instant;

use crate::domain::room::RoomKey;
use crate::hub::{locked, same_person};

/// Who is where.
#[derive(Debug, Default)]
pub struct Presence {
    rooms: Mutex<HashMap<RoomKey, Vec<Present>>>,
}

#[derive(Debug)]
struct Present {
    who: Who,
    sessions: Vec<SessionId>,
    /// When they are gone for good, if no session comes back before.
    leaves_at: Option<Instant>,
}

impl Presence {
    /// A session of a person is in the room; whether that brought the person online.
    pub fn enter(&self, room: RoomKey, who: &Who, session: SessionId) -> bool {
        let mut rooms = locked(&self.rooms);
        let people = rooms.entry(room).or_default();
        if let Some(present) = people.iter_mut().find(|present| same_person(&present.who, who)) {
            present.leaves_at = None;
            if !present.sessions.contains(&session) {
                present.sessions.push(session);
            }
            return false;
        }
        people.push(Present { who: who.clone(), sessions: vec![session], leaves_at: None });
        true
    }

    /// A session left; whether it was the person's last one, so that they go offline at `leaves_at` unless one comes back.
    pub fn leave(&self, room: RoomKey, who: &Who, session: SessionId, leaves_at: Instant) -> bool {
        let mut rooms = locked(&self.rooms);
        let Some(present) =
            rooms.get_mut(&room).and_then(|people| people.iter_mut().find(|present| same_person(&present.who, who)))
        else {
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

    /// Takes a person offline whose grace has run out; whether they went.
    pub fn expire(&self, room: RoomKey, who: &Who, now: Instant) -> bool {
        let mut rooms = locked(&self.rooms);
        let Some(people) = rooms.get_mut(&room) else { return false };
        let before = people.len();
        people.retain(|present| {
            !same_person(&present.who, who) || present.leaves_at.is_none_or(|leaves_at| leaves_at > now)
        });
        let went = people.len() < before;
        if people.is_empty() {
            rooms.remove(&room);
        }
        went
    }

    /// Everybody who is online.
    pub fn members(&self, room: RoomKey) -> Vec<Member> {
        let rooms = locked(&self.rooms);
        let people = rooms.get(&room).map(Vec::as_slice).unwrap_or_default();
        people.iter().map(|present| Member { who: present.who.clone(), state: PresenceState::Online }).collect()
    }

    /// Whether a guest is online.
    pub fn has_guest(&self, room: RoomKey) -> bool {
        let rooms = locked(&self.rooms);
        rooms.get(&room).is_some_and(|people| people.iter().any(|present| present.who.kind == WhoKind::Guest))
    }
}
