//! A connection whose owner can become lazy: it stops reading, reads byte by byte, or says that it will write no more.
//!
//! Everything above it (the WebSocket) is as always. Nothing here knows what the bytes say. Look next in `wire.rs`.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Sleep, sleep};

/// What a lazy client's kernel holds for it, so that what it does not read stays with the server.
const RECEIVE_BUFFER_BYTES: u32 = 16 * 1024;
/// Between two bytes of a slow reader.
const PAUSE: Duration = Duration::from_millis(2);

/// How a connection reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As fast as it can.
    #[default]
    Eager,
    /// Not at all.
    Stalled,
    /// One byte at a time.
    ByteByByte,
}

/// The mood of connections, which others may change while they read. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Moods(Arc<Mutex<(Mood, Option<Waker>)>>);

impl Moods {
    /// Changes it.
    pub fn set(&self, mood: Mood) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = mood;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    /// What it is.
    pub fn get(&self) -> Mood {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn poll(&self, context: &Context<'_>) -> Mood {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = Some(context.waker().clone());
        state.0
    }
}

/// The connection.
pub struct Lazy {
    stream: TcpStream,
    moods: Option<Moods>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Lazy {
    /// Connects; with moods, lazily at times.
    ///
    /// # Errors
    /// When nobody is there.
    pub async fn connect(address: SocketAddr, moods: Option<Moods>) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if moods.is_some() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, moods, pause: None })
    }

    fn poll_one(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut one))?;
        buffer.put_slice(one.filled());
        self.pause = Some(Box::pin(sleep(PAUSE)));
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Lazy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mood = self.moods.as_ref().map_or(Mood::Eager, |moods| moods.poll(context));
        match mood {
            Mood::Eager => Pin::new(&mut self.stream).poll_read(context, buffer),
            Mood::Stalled => Poll::Pending,
            Mood::ByteByByte => self.poll_one(context, buffer),
        }
    }
}

impl AsyncWrite for Lazy {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
