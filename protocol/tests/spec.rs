//! SPEC.md and the code say the same where both can be read by a program: errors, close codes, commands and pushes, announced
//! limits; and single rules of the values of SPEC §1.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fs;

use parlour_protocol::card::{Card, Offer};
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::command::Command;
use parlour_protocol::error::ErrorCode;
use parlour_protocol::limits::{self, Limits};
use parlour_protocol::push::Push;
use parlour_protocol::reply::{Appended, Attached, Hello, Reply};
use parlour_protocol::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The cells of the table rows between two headings.
fn rows(from: &str, to: &str) -> Vec<Vec<String>> {
    let spec = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md")).unwrap();
    let section = spec.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells =
        |line: &str| line.trim_matches('|').replace("\\|", "/").split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.map(cells).collect()
}

fn word(cell: &str) -> &str {
    cell.trim_matches('`')
}

#[test]
fn errors_are_those_of_the_spec() {
    let spec: Vec<(String, u16, bool)> = rows("\n## 8.", "\n## 9.")
        .iter()
        .map(|row| (word(&row[0]).to_owned(), row[1].parse().unwrap(), row[2] == "yes"))
        .collect();
    let code: Vec<(String, u16, bool)> =
        ErrorCode::ALL.iter().map(|code| (code.as_str().to_owned(), code.status(), code.retryable())).collect();
    assert_eq!(code, spec);
}

#[test]
fn close_codes_are_those_of_the_spec() {
    let spec: Vec<u16> = rows("\n### 2.4", "\n### 2.5")
        .iter()
        .flat_map(|row| row[0].split([',', '/']).map(|code| code.trim().parse().unwrap()).collect::<Vec<u16>>())
        .collect();
    let code: Vec<u16> = CloseCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(code, spec);
}

#[test]
fn commands_are_those_of_the_spec() {
    let spec: Vec<String> =
        rows("\n### 2.1", "\nWhat a command may").iter().map(|row| word(&row[0]).to_owned()).collect();
    assert_eq!(Command::NAMES, spec);
}

#[test]
fn pushes_of_the_spec_have_vectors() {
    for row in rows("\n### 2.2", "\n### 2.3") {
        let path = format!("{}/vectors/push-{}.json", env!("CARGO_MANIFEST_DIR"), word(&row[0]));
        assert!(fs::exists(&path).unwrap(), "{path}");
    }
}

#[test]
fn announced_limits_are_those_of_the_spec() {
    let spec = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md")).unwrap();
    let announced = spec.split_once("`limits` = `").unwrap().1.split_once('`').unwrap().0;
    let limits = serde_json::to_value(Limits::v1(limits::ROOMS_STAFF_MAX)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(announced).unwrap(), limits);
}

/// The messages of a block of the sample session, with who sends them.
fn session(block: &str) -> Vec<(char, String)> {
    let mut messages: Vec<(char, String)> = Vec::new();
    for line in block.lines() {
        match (line.chars().next().unwrap(), messages.last_mut()) {
            (by @ ('C' | 'S'), _) => messages.push((by, line[1..].trim().to_owned())),
            (_, Some((_, message))) => message.push_str(line.trim()),
            (_, None) => panic!("a session begins with a message: {line}"),
        }
    }
    messages
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// What a client understands of a message, written again; a reply is of one of the types of the sample.
fn understood(by: char, codec: Codec, message: &[u8], value: &Value) -> Value {
    fn read<T: DeserializeOwned + Serialize>(codec: Codec, message: &[u8]) -> Option<Value> {
        codec.decode::<T>(message).ok().map(|message| serde_json::to_value(message).unwrap())
    }
    let readings = match (by, value.get("id")) {
        ('C', _) => vec![Some(serde_json::to_value(codec.decode_command(message).unwrap()).unwrap())],
        (_, None) => vec![read::<Push>(codec, message)],
        (_, Some(_)) => vec![
            read::<Reply<Hello>>(codec, message),
            read::<Reply<Attached>>(codec, message),
            read::<Reply<Appended>>(codec, message),
        ],
    };
    readings.into_iter().flatten().next().unwrap_or_else(|| panic!("nobody understands {value}"))
}

#[test]
fn the_sample_session_is_one_in_both_codecs() {
    let spec = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md")).unwrap();
    let sample = spec.split_once("\n## 14.").unwrap().1;
    let blocks: Vec<&str> =
        sample.split("```").skip(1).step_by(2).map(|block| block.trim_start_matches("text\n")).collect();
    let (json, hex) = (session(blocks[0]), session(blocks[1]));
    assert_eq!((json.len(), json.len() > 10), (hex.len(), true));
    for ((by, json), (also_by, hex)) in json.into_iter().zip(hex) {
        let json = json.split("    // ").next().unwrap();
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!((by, &value), (also_by, &Codec::MessagePack.decode_value(&bytes(&hex)).unwrap()));
        assert_eq!(understood(by, Codec::Json, json.as_bytes(), &value), value);
        assert_eq!(understood(by, Codec::MessagePack, &bytes(&hex), &value), value);
    }
}

fn read_time(text: &str) -> Option<String> {
    serde_json::from_value::<Timestamp>(Value::from(text)).ok().map(|time| time.to_string())
}

#[test]
fn times_are_written_in_utc_with_milliseconds() {
    assert_eq!(read_time("2026-11-21T14:00:00.1239+02:00").as_deref(), Some("2026-11-21T12:00:00.123Z"));
    assert_eq!(read_time("2026-11-21T12:00:00Z").as_deref(), Some("2026-11-21T12:00:00.000Z"));
    assert_eq!(read_time("9999-12-31T23:59:59.999Z").as_deref(), Some("9999-12-31T23:59:59.999Z"));
    for text in ["", "2026-11-21", "2026-11-21T12:00:00", "2026-13-01T00:00:00Z", "1795262400"] {
        assert_eq!(read_time(text), None, "{text}");
    }
}

#[test]
fn a_time_that_leaves_the_calendar_in_utc_is_refused_when_read() {
    assert_eq!(read_time("9999-12-31T23:59:59-00:01"), None);
    assert_eq!(read_time("0000-01-01T00:00:00+00:01"), None);
}

#[test]
fn an_offer_refuses_unknown_fields_and_a_card_is_read_with_them() {
    let mut offer = json!({"kind": "choice", "title": "Flights", "options": [{"id": "a", "label": "A"}]});
    assert!(serde_json::from_value::<Offer>(offer.clone()).is_ok());
    offer["state"] = "decided".into();
    assert!(serde_json::from_value::<Offer>(offer.clone()).unwrap_err().to_string().contains("unknown field `state`"));
    offer["id"] = "01934a5e-0000-7000-8000-0000000000ca".into();
    offer["version"] = 1.into();
    offer["of_a_later_version"] = true.into();
    for codec in Codec::ALL {
        codec.decode::<Card>(&codec.encode(&offer).unwrap()).unwrap();
    }
}

// Limits that contradict each other do not compile.
const _: () = {
    assert!(limits::INTEGER_MAX == 9_007_199_254_740_991);
    assert!(limits::HEARTBEAT_MS < limits::HEARTBEAT_DEAD_MS);
    assert!(limits::HELLO_BYTES_MAX < limits::MESSAGE_BYTES_MAX);
    assert!(limits::TEXT_CHARS_MAX * 4 <= limits::STRING_BYTES_MAX, "the longest text fits in a string");
    assert!(limits::STRING_BYTES_MAX < limits::MESSAGE_BYTES_MAX);
    assert!(limits::PAGE_ENTRIES_DEFAULT <= limits::PAGE_ENTRIES_MAX);
};
