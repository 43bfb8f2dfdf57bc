//! The HTTP edge without a socket: requests go straight into the router, over a database of the test's own.
//!
//! For what HTTP alone can show; what needs sockets or a whole server is elsewhere in the kit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use parlour::auth::Auth;
use parlour::bus::Line;
use parlour::commands::Commands;
use parlour::domain::limits::LimitsProfile;
use parlour::http::{Api, HttpConfig, routes};
use parlour::hub::limits::HubLimits;
use parlour::hub::{Hub, HubConfig};
use parlour::store::log::read::LogReader;
use parlour::store::log::{Log, ReadLog};
use parlour::store::{RequireDurability, Store};
use parlour_protocol::id::{ApiKeyId, OrganizationId};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::database::Database;
use crate::seeder::{PASSWORD, Seeder, auth_config};

/// The edge, and the services behind it for arranging.
pub struct Edge {
    /// The database below.
    pub database: Database,
    seeder: Seeder,
    router: Router,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The `data` of a success.
    pub fn data(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.json()["data"].clone()
    }

    /// The code of a refusal.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("no refusal: {}", self.text)).to_owned()
    }
}

/// A request in the making.
pub struct Call<'a> {
    edge: &'a Edge,
    request: axum::http::request::Builder,
    body: Body,
    peer: SocketAddr,
}

impl Call<'_> {
    /// As whoever holds this credential.
    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// With a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        let call = self.header("content-type", "application/json");
        Self { body: Body::from(body.to_string()), ..call }
    }

    /// With any body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// From another address.
    pub fn from(self, address: &str) -> Self {
        Self { peer: SocketAddr::new(address.parse().expect("an address"), 1), ..self }
    }

    /// Sends it.
    pub async fn send(self) -> Answer {
        let mut request = self.request.body(self.body).expect("a request");
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let response = self.edge.router.clone().oneshot(request).await.expect("a response");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

impl Edge {
    /// The edge on a fresh database, with abuse limits lifted.
    pub async fn start() -> Self {
        Self::with_limits(LimitsProfile::Test).await
    }

    /// The edge on a fresh database.
    pub async fn with_limits(limits: LimitsProfile) -> Self {
        let database = Database::fresh().await;
        let store = Store::new(&database.app_url, 4).expect("a store");
        let tasks = TaskTracker::new();
        let reader: Arc<dyn ReadLog> = Arc::new(LogReader::new(store.clone()));
        let hub_config = HubConfig { limits: HubLimits::under(limits), ..HubConfig::default() };
        let hub = Arc::new(Hub::new(Arc::clone(&reader), Line::alone(), hub_config));
        let log = Log::start(&store, &hub.commit_hook(), &tasks);
        let auth = Arc::new(Auth::new(store.clone(), auth_config(limits)).expect("the tests' keys"));
        let commands = Arc::new(Commands::new(store.clone(), log, reader, hub, Arc::clone(&auth), limits));
        let config = HttpConfig {
            public_url: "https://chat.example.test".into(),
            trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
            request_timeout: Duration::from_secs(30),
            durability: RequireDurability::No,
            limits,
        };
        let api = Api::new(store.clone(), Arc::clone(&auth), commands, config, tasks);
        let router = routes::router(&Arc::new(api), Router::new());
        Self { database, seeder: Seeder::new(store, auth), router }
    }

    /// A request.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        let request = Request::builder().method(method).uri(path);
        Call { edge: self, request, body: Body::empty(), peer: SocketAddr::from(([127, 0, 0, 1], 1)) }
    }

    /// A `GET`.
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// A `POST`.
    pub fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    /// A tenant.
    pub async fn organization(&self, slug: &str) -> OrganizationId {
        self.seeder.organization(slug).await
    }

    /// A member of staff; their e-mail.
    pub async fn person(&self, organization: OrganizationId, role: &str) -> String {
        self.seeder.person(organization, role, "Amira").await
    }

    /// A member of staff, logged in; their access token.
    pub async fn staff(&self, organization: OrganizationId, role: &str) -> String {
        let email = self.person(organization, role).await;
        let body = json!({ "email": email, "password": PASSWORD });
        let tokens = self.post("/api/v1/auth/login").json(&body).send().await.data();
        tokens["access_token"].as_str().expect("a token").to_owned()
    }

    /// A service's key.
    pub async fn service(&self, organization: OrganizationId, permissions: &[&str]) -> (ApiKeyId, String) {
        self.seeder.api_key(organization, permissions).await
    }

    /// Ends a service's key.
    pub async fn revoke_key(&self, organization: OrganizationId, key: ApiKeyId) {
        self.seeder.revoke_key(organization, key).await;
    }

    /// A conversation; its id.
    pub async fn conversation(&self, token: &str) -> String {
        let body = json!({ "title": "Maldives, 2 people" });
        let row = self.post("/api/v1/conversations").bearer(token).json(&body).send().await.data();
        row["id"].as_str().expect("an id").to_owned()
    }

    /// A link to a conversation: the secret and the share.
    pub async fn share(&self, token: &str, conversation: &str, body: &Value) -> (String, Value) {
        let path = format!("/api/v1/conversations/{conversation}/share");
        let answer = self.post(&path).bearer(token).json(body).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let data = answer.data();
        (data["session_token"].as_str().expect("a secret").to_owned(), data["share"].clone())
    }

    /// A claim of a link.
    pub async fn claim(&self, secret: &str, more: &Value) -> Answer {
        let mut body = json!({ "token": secret });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        self.post("/api/v1/shares/claim").json(&body).send().await
    }

    /// A share as staff see it now.
    pub async fn share_row(&self, token: &str, share: &Value) -> Value {
        let path = format!("/api/v1/conversations/{}/shares", share["conversation_id"].as_str().expect("an id"));
        let rows = self.get(&path).bearer(token).send().await.data();
        let rows = rows.as_array().expect("a list").clone();
        rows.into_iter().find(|row| row["id"] == share["id"]).expect("the share")
    }

    /// Runs a statement as a superuser: for arranging what no route can.
    pub async fn arrange(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.database.admin().await).await.expect("the arrangement");
    }
}
