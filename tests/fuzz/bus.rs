//! What comes over the bus, should Redis or a peer lie: no panic and no recursion; nobody hears themselves, nothing is about
//! something else than its channel, and what was understood is said again in the same words.

use std::sync::Arc;

use parlour::bus::Channel;
use parlour::bus::envelope::{decode, encode};
use parlour::bus::message::{Announced, Beacon, Held, HeldPerson, Mark, Message, Moved, Presence, Sign};
use parlour::domain::node::NodeId;
use parlour::domain::principal::HolderKey;
use parlour::domain::room::{Committed, Head, RoomKey};
use parlour_protocol::entry::{Entry, Who, WhoKind};
use parlour_protocol::id::{ConversationId, OrganizationId};
use parlour_protocol::reply::CardSeen;
use parlour_protocol::share::Share;
use serde_json::Value;
use uuid::Uuid;

use crate::run::{MESSAGE, Target, behaviour};
use crate::vectors;

const DICTIONARY: &[&[u8]] = &[
    b"\xc0",
    b"\x90",
    b"\x91",
    b"\x99",
    b"\x82",
    b"\xdc\xff\xff",
    b"\xdd\x7f\xff\xff\xff",
    b"\xd3\x80\0\0\0\0\0\0\0",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xa7message",
    b"\xa4card",
    b"\xa9selection",
    b"\xa5share",
    b"\xa6typing",
    b"\xa7receipt",
    b"\xc4\x10",
    b"\xa8everyone",
    b"\xa5staff",
    b"\xb82026-11-21T12:00:00.000Z",
    b"\xb49999-12-31T23:59:59Z",
    b"\xb90000-01-01T00:00:00+23:59",
];

const OURSELVES: NodeId = NodeId(Uuid::from_u128(0xaaaa));
const PEER: NodeId = NodeId(Uuid::from_u128(0xbbbb));

#[test]
fn envelopes() {
    Target { name: "envelopes", examples: examples(), dictionary: DICTIONARY, bytes_max: MESSAGE }.run(check);
}

fn check(bytes: &[u8]) -> u64 {
    // On the channel it claims, so that more than its header is read; any other refuses it.
    let claimed = claimed(bytes);
    let name = claimed.map_or_else(|| "parlour:nodes".to_owned(), |channel| channel.to_string());
    let heard = decode(OURSELVES, name.as_bytes(), bytes);
    assert!(decode(OURSELVES, b"org:elsewhere", bytes).is_err());
    let Ok(received) = &heard else { return behaviour(format!("{heard:?} {:?}", bytes.get(50))) };
    assert_eq!(Some(received.channel), claimed);
    assert!(received.by != OURSELVES || matches!(received.message, Message::Beacon(_)), "we hear ourselves");
    let say = |message: &Message| encode(received.by, received.channel, message);
    let hear = |bytes: &[u8]| decode(OURSELVES, name.as_bytes(), bytes).map(|received| received.message);
    // Times inside are finer in memory than they are written, so the first time may lose what no wire carries.
    let written = say(&received.message);
    let again = hear(&written).expect("what we say can be heard");
    assert_eq!(say(&again), written);
    assert_eq!(hear(&say(&again)).as_ref(), Ok(&again));
    behaviour((bytes.get(50), written.len().checked_ilog2(), kinds(&again)))
}

fn claimed(bytes: &[u8]) -> Option<Channel> {
    let id = |at: usize| bytes.get(at..at + 16).map(|id| Uuid::from_slice(id).unwrap());
    let organization = OrganizationId(id(18)?);
    match bytes[17] {
        0 => Some(Channel::Conversation(RoomKey { organization, conversation: ConversationId(id(34)?) })),
        1 => Some(Channel::Organization(organization)),
        2 => Some(Channel::Nodes),
        _ => None,
    }
}

fn kinds(message: &Message) -> Vec<&str> {
    match message {
        Message::Entries(entries) => entries.iter().take(4).map(|entry| entry.entry.content.kind()).collect(),
        Message::Sign(Sign::Typing { .. }) => vec!["typing"],
        Message::Sign(Sign::Receipt { .. }) => vec!["receipt"],
        Message::Sign(Sign::Share { .. }) => vec!["share"],
        Message::Sign(Sign::Seen { .. }) => vec!["seen"],
        _ => vec![],
    }
}

fn examples() -> Vec<Vec<u8>> {
    let room =
        RoomKey { organization: OrganizationId(Uuid::from_u128(1)), conversation: ConversationId(Uuid::from_u128(2)) };
    let (conversation, organization) = (Channel::Conversation(room), Channel::Organization(room.organization));
    let mut examples: Vec<Vec<u8>> = entries()
        .into_iter()
        .map(|entry| Committed { room, epoch: 1, seq: 7, guest_seq: Some(3), entry: Arc::new(entry) })
        .map(|committed| encode(PEER, conversation, &Message::Entries(vec![committed])))
        .collect();
    let who = || Who { kind: WhoKind::Guest, id: "g".to_owned(), name: "Maria".to_owned() };
    let moved = vec![
        Moved { room, head: Some(Head { epoch: 1, seq: 4, guest_seq: 2 }), presence: None },
        Moved { room, head: None, presence: Some(Announced { number: 7, holds: true }) },
    ];
    let key = HolderKey { kind: WhoKind::Service, organization: room.organization, id: Uuid::from_u128(3) };
    let held =
        Held { conversation: room.conversation, number: 2, people: vec![HeldPerson { who: who(), viewing: true }] };
    let presence = Presence { complete: Some((room.conversation, room.conversation)), rooms: vec![held] };
    let mark = Mark { received: 4, read: 3 };
    let mut said = vec![
        (Channel::Nodes, Message::Beacon(Beacon { number: 9, moved })),
        (Channel::Nodes, Message::Farewell),
        (Channel::Nodes, Message::Asks(room.organization)),
        (organization, Message::Rights(vec![key])),
        (organization, Message::Rows(vec![room.conversation])),
        (organization, Message::Presence(presence)),
        (conversation, Message::Sign(Sign::Typing { who: who(), active: true })),
        (conversation, Message::Sign(Sign::Receipt { who: who(), staff: mark, guest: Some(mark) })),
    ];
    said.extend(
        shares().into_iter().map(|share| (conversation, Message::Sign(Sign::Share { share: Box::new(share) }))),
    );
    said.extend(seen().into_iter().map(|seen| (conversation, Message::Sign(Sign::Seen { seen: Box::new(seen) }))));
    examples.extend(said.iter().map(|(channel, message)| encode(PEER, *channel, message)));
    examples.push(encode(OURSELVES, Channel::Nodes, &Message::Beacon(Beacon::default())));
    examples.push(encode(OURSELVES, conversation, &said[6].1));
    examples
}

fn valid(prefix: &str) -> Vec<Value> {
    let cases = vectors::cases(prefix).into_iter().filter(|case| case["valid"] == true);
    cases.map(|case| case["json"].clone()).collect()
}

fn entries() -> Vec<Entry> {
    valid("push-entry").into_iter().map(|push| serde_json::from_value(push["entry"].clone()).unwrap()).collect()
}

fn seen() -> Vec<CardSeen> {
    valid("push-seen").into_iter().map(|push| serde_json::from_value(push["seen"].clone()).unwrap()).collect()
}

fn shares() -> Vec<Share> {
    valid("push-share").into_iter().map(|push| serde_json::from_value(push["share"].clone()).unwrap()).collect()
}
