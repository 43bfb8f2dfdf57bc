//! A socket as a client library would hold it: commands get their replies, pushes queue up, the close is remembered.
//!
//! It speaks both codecs and knows nothing of resuming; `follower.rs` does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use parlour_protocol::codec::Codec;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::until::PATIENCE;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// An open socket; dropped, it is cut without a word.
pub struct Socket {
    codec: Codec,
    next_id: AtomicU64,
    waiting: Waiting,
    outgoing: mpsc::UnboundedSender<Message>,
    pushes: tokio::sync::Mutex<mpsc::UnboundedReceiver<Value>>,
    closed: watch::Receiver<Option<u16>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a command got: `ok`, or the error, or nothing because the socket closed first.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done.
    Ok(Value),
    /// Refused: the whole error.
    Error(Value),
    /// The socket closed with this code before an answer came.
    Closed(u16),
}

impl Answer {
    /// The `ok`.
    pub fn ok(self) -> Value {
        match self {
            Self::Ok(ok) => ok,
            other => panic!("expected ok, got {other:?}"),
        }
    }

    /// The error's code.
    pub fn code(&self) -> &str {
        match self {
            Self::Error(error) => error["code"].as_str().unwrap_or_default(),
            other => panic!("expected an error, got {other:?}"),
        }
    }
}

impl Socket {
    /// Opens a socket without saying hello.
    pub async fn open(ws_url: &str, codec: Codec) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let mut request = ws_url.into_client_request()?;
        let protocol = HeaderValue::from_static(codec.subprotocol());
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (stream, _) = connect_async(request).await?;
        Ok(Self::over(stream, codec))
    }

    fn over(stream: WebSocketStream<MaybeTlsStream<TcpStream>>, codec: Codec) -> Self {
        let (outgoing, mut to_send) = mpsc::unbounded_channel::<Message>();
        let (push, pushes) = mpsc::unbounded_channel();
        let (close, closed) = watch::channel(None);
        let waiting = Waiting::default();
        let replies = Arc::clone(&waiting);
        let task = tokio::spawn(async move {
            let (mut sink, mut stream) = stream.split();
            let code = loop {
                tokio::select! {
                    message = to_send.recv() => match message {
                        Some(message) => if sink.send(message).await.is_err() { break 1006 },
                        None => break 1000,
                    },
                    message = stream.next() => match message {
                        Some(Ok(Message::Close(frame))) => break frame.map_or(1005, |frame| frame.code.into()),
                        Some(Ok(message)) if message.is_ping() || message.is_pong() => {}
                        Some(Ok(message)) => {
                            let value = codec.decode_value(&message.into_data()).expect("a frame of the codec");
                            match value.get("id").and_then(Value::as_u64) {
                                Some(id) => {
                                    let waiter = replies.lock().expect("no panic").remove(&id);
                                    if let Some(waiter) = waiter { let _ = waiter.send(value); }
                                }
                                None => { let _ = push.send(value); }
                            }
                        }
                        Some(Err(_)) | None => break 1006,
                    },
                }
            };
            let _ = close.send(Some(code));
            replies.lock().expect("no panic").clear();
        });
        let pushes = tokio::sync::Mutex::new(pushes);
        Self { codec, next_id: AtomicU64::new(1), waiting, outgoing, pushes, closed, task }
    }

    /// Sends a command (without `id`) and waits for its answer.
    pub async fn command(&self, command: Value) -> Answer {
        let answer = self.begin(command);
        self.wait(answer).await
    }

    /// Sends a command now; its answer is waited for with [`Socket::wait`].
    pub fn begin(&self, mut command: Value) -> oneshot::Receiver<Value> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        command["id"] = json!(id);
        let (reply, answer) = oneshot::channel();
        self.waiting.lock().expect("no panic").insert(id, reply);
        let bytes = self.codec.encode(&command).expect("a value");
        self.raw(match self.codec {
            Codec::Json => Message::text(String::from_utf8(bytes).expect("JSON is text")),
            Codec::MessagePack => Message::binary(bytes),
        });
        if self.closed.borrow().is_some() {
            self.waiting.lock().expect("no panic").remove(&id);
        }
        answer
    }

    /// Waits for an answer.
    pub async fn wait(&self, answer: oneshot::Receiver<Value>) -> Answer {
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer in time");
        match answer {
            Ok(mut value) if value.get("ok").is_some() => Answer::Ok(value["ok"].take()),
            Ok(mut value) => Answer::Error(value["error"].take()),
            Err(_) => Answer::Closed(self.closed().await),
        }
    }

    /// Sends a frame as it is.
    pub fn raw(&self, message: Message) {
        let _ = self.outgoing.send(message);
    }

    /// Says hello.
    pub async fn hello(&self, token: &str) -> Answer {
        self.command(json!({ "type": "hello", "token": token })).await
    }

    /// The next push of a type; others before it are dropped.
    pub async fn push(&self, kind: &str) -> Value {
        let mut pushes = self.pushes.lock().await;
        let next = async {
            loop {
                let push = pushes.recv().await.expect("the socket is open");
                if push["type"] == kind {
                    return push;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.unwrap_or_else(|_| panic!("no {kind} push came"))
    }

    /// Pushes that are already here, all of them.
    pub async fn pushes_so_far(&self) -> Vec<Value> {
        let mut pushes = self.pushes.lock().await;
        std::iter::from_fn(|| pushes.try_recv().ok()).collect()
    }

    /// The next push of any type, or none when the socket closed.
    pub async fn next_push(&self) -> Option<Value> {
        self.pushes.lock().await.recv().await
    }

    /// Waits for the close; its code (1006: cut without one).
    pub async fn closed(&self) -> u16 {
        let mut closed = self.closed.clone();
        let code = tokio::time::timeout(PATIENCE, closed.wait_for(Option::is_some)).await.expect("a close in time");
        code.ok().and_then(|code| *code).unwrap_or(1006)
    }

    /// Whether it is still open.
    pub fn is_open(&self) -> bool {
        self.closed.borrow().is_none()
    }
}
