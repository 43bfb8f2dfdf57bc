//! The OpenAPI 3.1 document of the routes, made from the very types the handlers read and write.
//!
//! What each route takes and gives is in [`operations`], one line or two per route; a test compares that list with the route
//! table. The document is committed as `protocol/schema/openapi.json`, and that file is what is served: nothing here runs in
//! a server that answers requests.

mod operations;

use parlour_protocol::error::ErrorCode;
use parlour_protocol::schema::book::{Book, Home};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::http::envelope::Refusal;

/// What the groups of routes are for.
const TAGS: [(&str, &str); 5] = [
    ("dmc", "For the staff of an organization."),
    ("traveler", "For its clients, who come by a link."),
    ("assistant", "For systems with an API key."),
    ("public", "Needs no credential."),
    ("platform", "For whoever runs the server."),
];

/// The whole document.
pub fn document() -> Value {
    let mut document = Document { book: Book::new(Home::Components), paths: Map::new() };
    operations::all(&mut document);
    let Document { mut book, paths } = document;
    let tags = TAGS.map(|(name, what)| json!({ "name": name, "description": what }));
    let refusal = book.written::<Refusal>();
    book.bind(json!({
        "openapi": "3.1.1",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Parlour",
            "version": "1",
            "summary": "The real-time room in which a travel company's staff, its clients and its systems meet.",
            "description": "The HTTP side of the protocol. The socket (`GET /api/v1/ws`) is described by `/asyncapi.yaml`.",
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer",
                            "description": "A staff member's access token, a guest token, or an API key (`parlour_sk_…`)." },
                "cookie": { "type": "apiKey", "in": "cookie", "name": "parlour_refresh",
                            "description": "The refresh token of a browser; counts for these routes only." },
            },
            "responses": refusals(&refusal),
        },
    }))
}

/// One shared response for each status that a refusal can have.
fn refusals(schema: &Value) -> Map<String, Value> {
    let mut codes: Vec<u16> = ErrorCode::ALL.iter().map(|code| code.status()).collect();
    codes.sort_unstable();
    codes.dedup();
    let response = |status: u16| {
        let with = ErrorCode::ALL.iter().filter(|code| code.status() == status);
        let words: Vec<String> = with.map(|code| format!("`{}`", code.as_str())).collect();
        json!({ "description": words.join(", "), "content": { "application/json": { "schema": schema } } })
    };
    codes.into_iter().map(|status| (format!("Refusal{status}"), response(status))).collect()
}

/// The document in the making.
struct Document {
    book: Book,
    paths: Map<String, Value>,
}

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Anybody.
    Open,
    /// Whoever has a bearer credential.
    Bearer,
    /// Anybody; a bearer credential is looked at.
    Either,
    /// The refresh token, in the body or in the cookie.
    Cookie,
}

/// One route in the making; [`Operation::done`] puts it into the document.
struct Operation<'a> {
    document: &'a mut Document,
    method: &'static str,
    path: &'static str,
    access: Access,
    refusals: Vec<u16>,
    parameters: Vec<Value>,
    value: Map<String, Value>,
}

impl Document {
    /// A route, with the words of its summary and the groups it belongs to.
    fn route(
        &mut self,
        (method, path): (&'static str, &'static str),
        tags: &[&str],
        access: Access,
        summary: &str,
    ) -> Operation<'_> {
        let value = Map::from_iter([
            ("summary".to_owned(), summary.into()),
            ("tags".to_owned(), json!(tags)),
            ("operationId".to_owned(), operation_id(method, path).into()),
            ("responses".to_owned(), json!({})),
        ]);
        let mut operation = Operation {
            document: self,
            method,
            path,
            access,
            refusals: vec![400, 500, 503],
            parameters: vec![],
            value,
        };
        operation.path_parameters();
        operation
    }
}

/// `post /api/v1/conversations/{id}/entries`: `post_conversations_id_entries`.
fn operation_id(method: &str, path: &str) -> String {
    let path = path.trim_start_matches("/api/v1");
    let words = path.split(['/', '{', '}', '.', '*']).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

impl Operation<'_> {
    fn path_parameters(&mut self) {
        let names = self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
        for name in names.map(|name| name.trim_start_matches('*')) {
            let schema = match name {
                "id" => json!({ "type": "string", "format": "uuid" }),
                _ => json!({ "type": "string" }),
            };
            self.parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
            self.refusals.push(404);
        }
    }

    /// More about it.
    fn says(mut self, description: &str) -> Self {
        self.value.insert("description".to_owned(), description.into());
        self
    }

    /// Its query, field by field.
    fn asks<T: JsonSchema>(mut self) -> Self {
        let fields = self.document.book.inline::<T>();
        for (name, mut schema) in fields["properties"].as_object().cloned().unwrap_or_default() {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            if let Some(types) = schema["type"].as_array() {
                // In a query a value is there or not.
                schema["type"] = types.iter().find(|one| *one != "null").cloned().unwrap_or_default();
            }
            self.parameters.push(json!({ "name": name, "in": "query", "required": false, "schema": schema,
                                         "description": description.unwrap_or_default() }));
        }
        self.refusals.push(422);
        self
    }

    /// Its body.
    fn takes<T: JsonSchema>(mut self, required: bool) -> Self {
        let schema = self.document.book.read::<T>();
        let body = json!({ "required": required, "content": { "application/json": { "schema": schema } } });
        self.value.insert("requestBody".to_owned(), body);
        self.refusals.extend([413, 422]);
        self
    }

    /// It takes an `Idempotency-Key`.
    fn once(mut self) -> Self {
        self.parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": { "type": "string", "format": "uuid" },
            "description": "Repeating a request under the same key gives the first result. Without it nothing protects a retry.",
        }));
        self.refusals.push(422);
        self
    }

    /// What it answers, in the envelope: 201 at first, and 200, when it is repeatable; else 200.
    fn gives<T: JsonSchema>(mut self, statuses: &[u16]) -> Self {
        let data = self.document.book.written::<T>();
        self.answers(statuses, &data, None);
        self
    }

    /// The same with facts about a list.
    fn lists<T: JsonSchema, M: JsonSchema>(mut self) -> Self {
        let data = self.document.book.written::<Vec<T>>();
        let meta = self.document.book.written::<M>();
        self.answers(&[200], &data, Some(meta));
        self
    }

    fn answers(&mut self, statuses: &[u16], data: &Value, meta: Option<Value>) {
        let mut schema = json!({
            "type": "object",
            "required": ["success", "data"],
            "properties": { "success": { "type": "boolean", "const": true }, "data": data },
        });
        if let Some(meta) = meta {
            schema["required"] = json!(["success", "data", "meta"]);
            schema["properties"]["meta"] = meta;
        }
        for status in statuses {
            let what = if *status == 201 {
                "Made."
            } else if statuses.len() > 1 {
                "Made before."
            } else {
                "Done."
            };
            let content = json!({ "application/json": { "schema": schema } });
            self.value["responses"][status.to_string()] = json!({ "description": what, "content": content });
        }
    }

    /// An answer that is no JSON in the envelope.
    fn shows(mut self, status: u16, media_type: &str, what: &str) -> Self {
        let response = &mut self.value["responses"][status.to_string()];
        response["description"] = what.into();
        if !media_type.is_empty() {
            response["content"][media_type] = json!({});
        }
        self
    }

    /// Refusals beyond those that follow from what it takes.
    fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// Puts it into the document.
    fn done(mut self) {
        let security = match self.access {
            Access::Open => json!([]),
            Access::Bearer => json!([{ "bearer": [] }]),
            Access::Either => json!([{}, { "bearer": [] }]),
            Access::Cookie => json!([{}, { "cookie": [] }]),
        };
        if self.access == Access::Bearer {
            self.refusals.extend([401, 403, 429]);
        }
        self.value.insert("security".to_owned(), security);
        if !self.parameters.is_empty() {
            self.value.insert("parameters".to_owned(), self.parameters.into());
        }
        for status in self.refusals {
            let response = &mut self.value["responses"][status.to_string()];
            if response.is_null() {
                *response = json!({ "$ref": format!("#/components/responses/Refusal{status}") });
            }
        }
        let path = self.path.replace("{*", "{");
        let paths = self.document.paths.entry(path).or_insert_with(|| json!({}));
        paths[self.method] = Value::Object(self.value);
    }
}
