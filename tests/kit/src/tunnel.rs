//! A tunnel to a server: a network between two processes that can swallow, stall, cut, slice or slow down what it carries, each
//! way on its own; or, in front of Redis, lie: messages to conversations are confirmed, and reach nobody.
//!
//! It must never let a connection go on that lost bytes, because no network does that: when the loss is over, such a connection
//! is reset. Look next in `pump.rs`, which carries the bytes.

mod pump;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// How long a connection that is to be cut in the middle of something is waited for; then it is cut where it is.
const CUT_PATIENCE: Duration = Duration::from_millis(100);

/// What becomes of what comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It goes on.
    #[default]
    Pass,
    /// It is gone, and so is the end of a connection.
    Swallow,
    /// It waits until the mode changes.
    Stall,
    /// It goes on by one to three bytes.
    Slice,
    /// So many bytes a second go on, on each connection.
    Rate(u32),
    /// What is published to conversations is published to nobody; for the way out to Redis.
    Lie,
}

/// A direction, seen from whoever opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What it sends.
    Out,
    /// What it is to receive.
    Back,
}

/// What all connections are to do.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    out: Mode,
    back: Mode,
    /// Connections that were there before the last of so many cuts end in the middle of what comes next …
    cuts: u64,
    /// … or at once, when this has caught up.
    cut_to: u64,
}

impl Orders {
    fn mode(&self, way: Way) -> Mode {
        match way {
            Way::Out => self.out,
            Way::Back => self.back,
        }
    }

    fn swallow(&self) -> bool {
        self.out == Mode::Swallow || self.back == Mode::Swallow
    }
}

/// The running tunnel; dropped, it takes no more connections.
pub struct Tunnel {
    port: u16,
    orders: watch::Sender<Orders>,
    _accepting: AbortOnDropHandle<()>,
}

impl Tunnel {
    /// Starts one to a port of this machine.
    pub async fn to(server: u16) -> Self {
        Self::start(move || async move {
            let stream = TcpStream::connect(("127.0.0.1", server)).await.ok()?;
            stream.set_nodelay(true).ok()?;
            Some(stream)
        })
        .await
    }

    /// Starts one to the database of `app_url`, and tells how that is reached through it.
    pub async fn to_database(app_url: &str) -> (Self, String) {
        let options = PgConnectOptions::from_str(app_url).expect("a URL");
        let directory = options.get_socket().cloned().unwrap_or_else(|| PathBuf::from(options.get_host()));
        let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
        let connect = move || {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.ok() }
        };
        let tunnel = Self::start(connect).await;
        let (user, database) = (options.get_username(), options.get_database().expect("a database"));
        let url = format!("postgres://{user}@127.0.0.1:{}/{database}", tunnel.port);
        (tunnel, url)
    }

    async fn start<S, F>(connect: impl Fn() -> F + Send + 'static) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let orders = watch::Sender::new(Orders::default());
        let told = orders.subscribe();
        let accepting = tokio::spawn(async move {
            loop {
                // Out of descriptors, for example: whoever waits will be accepted when there are some again.
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let (server, told, born) = (connect(), told.clone(), told.borrow().cuts);
                tokio::spawn(async move {
                    if let Some(server) = server.await {
                        pump::carry(client, server, told, born).await;
                    }
                });
            }
        });
        Self { port, orders, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Its near end.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Does something else from now on with what goes one way, on old connections and new.
    pub fn set(&self, way: Way, mode: Mode) {
        self.orders.send_modify(|orders| match way {
            Way::Out => orders.out = mode,
            Way::Back => orders.back = mode,
        });
    }

    /// Does something else from now on with everything.
    pub fn set_both(&self, mode: Mode) {
        self.orders.send_modify(|orders| (orders.out, orders.back) = (mode, mode));
    }

    /// Swallows what comes, both ways.
    pub fn swallow(&self) {
        self.set_both(Mode::Swallow);
    }

    /// Publishes nothing to conversations, and says that it did.
    pub fn lie(&self) {
        self.set(Way::Out, Mode::Lie);
    }

    /// Lets through what comes; connections that lost something are reset.
    pub fn pass(&self) {
        self.set_both(Mode::Pass);
    }

    /// Resets every connection, in the middle of what it carries next if something comes soon.
    pub async fn reset(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
        tokio::time::sleep(CUT_PATIENCE).await;
        self.orders.send_modify(|orders| orders.cut_to = orders.cuts);
    }
}
