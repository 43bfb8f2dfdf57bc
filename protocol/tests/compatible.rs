//! Version 1 keeps its promise: what was frozen in `schema/v1/` still works. Messages, fields and codes are only ever added; what
//! the server reads may grow milder, never stricter; what it writes keeps every field and every type.
//!
//! Version 1 is not released yet (0.1.0), so a break may still be meant: `PARLOUR_FREEZE=1 cargo test -p parlour-protocol --test
//! compatible` freezes what is there now. From the release of 1.0 on, that is what a version 2 is for.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fs;
use std::path::{Path, PathBuf};

use compare::{Comparison, Direction};
use parlour_protocol::documents::{ERRORS, OPENAPI, SOCKET};
use serde_json::{Value, json};

#[path = "compatible/compare.rs"]
mod compare;

type Compare = fn(&Value, &Value) -> Vec<String>;
/// A change to a document, and what the comparison must say of it.
type Break = (&'static str, fn(&mut Value));

const DOCUMENTS: [(&str, &str, Compare); 3] =
    [("socket.json", SOCKET, socket), ("errors.json", ERRORS, errors), ("openapi.json", OPENAPI, openapi)];

fn frozen(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/v1").join(name)
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_was_frozen_still_works() {
    let mut found = Vec::new();
    for (name, text, compare) in DOCUMENTS {
        if std::env::var_os("PARLOUR_FREEZE").is_some() {
            fs::write(frozen(name), text).unwrap();
        }
        let old = read(&fs::read_to_string(frozen(name)).unwrap());
        found.extend(compare(&old, &read(text)).into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(
        found.is_empty(),
        "clients of version 1 would break (the head of this test says what to do):\n{}",
        found.join("\n")
    );
}

/// Commands are read, replies and pushes are written.
fn socket(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison::new(old, new);
    for (table, direction) in
        [("Commands", Direction::Input), ("Replies", Direction::Output), ("Pushes", Direction::Output)]
    {
        let words = |root: &'_ Value| root["$defs"][table]["properties"].as_object().cloned().unwrap();
        let now = &new["$defs"][table]["properties"];
        for word in words(old).keys() {
            let path = format!("{table}.{word}");
            match now.get(word) {
                Some(now) => comparison.schemas(&path, &old["$defs"][table]["properties"][word], now, direction),
                None => comparison.complain(&path, "is gone"),
            }
        }
    }
    comparison.schemas("Reply", &old["$defs"]["Reply"], &new["$defs"]["Reply"], Direction::Output);
    comparison.found
}

/// A code keeps what can be done about it; its words may be improved.
fn errors(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (list, name, kept) in
        [("errors", "code", &["status", "retryable"][..]), ("close", "name", &["code", "reconnect"])]
    {
        for before in old[list].as_array().unwrap() {
            match new[list].as_array().unwrap().iter().find(|after| after[name] == before[name]) {
                None => found.push(format!("{list}: {} is gone", before[name])),
                Some(after) => {
                    let changed = kept.iter().filter(|key| after[**key] != before[**key]);
                    found.extend(changed.map(|key| {
                        format!("{list}: {key} of {} was {} and is {}", before[name], before[key], after[key])
                    }));
                }
            }
        }
    }
    found
}

fn openapi(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison::new(old, new);
    for (path, methods) in old["paths"].as_object().unwrap() {
        for (method, before) in methods.as_object().unwrap() {
            match new["paths"].get(path).and_then(|methods| methods.get(method)) {
                Some(after) => operation(&mut comparison, &format!("{method} {path}"), before, after),
                None => comparison.complain(&format!("{method} {path}"), "is gone"),
            }
        }
    }
    comparison.found
}

fn operation<'a>(comparison: &mut Comparison<'a>, path: &str, old: &'a Value, new: &'a Value) {
    parameters(comparison, path, old, new);
    let schema = |content: &'a Value| content["content"]["application/json"].get("schema");
    if old["requestBody"]["required"] != true && new["requestBody"]["required"] == true {
        comparison.complain(path, "a body is required now");
    }
    match (schema(&old["requestBody"]), schema(&new["requestBody"])) {
        (Some(before), Some(after)) => comparison.schemas(&format!("{path} body"), before, after, Direction::Input),
        (Some(_), None) => comparison.complain(path, "takes no body any more"),
        (None, _) => {}
    }
    for (status, before) in old["responses"].as_object().unwrap() {
        let path = format!("{path} {status}");
        match new["responses"].get(status) {
            Some(after) => match (schema(before), schema(after)) {
                (Some(before), Some(after)) => comparison.schemas(&path, before, after, Direction::Output),
                (Some(_), None) => comparison.complain(&path, "holds no JSON any more"),
                (None, _) => {}
            },
            // A refusal that never comes again hurts nobody.
            None if status.as_str() < "400" => comparison.complain(&path, "is gone"),
            None => {}
        }
    }
    if old["security"] == json!([]) && new["security"] != json!([]) {
        comparison.complain(path, "wants a credential now");
    }
}

fn parameters<'a>(comparison: &mut Comparison<'a>, path: &str, old: &'a Value, new: &'a Value) {
    let list = |operation: &'a Value| operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let same = |one: &Value, other: &Value| (&one["name"], &one["in"]) == (&other["name"], &other["in"]);
    for before in list(old) {
        let path = format!("{path} {}", before["name"]);
        match list(new).iter().find(|after| same(before, after)) {
            Some(after) => comparison.schemas(&path, &before["schema"], &after["schema"], Direction::Input),
            None => comparison.complain(&path, "is gone"),
        }
    }
    for after in list(new).iter().filter(|after| after["required"] == true) {
        if !list(old).iter().any(|before| same(before, after) && before["required"] == true) {
            comparison.complain(&format!("{path} {}", after["name"]), "is required now");
        }
    }
}

/// What the comparison says of a change to today's document.
fn said(name: &str, change: impl Fn(&mut Value)) -> String {
    let (_, text, compare) = DOCUMENTS.into_iter().find(|(known, ..)| *known == name).unwrap();
    let (old, mut new) = (read(text), read(text));
    change(&mut new);
    assert_ne!(old, new, "the change changed nothing");
    compare(&old, &new).join("\n")
}

fn at<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Value {
    document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is gone: choose another example"))
}

fn remove(document: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    at(document, parent).as_object_mut().unwrap().remove(key).unwrap();
}

#[test]
fn what_would_break_a_client_is_found_on_the_socket() {
    let cases: [Break; 12] = [
        ("Commands.send: is gone", |new| remove(new, "/$defs/Commands/properties/send")),
        ("Pushes.head: is gone", |new| remove(new, "/$defs/Pushes/properties/head")),
        ("Commands.send.text: is gone", |new| remove(new, "/$defs/SendCommand/properties/text")),
        ("Pushes.head.seq: is gone", |new| remove(new, "/$defs/HeadPush/properties/seq")),
        ("Commands.ping.colour: is new and required", |new| {
            at(new, "/$defs/PingCommand")["properties"]["colour"] = json!({ "type": "string" });
            at(new, "/$defs/PingCommand/required").as_array_mut().unwrap().push("colour".into());
        }),
        ("Commands.attach.since: is required now", |new| {
            at(new, "/$defs/AttachCommand/required").as_array_mut().unwrap().push("since".into());
        }),
        ("Pushes.head.seq: may be absent now", |new| {
            at(new, "/$defs/HeadPush/required").as_array_mut().unwrap().retain(|name| name != "seq");
        }),
        ("Pushes.head.seq: was \"integer\" and is \"string\"", |new| {
            at(new, "/$defs/HeadPush/properties/seq")["type"] = "string".into();
        }),
        (".seq: can be null now", |new| {
            at(new, "/$defs/Appended/properties/seq")["type"] = json!(["integer", "null"]);
        }),
        ("state: lost [\"\\\"unknown\\\"\"]", |new| {
            at(new, "/$defs/PresenceState/oneOf").as_array_mut().unwrap().retain(|one| one["const"] != "unknown");
        }),
        ("(kind=\"note\"): is gone", |new| {
            let entry = at(new, "/$defs/Entry/oneOf").as_array_mut().unwrap();
            entry.retain(|one| one["properties"]["kind"]["const"] != "note");
        }),
        ("Commands.send.text: maxLength was 8000 and is 100", |new| {
            at(new, "/$defs/SendCommand/properties/text")["maxLength"] = 100.into();
        }),
    ];
    for (wanted, change) in cases {
        let said = said("socket.json", change);
        assert!(said.contains(wanted), "{said:?} does not say {wanted:?}");
    }
}

#[test]
fn what_would_break_a_client_is_found_among_the_codes() {
    let cases: [Break; 4] = [
        ("\"MALFORMED\" is gone", |new| {
            at(new, "/errors").as_array_mut().unwrap().remove(0);
        }),
        ("retryable of \"MALFORMED\" was false and is true", |new| at(new, "/errors/0")["retryable"] = true.into()),
        ("code of \"Normal\" was 1000 and is 1001", |new| at(new, "/close/0")["code"] = 1001.into()),
        ("\"Normal\" is gone", |new| {
            at(new, "/close").as_array_mut().unwrap().remove(0);
        }),
    ];
    for (wanted, change) in cases {
        let said = said("errors.json", change);
        assert!(said.contains(wanted), "{said:?} does not say {wanted:?}");
    }
}

#[test]
fn what_would_break_a_client_is_found_over_http() {
    let cases: [Break; 6] = [
        ("get /api/v1/me: is gone", |new| remove(new, "/paths/~1api~1v1~1me/get")),
        ("\"page\": is gone", |new| {
            at(new, "/paths/~1api~1v1~1conversations/get/parameters")
                .as_array_mut()
                .unwrap()
                .retain(|one| one["name"] != "page");
        }),
        ("\"page\": is required now", |new| {
            let parameters = at(new, "/paths/~1api~1v1~1conversations/get/parameters").as_array_mut().unwrap();
            parameters.iter_mut().find(|one| one["name"] == "page").unwrap()["required"] = true.into();
        }),
        ("body.title: is gone", |new| remove(new, "/components/schemas/CreateConversation/properties/title")),
        (".data.user: is gone", |new| remove(new, "/components/schemas/Me/properties/user")),
        ("post /api/v1/shares/claim: wants a credential now", |new| {
            at(new, "/paths/~1api~1v1~1shares~1claim/post")["security"] = json!([{ "bearer": [] }]);
        }),
    ];
    for (wanted, change) in cases {
        let said = said("openapi.json", change);
        assert!(said.contains(wanted), "{said:?} does not say {wanted:?}");
    }
}

#[test]
fn what_only_adds_is_allowed() {
    let on_the_socket = said("socket.json", |new| {
        at(new, "/$defs/SendCommand/properties")["colour"] = json!({ "type": ["string", "null"] });
        at(new, "/$defs/SendCommand/properties/text")["maxLength"] = 9000.into();
        at(new, "/$defs/HeadPush/properties")["colour"] = json!({ "type": "string" });
        at(new, "/$defs/HeadPush/required").as_array_mut().unwrap().push("colour".into());
        at(new, "/$defs/PresenceState/oneOf")
            .as_array_mut()
            .unwrap()
            .push(json!({ "type": "string", "const": "away" }));
        at(new, "/$defs/Pushes/properties")["bell"] = json!({ "type": "object" });
        at(new, "/$defs/Pushes/required").as_array_mut().unwrap().push("bell".into());
        at(new, "/$defs/Commands/properties")["ring"] = json!({ "type": "object" });
        at(new, "/$defs/Commands/required").as_array_mut().unwrap().push("ring".into());
    });
    assert_eq!(on_the_socket, "");
    let among_the_codes = said("errors.json", |new| {
        let codes = at(new, "/errors").as_array_mut().unwrap();
        codes.push(json!({ "code": "TEAPOT", "status": 418, "retryable": false }));
        at(new, "/errors/0")["meaning"] = "better words".into();
    });
    assert_eq!(among_the_codes, "");
    let over_http = said("openapi.json", |new| {
        at(new, "/paths")["/api/v2"] = json!({ "get": {} });
        at(new, "/components/schemas/Me/properties")["colour"] = json!({ "type": "string" });
    });
    assert_eq!(over_http, "");
}
