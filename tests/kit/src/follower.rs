//! A client that never gives up: it keeps its position, resumes after every cut, and repeats unanswered messages under their
//! keys until they are answered. What it was given, in order, is what the checks are made on.

use std::collections::VecDeque;
use std::time::Duration;

use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::id::{ClientId, ConversationId};
use serde_json::Value;

use crate::actors::{Actor, Endpoint};
use crate::socket::{Answer, Socket};
use crate::until::PATIENCE;

/// An entry as given to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Number in the client's view.
    pub seq: i64,
    /// The entry's id.
    pub id: String,
    /// The entry's key.
    pub client_id: String,
}

/// A message the server acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acked {
    /// Its key.
    pub client_id: ClientId,
    /// The number it was acknowledged under.
    pub seq: i64,
    /// The entry's id.
    pub id: String,
}

/// The client.
pub struct Follower {
    actor: Actor,
    /// The nodes it comes back to, in turn.
    endpoints: Vec<Endpoint>,
    turn: usize,
    codec: Codec,
    conversation: ConversationId,
    socket: Option<Socket>,
    epoch: i64,
    /// Everything given, in order.
    pub given: Vec<Given>,
    /// Everything acknowledged, in the order of the answers.
    pub acked: Vec<Acked>,
    /// Times the client came back.
    pub resumes: u32,
}

impl Follower {
    /// A client that has seen nothing yet.
    pub fn new(actor: Actor, conversation: ConversationId, codec: Codec) -> Self {
        let (given, acked) = (Vec::new(), Vec::new());
        let endpoints = vec![actor.endpoint.clone()];
        Self { actor, endpoints, turn: 0, codec, conversation, socket: None, epoch: 1, given, acked, resumes: 0 }
    }

    /// From now on it comes back to the next of these nodes each time, beginning with that number.
    pub fn roam(&mut self, endpoints: &[Endpoint], first: usize) {
        (self.endpoints, self.turn) = (endpoints.to_vec(), first);
    }

    /// The last number given.
    pub fn position(&self) -> i64 {
        self.given.last().map_or(0, |last| last.seq)
    }

    /// Cuts the connection without a word.
    pub fn cut(&mut self) {
        self.socket = None;
    }

    /// Sends a text until it is acknowledged, over as many connections as it takes.
    pub async fn send(&mut self, text: &str) {
        let client_id = ClientId::generate();
        let deadline = tokio::time::Instant::now() + 4 * PATIENCE;
        loop {
            assert!(tokio::time::Instant::now() < deadline, "never acknowledged: {text}");
            self.ensure_live().await;
            let Some(socket) = &self.socket else { continue };
            match socket.say_as(self.conversation, client_id, text).await {
                Answer::Ok(ok) => {
                    let seq = ok["seq"].as_i64().expect("a number");
                    let id = ok["entry_id"].as_str().expect("an id").to_owned();
                    self.acked.push(Acked { client_id, seq, id });
                    return self.drain().await;
                }
                Answer::Error(error) if error["retryable"] == true => tokio::task::yield_now().await,
                Answer::Error(error) => panic!("refused: {error}"),
                Answer::Closed(code) => {
                    assert!(CloseCode::reconnect(code), "closed for good with {code}");
                    self.socket = None;
                }
            }
        }
    }

    /// Follows until a number was given.
    pub async fn catch_up_to(&mut self, seq: i64) {
        let deadline = tokio::time::Instant::now() + 4 * PATIENCE;
        while self.position() < seq {
            assert!(tokio::time::Instant::now() < deadline, "stuck at {} of {seq}", self.position());
            self.ensure_live().await;
            let Some(socket) = &self.socket else { continue };
            match tokio::time::timeout(Duration::from_millis(200), socket.next_push()).await {
                Ok(Some(push)) => self.take_push(push),
                Ok(None) => self.socket = None,
                Err(_) => {}
            }
        }
    }

    /// Connects, says hello and attaches from the position, page by page.
    async fn ensure_live(&mut self) {
        if self.socket.as_ref().is_some_and(Socket::is_open) {
            return;
        }
        self.socket = None;
        let endpoint = &self.endpoints[self.turn % self.endpoints.len()];
        self.turn += 1;
        let Ok(socket) = Socket::open(&endpoint.ws, self.codec).await else {
            // The server is away; the connection is refused at once, so give it a moment.
            return tokio::time::sleep(Duration::from_millis(20)).await;
        };
        match socket.hello(&self.actor.token).await {
            Answer::Ok(_) => {}
            Answer::Error(error) if error["retryable"] == true => return,
            Answer::Closed(code) if CloseCode::reconnect(code) => return,
            other => panic!("hello: {other:?}"),
        }
        loop {
            match socket.attach(self.conversation, Some((self.epoch, self.position()))).await {
                Answer::Ok(ok) => {
                    assert_eq!(ok["resumed"], true, "{ok}");
                    for numbered in ok["entries"].as_array().expect("entries") {
                        self.take(numbered["seq"].as_i64().expect("a number"), &numbered["entry"]);
                    }
                    if ok["has_more"] == false {
                        break;
                    }
                }
                Answer::Error(error) if error["retryable"] == true => return,
                Answer::Closed(code) if CloseCode::reconnect(code) => return,
                other => panic!("attach: {other:?}"),
            }
        }
        self.resumes += 1;
        self.socket = Some(socket);
    }

    async fn drain(&mut self) {
        let Some(socket) = &self.socket else { return };
        let pushes: VecDeque<Value> = socket.pushes_so_far().await.into();
        for push in pushes {
            self.take_push(push);
        }
    }

    fn take_push(&mut self, push: Value) {
        match push["type"].as_str() {
            Some("entry") => self.take(push["seq"].as_i64().expect("a number"), &push["entry"]),
            // Entries were dropped for this socket: come back from where we stand.
            Some("head") => self.socket = None,
            _ => {}
        }
    }

    fn take(&mut self, seq: i64, entry: &Value) {
        assert_eq!(seq, self.position() + 1, "a hole or a repeat");
        self.given.push(Given {
            seq,
            id: entry["id"].as_str().expect("an id").to_owned(),
            client_id: entry["client_id"].as_str().expect("a key").to_owned(),
        });
    }
}
