//! The contract as JSON Schema (2020-12), made from the types of this crate: what a program reads where people read SPEC.md.
//!
//! Two directions, because the server is strict in what it reads and clients must be lenient: commands are described as the
//! server takes them (unknown fields refused), replies and pushes as it writes them (fields may be added). A definition has
//! the name of its Rust type. The results are committed under `schema/`; nothing here touches a file. [`book`] collects.

pub mod book;

use serde_json::{Map, Value, json};

use crate::close::CloseCode;
use crate::command::{Command, Numbered};
use crate::error::ErrorCode;
use crate::push::Push;
use crate::reply::Reply;
use crate::schema::book::{Book, Home};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Every message of the socket: `Command`, `Reply` and `Push`, each command and push under its own name, and `Commands`,
/// `Replies` and `Pushes`, which tell by a message's word what it holds.
pub fn socket() -> Value {
    let mut book = Book::new(Home::Defs);
    let frames = [book.read::<Numbered>(), book.written::<Reply<Value>>(), book.written::<Push>()];
    let replies = Command::reply_schemas(book.writer());
    let mut document = book.bind(json!({
        "$schema": DIALECT,
        "title": "The Parlour socket, version 1",
        "description": "Any one message: a command of the client, a reply or a push of the server. SPEC.md says what they mean.",
        "oneOf": frames,
    }));
    let definitions = document["$defs"].as_object_mut().expect("a book binds its definitions as an object");
    let commands = part(definitions, "Command");
    let pushes = part(definitions, "Push");
    let replies = replies.into_iter().map(|(word, schema)| (word.to_owned(), schema.to_value())).collect();
    for (name, by_word, what) in [
        ("Commands", commands, "Every command by its word."),
        ("Replies", replies, "What `ok` of a reply holds, by the word of its command."),
        ("Pushes", pushes, "Every push by its word."),
    ] {
        definitions.insert(name.to_owned(), table(by_word, what));
    }
    document
}

/// Gives every variant of a tagged definition a name of its own (`send` of `Command`: `SendCommand`), whole, and answers with
/// them by word. What is a command stays closed to unknown fields.
fn part(definitions: &mut Map<String, Value>, name: &str) -> Vec<(String, Value)> {
    let mut whole = definitions.remove(name).unwrap_or_default();
    let shared = whole["properties"].as_object().cloned().unwrap_or_default();
    let required = whole["required"].as_array().cloned().unwrap_or_default();
    let variants = whole["oneOf"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut by_word = Vec::new();
    for mut variant in variants {
        let word = variant["properties"]["type"]["const"].as_str().unwrap_or_default().to_owned();
        for (field, schema) in &shared {
            variant["properties"][field] = schema.clone();
        }
        if let Some(own) = variant["required"].as_array_mut() {
            own.splice(0..0, required.iter().cloned());
        }
        if name == "Command" {
            variant["additionalProperties"] = Value::Bool(false);
        }
        let title = format!("{}{name}", pascal(&word));
        by_word.push((word, json!({ "$ref": format!("#/$defs/{title}") })));
        definitions.insert(title, variant);
    }
    let choice: Vec<&Value> = by_word.iter().map(|(_, schema)| schema).collect();
    definitions.insert(name.to_owned(), json!({ "description": whole["description"], "oneOf": choice }));
    by_word
}

fn table(by_word: Vec<(String, Value)>, what: &str) -> Value {
    let words: Vec<String> = by_word.iter().map(|(word, _)| word.clone()).collect();
    let properties: Map<String, Value> = by_word.into_iter().collect();
    json!({ "description": what, "type": "object", "required": words, "properties": properties })
}

fn pascal(word: &str) -> String {
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    word.split('_').filter(|part| !part.is_empty()).map(capital).collect()
}

/// Every error code and every close code with what can be done about it.
pub fn errors() -> Value {
    let mut book = Book::new(Home::Defs);
    let both = [book.written::<ErrorCode>(), book.written::<CloseCode>()];
    let document = book.bind(json!({ "oneOf": both }));
    let meaning = |name: &str, word: &str| meaning(&document["$defs"][name], word);
    let errors = ErrorCode::ALL.iter().map(|code| {
        json!({ "code": code.as_str(), "status": code.status(), "retryable": code.retryable(),
                "meaning": meaning("ErrorCode", code.as_str()) })
    });
    let closes = CloseCode::ALL.iter().map(|close| {
        let name = format!("{close:?}");
        json!({ "code": close.code(), "name": name, "reason": close.reason(),
                "reconnect": CloseCode::reconnect(close.code()), "meaning": meaning("CloseCode", &name) })
    });
    json!({ "errors": errors.collect::<Vec<_>>(), "close": closes.collect::<Vec<_>>() })
}

fn meaning(schema: &Value, word: &str) -> Value {
    let mut variants = schema["oneOf"].as_array().into_iter().flatten();
    variants.find(|one| one["const"] == word).map(|one| one["description"].clone()).unwrap_or_default()
}

/// The known kinds exclude each other, although what the server passes on unread stands beside them.
pub(crate) fn exactly_one(schema: &mut schemars::Schema) {
    if let Some(kinds) = schema.remove("anyOf") {
        schema.insert("oneOf".to_owned(), kinds);
    }
}
