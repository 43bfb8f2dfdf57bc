//! Hostile input: the scan's limits at their exact values, alike in both codecs, and bytes of every sort, none of which may
//! panic, recurse or allocate what a length claims.
//!
//! Deep nests run on a small stack, where recursion would abort the test. Single refused messages are in `vectors/invalid-*`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use parlour_protocol::codec::Codec;
use parlour_protocol::command::{Attach, Command, Hello, Numbered};
use parlour_protocol::entry::Position;
use parlour_protocol::id::ConversationId;
use parlour_protocol::limits::{DEPTH_MAX, ITEMS_MAX, MESSAGE_BYTES_MAX, STRING_BYTES_MAX};
use parlour_protocol::scan::{self, Broken};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Map, Value, json};
use uuid::Uuid;

fn scan_both(value: &Value) -> [Result<(), Broken>; 2] {
    let [json, message_pack] = Codec::ALL.map(|codec| codec.encode(value).unwrap());
    [scan::json(&json), scan::message_pack(&message_pack)]
}

fn check_limit(max: usize, broken: Broken, make: impl Fn(usize) -> Value) {
    assert_eq!(scan_both(&make(max - 1)), [Ok(()); 2]);
    assert_eq!(scan_both(&make(max)), [Ok(()); 2]);
    assert_eq!(scan_both(&make(max + 1)), [Err(broken); 2]);
}

fn nested(depth: usize, mut value: Value, wrap: fn(Value) -> Value) -> Value {
    for _ in 1..depth {
        value = wrap(value);
    }
    value
}

#[test]
fn depth_is_limited_whether_the_innermost_is_empty_or_not() {
    for inner in [json!([]), json!({}), json!([0]), json!({"x": 0})] {
        check_limit(DEPTH_MAX, Broken::Depth, |depth| nested(depth, inner.clone(), |value| json!([value])));
        check_limit(DEPTH_MAX, Broken::Depth, |depth| nested(depth, inner.clone(), |value| json!({ "x": value })));
    }
}

#[test]
fn items_are_limited_in_arrays_maps_and_over_the_whole_message() {
    check_limit(ITEMS_MAX, Broken::Items, |count| vec![0; count].into());
    check_limit(ITEMS_MAX, Broken::Items, |count| vec![json!([]); count].into());
    check_limit(ITEMS_MAX, Broken::Items, |count| {
        Value::Object((0..count).map(|n| (n.to_string(), Value::Null)).collect::<Map<_, _>>())
    });
    check_limit(ITEMS_MAX, Broken::Items, |count| json!([vec![0; 1000], vec![0; count - 1002]]));
}

#[test]
fn strings_and_keys_are_limited_by_their_length_in_utf8() {
    check_limit(STRING_BYTES_MAX, Broken::String, |length| "a".repeat(length).into());
    check_limit(STRING_BYTES_MAX, Broken::String, |length| json!({ "a".repeat(length): 0 }));
    check_limit(STRING_BYTES_MAX, Broken::String, |length| "\n".repeat(length).into());
    check_limit(STRING_BYTES_MAX, Broken::String, |length| "\u{1}".repeat(length).into());
    check_limit(STRING_BYTES_MAX, Broken::String, |length| {
        format!("{}{}", "é".repeat(1000), "a".repeat(length - 2000)).into()
    });
}

#[test]
fn an_escape_counts_as_the_character_it_stands_for() {
    for (escape, length) in [(r"\u0041", 1), (r"\u00e9", 2), (r"\u65e5", 3), (r"\ud83c\udfd4", 4), (r"\/", 1)] {
        let fits = STRING_BYTES_MAX / length;
        assert_eq!(scan::json(format!("\"{}\"", escape.repeat(fits)).as_bytes()), Ok(()), "{escape}");
        assert_eq!(scan::json(format!("\"{}\"", escape.repeat(fits + 1)).as_bytes()), Err(Broken::String), "{escape}");
    }
    // A quote ends the string even after half an escape.
    assert_eq!(scan::json(format!(r#"["\u0{}"]"#, "\",\"a".repeat(9)).as_bytes()), Ok(()));
}

#[test]
fn white_space_and_punctuation_inside_of_strings_are_not_counted() {
    assert_eq!(scan::json("[ \n\t\r] ".repeat(3000).as_bytes()), Ok(()));
    assert_eq!(scan::json(format!("[\"{}\"]", ",[{".repeat(3000)).as_bytes()), Ok(()));
}

/// Debug builds of a recursive decoder need a few hundred bytes of stack per level; this stack would hold a few hundred levels.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn nests_as_long_as_a_message_are_refused_without_recursion() {
    on_a_small_stack(|| {
        for (codec, unit) in [
            (Codec::Json, "[".as_bytes()),
            (Codec::Json, b"{\"a\":"),
            (Codec::MessagePack, b"\x91"),
            (Codec::MessagePack, b"\x81\xa1a"),
            (Codec::MessagePack, b"\xdd\x00\x00\x00\x01"),
        ] {
            let bytes = unit.repeat(MESSAGE_BYTES_MAX / unit.len());
            assert!(codec.decode_command(&bytes).is_err());
        }
    });
}

#[test]
fn a_message_of_the_greatest_depth_is_read_on_a_small_stack() {
    on_a_small_stack(|| {
        let message = json!({"id": 7, "type": "ping", "x": nested(DEPTH_MAX - 1, json!([]), |value| json!([value]))});
        for codec in Codec::ALL {
            let refused = codec.decode_command(&codec.encode(&message).unwrap()).unwrap_err();
            assert_eq!((refused.id, refused.error.details["field"].as_str()), (Some(7), Some("x")));
        }
    });
}

#[test]
fn answers_stay_short_whatever_the_caller_wrote() {
    let long = "ü".repeat(STRING_BYTES_MAX / 2);
    for message in [
        json!({"id": 7, "type": "ping", long.clone(): 0}),
        json!({"id": 7, "type": "subscribe", "topic": long}),
        json!({"id": 7, "type": "typing", "conversation": Uuid::nil(), "active": long}),
    ] {
        for codec in Codec::ALL {
            let refused = codec.decode_command(&codec.encode(&message).unwrap()).unwrap_err();
            assert!(codec.encode(&refused.error).unwrap().len() < 1024);
        }
    }
}

/// What is read although nobody should write it (SPEC §1 says how the forms are written).
#[test]
fn lenient_forms_are_read_as_what_they_mean() {
    let conversation = ConversationId(Uuid::from_u128(0xabc));
    let attach = |since| Numbered { id: 8, command: Command::Attach(Attach { conversation, since }) };
    let upper = conversation.to_string().to_uppercase();
    let read = |text: String| Codec::Json.decode_command(text.as_bytes()).unwrap();
    assert_eq!(
        read(format!(r#"{{"id":8,"type":"attach","conversation":"{conversation}","since":null}}"#)),
        attach(None)
    );
    assert_eq!(read(format!(r#"{{"id":8,"type":"attach","conversation":"{upper}"}}"#)), attach(None));
    let since = Some(Position { epoch: 1, seq: 2 });
    assert_eq!(
        read(format!(
            r#" {{ "since" : {{"seq":9,"seq":2,"epoch":1}}, "id":7,"id":8,"conversation":"{conversation}","type":"ping","type":"attach"}} "#
        )),
        attach(since)
    );
    let hello = Numbered { id: 8, command: Command::Hello(Hello { token: Some("a".to_owned()), ticket: None }) };
    // Lengths and integers wider than needed, and a key given twice.
    let wide =
        b"\xdf\0\0\0\x04\xd9\x02id\x07\xa2id\xcf\0\0\0\0\0\0\0\x08\xda\0\x04type\xdb\0\0\0\x05hello\xa5token\xd9\x01a";
    assert_eq!(Codec::MessagePack.decode_command(wide).unwrap(), hello);
}

fn json_like() -> impl Strategy<Value = Vec<u8>> {
    vec(
        proptest::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\u",
            "\\u00e9",
            "\\ud83d",
            "\"id\":7",
            "\"type\":\"ping\"",
            "null",
            "-1",
            "1e9",
            " ",
            "é",
            "\"conversation\"",
        ]),
        0..60,
    )
    .prop_map(|parts| parts.concat().into_bytes())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::prelude::Just(Value::Null),
    ];
    leaf.prop_recursive(40, 300, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((any::<String>(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        for codec in Codec::ALL {
            prop_assert!(codec.decode_command(&bytes).is_err());
        }
        let _: [Result<(), Broken>; 2] = [scan::json(&bytes), scan::message_pack(&bytes)];
    }

    #[test]
    fn almost_json_never_panics(bytes in json_like()) {
        let _: Result<(), Broken> = scan::json(&bytes);
        if let Ok(read) = Codec::Json.decode_command(&bytes) {
            prop_assert_eq!(read.command.name(), "ping");
        }
    }

    #[test]
    fn a_damaged_message_never_panics(value in any_value(), at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()) {
        for codec in Codec::ALL {
            let mut bytes = codec.encode(&value).unwrap();
            let length = bytes.len();
            bytes[at % length] = byte;
            let _: Result<Numbered, _> = codec.decode_command(&bytes);
            let _: Result<Numbered, _> = codec.decode_command(&bytes[..cut % length]);
        }
    }

    #[test]
    fn both_codecs_break_the_same_limit_or_none(value in any_value()) {
        let [json, message_pack] = scan_both(&value);
        prop_assert_eq!(json, message_pack);
    }
}
