//! A socket of a client of the rig: one task owns it, sends commands and reads frames in turn.
//!
//! Every frame's raw bytes are scanned for words that strayed before anybody looks at what it says. Every wait has a bound.
//! Resuming, repeating and roaming are the owner's. Look next in `writer.rs` and `reader.rs`.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use parlour_protocol::codec::Codec;
use parlour_protocol::command::{Command, Hello, Numbered};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::history::{Leak, Recorder, Tenant, View};
use crate::workload::frame::{Done, Frame, read};
use crate::workload::lazy::{Lazy, Moods};
use crate::workload::words::stray;

/// Longest wait for a connection, an answer, or room in a socket (SPEC §2: then reconnect).
pub const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that ended without a close code.
pub const NO_CODE: u16 = 1006;

/// Who listens: what they must never be given.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where leaks are noted.
    pub recorder: Recorder,
    /// Whose they are.
    pub tenant: Tenant,
    /// What they read.
    pub view: View,
}

/// Why nothing more comes.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The close code, or [`NO_CODE`].
    pub code: u16,
    /// The error's code, where an answer refused us.
    pub refusal: Option<String>,
    /// `details.reason` of it.
    pub reason: Option<String>,
    /// How long the node asked us to stay away from it.
    pub wait: Option<Duration>,
}

impl Ended {
    fn with_code(code: u16) -> Self {
        Self { code, refusal: None, reason: None, wait: None }
    }
}

/// The socket; dropped, it is cut without a word.
pub struct Wire {
    stream: WebSocketStream<Lazy>,
    codec: Codec,
    next_id: u64,
    listener: Listener,
    advice: Option<Duration>,
}

impl Wire {
    /// Connects and says hello: the socket, and what the server takes us for.
    ///
    /// # Errors
    /// Why not.
    pub async fn open(
        ws: &str,
        codec: Codec,
        token: &str,
        listener: Listener,
        moods: Option<Moods>,
    ) -> Result<(Self, Done), Ended> {
        let opened = timeout(PATIENCE, Self::connect(ws, codec, listener, moods)).await;
        let mut wire = opened.map_err(|_| Ended::with_code(NO_CODE))??;
        let hello = Command::Hello(Hello { token: Some(token.to_owned()), ticket: None });
        let id = wire.send(hello).await?;
        let done = wire.reply(id, |_| {}).await?;
        Ok((wire, done))
    }

    async fn connect(ws: &str, codec: Codec, listener: Listener, moods: Option<Moods>) -> Result<Self, Ended> {
        let lost = |_| Ended::with_code(NO_CODE);
        let mut request = ws.into_client_request().expect("the rig's addresses are URLs");
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(codec.subprotocol()));
        let authority = request.uri().authority().expect("an address").as_str();
        let address: SocketAddr = authority.parse().expect("an address of this machine");
        let stream = Lazy::connect(address, moods).await.map_err(|_| Ended::with_code(NO_CODE))?;
        let (stream, _) = client_async(request, stream).await.map_err(lost)?;
        Ok(Self { stream, codec, next_id: 1, listener, advice: None })
    }

    /// Sends a command; its number.
    ///
    /// # Errors
    /// When the socket ended, or took nothing for too long.
    pub async fn send(&mut self, command: Command) -> Result<u64, Ended> {
        let id = self.put(command).await?;
        self.flush().await?;
        Ok(id)
    }

    /// Sends a command with the next [`Wire::flush`] at the latest; its number.
    ///
    /// # Errors
    /// When the socket ended, or took nothing for too long.
    pub async fn put(&mut self, command: Command) -> Result<u64, Ended> {
        let id = self.next_id;
        self.next_id += 1;
        let bytes = self.codec.encode(&Numbered { id, command }).expect("commands are plain data");
        let message = match self.codec {
            Codec::Json => Message::text(String::from_utf8(bytes).expect("JSON is text")),
            Codec::MessagePack => Message::binary(bytes),
        };
        match timeout(PATIENCE, self.stream.feed(message)).await {
            Ok(Ok(())) => Ok(id),
            _ => Err(Ended::with_code(NO_CODE)),
        }
    }

    /// Sends what was put.
    ///
    /// # Errors
    /// When the socket ended, or took nothing for too long.
    pub async fn flush(&mut self) -> Result<(), Ended> {
        match timeout(PATIENCE, self.stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Ended::with_code(NO_CODE)),
        }
    }

    /// The next frame, however long it takes. May be dropped and asked again without losing one.
    ///
    /// # Errors
    /// When the socket ended.
    pub async fn next(&mut self) -> Result<Frame, Ended> {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(1005, |frame| frame.code.into());
                    return Err(Ended { wait: self.advice, ..Ended::with_code(code) });
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(message)) => message.into_data(),
                Some(Err(_)) | None => return Err(Ended { wait: self.advice, ..Ended::with_code(NO_CODE) }),
            };
            if let Some(frame) = self.judge(&message) {
                if frame.kind.as_deref() == Some("advice") {
                    self.advice = frame.retry_after_ms.map(Duration::from_millis);
                }
                return Ok(frame);
            }
        }
    }

    /// Waits for the answer to a command, and hands everything else to `other`.
    ///
    /// # Errors
    /// When it was refused, or the socket ended, or nothing came for too long.
    pub async fn reply(&mut self, id: u64, mut other: impl FnMut(Frame)) -> Result<Done, Ended> {
        let wait = async {
            loop {
                let frame = self.next().await?;
                if frame.id != Some(id) {
                    other(frame);
                    continue;
                }
                return match (frame.ok, frame.error) {
                    (Some(done), _) => Ok(done),
                    (None, Some(error)) => {
                        let wait = error.details.get("retry_after_ms").and_then(serde_json::Value::as_u64);
                        let reason = error.details.get("reason").and_then(serde_json::Value::as_str);
                        Err(Ended {
                            code: NO_CODE,
                            refusal: Some(error.code.as_str().to_owned()),
                            reason: reason.map(str::to_owned),
                            wait: wait.map(Duration::from_millis),
                        })
                    }
                    (None, None) => Err(Ended::with_code(NO_CODE)),
                };
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| Err(Ended::with_code(NO_CODE)))
    }

    /// Says that nothing more will be written, on the TCP connection alone.
    pub async fn half_close(&mut self) {
        // An error means that it is closed already.
        let _ = self.stream.get_mut().shutdown().await;
    }

    /// What the bytes say; what must not be in them is noted.
    fn judge(&self, bytes: &[u8]) -> Option<Frame> {
        let Listener { recorder, tenant, view } = &self.listener;
        let mut leak = |what: String| {
            let place = format!("a frame of a reader of tenant {} ({view:?})", tenant.0);
            recorder.with(|history| history.leaks.push(Leak { place, what }));
        };
        if let Some(found) = stray(bytes, *tenant, *view) {
            leak(format!("{found:?} in {}", String::from_utf8_lossy(&bytes[..bytes.len().min(300)])));
        }
        match read(self.codec, bytes) {
            Ok(frame) => Some(frame),
            Err(error) => {
                leak(format!("a frame that is none: {error}"));
                None
            }
        }
    }
}
