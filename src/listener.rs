//! The listener: accepts connections and serves HTTP/1 on them, with every limit on a request's head in force.
//!
//! It knows no route: whatever service it is given decides. A connection that is upgraded leaves its care (its place under
//! the cap goes along, in the request's extensions). TLS is the business of the proxy in front.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
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
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            connections_max: 16_384,
            head_timeout: Duration::from_secs(10),
            head_bytes_max: 16 * 1024,
            headers_max: 64,
        }
    }
}

/// How a listener is asked to stop, and where its connections run.
#[derive(Clone, Debug)]
pub struct Stopping {
    /// Nothing new is accepted; requests under way are answered.
    pub drain: CancellationToken,
    /// Whatever is left is cut.
    pub abort: CancellationToken,
    /// Every connection runs on it.
    pub tracker: TaskTracker,
}

impl Stopping {
    /// Stops: everybody is asked to leave, and who has not left after `patience` is cut.
    pub async fn stop(&self, patience: Duration) {
        self.drain.cancel();
        self.tracker.close();
        if timeout(patience, self.tracker.wait()).await.is_err() {
            tracing::warn!(connections = self.tracker.len(), "not everybody left in time; the rest is cut");
        }
        self.abort.cancel();
        self.tracker.wait().await;
    }
}

/// Accepts connections until it is asked to drain.
pub async fn serve(listener: TcpListener, router: Router, config: ListenerConfig, stopping: Stopping) {
    let places = Arc::new(Semaphore::new(config.connections_max));
    let http = builder(&config);
    loop {
        // Both branches are cancel-safe.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping.drain.cancelled() => return,
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
        let visitor = Visitor { peer, router: router.clone(), place: Arc::new(place) };
        stopping.tracker.spawn(attend(http.clone(), stream, visitor, stopping.clone()));
    }
}

/// One connection's share of the node.
#[derive(Clone)]
struct Visitor {
    peer: SocketAddr,
    router: Router,
    place: Arc<OwnedSemaphorePermit>,
}

impl Visitor {
    async fn answer(self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(self.place);
        self.router.oneshot(request).await
    }
}

async fn attend(http: http1::Builder, stream: TcpStream, visitor: Visitor, stopping: Stopping) {
    let service = service_fn(move |request| visitor.clone().answer(request));
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    let mut is_draining = false;
    loop {
        // Every branch is cancel-safe: the connection goes on where it was.
        tokio::select! {
            // What a peer does wrong is its own affair; there is nobody to tell.
            _ = connection.as_mut() => return,
            () = stopping.drain.cancelled(), if !is_draining => {
                is_draining = true;
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

/// A peer that gave up costs nothing; a node without files or memory must not spin.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "a connection could not be accepted");
        sleep(ACCEPT_PAUSE).await;
    }
}
