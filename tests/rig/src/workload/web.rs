//! HTTP as the clients of the rig use it: one pool of connections, ten seconds of patience, answers read straight.
//!
//! Repeating is the caller's. Nothing here decides. Look next in `pusher.rs`.

use std::time::Duration;

use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{ClientId, ConversationId};
use parlour_testkit::actors::Endpoint;
use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::workload::frame::HttpAnswer;
use crate::workload::wire::PATIENCE;

/// Why there is no data.
#[derive(Clone, Debug)]
pub enum Failed {
    /// The server refused; whether the same may work later is told by the error.
    Refused(Box<ErrorBody>),
    /// No answer, or none that could be read: nobody knows.
    Lost,
}

impl Failed {
    /// The code of a refusal that stays one.
    pub fn for_good(&self) -> Option<&str> {
        match self {
            Self::Refused(error) if !error.retryable => Some(error.code.as_str()),
            Self::Refused(_) | Self::Lost => None,
        }
    }

    /// Whether the request may have had an effect all the same.
    pub fn is_doubtful(&self) -> bool {
        match self {
            // An inner error says nothing about what was stored.
            Self::Refused(error) => matches!(error.code.as_str(), "OUTCOME_UNKNOWN" | "INTERNAL"),
            Self::Lost => true,
        }
    }
}

/// The client.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client,
}

impl Web {
    /// A client.
    pub fn new() -> Self {
        let client = Client::builder().timeout(PATIENCE).pool_idle_timeout(Duration::from_secs(5)).build();
        Self { client: client.expect("a client without TLS needs nothing") }
    }

    /// One request; the data of a success.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn json(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        self.ask(endpoint, method, path, token, body, None).await
    }

    /// One request, under a key.
    ///
    /// # Errors
    /// Why there is no data.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
        key: Option<ClientId>,
    ) -> Result<T, Failed> {
        let mut request = self.client.request(method, format!("{}{path}", endpoint.http));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key.to_string());
        }
        let response = request.send().await.map_err(|_| Failed::Lost)?;
        let bytes = response.bytes().await.map_err(|_| Failed::Lost)?;
        let answer: HttpAnswer<T> = serde_json::from_slice(&bytes).map_err(|_| Failed::Lost)?;
        match answer {
            HttpAnswer { data: Some(data), .. } => Ok(data),
            HttpAnswer { error: Some(error), .. } => Err(Failed::Refused(Box::new(error))),
            HttpAnswer { .. } => Err(Failed::Lost),
        }
    }

    /// The text of a page.
    ///
    /// # Errors
    /// When there is none.
    pub async fn text(&self, endpoint: &Endpoint, path: &str) -> Result<String, Failed> {
        let response = self.client.get(format!("{}{path}", endpoint.http)).send().await.map_err(|_| Failed::Lost)?;
        response.text().await.map_err(|_| Failed::Lost)
    }
}

/// Where entries of a conversation are posted.
pub fn entries_path(conversation: ConversationId) -> String {
    format!("/api/v1/conversations/{conversation}/entries")
}
