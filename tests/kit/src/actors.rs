//! The people and systems of a test, over HTTP and sockets like everybody else: `Staff`, `Link`, `Guest`, `Service`.

use parlour_protocol::codec::Codec;
use parlour_protocol::id::{ClientId, ConversationId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::socket::{Answer, Socket};

/// Where a server is reached.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `http://…`, without a slash at the end.
    pub http: String,
    /// `ws://…/api/v1/ws`.
    pub ws: String,
}

impl Endpoint {
    /// The endpoint at an address.
    pub fn at(address: std::net::SocketAddr) -> Self {
        Self { http: format!("http://{address}"), ws: format!("ws://{address}/api/v1/ws") }
    }

    /// One request; status and body (null when it is no JSON).
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        self.request_with(method, path, token, body, &[]).await
    }

    /// One request with headers of its own.
    pub async fn request_with(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
        let mut request = reqwest::Client::new().request(method, format!("{}{path}", self.http));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

/// Whoever holds a credential.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Where the server is.
    pub endpoint: Endpoint,
    /// Staff JWT, guest token or API key.
    pub token: String,
}

impl Actor {
    /// GET; the data of a 200.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(Method::GET, path, None, StatusCode::OK).await
    }

    /// POST; the data of a 200 or 201.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, mut answer) = self.endpoint.request(Method::POST, path, Some(&self.token), Some(&body)).await;
        assert!(status.is_success(), "POST {path}: {status} {answer}");
        answer["data"].take()
    }

    /// Any request that must be answered with this status; the data, or the error.
    pub async fn expect(&self, method: Method, path: &str, body: Option<Value>, wanted: StatusCode) -> Value {
        let name = format!("{method} {path}");
        let (status, mut answer) = self.endpoint.request(method, path, Some(&self.token), body.as_ref()).await;
        assert_eq!(status, wanted, "{name}: {answer}");
        if status.is_success() { answer["data"].take() } else { answer["error"].take() }
    }

    /// Makes a conversation.
    pub async fn conversation(&self, title: &str) -> ConversationId {
        let row = self.post("/api/v1/conversations", json!({ "title": title })).await;
        row["id"].as_str().expect("an id").parse().expect("a UUID")
    }

    /// Makes a link.
    pub async fn share(&self, conversation: ConversationId, body: Value) -> Link {
        let path = format!("/api/v1/conversations/{conversation}/share");
        let made = self.post(&path, body).await;
        let token = made["session_token"].as_str().expect("a secret").to_owned();
        let id = made["share"]["id"].as_str().expect("an id").to_owned();
        let url = made["url"].as_str().expect("a URL").to_owned();
        Link { endpoint: self.endpoint.clone(), conversation, token, id, url }
    }

    /// Offers a card of two options `a` and `b`; its id.
    pub async fn card(&self, conversation: ConversationId, title: &str) -> String {
        let options = json!([{ "id": "a", "label": "First" }, { "id": "b", "label": "Second" }]);
        let body = json!({ "kind": "choice", "title": title, "options": options });
        let made = self.post(&format!("/api/v1/conversations/{conversation}/cards"), body).await;
        made["card"]["id"].as_str().expect("an id").to_owned()
    }

    /// Opens a socket and says hello.
    pub async fn connect(&self, codec: Codec) -> Socket {
        let socket = Socket::open(&self.endpoint.ws, codec).await.expect("a socket");
        socket.hello(&self.token).await.ok();
        socket
    }

    /// Tries to say hello; the code the socket closes with.
    pub async fn connect_refused(&self) -> u16 {
        let socket = Socket::open(&self.endpoint.ws, Codec::Json).await.expect("a socket");
        assert_eq!(socket.hello(&self.token).await.code(), "UNAUTHENTICATED");
        socket.closed().await
    }

    /// Opens a JSON socket, says hello and attaches.
    pub async fn attached(&self, conversation: ConversationId) -> Socket {
        let socket = self.connect(Codec::Json).await;
        socket.attach(conversation, None).await.ok();
        socket
    }
}

impl Socket {
    /// Attaches; `since` is `(epoch, seq)`.
    pub async fn attach(&self, conversation: ConversationId, since: Option<(i64, i64)>) -> Answer {
        let mut command = json!({ "type": "attach", "conversation": conversation });
        if let Some((epoch, seq)) = since {
            command["since"] = json!({ "epoch": epoch, "seq": seq });
        }
        self.command(command).await
    }

    /// Sends a message under a fresh key.
    pub async fn say(&self, conversation: ConversationId, text: &str) -> Answer {
        self.say_as(conversation, ClientId::generate(), text).await
    }

    /// Sends a message under a key.
    pub async fn say_as(&self, conversation: ConversationId, client_id: ClientId, text: &str) -> Answer {
        self.command(json!({ "type": "send", "conversation": conversation, "client_id": client_id, "text": text }))
            .await
    }

    /// Chooses an option of version 1 of a card.
    pub async fn choose(&self, conversation: ConversationId, card: &str, option: &str) -> Answer {
        let client_id = ClientId::generate();
        self.command(json!({ "type": "select", "conversation": conversation, "client_id": client_id, "card": card,
                             "version": 1, "options": [option] }))
            .await
    }
}

/// A link, with its secret.
#[derive(Clone, Debug)]
pub struct Link {
    /// Where the server is.
    pub endpoint: Endpoint,
    /// What it opens.
    pub conversation: ConversationId,
    /// The secret.
    pub token: String,
    /// The share's id.
    pub id: String,
    /// As it is sent to people.
    pub url: String,
}

/// Somebody who came in by a link.
#[derive(Clone, Debug)]
pub struct Guest {
    /// With the guest token.
    pub actor: Actor,
    /// The link's conversation.
    pub conversation: ConversationId,
    /// What the device keeps.
    pub device_key: String,
}

impl Link {
    /// Comes in on a new device.
    pub async fn claim(&self, name: &str) -> Guest {
        let (status, answer) = self.try_claim(json!({ "token": self.token, "name": name })).await;
        assert!(status.is_success(), "claim: {status} {answer}");
        let data = &answer["data"];
        Guest {
            actor: Actor {
                endpoint: self.endpoint.clone(),
                token: data["guest_token"].as_str().expect("a token").to_owned(),
            },
            conversation: data["conversation_id"].as_str().expect("an id").parse().expect("a UUID"),
            device_key: data["device_key"].as_str().expect("a key").to_owned(),
        }
    }

    /// Tries to come in.
    pub async fn try_claim(&self, body: Value) -> (StatusCode, Value) {
        self.endpoint.request(Method::POST, "/api/v1/shares/claim", None, Some(&body)).await
    }
}

impl Guest {
    /// Opens a JSON socket, says hello and attaches.
    pub async fn attached(&self) -> Socket {
        self.actor.attached(self.conversation).await
    }
}
