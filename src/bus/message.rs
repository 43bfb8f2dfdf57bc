//! What nodes tell each other. Each message knows its lane: what may be dropped first, and what holds up nothing.

use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::{ConversationId, OrganizationId};
use parlour_protocol::reply::CardSeen;
use parlour_protocol::share::Share;
use serde::{Deserialize, Serialize};

use crate::domain::principal::HolderKey;
use crate::domain::room::{Committed, Head, RoomKey};

/// Something one node tells the others.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Entries of one conversation were committed; in order.
    Entries(Vec<Committed>),
    /// Rights that sessions may stand on have changed and must be read again.
    Rights(Vec<HolderKey>),
    /// A node is there, and where the logs stand that moved through it.
    Beacon(Beacon),
    /// A node has stopped; whoever it held is gone.
    Farewell,
    /// Rows of the organization's list have changed.
    Rows(Vec<ConversationId>),
    /// Every node is asked whom it holds in conversations of an organization: also one that hears nothing of the organization
    /// any more, as somebody may remember whom it held once.
    Asks(OrganizationId),
    /// Whom a node holds in conversations of one organization.
    Presence(Presence),
    /// A sign in one conversation.
    Sign(Sign),
}

/// How a message travels beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// What a loss of would have to be repaired from the log: first out.
    Durable,
    /// Rights and beacons: few, and waited for.
    Control,
    /// Droppable without harm; never holds up the others.
    Ephemeral,
}

impl Message {
    /// Its lane.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Entries(_) => Lane::Durable,
            Self::Rights(_) | Self::Beacon(_) | Self::Farewell => Lane::Control,
            Self::Rows(_) | Self::Asks(_) | Self::Presence(_) | Self::Sign(_) => Lane::Ephemeral,
        }
    }
}

/// A node's sign of life, every second even when it has nothing to tell, so that silence means something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beacon {
    /// Counts up from 1 through a node's life.
    pub number: u64,
    /// Rooms that moved through this node lately.
    pub moved: Vec<Moved>,
}

/// How far a node has moved a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Which.
    pub room: RoomKey,
    /// Where its log stands, as far as the node knows; none when it has not appended to it.
    pub head: Option<Head>,
    /// The node's last announcement of presence there, in short; none when it made none.
    pub presence: Option<Announced>,
}

/// An announcement of presence, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// Its number.
    pub number: u64,
    /// Whether the node holds anybody in the room.
    pub holds: bool,
}

/// Whom a node holds in conversations of one organization: state, not changes, so that a lost or repeated one does no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The conversations from the first to the last of these in which the node holds somebody are all in `rooms`: whoever is
    /// remembered in another one between them has left. None: nothing is said about conversations that are not listed.
    pub complete: Option<(ConversationId, ConversationId)>,
    /// The conversations with everybody held there.
    pub rooms: Vec<Held>,
}

/// Everybody a node holds in one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which.
    pub conversation: ConversationId,
    /// Counts up with a node's announcements; an older one is ignored.
    pub number: u64,
    /// One entry per person; nobody: the last one has left.
    pub people: Vec<HeldPerson>,
}

/// Somebody whom a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WirePerson", into = "WirePerson")]
pub struct HeldPerson {
    /// Who.
    pub who: Who,
    /// Whether the conversation is on a screen of theirs.
    pub viewing: bool,
}

/// A [`Who`] with one more field: a node that does not know it yet passes over it, and one that is not told takes it for no.
#[derive(Serialize, Deserialize)]
struct WirePerson {
    kind: WhoKind,
    id: String,
    name: String,
    #[serde(default)]
    viewing: bool,
}

impl From<WirePerson> for HeldPerson {
    fn from(WirePerson { kind, id, name, viewing }: WirePerson) -> Self {
        Self { who: Who { kind, id, name }, viewing }
    }
}

impl From<HeldPerson> for WirePerson {
    fn from(HeldPerson { who: Who { kind, id, name }, viewing }: HeldPerson) -> Self {
        Self { kind, id, name, viewing }
    }
}

/// What a room says besides entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// Somebody types, or stopped.
    Typing {
        /// Who.
        who: Who,
        /// Whether they type.
        active: bool,
    },
    /// Somebody read further.
    Receipt {
        /// Who.
        who: Who,
        /// In the numbers of the staff view.
        staff: Mark,
        /// In those of the guest view; none when guests are not to know.
        guest: Option<Mark>,
    },
    /// A guest has seen more of a card; for staff.
    Seen {
        /// All that the guest has seen of the version.
        seen: Box<CardSeen>,
    },
    /// A share was made or changed; for staff.
    Share {
        /// As it now stands; never the secret.
        share: Box<Share>,
    },
}

/// How far somebody has received and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Reached a device of theirs.
    pub received: i64,
    /// Was read.
    pub read: i64,
}
