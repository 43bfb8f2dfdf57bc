//! A collection of schemas that end up in one document: types that are read and types that are written, under one set of names.
//!
//! The same type can look different in the two directions. What is written keeps the Rust name; what is read takes it, too,
//! unless both are there and differ: then it is called `…Input`. The server's OpenAPI document is made with this as well.

use std::collections::BTreeSet;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value};

/// Marks references from what is read until [`Book::bind`] knows the names.
const READ: &str = "/read";

/// Where a document keeps its definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// `$defs`, as a JSON Schema does.
    Defs,
    /// `components/schemas`, as an OpenAPI document does.
    Components,
}

impl Home {
    fn path(self) -> &'static str {
        match self {
            Self::Defs => "/$defs",
            Self::Components => "/components/schemas",
        }
    }
}

/// The definitions of one document in the making.
#[derive(Debug)]
pub struct Book {
    home: Home,
    reader: SchemaGenerator,
    writer: SchemaGenerator,
}

impl Book {
    /// An empty book.
    pub fn new(home: Home) -> Self {
        let settings = |path: &str| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.to_owned().into();
                settings.meta_schema = None;
            })
        };
        let reader = settings(READ).for_deserialize().into_generator();
        let writer = settings(home.path()).for_serialize().into_generator();
        Self { home, reader, writer }
    }

    /// A type as the server reads it.
    pub fn read<T: JsonSchema>(&mut self) -> Value {
        self.reader.subschema_for::<T>().to_value()
    }

    /// A type as the server writes it.
    pub fn written<T: JsonSchema>(&mut self) -> Value {
        self.writer.subschema_for::<T>().to_value()
    }

    /// A type as the server reads it, in place instead of by reference: for queries, whose fields stand alone.
    pub fn inline<T: JsonSchema>(&mut self) -> Value {
        T::json_schema(&mut self.reader).to_value()
    }

    /// The generator of what is written.
    pub(crate) fn writer(&mut self) -> &mut SchemaGenerator {
        &mut self.writer
    }

    /// Puts all definitions into the document that refers to them.
    #[must_use]
    pub fn bind(mut self, mut document: Value) -> Value {
        let read = self.reader.take_definitions(true);
        let mut all = self.writer.take_definitions(true);
        all.values_mut().for_each(|schema| each_object(schema, &mut lenient));
        let inputs = inputs(&read, &all, self.home);
        for (name, mut schema) in read {
            settle(&mut schema, &inputs, self.home);
            let name = if inputs.contains(&name) { input(&name) } else { name };
            all.insert(name, schema);
        }
        settle(&mut document, &inputs, self.home);
        all.values_mut().for_each(|schema| each_object(schema, &mut plain));
        let keys = self.home.path().split('/').skip(1);
        *keys.fold(&mut document, |at, key| &mut at[key]) = Value::Object(all);
        document
    }
}

/// The names that mean something else when read than when written, directly or by what they refer to.
fn inputs(read: &Map<String, Value>, written: &Map<String, Value>, home: Home) -> BTreeSet<String> {
    let mut inputs = BTreeSet::new();
    loop {
        let differs = |name: &String, schema: &Value| {
            let mut schema = schema.clone();
            settle(&mut schema, &inputs, home);
            written.get(name).is_some_and(|other| *other != schema)
        };
        let more = read.iter().filter(|(name, schema)| !inputs.contains(*name) && differs(name, schema));
        let more: Vec<String> = more.map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            return inputs;
        }
        inputs.extend(more);
    }
}

fn input(name: &str) -> String {
    format!("{name}Input")
}

/// Turns references to what is read into references to where it ends up.
fn settle(schema: &mut Value, inputs: &BTreeSet<String>, home: Home) {
    each_object(schema, &mut |object| {
        let Some(Value::String(reference)) = object.get_mut("$ref") else { return };
        if let Some(name) = reference.strip_prefix(&format!("#{READ}/")) {
            let name = if inputs.contains(name) { input(name) } else { name.to_owned() };
            *reference = format!("#{}/{name}", home.path());
        }
    });
}

/// What is written: fields may be added in a later version, and an optional field is absent, never `null`.
fn lenient(object: &mut Map<String, Value>) {
    if object.get("additionalProperties") == Some(&Value::Bool(false)) {
        object.remove("additionalProperties");
    }
    let required = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (name, property) in properties {
        if !required.contains(&Value::from(name.as_str())) {
            never_null(property);
        }
    }
}

fn never_null(property: &mut Value) {
    if let Some(types) = property.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            property["type"] = only.clone();
        }
    } else if let Some(choice) = property.get_mut("anyOf").and_then(Value::as_array_mut) {
        choice.retain(|one| one["type"] != "null");
        if let [Value::Object(only)] = choice.as_slice() {
            let only = only.clone();
            let property = property.as_object_mut().expect("it has the field `anyOf`");
            property.remove("anyOf");
            property.extend(only);
        }
    }
}

/// Descriptions without the links of rustdoc.
fn plain(object: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.replace("[`", "`").replace("`]", "`");
    }
}

fn each_object(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values_mut().for_each(|inner| each_object(inner, visit));
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| each_object(inner, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    /// Used both ways; see [`Inner`].
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Inner,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Inner {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        end: Option<i64>,
    }

    /// Looks the same both ways.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Plain {
        number: i64,
    }

    fn bound(home: Home) -> Value {
        let mut book = Book::new(home);
        let both = [book.read::<Outer>(), book.written::<Outer>(), book.read::<Plain>(), book.written::<Plain>()];
        book.bind(json!({ "oneOf": both }))
    }

    #[test]
    fn what_differs_between_the_directions_has_two_names_and_what_does_not_has_one() {
        let document = bound(Home::Defs);
        let names: Vec<&String> = document["$defs"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["Inner", "InnerInput", "Outer", "OuterInput", "Plain"]);
        let references: Vec<&Value> = document["oneOf"].as_array().unwrap().iter().map(|one| &one["$ref"]).collect();
        assert_eq!(references, ["#/$defs/OuterInput", "#/$defs/Outer", "#/$defs/Plain", "#/$defs/Plain"]);
        let inner = |outer: &str| document["$defs"][outer]["properties"]["inner"]["$ref"].clone();
        assert_eq!((inner("OuterInput"), inner("Outer")), (json!("#/$defs/InnerInput"), json!("#/$defs/Inner")));
    }

    #[test]
    fn only_what_is_read_is_closed_and_only_what_is_always_written_can_be_null() {
        let definitions = &bound(Home::Defs)["$defs"];
        assert_eq!(definitions["OuterInput"]["additionalProperties"], false);
        assert!(definitions["Outer"].get("additionalProperties").is_none());
        assert_eq!(definitions["InnerInput"]["properties"]["name"]["type"], json!(["string", "null"]));
        assert_eq!(definitions["Inner"]["properties"]["name"]["type"], "string");
        assert_eq!(definitions["Inner"]["properties"]["end"]["type"], json!(["integer", "null"]));
        assert_eq!(definitions["Inner"]["required"], json!(["end"]));
    }

    #[test]
    fn definitions_live_where_the_document_wants_them_in_plain_words() {
        let document = bound(Home::Components);
        assert_eq!(document["oneOf"][2]["$ref"], "#/components/schemas/Plain");
        assert_eq!(document["components"]["schemas"]["Outer"]["description"], "Used both ways; see `Inner`.");
    }
}
