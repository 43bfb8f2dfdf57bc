//! `asyncapi.yaml` knows every command, reply and push of the types and no other, and everything it refers to exists.
//!
//! The types are read off `schema/socket.json`, which the workspace's `tests/contract.rs` keeps true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeSet;

use parlour_protocol::command::Command;
use parlour_protocol::documents;
use serde_json::Value;

fn asyncapi() -> Value {
    yaml_serde::from_str(documents::ASYNCAPI).unwrap()
}

fn socket() -> Value {
    serde_json::from_str(documents::SOCKET).unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// The words of a table of `socket.json`, as message names (`card_seen` with `Push`: `CardSeenPush`).
fn named(table: &str, suffix: &str) -> Vec<String> {
    let socket = socket();
    let words = socket["$defs"][table]["required"].as_array().unwrap();
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    let pascal = |word: &Value| word.as_str().unwrap().split('_').map(capital).collect::<String>() + suffix;
    words.iter().map(pascal).collect()
}

#[test]
fn every_command_reply_and_push_is_a_message() {
    let parts =
        [named("Commands", "Command"), named("Replies", "Ok"), vec!["Refused".to_owned()], named("Pushes", "Push")];
    let wanted: BTreeSet<String> = parts.into_iter().flatten().collect();
    let document = asyncapi();
    assert_eq!(keys(&document["components"]["messages"]), wanted, "components.messages (left) and the types (right)");
    assert_eq!(
        keys(&document["channels"]["socket"]["messages"]),
        wanted,
        "the channel's messages (left) and the types"
    );
}

#[test]
fn every_command_is_an_operation_that_is_answered() {
    let document = asyncapi();
    let operations = &document["operations"];
    let wanted = Command::NAMES.iter().copied().chain(["push"]).map(str::to_owned).collect();
    assert_eq!(keys(operations), wanted);
    for (word, name) in Command::NAMES.iter().zip(named("Commands", "")) {
        let to = |message: String| Value::from(format!("#/channels/socket/messages/{message}"));
        let operation = &operations[word];
        assert_eq!(operation["messages"][0]["$ref"], to(format!("{name}Command")), "{word}");
        assert_eq!(operation["reply"]["messages"][0]["$ref"], to(format!("{name}Ok")), "{word}");
        let ok = &document["components"]["messages"][format!("{name}Ok")]["payload"]["properties"]["ok"]["$ref"];
        assert_eq!(*ok, format!("./schema/socket.json#/$defs/Replies/properties/{word}"));
    }
    let pushed = operations["push"]["messages"].as_array().unwrap().iter().map(|one| one["$ref"].as_str().unwrap());
    let pushes = named("Pushes", "Push").into_iter().map(|name| format!("#/channels/socket/messages/{name}"));
    assert_eq!(pushed.collect::<Vec<_>>(), pushes.collect::<Vec<_>>());
}

#[test]
fn every_reference_leads_somewhere() {
    let (document, socket) = (asyncapi(), socket());
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50, "the document was not understood");
    for reference in references {
        let (root, pointer) = match reference.split_once('#').unwrap() {
            ("", pointer) => (&document, pointer),
            ("./schema/socket.json", pointer) => (&socket, pointer),
            (file, _) => panic!("{reference}: {file} is not looked at by this test"),
        };
        assert!(root.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|inner| collect(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| collect(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
