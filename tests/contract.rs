//! The contract's documents are what the types say: `protocol/schema/*.json` is made by this test and never edited by hand. After a
//! change of the types or the routes: `PARLOUR_WRITE=1 cargo test --test contract`, look at the diff, commit it.
//!
//! Whether a change is allowed is asked elsewhere: `protocol/tests/compatible.rs` compares with the frozen `schema/v1/`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use parlour_protocol::schema;
use serde_json::Value;

const AGAIN: &str = "PARLOUR_WRITE=1 cargo test --test contract";

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/schema")
}

fn generated() -> [(&'static str, Value); 3] {
    [
        ("socket.json", schema::socket()),
        ("errors.json", schema::errors()),
        ("openapi.json", parlour::http::openapi::document()),
    ]
}

#[test]
fn the_files_are_what_the_types_say() {
    let mut stale = Vec::new();
    for (name, value) in generated() {
        let (path, text) = (schemas().join(name), format!("{value:#}\n"));
        if std::env::var_os("PARLOUR_WRITE").is_some() {
            fs::write(path, text).unwrap();
        } else if fs::read_to_string(path).unwrap_or_default() != text {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "protocol/schema/ has stale files: {stale:?}. Make them anew with: {AGAIN}");
}

/// What the route table serves, as `get /path`.
fn served() -> BTreeSet<String> {
    let mut served = BTreeSet::from(["get /api/v1/ws".to_owned()]);
    let source = include_str!("../src/http/routes.rs");
    for line in source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
        let (path, handlers) = line.split_once("\", ").unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.starts_with(&format!("{method}(")) || handlers.contains(&format!(").{method}(")) {
                served.insert(format!("{method} {}", path.replace("{*", "{")));
            }
        }
    }
    served
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let document = parlour::http::openapi::document();
    let paths = document["paths"].as_object().unwrap().iter();
    let described = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")).collect::<Vec<_>>()
    });
    assert_eq!(
        described.collect::<BTreeSet<_>>(),
        served(),
        "described in src/http/openapi/operations.rs (left), served (right)"
    );
}

#[test]
fn every_reference_leads_somewhere_and_every_definition_is_used() {
    for (name, document) in generated() {
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{name}: {reference} leads nowhere");
        }
        let home = if name == "openapi.json" { "/components/schemas" } else { "/$defs" };
        for definition in document.pointer(home).and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name)
        {
            let is_index = ["Commands", "Replies", "Pushes"].contains(&definition.as_str());
            assert!(
                is_index || found.contains(&format!("#{home}/{definition}")),
                "{name}: nobody refers to {definition}"
            );
            // schemars numbers a second type of the same name.
            assert!(!definition.ends_with(|c: char| c.is_ascii_digit()), "{name}: two types are called {definition}");
        }
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|inner| references(inner, found));
        }
        Value::Array(list) => list.iter().for_each(|inner| references(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
