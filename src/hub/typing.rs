//! Typing signs: who types where, until when. Never stored; a sign that is not renewed ends by itself.
//!
//! This file keeps the books; [`crate::hub`] tells the others.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use parlour_protocol::entry::Who;
use parlour_protocol::id::SessionId;
use parlour_protocol::limits::TYPING_EXPIRES_MS;
use tokio::time::Instant;

use crate::domain::room::RoomKey;
use crate::hub::{locked, same_person};

/// Life of a sign without renewal.
pub const EXPIRES: Duration = Duration::from_millis(TYPING_EXPIRES_MS);
/// A renewal sooner than this after the last one told nobody anything new.
const QUIET: Duration = Duration::from_secs(1);

/// Who types where.
#[derive(Debug, Default)]
pub struct Typing {
    rooms: Mutex<HashMap<RoomKey, Vec<Typist>>>,
}

#[derive(Debug)]
struct Typist {
    who: Who,
    /// None: they type at another node.
    session: Option<SessionId>,
    told_at: Instant,
    ends_at: Instant,
}

impl Typing {
    /// A person types, in a session of this node or at another one; whether the others should be told.
    pub fn begin(&self, room: RoomKey, who: &Who, session: Option<SessionId>, now: Instant) -> bool {
        let mut rooms = locked(&self.rooms);
        let typists = rooms.entry(room).or_default();
        let ends_at = now + EXPIRES;
        match typists.iter_mut().find(|typist| same_person(&typist.who, who)) {
            Some(typist) if now.duration_since(typist.told_at) < QUIET => false,
            Some(typist) => {
                *typist = Typist { who: who.clone(), session, told_at: now, ends_at };
                true
            }
            None => {
                typists.push(Typist { who: who.clone(), session, told_at: now, ends_at });
                true
            }
        }
    }

    /// A session's person stopped typing; whether there was a sign to end.
    pub fn end(&self, room: RoomKey, session: SessionId) -> bool {
        self.remove(room, |typist| typist.session == Some(session))
    }

    /// A person stopped typing at another node; whether there was a sign to end.
    pub fn end_elsewhere(&self, room: RoomKey, who: &Who) -> bool {
        self.remove(room, |typist| typist.session.is_none() && same_person(&typist.who, who))
    }

    /// Ends a sign whose time has run out; whether there was one.
    pub fn expire(&self, room: RoomKey, who: &Who, now: Instant) -> bool {
        self.remove(room, |typist| same_person(&typist.who, who) && typist.ends_at <= now)
    }

    /// Where a session's person types.
    pub fn rooms_of(&self, session: SessionId) -> Vec<RoomKey> {
        let rooms = locked(&self.rooms);
        let typing = rooms.iter().filter(|(_, typists)| typists.iter().any(|typist| typist.session == Some(session)));
        typing.map(|(room, _)| *room).collect()
    }

    fn remove(&self, room: RoomKey, gone: impl Fn(&Typist) -> bool) -> bool {
        let mut rooms = locked(&self.rooms);
        let Some(typists) = rooms.get_mut(&room) else { return false };
        let before = typists.len();
        typists.retain(|typist| !gone(typist));
        let removed = typists.len() < before;
        if typists.is_empty() {
            rooms.remove(&room);
        }
        removed
    }
}
