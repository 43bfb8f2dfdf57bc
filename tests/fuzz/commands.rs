//! Commands of strangers, in both codecs. For any bytes: no panic, no recursion with the input, an answer of bounded size; and
//! what can be read at all gets the same verdict in both codecs, and what is accepted keeps the limits and reads back the same.

use parlour_protocol::codec::{Codec, DecodeError};
use parlour_protocol::command::Numbered;
use parlour_protocol::error::ErrorCode;
use parlour_protocol::limits::{DEPTH_MAX, INTEGER_MAX, ITEMS_MAX, STRING_BYTES_MAX};
use parlour_protocol::scan;
use serde_json::Value;

use crate::run::{MESSAGE, Target, behaviour};
use crate::vectors;

const DICTIONARY: &[&[u8]] = &[
    b"\"id\":",
    b"\"type\":\"send\"",
    b"\"type\":\"select\"",
    b"\"type\":\"history\"",
    b"\"type\":\"hello\"",
    b"\"since\":{\"epoch\":1,\"seq\":2}",
    b"\"since\":null",
    b"\"options\":[\"a\",\"b\"]",
    b"\"text\":\"\"",
    b"\"active\":true",
    b"\"limit\":200",
    b"\"before\":",
    b"\"around\":",
    b"null",
    b"\\u0000",
    b"\\ud83d",
    b"\\ud83c\\udfd4",
    b"\\u00e9",
    b"\\\"",
    b"\\\\",
    b",",
    b":",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xa2id",
    b"\xa4type\xa4send",
    b"\xa4type\xa6select",
    b"\xa5limit\xcc\xc8",
    b"\xa5since\x82\xa5epoch\x01\xa3seq\x02",
    b"\xa7options\x91\xa1a",
    b"\xc0",
    b"\xcf\x00\x1f\xff\xff\xff\xff\xff\xff",
    b"\xca\x7f\x80\x00\x00",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xcb\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\xca\x3f\x80\x00\x00",
    b"\xd4\x01\x00",
    b"\xc4\x01a",
];

#[test]
fn json_commands() {
    run("json_commands", Codec::Json);
}

#[test]
fn message_pack_commands() {
    run("message_pack_commands", Codec::MessagePack);
}

fn run(name: &'static str, codec: Codec) {
    let examples =
        [vectors::wire("command-", codec), vectors::wire("invalid-", codec), vectors::wire("push-", codec)].concat();
    Target { name, examples, dictionary: DICTIONARY, bytes_max: MESSAGE }.run(move |bytes| check(codec, bytes));
}

fn check(codec: Codec, bytes: &[u8]) -> u64 {
    let verdict = codec.decode_command(bytes);
    match &verdict {
        Ok(numbered) => assert!(numbered.id <= INTEGER_MAX),
        Err(refused) => assert_small(refused),
    }
    let scanned = match codec {
        Codec::Json => scan::json(bytes),
        Codec::MessagePack => scan::message_pack(bytes),
    };
    // Only what was scanned may be given to a decoder that recurses.
    let value = scanned.ok().and_then(|()| codec.decode_value(bytes).ok());
    assert!(verdict.is_err() || value.is_some(), "accepted although it cannot be read");
    if let Some(value) = &value {
        assert_within_limits(value);
        for other in Codec::ALL {
            let again = other.decode_command(&other.encode(value).unwrap());
            assert_eq!(told(&again), told(&verdict), "{other:?} does not agree");
        }
    }
    if let Ok(numbered) = &verdict {
        for other in Codec::ALL {
            let bytes = other.encode(numbered).unwrap();
            assert_eq!(other.decode_command(&bytes).as_ref(), Ok(numbered), "in {other:?}");
        }
    }
    behaviour((value.map(|value| shape(&value, 3)), kind(&verdict)))
}

/// What a caller can go by. The text is not compared: a float in it may be read from JSON with another last digit.
fn told(verdict: &Result<Numbered, DecodeError>) -> Result<&Numbered, (Option<u64>, ErrorCode, Option<&Value>)> {
    verdict.as_ref().map_err(|refused| (refused.id, refused.error.code, refused.error.details.get("field")))
}

/// What goes back to a stranger is a line, whatever the stranger sent.
fn assert_small(refused: &DecodeError) {
    assert!(refused.error.message.chars().count() <= 200);
    for value in refused.error.details.values() {
        assert!(value.as_str().is_none_or(|text| text.chars().count() <= 200));
    }
    assert!(refused.id.is_none_or(|id| id <= INTEGER_MAX));
}

/// What a reader lets through keeps the limits of messages; counted here in another way than it counts.
pub fn assert_within_limits(value: &Value) {
    let (mut items, mut open) = (0, vec![(value, 1)]);
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::Array(values) => {
                items += values.len();
                open.extend(values.iter().map(|value| (value, depth + 1)));
            }
            Value::Object(map) => {
                items += map.len();
                assert!(map.keys().all(|key| key.len() <= STRING_BYTES_MAX));
                open.extend(map.values().map(|value| (value, depth + 1)));
            }
            Value::String(text) => {
                assert!(text.len() <= STRING_BYTES_MAX);
                continue;
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => continue,
        }
        assert!(depth <= DEPTH_MAX, "nested {depth} deep");
    }
    assert!(items <= ITEMS_MAX, "{items} items");
}

/// What a verdict says, without the caller's own words and numbers.
fn kind(verdict: &Result<Numbered, DecodeError>) -> String {
    match verdict {
        Ok(numbered) => numbered.command.name().to_owned(),
        Err(refused) => {
            let (text, id) = (&refused.error.message, refused.id.is_some());
            let words = text.split(['`', '"', '\'']).step_by(2).collect::<String>();
            let plain: String = words.chars().filter(|c| c.is_ascii_alphabetic()).take(80).collect();
            format!("{id} {plain}")
        }
    }
}

/// The types in a value and how many there are, roughly.
fn shape(value: &Value, levels: usize) -> String {
    let inner = |values: &mut dyn Iterator<Item = &Value>| -> String {
        if levels == 0 { String::new() } else { values.take(6).map(|value| shape(value, levels - 1)).collect() }
    };
    match value {
        Value::Null => "n".to_owned(),
        Value::Bool(_) => "b".to_owned(),
        Value::Number(number) if number.is_f64() => "f".to_owned(),
        Value::Number(number) => if number.is_i64() { "i" } else { "u" }.to_owned(),
        Value::String(text) => format!("s{}", rough(text.len())),
        Value::Array(values) => format!("[{}{}]", rough(values.len()), inner(&mut values.iter())),
        Value::Object(map) => format!("{{{}{}}}", rough(map.len()), inner(&mut map.values())),
    }
}

fn rough(count: usize) -> u32 {
    count.checked_ilog2().unwrap_or(0)
}
