//! One socket of a scenario: what is said goes out at once, what is heard is kept until the scenario asks for it.
//!
//! It knows frames, codecs and numbers, and no meaning. It can stop reading and be cut, as bad networks do. What breaks the form
//! of the protocol (a frame of the wrong type, a second reply to one command) is remembered and fails whatever is asked next.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parlour_protocol::codec::Codec;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::cli::conformance::place::Place;

/// The longest wait for anything that must happen.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(10);
/// The code of an end without a close frame (RFC 6455 §7.1.5); it is never sent.
const CUT: u16 = 1006;
/// The code of a close frame without one.
const NO_CODE: u16 = 1005;

/// What a socket has heard.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Replies by the number of their command.
    pub replies: HashMap<u64, Value>,
    /// Replies to what had no number.
    pub unnumbered: VecDeque<Value>,
    /// Every push, in order, and whether the scenario took it.
    pub pushes: Vec<(Value, bool)>,
    /// How it ended.
    pub closed: Option<u16>,
    broken: Option<String>,
}

enum Order {
    Say(Message),
    Read(bool),
}

/// An open socket; dropped, it is cut without a word.
pub(super) struct Line {
    codec: Codec,
    last_id: u64,
    orders: mpsc::UnboundedSender<Order>,
    inbox: watch::Sender<Inbox>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    /// Opens a socket that speaks a codec.
    pub async fn open(place: &Place, codec: Codec) -> Result<Self, String> {
        let mut request = place.socket_url().into_client_request().map_err(|error| error.to_string())?;
        let protocol = HeaderValue::from_static(codec.subprotocol());
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let opening = tokio_tungstenite::client_async(request, place.connect().await?);
        let opened = timeout(WAIT_MAX, opening).await.map_err(|_| "no answer to the upgrade".to_owned())?;
        let (stream, _) = opened.map_err(|error| format!("no socket: {error}"))?;
        let (orders, to_do) = mpsc::unbounded_channel();
        let inbox = watch::Sender::new(Inbox::default());
        let task = tokio::spawn(attend(stream, codec, to_do, inbox.clone()));
        Ok(Self { codec, last_id: 0, orders, inbox, task })
    }

    /// Sends a command under the next number, which is returned.
    pub fn command(&mut self, mut command: Value) -> Result<u64, String> {
        self.last_id += 1;
        command["id"] = Value::from(self.last_id);
        let bytes = self.codec.encode(&command).map_err(|error| error.to_string())?;
        self.frame(bytes, self.codec);
        Ok(self.last_id)
    }

    /// Sends bytes in the frame of a codec.
    pub fn frame(&self, bytes: Vec<u8>, codec: Codec) {
        let message = match codec {
            Codec::Json => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
            Codec::MessagePack => Message::binary(bytes),
        };
        // A socket that has ended says so when something is waited for.
        let _ = self.orders.send(Order::Say(message));
    }

    /// Sends bytes in the frame of the other codec.
    pub fn wrong_frame(&self, bytes: Vec<u8>) {
        self.frame(bytes, if self.codec == Codec::Json { Codec::MessagePack } else { Codec::Json });
    }

    /// Stops reading what comes, or goes on.
    pub fn read(&self, on: bool) {
        let _ = self.orders.send(Order::Read(on));
    }

    /// What was heard so far.
    pub fn heard<T>(&self, look: impl FnOnce(&Inbox) -> T) -> T {
        look(&self.inbox.borrow())
    }

    /// Waits until something can be taken from what was heard.
    pub async fn take<T>(&self, wait: Duration, mut take: impl FnMut(&mut Inbox) -> Option<T>) -> Result<T, String> {
        let mut changes = self.inbox.subscribe();
        let taken = async {
            loop {
                let mut found = Ok(None);
                self.inbox.send_if_modified(|inbox| {
                    found = inbox.take(&mut take);
                    false
                });
                match found? {
                    Some(taken) => return Ok(taken),
                    None => changes.changed().await.map_err(|_| "the socket is gone".to_owned())?,
                }
            }
        };
        timeout(wait, taken).await.map_err(|_| format!("nothing came within {wait:?}"))?
    }
}

/// Carries out orders and keeps what comes, until the end.
async fn attend(
    mut stream: WebSocketStream<TcpStream>,
    codec: Codec,
    mut orders: mpsc::UnboundedReceiver<Order>,
    inbox: watch::Sender<Inbox>,
) {
    let mut reads = true;
    let code = loop {
        // Both branches are cancel-safe: a message is taken whole or not at all.
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Say(message)) => if stream.send(message).await.is_err() && !reads { break CUT },
                Some(Order::Read(on)) => reads = on,
                None => break CUT,
            },
            message = stream.next(), if reads => match message {
                Some(Ok(Message::Close(frame))) => break frame.map_or(NO_CODE, |frame| frame.code.into()),
                Some(Ok(message)) => inbox.send_modify(|inbox| inbox.keep(codec, message)),
                Some(Err(_)) | None => break CUT,
            },
        }
    };
    inbox.send_modify(|inbox| inbox.closed = Some(code));
}

impl Inbox {
    /// What can be taken; nothing while it may still come.
    fn take<T>(&mut self, take: impl FnOnce(&mut Self) -> Option<T>) -> Result<Option<T>, String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        match (take(self), self.closed) {
            (None, Some(code)) => Err(format!("the socket has ended with {code}")),
            (taken, _) => Ok(taken),
        }
    }

    fn keep(&mut self, codec: Codec, message: Message) {
        let right_frame = match codec {
            Codec::Json => message.is_text(),
            Codec::MessagePack => message.is_binary(),
        };
        match message {
            Message::Ping(_) | Message::Pong(_) => {}
            message if !right_frame => self.broken = Some(format!("a frame of the wrong type: {message:?}")),
            message => match codec.decode_value(&message.into_data()) {
                Ok(value) => self.sort(value),
                Err(error) => self.broken = Some(format!("a message that cannot be read: {error}")),
            },
        }
    }

    fn sort(&mut self, value: Value) {
        match value.get("id") {
            None => self.pushes.push((value, false)),
            Some(Value::Null) => self.unnumbered.push_back(value),
            Some(id) => match id.as_u64() {
                Some(id) if !self.replies.contains_key(&id) => _ = self.replies.insert(id, value),
                _ => self.broken = Some(format!("a second reply to one command, or to none: {value}")),
            },
        }
    }
}
