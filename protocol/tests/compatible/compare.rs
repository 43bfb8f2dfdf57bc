//! Whether whoever speaks an old contract is still understood by, and still understands, a new one: the rules of version 1 over
//! two JSON Schemas, one kind of rule per function. It knows the keywords our generator writes and no others.
//!
//! What the server reads may only grow milder, what it writes may only grow. `../compatible.rs` says where to look.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Who writes what is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The client; the server reads it.
    Input,
    /// The server; the client reads it.
    Output,
}

/// Two documents with what was found between them.
pub struct Comparison<'a> {
    pub old: &'a Value,
    pub new: &'a Value,
    pub found: Vec<String>,
    /// Pairs of definitions already looked at.
    seen: BTreeSet<(String, String, Direction)>,
}

impl<'a> Comparison<'a> {
    pub fn new(old: &'a Value, new: &'a Value) -> Self {
        Self { old, new, found: Vec::new(), seen: BTreeSet::new() }
    }

    pub fn complain(&mut self, path: &str, what: &str) {
        self.found.push(format!("{path}: {what}"));
    }

    /// Compares two schemas, of the old and of the new document.
    pub fn schemas(&mut self, path: &str, old: &'a Value, new: &'a Value, direction: Direction) {
        if let (Some(before), Some(after)) = (old["$ref"].as_str(), new["$ref"].as_str())
            && !self.seen.insert((before.to_owned(), after.to_owned(), direction))
        {
            return;
        }
        let ((old, was_nullable), (new, is_nullable)) = (settled(self.old, old), settled(self.new, new));
        match direction {
            Direction::Input if was_nullable && !is_nullable => self.complain(path, "null is refused now"),
            Direction::Output if is_nullable && !was_nullable => self.complain(path, "can be null now"),
            Direction::Input | Direction::Output => {}
        }
        self.kinds(path, old, new, direction);
        self.words(path, old, new, direction);
        self.limits(path, old, new, direction);
        self.fields(path, old, new, direction);
        self.variants(path, old, new, direction);
        if let (Some(before), Some(after)) = (old.get("items"), new.get("items")) {
            self.schemas(&format!("{path}[]"), before, after, direction);
        }
    }

    fn kinds(&mut self, path: &str, old: &Value, new: &Value, direction: Direction) {
        let (before, after) = (kind(old), kind(new));
        if before != after {
            self.complain(path, &format!("was {before} and is {after}"));
        }
        let (before, after) = (&old["format"], &new["format"]);
        if before != after && (direction == Direction::Output || !after.is_null()) {
            self.complain(path, &format!("format was {before} and is {after}"));
        }
    }

    fn words(&mut self, path: &str, old: &Value, new: &Value, direction: Direction) {
        let (before, after) = (known(old), known(new));
        let removed: Vec<&String> = before.difference(&after).collect();
        if !removed.is_empty() && (direction == Direction::Output || !after.is_empty()) {
            self.complain(path, &format!("lost {removed:?}"));
        }
        if direction == Direction::Input && before.is_empty() && !after.is_empty() {
            self.complain(path, &format!("takes only {after:?} now"));
        }
    }

    fn limits(&mut self, path: &str, old: &Value, new: &Value, direction: Direction) {
        if direction == Direction::Output {
            return;
        }
        for (key, sign) in [("minLength", -1.0), ("minItems", -1.0), ("minimum", -1.0)].into_iter().chain([
            ("maxLength", 1.0),
            ("maxItems", 1.0),
            ("maximum", 1.0),
        ]) {
            let Some(after) = new[key].as_f64() else { continue };
            // Without a lower limit a length begins at 0 anyway.
            let none = if key.starts_with("minL") || key.starts_with("minI") { 0.0 } else { f64::INFINITY };
            let before = old[key].as_f64().map_or(none, |before| before * sign);
            if after * sign < before {
                self.complain(path, &format!("{key} was {} and is {after}", old[key]));
            }
        }
        if !new["pattern"].is_null() && old["pattern"] != new["pattern"] {
            self.complain(path, &format!("pattern was {} and is {}", old["pattern"], new["pattern"]));
        }
    }

    fn fields(&mut self, path: &str, old: &'a Value, new: &'a Value, direction: Direction) {
        let ((before, was_required), (after, is_required)) = (fields(old), fields(new));
        for (name, schema) in before.into_iter().flatten() {
            let path = format!("{path}.{name}");
            let Some(now) = after.and_then(|after| after.get(name)) else {
                self.complain(&path, "is gone");
                continue;
            };
            let (was, is) = (was_required.contains(name.as_str()), is_required.contains(name.as_str()));
            match direction {
                Direction::Input if is && !was => self.complain(&path, "is required now"),
                Direction::Output if was && !is => self.complain(&path, "may be absent now"),
                Direction::Input | Direction::Output => {}
            }
            self.schemas(&path, schema, now, direction);
        }
        let is_new = |name: &&&str| !before.is_some_and(|before| before.contains_key(**name));
        if direction == Direction::Input {
            for name in is_required.iter().filter(is_new) {
                self.complain(&format!("{path}.{name}"), "is new and required");
            }
            if old["additionalProperties"] != false && new["additionalProperties"] == false {
                self.complain(path, "unknown fields are refused now");
            }
        }
    }

    fn variants(&mut self, path: &str, old: &'a Value, new: &'a Value, direction: Direction) {
        let (before, after) = (variants(self.old, old), variants(self.new, new));
        if before.is_empty() && !after.is_empty() {
            self.complain(path, "became a choice");
        }
        for (label, schema) in before {
            let path = format!("{path}({label})");
            match after.iter().find(|(other, _)| *other == label) {
                Some((_, now)) => self.schemas(&path, schema, now, direction),
                None => self.complain(&path, "is gone"),
            }
        }
    }
}

/// A schema behind its references, and whether it may be null.
fn settled<'a>(root: &'a Value, schema: &'a Value) -> (&'a Value, bool) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#'));
        return settled(root, target.unwrap_or_else(|| panic!("{reference} leads nowhere")));
    }
    let is_null = |one: &&Value| one["type"] == "null";
    if let Some(choice) = schema["anyOf"].as_array()
        && let (Some(_), [only]) =
            (choice.iter().find(is_null), &*choice.iter().filter(|one| !is_null(one)).collect::<Vec<_>>())
    {
        return (settled(root, only).0, true);
    }
    (schema, schema["type"].as_array().is_some_and(|kinds| kinds.contains(&Value::from("null"))))
}

/// The JSON type, without `null`.
fn kind(schema: &Value) -> String {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").map_or_else(String::new, ToString::to_string),
        // A list of words says the type with each word.
        Value::Null => schema["oneOf"][0]["type"].to_string(),
        kind => kind.to_string(),
    }
}

/// The values it names: `const`, `enum`, or one `const` per variant.
fn known(schema: &Value) -> BTreeSet<String> {
    let words = schema["enum"].as_array().into_iter().flatten();
    let variants = schema["oneOf"].as_array().into_iter().flatten().filter_map(|one| one.get("const"));
    words.chain(variants).chain(schema.get("const")).map(ToString::to_string).collect()
}

fn fields(schema: &Value) -> (Option<&Map<String, Value>>, BTreeSet<&str>) {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    (schema["properties"].as_object(), required)
}

/// The variants of a choice, each under its tag (`kind="note"`), its name, or its place.
fn variants<'a>(root: &'a Value, schema: &'a Value) -> Vec<(String, &'a Value)> {
    let choice = schema["oneOf"].as_array().or(schema["anyOf"].as_array()).into_iter().flatten();
    let label = |(at, one): (usize, &'a Value)| {
        let (variant, _) = settled(root, one);
        let properties = variant["properties"].as_object().into_iter().flatten();
        let tag = properties.filter_map(|(name, value)| Some(format!("{name}={}", value.get("const")?))).next();
        (tag.or(one["$ref"].as_str().map(str::to_owned)).unwrap_or_else(|| at.to_string()), one)
    };
    choice.filter(|one| one.get("const").is_none()).enumerate().map(label).collect()
}
