//! How a message travels between processes: a short fixed header, then MessagePack.
//!
//! ```text
//! byte 0      version of this form
//! 1..17       the node that says it
//! 17          0 conversation, 1 organization, 2 nodes
//! 18..34      the organization (zeros for nodes)
//! 34..50      the conversation (zeros unless it is one)
//! 50..        the message
//! ```
//! The header repeats what the channel says, because a channel is only a name: what does not match is dropped. Nodes of
//! different versions share a bus, so unknown messages and forms are refused one by one and never end anything.

use std::sync::Arc;

use parlour_protocol::entry::{Entry, WhoKind};
use parlour_protocol::id::{ConversationId, OrganizationId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bus::Channel;
use crate::bus::ear::Said;
use crate::bus::message::{Announced, Beacon, Message, Moved, Presence, Sign};
use crate::domain::node::NodeId;
use crate::domain::principal::HolderKey;
use crate::domain::room::{Committed, Head, RoomKey};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 50;

/// Why something that was heard is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// We said it ourselves.
    #[error("our own message")]
    Own,
    /// Of a form this version does not know.
    #[error("a form this version does not know")]
    Unknown,
    /// It cannot be read.
    #[error("it cannot be read")]
    Malformed,
    /// It speaks of another organization or conversation than its channel.
    #[error("it is about something else than its channel")]
    Mismatch,
}

impl Refused {
    /// The label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::Mismatch => "mismatch",
        }
    }
}

/// The bytes of a message.
pub fn encode(by: NodeId, channel: Channel, message: &Message) -> Vec<u8> {
    let (kind, organization, conversation) = match channel {
        Channel::Conversation(room) => (0, room.organization.0, room.conversation.0),
        Channel::Organization(organization) => (1, organization.0, Uuid::nil()),
        Channel::Nodes => (2, Uuid::nil(), Uuid::nil()),
    };
    let mut bytes = Vec::with_capacity(512);
    bytes.push(VERSION);
    bytes.extend_from_slice(by.0.as_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(organization.as_bytes());
    bytes.extend_from_slice(conversation.as_bytes());
    rmp_serde::encode::write_named(&mut bytes, &Body::from(message)).expect("plain data into memory cannot fail");
    bytes
}

/// What the bytes heard on a channel say.
///
/// # Errors
/// When they are our own and no beacon, cannot be read, or do not belong on the channel.
pub fn decode(ourselves: NodeId, channel: &[u8], bytes: &[u8]) -> Result<Said, Refused> {
    let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or(Refused::Malformed)?;
    if header[0] != VERSION {
        return Err(Refused::Unknown);
    }
    let id = |at: usize| Uuid::from_slice(&header[at..at + 16]).map_err(|_| Refused::Malformed);
    let by = NodeId(id(1)?);
    let organization = OrganizationId(id(18)?);
    let said_on = match header[17] {
        0 => Channel::Conversation(RoomKey { organization, conversation: ConversationId(id(34)?) }),
        1 => Channel::Organization(organization),
        2 => Channel::Nodes,
        _ => return Err(Refused::Unknown),
    };
    if by == ourselves && said_on != Channel::Nodes {
        return Err(Refused::Own);
    }
    if said_on.to_string().as_bytes() != channel {
        return Err(Refused::Mismatch);
    }
    let body: Body = rmp_serde::from_slice(body).map_err(|_| Refused::Malformed)?;
    let message = body.into_message(said_on)?;
    if by == ourselves && !matches!(message, Message::Beacon(_)) {
        return Err(Refused::Own);
    }
    Ok(Said { by, channel: said_on, message })
}

/// The message as it travels: ids and numbers, no types of ours that might change their form.
#[derive(Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
enum Body {
    Entries {
        entries: Vec<WireEntry>,
    },
    Rights {
        holders: Vec<(WhoKind, Uuid)>,
    },
    Beacon {
        number: u64,
        moved: Vec<WireMoved>,
    },
    Farewell,
    Rows {
        conversations: Vec<ConversationId>,
    },
    Presence(Presence),
    Sign {
        what: Sign,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct WireEntry {
    epoch: i64,
    seq: i64,
    guest_seq: Option<i64>,
    entry: Arc<Entry>,
}

#[derive(Serialize, Deserialize)]
struct WireMoved(Uuid, Uuid, Option<(i64, i64, i64)>, Option<Announced>);

impl From<&Message> for Body {
    fn from(message: &Message) -> Self {
        match message {
            Message::Entries(entries) => Self::Entries { entries: entries.iter().map(WireEntry::from).collect() },
            Message::Rights(holders) => {
                Self::Rights { holders: holders.iter().map(|holder| (holder.kind, holder.id)).collect() }
            }
            Message::Beacon(beacon) => {
                Self::Beacon { number: beacon.number, moved: beacon.moved.iter().map(WireMoved::from).collect() }
            }
            Message::Farewell => Self::Farewell,
            Message::Rows(conversations) => Self::Rows { conversations: conversations.clone() },
            Message::Presence(presence) => Self::Presence(presence.clone()),
            Message::Sign(what) => Self::Sign { what: what.clone() },
        }
    }
}

impl Body {
    fn into_message(self, channel: Channel) -> Result<Message, Refused> {
        match (self, channel) {
            (Self::Entries { entries }, Channel::Conversation(room)) => {
                Ok(Message::Entries(entries.into_iter().map(|entry| entry.into_committed(room)).collect()))
            }
            (Self::Rights { holders }, Channel::Organization(organization)) => {
                let holders = holders.into_iter().map(|(kind, id)| HolderKey { kind, organization, id });
                Ok(Message::Rights(holders.collect()))
            }
            (Self::Beacon { number, moved }, Channel::Nodes) => {
                Ok(Message::Beacon(Beacon { number, moved: moved.into_iter().map(Moved::from).collect() }))
            }
            (Self::Farewell, Channel::Nodes) => Ok(Message::Farewell),
            (Self::Rows { conversations }, Channel::Organization(_)) => Ok(Message::Rows(conversations)),
            (Self::Presence(presence), Channel::Organization(_)) => Ok(Message::Presence(presence)),
            (Self::Sign { what }, Channel::Conversation(_)) => Ok(Message::Sign(what)),
            (Self::Unknown, _) => Err(Refused::Unknown),
            _ => Err(Refused::Mismatch),
        }
    }
}

impl From<&Committed> for WireEntry {
    fn from(committed: &Committed) -> Self {
        let Committed { epoch, seq, guest_seq, entry, .. } = committed;
        Self { epoch: *epoch, seq: *seq, guest_seq: *guest_seq, entry: Arc::clone(entry) }
    }
}

impl WireEntry {
    fn into_committed(self, room: RoomKey) -> Committed {
        let Self { epoch, seq, guest_seq, entry } = self;
        Committed { room, epoch, seq, guest_seq, entry }
    }
}

impl From<&Moved> for WireMoved {
    fn from(moved: &Moved) -> Self {
        let head = moved.head.map(|head| (head.epoch, head.seq, head.guest_seq));
        Self(moved.room.organization.0, moved.room.conversation.0, head, moved.presence)
    }
}

impl From<WireMoved> for Moved {
    fn from(WireMoved(organization, conversation, head, presence): WireMoved) -> Self {
        Self {
            room: RoomKey { organization: OrganizationId(organization), conversation: ConversationId(conversation) },
            head: head.map(|(epoch, seq, guest_seq)| Head { epoch, seq, guest_seq }),
            presence,
        }
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::entry::Who;

    use super::*;
    use crate::bus::message::Held;
    use crate::hub::fixture::{committed, room_key};

    fn node() -> NodeId {
        NodeId::generate()
    }

    fn there_and_back(channel: Channel, message: Message) {
        let by = node();
        let bytes = encode(by, channel, &message);
        let said = decode(node(), channel.to_string().as_bytes(), &bytes);
        assert_eq!(said, Ok(Said { by, channel, message }));
    }

    #[test]
    fn every_message_arrives_as_it_was_said() {
        let room = room_key();
        let (conversation, organization) = (Channel::Conversation(room), Channel::Organization(room.organization));
        let who = Who { kind: WhoKind::Guest, id: "g".into(), name: "Maria".into() };
        let head = Some(Head { epoch: 1, seq: 4, guest_seq: 2 });
        there_and_back(conversation, Message::Entries(vec![committed(room, 3, None), committed(room, 4, Some(2))]));
        let key = HolderKey { kind: WhoKind::Service, organization: room.organization, id: Uuid::now_v7() };
        there_and_back(organization, Message::Rights(vec![key]));
        let moved = vec![
            Moved { room, head, presence: None },
            Moved { room, head: None, presence: Some(Announced { number: 7, holds: true }) },
        ];
        there_and_back(Channel::Nodes, Message::Beacon(Beacon { number: 9, moved }));
        there_and_back(Channel::Nodes, Message::Farewell);
        there_and_back(organization, Message::Rows(vec![room.conversation]));
        let held = Held { conversation: room.conversation, number: 2, people: vec![who.clone()] };
        let complete = Some((room.conversation, room.conversation));
        there_and_back(organization, Message::Presence(Presence { asks: true, complete, rooms: vec![held] }));
        there_and_back(conversation, Message::Sign(Sign::Typing { who, active: true }));
    }

    #[test]
    fn what_is_not_for_us_is_refused() {
        let (by, room, other) = (node(), room_key(), room_key());
        let channel = Channel::Conversation(room);
        let name = channel.to_string();
        let bytes = encode(by, channel, &Message::Entries(vec![committed(room, 1, None)]));
        let heard = |name: &str, bytes: &[u8]| decode(node(), name.as_bytes(), bytes).unwrap_err();
        assert_eq!(decode(by, name.as_bytes(), &bytes), Err(Refused::Own));
        assert_eq!(heard(&Channel::Conversation(other).to_string(), &bytes), Refused::Mismatch);
        assert_eq!(heard(&name, &encode(by, channel, &Message::Farewell)), Refused::Mismatch);
        let mut newer = bytes.clone();
        newer[0] = VERSION + 1;
        assert_eq!(heard(&name, &newer), Refused::Unknown);
        for cut in 0..bytes.len() {
            assert_eq!(heard(&name, &bytes[..cut]), Refused::Malformed, "cut at {cut}");
        }
        let unheard_of = rmp_serde::to_vec_named(&serde_json::json!({ "message": "dance", "steps": 3 })).unwrap();
        assert_eq!(heard(&name, &[&bytes[..HEADER_BYTES], &unheard_of].concat()), Refused::Unknown);
    }

    #[test]
    fn a_beacon_comes_back_to_who_sent_it() {
        let by = node();
        let bytes = encode(by, Channel::Nodes, &Message::Beacon(Beacon::default()));
        assert!(decode(by, Channel::Nodes.to_string().as_bytes(), &bytes).is_ok());
    }
}
