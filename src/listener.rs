//! The listener: accepts connections and serves HTTP/1 on them, with every limit on a request's head in force.
//!
//! It knows no route: whatever service it is given decides. A connection that is upgraded leaves its care (its place under
//! the cap goes along, in the request's extensions). A node that is asked to stop goes on answering until nobody is left, so
//! that nobody meets a closed door before balancers have noticed. TLS is the business of the proxy in front.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// After an accept that failed for want of files or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a connection beyond the cap is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct ListenerConfig {
    /// Connections at once, sockets included.
    pub connections_max: usize,
    /// Time to send a request's head; an idle connection is closed after it, too.
    pub head_timeout: Duration,
    /// Size of a request's head.
    pub head_bytes_max: usize,
    /// Headers of a request.
    pub headers_max: usize,
    /// How long a peer may take no byte of an answer that is being written.
    pub stall_max: Duration,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            head_timeout: Duration::from_secs(10),
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            stall_max: Duration::from_secs(30),
        }
    }
}

/// What is left of a stop for answers that are being written when the listener closes.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a node's edge is asked to stop, and what it waits for.
#[derive(Clone, Debug, Default)]
pub struct Stopping {
    /// Everybody is asked to leave. Whoever still comes is answered, and asked to go elsewhere.
    pub drain: CancellationToken,
    /// Whatever is left is cut.
    pub abort: CancellationToken,
    /// Sockets, and requests until they are answered: what a stop waits for.
    pub tracker: TaskTracker,
    /// Nothing is accepted any more, and idle connections are closed.
    close: CancellationToken,
    /// Every connection that is no socket, idle ones too.
    connections: TaskTracker,
}

impl Stopping {
    /// Stops: everybody is asked to leave; the listener closes when all have, and who has not left after `patience` is cut.
    pub async fn stop(&self, patience: Duration) {
        let (now, last_words) = (Instant::now(), LAST_WORDS.min(patience));
        self.drain.cancel();
        self.tracker.close();
        if timeout_at(now + (patience - last_words), self.tracker.wait()).await.is_err() {
            tracing::warn!(left = self.tracker.len(), "not everybody has left in time");
        }
        self.close.cancel();
        self.connections.close();
        let everybody = async { tokio::join!(self.tracker.wait(), self.connections.wait()) };
        if timeout_at(Instant::now() + last_words, everybody).await.is_err() {
            tracing::warn!(sockets = self.tracker.len(), connections = self.connections.len(), "the rest is cut");
        }
        self.abort.cancel();
        tokio::join!(self.tracker.wait(), self.connections.wait());
    }
}

/// Accepts connections until nobody is left of those who were asked to leave.
pub async fn serve(listener: TcpListener, router: Router, config: ListenerConfig, stopping: Stopping) {
    let places = Arc::new(Semaphore::new(config.connections_max));
    let http = builder(&config);
    loop {
        // Both branches are cancel-safe.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.close.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // One try: a peer that cannot take even this is closed all the same.
            let _ = stream.try_write(FULL);
            continue;
        };
        // A small answer must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        give_up_stalled(&stream, config.stall_max);
        let visitor = Visitor { peer, router: router.clone(), place: Arc::new(place), stopping: stopping.clone() };
        stopping.connections.spawn(attend(http.clone(), stream, visitor));
    }
}

/// One connection's share of the node.
#[derive(Clone)]
struct Visitor {
    peer: SocketAddr,
    router: Router,
    place: Arc<OwnedSemaphorePermit>,
    stopping: Stopping,
}

impl Visitor {
    async fn answer(self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(self.place);
        let _under_way = self.stopping.tracker.token();
        let mut response = self.router.oneshot(request).await?;
        if self.stopping.drain.is_cancelled() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

async fn attend(http: http1::Builder, stream: TcpStream, visitor: Visitor) {
    let stopping = visitor.stopping.clone();
    let service = service_fn(move |request| visitor.clone().answer(request));
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    let mut is_closing = false;
    loop {
        // Every branch is cancel-safe: the connection goes on where it was.
        tokio::select! {
            // What a peer does wrong is its own affair; there is nobody to tell.
            _ = connection.as_mut() => return,
            () = stopping.close.cancelled(), if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = stopping.abort.cancelled() => return,
        }
    }
}

fn builder(config: &ListenerConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_headers(config.headers_max)
        .max_header_size(config.head_bytes_max)
        .max_buf_size(config.head_bytes_max.max(8 * 1024))
        .keep_alive(true);
    http
}

/// Has the kernel end a connection whose peer takes nothing for so long: hyper waits for ever for one that asks and never reads.
/// Elsewhere than on Linux such a connection lasts until a stop.
fn give_up_stalled(stream: &TcpStream, after: Duration) {
    #[cfg(target_os = "linux")]
    // It may fail on a connection that is already gone.
    let _ = SockRef::from(stream).set_tcp_user_timeout(Some(after));
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, after);
}

/// A peer that gave up costs nothing; a node without files or memory must not spin.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "a connection could not be accepted");
        sleep(ACCEPT_PAUSE).await;
    }
}
