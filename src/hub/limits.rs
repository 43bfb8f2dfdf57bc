//! How much of everything a node's live half holds, and the sockets of each person and device, oldest first.
//!
//! It only counts: who is over is turned away by [`crate::hub`]. A socket beyond the limit ends the oldest one of the same
//! holder and not itself: a phone whose connections broke unnoticed comes back past what is left of them. Each node counts
//! for itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::OrganizationId;
use parlour_protocol::limits::{
    ROOM_MEMBERS_DEFAULT, ROOM_MEMBERS_MAX, ROOMS_NODE_MAX, SOCKETS_DEVICE_MAX, SOCKETS_PERSON_MAX,
};
use uuid::Uuid;

use crate::domain::limits::LimitsProfile;
use crate::hub::locked;
use crate::hub::session::Session;

/// How many of what a node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubLimits {
    /// Rooms in memory.
    pub rooms: usize,
    /// Attachments to one room.
    pub members: usize,
    /// Sockets of one member of staff; none lifts the limit.
    pub sockets_of_person: Option<usize>,
    /// Sockets of one device of a link; none lifts the limit.
    pub sockets_of_device: Option<usize>,
}

impl HubLimits {
    /// As documented, or as much as can be set where the abuse limits are lifted.
    pub const fn under(profile: LimitsProfile) -> Self {
        match profile {
            LimitsProfile::Standard => Self {
                rooms: ROOMS_NODE_MAX,
                members: ROOM_MEMBERS_DEFAULT,
                sockets_of_person: Some(SOCKETS_PERSON_MAX),
                sockets_of_device: Some(SOCKETS_DEVICE_MAX),
            },
            LimitsProfile::Test => Self {
                rooms: ROOMS_NODE_MAX,
                members: ROOM_MEMBERS_MAX,
                sockets_of_person: None,
                sockets_of_device: None,
            },
        }
    }

    /// Sockets of one holder of this kind. A system has as many as its node takes.
    fn sockets_of(&self, kind: WhoKind) -> Option<usize> {
        match kind {
            WhoKind::Staff => self.sockets_of_person,
            WhoKind::Guest => self.sockets_of_device,
            WhoKind::Service => None,
        }
    }
}

impl Default for HubLimits {
    fn default() -> Self {
        Self::under(LimitsProfile::Standard)
    }
}

/// A person of staff, or a device of a link.
type Holder = (OrganizationId, WhoKind, Uuid);

/// The sockets of each holder.
#[derive(Default)]
pub struct Holders {
    sockets: Mutex<HashMap<Holder, VecDeque<Arc<Session>>>>,
}

impl Holders {
    /// A session came; the oldest of its holder, if that is one too many now. It is not counted any more.
    pub fn enter(&self, limits: &HubLimits, session: &Arc<Session>) -> Option<Arc<Session>> {
        let max = limits.sockets_of(session.who().kind)?;
        let mut sockets = locked(&self.sockets);
        let own = sockets.entry(holder(session)).or_default();
        own.push_back(Arc::clone(session));
        if own.len() > max { own.pop_front() } else { None }
    }

    /// A session is over.
    pub fn leave(&self, session: &Arc<Session>) {
        let mut sockets = locked(&self.sockets);
        let holder = holder(session);
        let Some(own) = sockets.get_mut(&holder) else { return };
        own.retain(|other| other.id() != session.id());
        if own.is_empty() {
            sockets.remove(&holder);
        }
    }
}

fn holder(session: &Session) -> Holder {
    (session.organization(), session.who().kind, session.principal().author())
}
