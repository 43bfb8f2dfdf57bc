//! Runs the golden vectors of `vectors/`: what is valid reads alike from both codecs and is written back byte for byte, what is
//! invalid gives its error.
//!
//! The TypeScript client runs the same files. `UPDATE_VECTORS=1 cargo test -p parlour-protocol --test vectors` writes the files
//! anew from their `json` fields; it never touches hand-made bytes of invalid cases. `README.md` describes the format.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::command::{Command, Numbered};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::push::Push;
use parlour_protocol::reply;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: String,
    valid: bool,
    json: Option<Value>,
    json_text: Option<String>,
    msgpack: Option<String>,
    error: Option<String>,
    reply_id: Option<u64>,
    field: Option<String>,
}

/// A message as Rust understood it, and as Rust writes it.
#[derive(Debug, PartialEq)]
struct Understood {
    value: String,
    json: String,
    msgpack: Vec<u8>,
}

type Reader = fn(Codec, &[u8]) -> Result<Understood, String>;

/// Which type the valid cases of a file hold.
fn reader(file: &str) -> Option<Reader> {
    Some(match file {
        "reply-hello" => read::<reply::Reply<reply::Hello>>,
        "reply-refresh" => read::<reply::Reply<reply::Refreshed>>,
        "reply-attach" => read::<reply::Reply<reply::Attached>>,
        "reply-appended" => read::<reply::Reply<reply::Appended>>,
        "reply-selected" => read::<reply::Reply<reply::Selected>>,
        "reply-members" => read::<reply::Reply<reply::Members>>,
        "reply-watermarks" => read::<reply::Reply<reply::Watermarks>>,
        "reply-page" => read::<reply::Reply<reply::Page>>,
        "reply-empty" | "reply-error" => read::<reply::Reply<reply::Empty>>,
        _ if file.starts_with("push-") => read::<Push>,
        _ if file.starts_with("command-") => read_command,
        _ => return None,
    })
}

fn read<T: DeserializeOwned + Serialize + Debug>(codec: Codec, bytes: &[u8]) -> Result<Understood, String> {
    codec.decode::<T>(bytes).map(|value| understood(&value)).map_err(|error| error.to_string())
}

fn read_command(codec: Codec, bytes: &[u8]) -> Result<Understood, String> {
    codec
        .decode_command(bytes)
        .map(|command: Numbered| understood(&command))
        .map_err(|refused| refused.error.to_string())
}

fn understood<T: Serialize + Debug>(value: &T) -> Understood {
    Understood {
        value: format!("{value:?}"),
        json: String::from_utf8(Codec::Json.encode(value).unwrap()).unwrap(),
        msgpack: Codec::MessagePack.encode(value).unwrap(),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Every file by its name without `.json`, as text.
fn files() -> BTreeMap<String, String> {
    let paths = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let named = paths.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path));
    named.map(|(name, path)| (name, fs::read_to_string(path).unwrap())).collect()
}

fn cases() -> Vec<(String, Case)> {
    let mut all = Vec::new();
    for (file, text) in files() {
        let cases: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}.json: {error}"));
        all.extend(cases.into_iter().map(|case| (file.clone(), case)));
    }
    all
}

/// The file as it should be: one case per line, the bytes derived from the JSON.
fn render(file: &str, text: &str) -> String {
    let cases: Vec<Case> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{file}.json: {error}"));
    let lines: Vec<String> = cases.iter().map(|case| format!("  {}", render_case(file, case))).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn render_case(file: &str, case: &Case) -> String {
    let mut json = case.json.as_ref().map(|json| json.to_string());
    let mut msgpack = case.msgpack.clone();
    if let (true, Some(reader)) = (case.valid, reader(file)) {
        let text = json.unwrap_or_else(|| panic!("{file}: {} has no json", case.name));
        let message =
            reader(Codec::Json, text.as_bytes()).unwrap_or_else(|error| panic!("{file}: {}: {error}", case.name));
        (json, msgpack) = (Some(message.json), Some(STANDARD.encode(message.msgpack)));
    } else if let (None, Some(value)) = (&msgpack, &case.json) {
        msgpack = Some(STANDARD.encode(Codec::MessagePack.encode(value).unwrap()));
    }
    let quoted = |text: &str| Value::from(text).to_string();
    let mut fields =
        vec![("name", quoted(&case.name)), ("kind", quoted(&case.kind)), ("valid", case.valid.to_string())];
    fields.extend(json.map(|json| ("json", json)));
    fields.extend(case.json_text.as_deref().map(|text| ("json_text", quoted(text))));
    fields.extend(msgpack.as_deref().map(|text| ("msgpack", quoted(text))));
    fields.extend(case.error.as_deref().map(|text| ("error", quoted(text))));
    if !case.valid {
        fields.push(("reply_id", Value::from(case.reply_id).to_string()));
    }
    fields.extend(case.field.as_deref().map(|text| ("field", quoted(text))));
    let pairs: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

#[test]
fn the_files_are_what_rust_writes() {
    for (file, text) in files() {
        let fresh = render(&file, &text);
        if std::env::var_os("UPDATE_VECTORS").is_some() {
            fs::write(directory().join(format!("{file}.json")), fresh).unwrap();
        } else {
            assert!(fresh == text, "{file}.json is stale: run this test with UPDATE_VECTORS=1 and look at the diff");
        }
    }
}

#[test]
fn a_valid_message_reads_alike_from_both_codecs_and_is_written_back_the_same() {
    for (file, case) in cases().into_iter().filter(|(file, case)| case.valid && file != "close") {
        let name = format!("{file}: {}", case.name);
        let reader = reader(&file).unwrap_or_else(|| panic!("{name}: no type is known for this file"));
        let json = case.json.unwrap();
        let msgpack = STANDARD.decode(case.msgpack.unwrap()).unwrap();
        let from_json =
            reader(Codec::Json, json.to_string().as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let from_msgpack = reader(Codec::MessagePack, &msgpack).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(from_json, from_msgpack, "{name}");
        assert_eq!(from_json.msgpack, msgpack, "{name}");
        assert_eq!(serde_json::from_str::<Value>(&from_json.json).unwrap(), json, "{name}");
        assert_eq!(Codec::MessagePack.decode_value(&msgpack).unwrap(), json, "{name}");
    }
}

#[test]
fn an_invalid_command_gives_its_error_in_every_form_it_has() {
    for (file, case) in cases().into_iter().filter(|(_, case)| !case.valid) {
        let json = case.json.as_ref().map(|json| json.to_string()).or(case.json_text.clone());
        let msgpack = case.msgpack.as_ref().map(|text| STANDARD.decode(text).unwrap());
        let forms = [(Codec::Json, json.map(String::into_bytes)), (Codec::MessagePack, msgpack)];
        assert!(forms.iter().any(|(_, bytes)| bytes.is_some()), "{file}: {} has no form", case.name);
        for (codec, bytes) in forms.into_iter().filter_map(|(codec, bytes)| Some((codec, bytes?))) {
            let name = format!("{file}: {} in {codec:?}", case.name);
            let Err(refused) = codec.decode_command(&bytes) else { panic!("{name} is accepted") };
            assert_eq!(Some(refused.error.code.as_str()), case.error.as_deref(), "{name}: {}", refused.error);
            assert_eq!(refused.id, case.reply_id, "{name}: {}", refused.error);
            assert!(refused.error.message.chars().count() <= 200, "{name}: an answer is a line");
            assert_eq!(field_of(&refused.error), case.field.as_deref(), "{name}: {}", refused.error);
        }
    }
}

fn field_of(error: &ErrorBody) -> Option<&str> {
    error.details.get("field").and_then(Value::as_str)
}

#[derive(Deserialize)]
struct Close {
    code: u16,
    reason: String,
    reconnect: bool,
}

#[test]
fn every_close_code_has_its_reason_and_its_advice() {
    let closes: Vec<Close> = cases()
        .into_iter()
        .filter(|(file, _)| file == "close")
        .map(|(_, case)| serde_json::from_value(case.json.unwrap()).unwrap())
        .collect();
    for close in &closes {
        assert_eq!(CloseCode::reconnect(close.code), close.reconnect, "{}", close.code);
        let ours = CloseCode::ALL.iter().find(|code| code.code() == close.code);
        assert_eq!(ours.map_or("", |code| code.reason()), close.reason, "{}", close.code);
    }
    let covered: BTreeSet<u16> = closes.iter().map(|close| close.code).collect();
    assert!(CloseCode::ALL.iter().all(|code| covered.contains(&code.code())), "a close code has no vector");
}

#[test]
fn every_command_push_and_error_code_has_vectors() {
    let files = files();
    for name in Command::NAMES {
        assert!(files.contains_key(&format!("command-{name}")), "no vectors for the command {name}");
    }
    for (file, case) in cases().into_iter().filter(|(file, _)| file.starts_with("push-")) {
        let push: Push = serde_json::from_value(case.json.unwrap()).unwrap();
        assert_eq!(file, format!("push-{}", word(&push)), "{}", case.name);
    }
    for name in PUSHES {
        assert!(files.contains_key(&format!("push-{name}")), "no vectors for the push {name}");
    }
    let errors: BTreeSet<String> = cases()
        .into_iter()
        .filter(|(file, _)| file == "reply-error")
        .map(|(_, case)| case.json.unwrap()["error"]["code"].as_str().unwrap().to_owned())
        .collect();
    let codes: BTreeSet<String> = ErrorCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(errors, codes);
}

const PUSHES: [&str; 11] =
    ["entry", "typing", "presence", "seen", "receipt", "permission", "head", "paused", "share", "inbox", "advice"];

/// A new push does not compile here until it has a word, and then wants a file.
fn word(push: &Push) -> &'static str {
    match push {
        Push::Entry { .. } => "entry",
        Push::Typing { .. } => "typing",
        Push::Presence { .. } => "presence",
        Push::Seen { .. } => "seen",
        Push::Receipt { .. } => "receipt",
        Push::Permission { .. } => "permission",
        Push::Head { .. } => "head",
        Push::Paused { .. } => "paused",
        Push::Share { .. } => "share",
        Push::Inbox { .. } => "inbox",
        Push::Advice { .. } => "advice",
    }
}
