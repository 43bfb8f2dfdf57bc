//! The wire: one socket's two directions, waited for together.
//!
//! Whoever owns it is the session's own task: it reads, and it writes what others left in the outbox. Nobody else waits for
//! the socket.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use crate::hub::frame;
use crate::hub::outbox::{Outbox, Phase};
use crate::ws::reader::{Heard, Reader};

/// What the kernel may hold for one socket (it doubles the figure); beyond it the outbox fills, which is bounded.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How long a close frame may take to leave, and then the peer to answer it.
const GOODBYE: Duration = Duration::from_secs(2);
/// What a peer may still say while it is being left.
const GOODBYE_READS_MAX: usize = 256;

/// One socket.
pub struct Wire {
    stream: Arc<TcpStream>,
    outbox: Arc<Outbox>,
    reader: Reader,
}

/// What happened on the wire.
#[derive(Debug)]
pub enum Event {
    /// A message came.
    Message(Bytes),
    /// A ping or pong came.
    Control,
    /// The outbox has something to say, or is done with it: look again.
    Outbox,
    /// The deadline has come.
    Deadline,
    /// It is over; what had to be said is in the outbox.
    Over,
}

impl Wire {
    /// A socket that was upgraded, with the bytes that came with the handshake.
    pub fn new(codec: Codec, stream: TcpStream, early: Bytes) -> Self {
        let socket = SockRef::from(&stream);
        // Either may fail on a socket that is already gone; the first read will tell.
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
        // The listener has the kernel end what stalls; a socket is ended by its session, with the code that says so.
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(None);
        let stream = Arc::new(stream);
        let outbox = Arc::new(Outbox::new(Arc::clone(&stream) as _));
        let reader = Reader::new(codec, Arc::clone(&stream) as _, Arc::clone(&outbox), early);
        Self { stream, outbox, reader }
    }

    /// What waits for the socket.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The reading side.
    pub fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// Ends the socket with a reason.
    pub fn close(&self, code: CloseCode) {
        self.outbox.close(frame::close(code));
    }

    /// Waits for the next event until a deadline. Nothing is read unless `reads`. Cancel-safe: what was read is kept.
    pub async fn next(&mut self, reads: bool, deadline: Instant) -> Event {
        loop {
            if reads {
                match self.reader.hear() {
                    Heard::Message(message) => return Event::Message(message),
                    Heard::Control => return Event::Control,
                    Heard::Nothing => {}
                    Heard::Closing(code) => {
                        self.outbox.close(frame::close_echo(code));
                        return Event::Over;
                    }
                    Heard::Broken(code) => {
                        self.close(code);
                        return Event::Over;
                    }
                    Heard::Gone => return Event::Over,
                }
            }
            let waits = self.outbox.backlog().waiting;
            // Every branch is cancel-safe: readiness and wakes are remembered by what is waited for.
            tokio::select! {
                result = self.stream.readable(), if reads => if result.is_err() { return Event::Over },
                result = self.stream.writable(), if waits => {
                    self.outbox.flush();
                    return if result.is_err() { Event::Over } else { Event::Outbox };
                }
                () = self.outbox.woken() => return Event::Outbox,
                () = sleep_until(deadline) => return Event::Deadline,
            }
        }
    }

    /// Sends what is left, close frame last, and lets the peer go first, so that it reads the close frame and no reset.
    pub async fn finish(self) {
        let sent = timeout(GOODBYE, async {
            loop {
                self.outbox.flush();
                let backlog = self.outbox.backlog();
                if !backlog.waiting || backlog.phase == Phase::Failed || self.stream.writable().await.is_err() {
                    return;
                }
            }
        });
        if sent.await.is_err() || self.outbox.backlog().phase != Phase::Closing {
            return;
        }
        let _ = SockRef::from(&*self.stream).shutdown(Shutdown::Write);
        let _ = timeout(GOODBYE, async {
            // Small, as it is part of every session's task.
            let mut last_words = [0; 128];
            for _ in 0..GOODBYE_READS_MAX {
                if self.stream.readable().await.is_err() || matches!(self.stream.try_read(&mut last_words), Ok(0)) {
                    return;
                }
            }
        })
        .await;
    }
}
