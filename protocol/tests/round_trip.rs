//! Property tests: any message the types can hold reads back the same from both codecs, and both codecs accept the same commands.
//!
//! Times are made of whole milliseconds, as the wire writes them. The golden messages are in `vectors.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::sync::Arc;

use parlour_protocol::card::{Card, CardKind, CardOption, CardState, Detail, Money, Offer, Route};
use parlour_protocol::codec::Codec;
use parlour_protocol::command::{self, Command, Numbered, OptionSeen, Topic};
use parlour_protocol::entry::{
    Audience, CardBody, Content, Edit, Entry, NumberedEntry, Position, Redaction, Selection, ShareAction, ShareChange,
    Text, Who, WhoKind,
};
use parlour_protocol::id::{CardId, ClientId, ConversationId, EntryId, ShareId};
use parlour_protocol::limits::INTEGER_MAX;
use parlour_protocol::push::Push;
use parlour_protocol::reply::{CardSeen, Member, Outcome, Page, PresenceState, Reply};
use parlour_protocol::scan;
use parlour_protocol::share::Permission;
use parlour_protocol::time::Timestamp;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;
use proptest::{prop_assert_eq, prop_oneof, proptest};
use serde_json::Value;
use uuid::Uuid;

fn id<T>(wrap: fn(Uuid) -> T) -> impl Strategy<Value = T>
where
    T: std::fmt::Debug,
{
    any::<u128>().prop_map(move |bits| wrap(Uuid::from_u128(bits)))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z\\\\\"\u{0}-\u{1f}é日🏔]{0,300}"]
}

fn time() -> impl Strategy<Value = Timestamp> {
    // 0000-01-01 to 9999-12-31.
    (-62_167_219_200_000_i64..253_402_300_800_000)
        .prop_map(|ms| Timestamp(time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap()))
}

fn position() -> impl Strategy<Value = Position> {
    (any::<i64>(), any::<i64>()).prop_map(|(epoch, seq)| Position { epoch, seq })
}

fn post() -> impl Strategy<Value = (ConversationId, ClientId, String)> {
    (id(ConversationId), id(ClientId), text())
}

fn history() -> impl Strategy<Value = Command> {
    (id(ConversationId), of(any::<i64>()), of(any::<i64>()), of(any::<i64>()), of(any::<u32>())).prop_map(
        |(conversation, before, after, around, limit)| {
            Command::History(command::History { conversation, before, after, around, limit })
        },
    )
}

fn choice() -> impl Strategy<Value = Command> {
    (id(ConversationId), id(ClientId), id(CardId), any::<i32>(), vec(text(), 0..4)).prop_map(
        |(conversation, client_id, card, version, options)| {
            Command::Select(command::Select { conversation, client_id, card, version, options })
        },
    )
}

fn option_seen() -> impl Strategy<Value = OptionSeen> {
    (text(), any::<i64>()).prop_map(|(id, visible_ms)| OptionSeen { id, visible_ms })
}

fn any_command() -> impl Strategy<Value = Command> {
    let conversation = || id(ConversationId);
    prop_oneof![
        (of(text()), of(text())).prop_map(|(token, ticket)| Command::Hello(command::Hello { token, ticket })),
        of(text()).prop_map(|token| Command::Refresh(command::Refresh { token })),
        (conversation(), of(position()))
            .prop_map(|(conversation, since)| Command::Attach(command::Attach { conversation, since })),
        conversation().prop_map(|conversation| Command::Detach(command::Detach { conversation })),
        Just(Command::Subscribe(command::Subscribe { topic: Topic::Inbox })),
        post().prop_map(|(conversation, client_id, text)| {
            Command::Send(command::Send { conversation, client_id, text })
        }),
        post().prop_map(|(conversation, client_id, text)| {
            Command::Note(command::Note { conversation, client_id, text })
        }),
        (post(), id(EntryId), any::<i64>()).prop_map(|((conversation, client_id, text), entry_id, seq)| {
            Command::Edit(command::Edit { conversation, client_id, entry_id, seq, text })
        }),
        (conversation(), id(ClientId), id(EntryId), any::<i64>()).prop_map(
            |(conversation, client_id, entry_id, seq)| {
                Command::Redact(command::Redact { conversation, client_id, entry_id, seq })
            }
        ),
        choice(),
        (conversation(), id(CardId), any::<i32>(), vec(option_seen(), 0..4)).prop_map(
            |(conversation, card, version, options)| {
                Command::Seen(command::Seen { conversation, card, version, options })
            }
        ),
        (conversation(), any::<bool>())
            .prop_map(|(conversation, active)| Command::Typing(command::Typing { conversation, active })),
        (conversation(), of(any::<bool>()))
            .prop_map(|(conversation, viewing)| { Command::Presence(command::Presence { conversation, viewing }) }),
        (conversation(), of(any::<i64>()), of(any::<i64>())).prop_map(|(conversation, received, read)| {
            Command::Read(command::Read { conversation, received, read })
        }),
        history(),
        Just(Command::Ping(command::Ping {})),
    ]
}

fn numbered() -> impl Strategy<Value = Numbered> {
    (0..=INTEGER_MAX, any_command()).prop_map(|(id, command)| Numbered { id, command })
}

fn route() -> impl Strategy<Value = Route> {
    (text(), text(), text(), text(), text(), of(any::<i32>())).prop_map(
        |(departs, from, arrives, to, duration, day_offset)| Route { departs, from, arrives, to, duration, day_offset },
    )
}

fn card_option() -> impl Strategy<Value = CardOption> {
    let money = (any::<i64>(), text()).prop_map(|(amount, currency)| Money { amount, currency });
    (text(), text(), of(text()), of(money), of(text()), vec(text(), 0..3), of(route())).prop_map(
        |(id, label, description, price, price_note, facts, route)| CardOption {
            id,
            label,
            description,
            price,
            price_note,
            facts,
            route,
        },
    )
}

fn offer() -> impl Strategy<Value = Offer> {
    let detail = (text(), text(), of(text())).prop_map(|(label, title, text)| Detail { label, title, text });
    (text(), of(text()), vec(card_option(), 0..3), vec(detail, 0..3), of(text())).prop_map(
        |(title, subtitle, options, details, note)| Offer {
            kind: CardKind::Choice,
            title,
            subtitle,
            options,
            details,
            note,
        },
    )
}

fn state() -> impl Strategy<Value = CardState> {
    select(&[CardState::Open, CardState::Decided][..])
}

fn share_change() -> impl Strategy<Value = ShareChange> {
    let actions = [ShareAction::Created, ShareAction::Claimed, ShareAction::Changed, ShareAction::Revoked];
    let permission = select(&[Permission::View, Permission::Respond, Permission::SelectOptions][..]);
    (id(ShareId), select(actions.to_vec()), of(text()), of(text()), of(vec(permission, 0..3)), of(time())).prop_map(
        |(share, action, label, name, permissions, expires_at)| ShareChange {
            share,
            action,
            label,
            name,
            permissions,
            expires_at,
        },
    )
}

fn content() -> impl Strategy<Value = Content> {
    let card = (id(CardId), any::<i32>(), offer(), state());
    let selection = (id(CardId), any::<i32>(), vec(text(), 0..3), text(), vec(text(), 0..3), state());
    prop_oneof![
        text().prop_map(|text| Content::Message(Text::new(text))),
        text().prop_map(|text| Content::Note(Text { text, redacted: true })),
        (id(EntryId), text(), any::<bool>()).prop_map(|(entry_id, text, redacted)| Content::Edit(Edit {
            entry_id,
            text,
            redacted
        })),
        id(EntryId).prop_map(|entry_id| Content::Redaction(Redaction { entry_id })),
        card.prop_map(|(id, version, offer, state)| {
            Content::Card(CardBody { card: Card { id, version, offer, state } })
        }),
        selection.prop_map(|(card, version, options, title, labels, state)| {
            Content::Selection(Selection { card, version, options, title, labels, state })
        }),
        share_change().prop_map(Content::Share),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let audience = select(&[Audience::Everyone, Audience::Staff][..]);
    (id(EntryId), id(ClientId), content(), audience, who(), time()).prop_map(
        |(id, client_id, content, audience, author, at)| Entry { id, client_id, content, audience, author, at },
    )
}

fn who() -> impl Strategy<Value = Who> {
    let kind = select(&[WhoKind::Staff, WhoKind::Guest, WhoKind::Service][..]);
    (kind, text(), text()).prop_map(|(kind, id, name)| Who { kind, id, name })
}

fn presence_state() -> impl Strategy<Value = PresenceState> {
    select(&[PresenceState::Online, PresenceState::Offline, PresenceState::Unknown][..])
}

fn card_seen() -> impl Strategy<Value = CardSeen> {
    (who(), id(CardId), any::<i32>(), vec(option_seen(), 0..4), time(), time()).prop_map(
        |(who, card, version, options, first_at, last_at)| CardSeen { who, card, version, options, first_at, last_at },
    )
}

/// Pushes that carry no entry.
fn sign() -> impl Strategy<Value = Push> {
    let conversation = || id(ConversationId);
    prop_oneof![
        (conversation(), who(), presence_state(), any::<bool>())
            .prop_map(|(conversation, who, state, viewing)| { Push::Presence { conversation, who, state, viewing } }),
        (conversation(), card_seen())
            .prop_map(|(conversation, seen)| Push::Seen { conversation, seen: Box::new(seen) }),
        (conversation(), any::<i64>(), any::<i64>()).prop_map(|(conversation, epoch, seq)| Push::Head {
            conversation,
            epoch,
            seq
        }),
        conversation().prop_map(|conversation| Push::Paused { conversation }),
    ]
}

proptest! {
    #[test]
    fn a_sign_reads_back_the_same_from_both_codecs(push in sign(), who in who(), state in presence_state(), viewing in any::<bool>()) {
        let member = Member { who, state, viewing };
        for codec in Codec::ALL {
            prop_assert_eq!(&codec.decode::<Push>(&codec.encode(&push).unwrap()).unwrap(), &push);
            prop_assert_eq!(&codec.decode::<Member>(&codec.encode(&member).unwrap()).unwrap(), &member);
        }
    }

    #[test]
    fn a_command_reads_back_the_same_from_both_codecs(message in numbered()) {
        for codec in Codec::ALL {
            let bytes = codec.encode(&message).unwrap();
            prop_assert_eq!(&codec.decode_command(&bytes).unwrap(), &message);
            prop_assert_eq!(&codec.decode::<Numbered>(&bytes).unwrap(), &message);
        }
    }

    #[test]
    fn an_entry_reads_back_the_same_from_both_codecs(entry in entry(), seq in any::<i64>(), epoch in any::<i64>()) {
        let conversation = ConversationId(Uuid::nil());
        let push = Push::Entry { conversation, epoch, seq, entry: Arc::new(entry.clone()) };
        let page = Page { entries: vec![NumberedEntry { seq, entry }], epoch, head: seq, has_more: false };
        let reply = Reply { id: Some(7), outcome: Outcome::Ok(page) };
        for codec in Codec::ALL {
            prop_assert_eq!(&codec.decode::<Push>(&codec.encode(&push).unwrap()).unwrap(), &push);
            prop_assert_eq!(&codec.decode::<Reply<Page>>(&codec.encode(&reply).unwrap()).unwrap(), &reply);
        }
    }

    #[test]
    fn both_codecs_write_the_same_value(message in numbered(), entry in entry()) {
        let values = |bytes: [Vec<u8>; 2]| -> Vec<Value> {
            Codec::ALL.iter().zip(bytes).map(|(codec, bytes)| codec.decode_value(&bytes).unwrap()).collect()
        };
        let commands = values(Codec::ALL.map(|codec| codec.encode(&message).unwrap()));
        prop_assert_eq!(&commands[0], &commands[1]);
        let entries = values(Codec::ALL.map(|codec| codec.encode(&entry).unwrap()));
        prop_assert_eq!(&entries[0], &entries[1]);
    }

    #[test]
    fn the_scan_accepts_what_encode_writes(message in numbered(), entry in entry()) {
        for bytes in [Codec::Json.encode(&message).unwrap(), Codec::Json.encode(&entry).unwrap()] {
            prop_assert_eq!(scan::json(&bytes), Ok(()));
        }
        for bytes in [Codec::MessagePack.encode(&message).unwrap(), Codec::MessagePack.encode(&entry).unwrap()] {
            prop_assert_eq!(scan::message_pack(&bytes), Ok(()));
        }
    }
}
