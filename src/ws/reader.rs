//! Reading frames: tungstenite's synchronous decoder over a non-blocking socket.
//!
//! It never waits and never writes to the socket: what the decoder wants to say (a pong) goes into the outbox. What it finds
//! broken is named by the close code that says so; sending it is the caller's.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::limits::{HELLO_BYTES_MAX, MESSAGE_BYTES_MAX};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message, error::ProtocolError};

use crate::hub::outbox::Outbox;
use crate::ws::progress::{Overlong, Progress};

/// One read of the socket. Every socket keeps a buffer of this size, and most commands are smaller.
const READ_BYTES: usize = 1024;

/// Where bytes come from. TCP in production, a list of pieces in tests.
pub trait Source: Send + Sync + 'static {
    /// Reads what is there now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is; any other error ends the socket.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for TcpStream {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::try_read(self, buffer)
    }
}

/// What was read.
#[derive(Debug)]
pub enum Heard {
    /// A message in the session's codec, or at least in its kind of frame.
    Message(Bytes),
    /// A ping or pong; the answer is on its way.
    Control,
    /// Nothing whole for now.
    Nothing,
    /// The peer closes, with this code.
    Closing(Option<u16>),
    /// The peer broke a rule.
    Broken(CloseCode),
    /// The socket is gone.
    Gone,
}

/// The reading side of one socket.
pub struct Reader {
    codec: Codec,
    context: WebSocketContext,
    tap: Tap,
    /// What too large a message is answered with: until `hello` there is one answer to everything else.
    too_large: CloseCode,
}

struct Tap {
    source: Arc<dyn Source>,
    outbox: Arc<Outbox>,
    /// Bytes that came with the handshake.
    early: Bytes,
    progress: Progress,
    /// A length came in a longer form than it needs: the decoder, which would take it, gets nothing any more.
    is_overlong: bool,
    heard_at: Instant,
}

impl Reader {
    /// The reading side of a socket of which `early` was already read; it takes small messages until [`Self::admit`].
    pub fn new(codec: Codec, source: Arc<dyn Source>, outbox: Arc<Outbox>, early: Bytes) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(HELLO_BYTES_MAX))
            .max_frame_size(Some(HELLO_BYTES_MAX));
        let (progress, heard_at) = (Progress::default(), Instant::now());
        let tap = Tap { source, outbox, early, progress, is_overlong: false, heard_at };
        let context = WebSocketContext::new(Role::Server, Some(config));
        Self { codec, context, tap, too_large: CloseCode::Unauthenticated }
    }

    /// The socket has authenticated: messages may have their full size.
    pub fn admit(&mut self) {
        self.too_large = CloseCode::TooBig;
        self.context.set_config(|config| {
            config.max_message_size = Some(MESSAGE_BYTES_MAX);
            config.max_frame_size = Some(MESSAGE_BYTES_MAX);
        });
    }

    /// When the last byte came.
    pub fn heard_at(&self) -> Instant {
        self.tap.heard_at
    }

    /// Counts as heard: it was us who did not listen.
    pub fn forgive_silence(&mut self) {
        self.tap.heard_at = Instant::now();
        self.tap.progress.forgive(self.tap.heard_at);
    }

    /// Since when a message is incomplete.
    pub fn incomplete_since(&self) -> Option<Instant> {
        self.tap.progress.incomplete_since()
    }

    /// The next thing that is whole.
    pub fn hear(&mut self) -> Heard {
        match self.context.read(&mut self.tap) {
            Ok(Message::Text(text)) if self.codec == Codec::Json => Heard::Message(text.into()),
            Ok(Message::Binary(bytes)) if self.codec == Codec::MessagePack => Heard::Message(bytes),
            Ok(Message::Text(_) | Message::Binary(_)) => Heard::Broken(CloseCode::WrongType),
            // The pong leaves with the next read, which the caller does before it waits.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Heard::Control,
            Ok(Message::Close(frame)) => Heard::Closing(frame.map(|frame| frame.code.into())),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Heard::Nothing,
            Err(Error::Io(_)) if self.tap.is_overlong => Heard::Broken(CloseCode::Protocol),
            Err(Error::Capacity(_)) => Heard::Broken(self.too_large),
            Err(Error::Utf8(_)) => Heard::Broken(CloseCode::BadUtf8),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Heard::Gone,
            Err(Error::Protocol(_)) => Heard::Broken(CloseCode::Protocol),
            Err(_) => Heard::Gone,
        }
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_overlong {
            return Err(ErrorKind::InvalidData.into());
        }
        let count = if self.early.is_empty() {
            self.source.try_read(buffer)?
        } else {
            let count = self.early.len().min(buffer.len());
            self.early.copy_to_slice(&mut buffer[..count]);
            if self.early.is_empty() {
                self.early = Bytes::new();
            }
            count
        };
        if count > 0 {
            self.heard_at = Instant::now();
            if let Err(Overlong { sound }) = self.progress.passed(&buffer[..count], self.heard_at) {
                self.is_overlong = true;
                // No bytes would mean the end of the stream.
                return if sound == 0 { Err(ErrorKind::InvalidData.into()) } else { Ok(sound) };
            }
        }
        Ok(count)
    }
}

impl Write for Tap {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.outbox.control(Bytes::copy_from_slice(frames));
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
