//! Rooms something has changed in that is to be told soon: several changes are one.

use std::collections::BTreeMap;
use std::sync::Mutex;

use parlour_protocol::id::{ConversationId, OrganizationId};

use crate::domain::room::RoomKey;
use crate::hub::locked;

/// Rooms remembered; beyond it changes are not told, which every use of this must bear.
const ROOMS_MAX: usize = 65_536;

/// Rooms to tell of.
#[derive(Debug, Default)]
pub struct Changed(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    rooms: std::collections::BTreeSet<RoomKey>,
}

impl Changed {
    /// Notes a room; whether it is the first, so that the telling is to be arranged.
    pub fn add(&self, room: RoomKey) -> bool {
        let mut books = locked(&self.0);
        let was_empty = books.rooms.is_empty();
        if books.rooms.len() < ROOMS_MAX {
            books.rooms.insert(room);
        }
        was_empty
    }

    /// Takes everything noted, by organization.
    pub fn take(&self) -> BTreeMap<OrganizationId, Vec<ConversationId>> {
        let mut by_organization: BTreeMap<OrganizationId, Vec<ConversationId>> = BTreeMap::new();
        for room in std::mem::take(&mut locked(&self.0).rooms) {
            by_organization.entry(room.organization).or_default().push(room.conversation);
        }
        by_organization
    }
}
