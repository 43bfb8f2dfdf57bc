//! The golden messages of `vectors/` are what `schema/socket.json` describes: every valid one passes, and a command that the
//! server refuses for its fields does not.
//!
//! The check knows the keywords our generator writes, but no limits of values: those are the server's rules, not the codec's, and
//! vectors are about the codec. A client would use a library.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fs;

use parlour_protocol::documents::SOCKET;
use serde_json::Value;

/// What of the value is not as the schema says; nothing when all is.
fn wrong(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap();
        found.extend(wrong(root, target, value, path));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    if !kinds.is_empty() && !kinds.contains(&kind(value)) {
        found.push(format!("{path}: {} is no {kinds:?}", kind(value)));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{path}: {value} is not {}", schema["const"]));
    }
    for key in ["oneOf", "anyOf"] {
        let Some(choice) = schema[key].as_array() else { continue };
        let fits = choice.iter().filter(|one| wrong(root, one, value, path).is_empty()).count();
        if fits == 0 || (key == "oneOf" && fits > 1) {
            found.push(format!("{path}: {fits} variants of {key} fit"));
        }
    }
    found.extend(wrong_inside(root, schema, value, path));
    found
}

fn wrong_inside(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, one) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(wrong(root, &schema["items"], one, &format!("{path}[{at}]")));
    }
    let Some(object) = value.as_object() else { return found };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            found.push(format!("{path}.{name} is missing"));
        }
    }
    for (name, one) in object {
        match schema["properties"].get(name) {
            Some(inner) => found.extend(wrong(root, inner, one, &format!("{path}.{name}"))),
            None if schema["additionalProperties"] == false => found.push(format!("{path}.{name} is unknown")),
            None => {}
        }
    }
    found
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The cases of all vectors, with the word each file is about (`send` of `command-send.json`).
fn cases() -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors")).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let (kind, word) = stem.split_once('-').unwrap_or((&stem, ""));
        all.extend(cases.into_iter().map(|case| (kind.to_owned(), word.to_owned(), case)));
    }
    all
}

#[test]
fn every_valid_message_is_as_described() {
    let root: Value = serde_json::from_str(SOCKET).unwrap();
    let mut checked = 0;
    for (kind, word, case) in cases().into_iter().filter(|(.., case)| case["valid"] == true && case["kind"] != "close")
    {
        let message = &case["json"];
        let found = wrong(&root, &serde_json::json!({ "oneOf": root["oneOf"] }), message, "message");
        assert!(found.is_empty(), "{kind} {word}, {}: {found:?}\n{message}", case["name"]);
        let table = match kind.as_str() {
            "command" => &root["$defs"]["Commands"],
            "push" => &root["$defs"]["Pushes"],
            _ => continue,
        };
        let found = wrong(&root, &table["properties"][&word], message, "message");
        assert!(found.is_empty(), "{kind} {word}, {}: {found:?}", case["name"]);
        checked += 1;
    }
    assert!(checked > 20, "the vectors were not read");
}

#[test]
fn a_command_with_a_wrong_field_is_not() {
    let root: Value = serde_json::from_str(SOCKET).unwrap();
    let refused = cases().into_iter().filter(|(kind, word, case)| {
        kind == "invalid" && word == "command" && case["field"].is_string() && case["json"].is_object()
    });
    let mut checked = 0;
    for (.., case) in refused {
        let found = wrong(&root, &root["$defs"]["Command"], &case["json"], "command");
        assert!(!found.is_empty(), "{}: {}", case["name"], case["json"]);
        checked += 1;
    }
    assert!(checked > 5, "the vectors were not read");
}
