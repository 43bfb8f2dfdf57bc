//! How a message travels between processes: a short fixed header, then MessagePack.
//!
//! ```text
//! byte 0      version of this form
//! 1..17       the node that says it
//! 17          0 conversation, 1 organization, 2 nodes
//! 18..34      the organization (zeros for nodes)
//! 34..50      the conversation (zeros unless it is one)
//! 50          what kind of message
//! 51..        the message
//! ```
//! The header repeats what the channel says, because a channel is only a name: what does not match is dropped. Nodes of
//! different versions share a bus, so unknown messages and forms are refused one by one and never end anything.
//!
//! Everything is decoded straight into its type: tags inside maps would have serde keep a copy of the whole message first.

use std::sync::Arc;

use parlour_protocol::entry::{
    Audience, CardBody, Content, Edit, Entry, Redaction, Selection, ShareChange, Text, Who, WhoKind,
};
use parlour_protocol::id::{ClientId, ConversationId, EntryId, OrganizationId};
use parlour_protocol::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::bus::Channel;
use crate::bus::inbound::Received;
use crate::bus::message::{Announced, Beacon, Message, Moved};
use crate::domain::node::NodeId;
use crate::domain::principal::HolderKey;
use crate::domain::room::{Committed, Head, RoomKey};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 51;
/// Levels of a message's body; ours have some ten. The decoder recurses, also through what it only passes over.
const DEPTH_MAX: usize = 48;

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
    let (place, organization, conversation) = match channel {
        Channel::Conversation(room) => (0, room.organization.0, room.conversation.0),
        Channel::Organization(organization) => (1, organization.0, Uuid::nil()),
        Channel::Nodes => (2, Uuid::nil(), Uuid::nil()),
    };
    let mut bytes = Vec::with_capacity(512);
    bytes.push(VERSION);
    bytes.extend_from_slice(by.0.as_bytes());
    bytes.push(place);
    bytes.extend_from_slice(organization.as_bytes());
    bytes.extend_from_slice(conversation.as_bytes());
    match message {
        Message::Entries(entries) => put(&mut bytes, 0, &entries.iter().map(WireEntry::from).collect::<Vec<_>>()),
        Message::Rights(holders) => {
            put(&mut bytes, 1, &holders.iter().map(|holder| (holder.kind, holder.id)).collect::<Vec<_>>());
        }
        Message::Beacon(Beacon { number, moved }) => {
            put(&mut bytes, 2, &(number, moved.iter().map(WireMoved::from).collect::<Vec<_>>()));
        }
        Message::Farewell => put(&mut bytes, 3, &()),
        Message::Rows(conversations) => put(&mut bytes, 4, conversations),
        Message::Presence(presence) => put(&mut bytes, 5, presence),
        Message::Sign(sign) => put(&mut bytes, 6, sign),
        Message::Asks(organization) => put(&mut bytes, 7, organization),
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, kind: u8, what: &impl Serialize) {
    bytes.push(kind);
    rmp_serde::encode::write_named(bytes, what).expect("plain data into memory cannot fail");
}

/// What the bytes heard on a channel say.
///
/// # Errors
/// When they are our own and no beacon, cannot be read, or do not belong on the channel.
pub fn decode(ourselves: NodeId, channel: &[u8], bytes: &[u8]) -> Result<Received, Refused> {
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
    let message = message(said_on, header[50], body)?;
    if by == ourselves && !matches!(message, Message::Beacon(_)) {
        return Err(Refused::Own);
    }
    Ok(Received { by, channel: said_on, message })
}

/// A message of a kind, where it belongs.
fn message(channel: Channel, kind: u8, body: &[u8]) -> Result<Message, Refused> {
    match (kind, channel) {
        (0, Channel::Conversation(room)) => {
            let entries: Vec<WireEntry> = get(body)?;
            let entries = entries.into_iter().map(|entry| entry.into_committed(room));
            Ok(Message::Entries(entries.collect::<Option<_>>().ok_or(Refused::Malformed)?))
        }
        (1, Channel::Organization(organization)) => {
            let holders: Vec<(WhoKind, Uuid)> = get(body)?;
            let holders = holders.into_iter().map(|(kind, id)| HolderKey { kind, organization, id });
            Ok(Message::Rights(holders.collect()))
        }
        (2, Channel::Nodes) => {
            let (number, moved): (u64, Vec<WireMoved>) = get(body)?;
            Ok(Message::Beacon(Beacon { number, moved: moved.into_iter().map(Moved::from).collect() }))
        }
        (3, Channel::Nodes) => Ok(Message::Farewell),
        (4, Channel::Organization(_)) => Ok(Message::Rows(get(body)?)),
        (5, Channel::Organization(_)) => Ok(Message::Presence(get(body)?)),
        (6, Channel::Conversation(_)) => Ok(Message::Sign(get(body)?)),
        (7, Channel::Nodes) => Ok(Message::Asks(get(body)?)),
        (0..=7, _) => Err(Refused::Mismatch),
        _ => Err(Refused::Unknown),
    }
}

fn get<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let mut body = rmp_serde::Deserializer::from_read_ref(body);
    body.set_max_depth(DEPTH_MAX);
    T::deserialize(&mut body).map_err(|_| Refused::Malformed)
}

/// An entry by position: epoch, both numbers, id, key, audience, author, nanoseconds since 1970, content.
#[derive(Serialize, Deserialize)]
struct WireEntry(i64, i64, Option<i64>, EntryId, ClientId, Audience, Who, i64, WireContent);

/// [`Content`] with its kind outside the body.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireContent {
    Message(Text),
    Note(Text),
    Card(CardBody),
    Selection(Selection),
    Share(ShareChange),
    Edit(Edit),
    Redaction(Redaction),
    /// As JSON, whose values nest as they like.
    Other(String),
}

#[derive(Serialize, Deserialize)]
struct WireMoved(Uuid, Uuid, Option<(i64, i64, i64)>, Option<Announced>);

impl From<&Committed> for WireEntry {
    fn from(committed: &Committed) -> Self {
        let Committed { epoch, seq, guest_seq, entry, .. } = committed;
        let Entry { id, client_id, content, audience, author, at } = entry.as_ref();
        // Until the year 2262.
        let nanoseconds = i64::try_from(at.0.unix_timestamp_nanos()).unwrap_or(i64::MAX);
        let content = content.clone().into();
        Self(*epoch, *seq, *guest_seq, *id, *client_id, *audience, author.clone(), nanoseconds, content)
    }
}

impl WireEntry {
    /// None when its time or its content is none.
    fn into_committed(self, room: RoomKey) -> Option<Committed> {
        let Self(epoch, seq, guest_seq, id, client_id, audience, author, nanoseconds, content) = self;
        let at = Timestamp(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds.into()).ok()?);
        let entry = Entry { id, client_id, content: content.into_content()?, audience, author, at };
        Some(Committed { room, epoch, seq, guest_seq, entry: Arc::new(entry) })
    }
}

impl From<Content> for WireContent {
    fn from(content: Content) -> Self {
        match content {
            Content::Message(text) => Self::Message(text),
            Content::Note(text) => Self::Note(text),
            Content::Edit(edit) => Self::Edit(edit),
            Content::Redaction(redaction) => Self::Redaction(redaction),
            Content::Card(card) => Self::Card(card),
            Content::Selection(selection) => Self::Selection(selection),
            Content::Share(change) => Self::Share(change),
            Content::Other(other) => Self::Other(serde_json::json!(other).to_string()),
        }
    }
}

impl WireContent {
    /// None when it cannot be read.
    fn into_content(self) -> Option<Content> {
        Some(match self {
            Self::Message(text) => Content::Message(text),
            Self::Note(text) => Content::Note(text),
            Self::Edit(edit) => Content::Edit(edit),
            Self::Redaction(redaction) => Content::Redaction(redaction),
            Self::Card(card) => Content::Card(card),
            Self::Selection(selection) => Content::Selection(selection),
            Self::Share(change) => Content::Share(change),
            Self::Other(json) => Content::Other(serde_json::from_str(&json).ok()?),
        })
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
    use parlour_protocol::entry::KINDS;

    use super::*;
    use crate::bus::message::{Held, HeldPerson, Presence, Sign};
    use crate::hub::fixture::{committed, room_key};

    fn node() -> NodeId {
        NodeId::generate()
    }

    fn there_and_back(channel: Channel, message: Message) {
        let by = node();
        let bytes = encode(by, channel, &message);
        let said = decode(node(), channel.to_string().as_bytes(), &bytes);
        assert_eq!(said, Ok(Received { by, channel, message }));
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
        there_and_back(Channel::Nodes, Message::Asks(room.organization));
        there_and_back(organization, Message::Rows(vec![room.conversation]));
        let held = Held {
            conversation: room.conversation,
            number: 2,
            people: vec![HeldPerson { who: who.clone(), viewing: true }],
        };
        let complete = Some((room.conversation, room.conversation));
        there_and_back(organization, Message::Presence(Presence { complete, rooms: vec![held] }));
        there_and_back(conversation, Message::Sign(Sign::Typing { who, active: true }));
    }

    #[test]
    fn an_entry_of_every_kind_arrives_as_the_contract_shows_it() {
        let vectors: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../../protocol/vectors/push-entry.json")).unwrap();
        let mut kinds = std::collections::BTreeSet::new();
        for vector in vectors.iter().filter(|vector| vector["valid"] == true) {
            let entry: Entry = serde_json::from_value(vector["json"]["entry"].clone()).unwrap();
            kinds.insert(entry.content.kind().to_owned());
            let room = room_key();
            let committed = Committed { room, epoch: 1, seq: 1, guest_seq: Some(1), entry: Arc::new(entry) };
            there_and_back(Channel::Conversation(room), Message::Entries(vec![committed]));
        }
        assert_eq!(kinds, KINDS.map(str::to_owned).into(), "the vectors hold every kind");
    }

    #[test]
    fn an_entry_of_a_kind_unheard_of_arrives_as_it_is() {
        let room = room_key();
        let mut committed = committed(room, 3, None);
        let other = serde_json::json!({ "kind": "poll", "body": { "votes": [[1, "deep"]] } });
        Arc::make_mut(&mut committed.entry).content = serde_json::from_value(other).unwrap();
        there_and_back(Channel::Conversation(room), Message::Entries(vec![committed]));
    }

    #[test]
    fn who_is_held_is_told_in_a_form_that_nodes_understand_which_know_nobody_that_looks() {
        let who = Who { kind: WhoKind::Guest, id: "g".into(), name: "Maria".into() };
        let held = HeldPerson { who: who.clone(), viewing: true };
        assert_eq!(get::<Who>(&rmp_serde::to_vec_named(&held).unwrap()).as_ref(), Ok(&who));
        let told = get::<HeldPerson>(&rmp_serde::to_vec_named(&who).unwrap());
        assert_eq!(told, Ok(HeldPerson { who, viewing: false }));
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
        let mut unheard_of = bytes;
        unheard_of[50] = 200;
        assert_eq!(heard(&name, &unheard_of), Refused::Unknown);
    }

    #[test]
    fn nests_are_not_followed_even_where_nobody_reads_them() {
        let room = room_key();
        let channel = Channel::Conversation(room);
        let who = Who { kind: WhoKind::Guest, id: "g".into(), name: "Maria".into() };
        let bytes = encode(node(), channel, &Message::Sign(Sign::Typing { who, active: true }));
        let with_field = |levels: usize| {
            // The sign's map is the second of all; it gets a third entry, which no version knows.
            let at = bytes.windows(8).position(|window| window == b"\xa6typing\x82").unwrap() + 7;
            let nest = [&b"\xa1x"[..], &b"\x91".repeat(levels), b"\xc0"].concat();
            let more = [&bytes[..at], &[0x83], &nest, &bytes[at + 1..]].concat();
            decode(node(), channel.to_string().as_bytes(), &more).map(|_| ())
        };
        assert_eq!(with_field(8), Ok(()), "what a newer version adds is passed over");
        assert_eq!(with_field(200), Err(Refused::Malformed));
        assert_eq!(with_field(100_000), Err(Refused::Malformed));
    }

    #[test]
    fn a_beacon_comes_back_to_who_sent_it() {
        let by = node();
        let bytes = encode(by, Channel::Nodes, &Message::Beacon(Beacon::default()));
        assert!(decode(by, Channel::Nodes.to_string().as_bytes(), &bytes).is_ok());
    }
}
