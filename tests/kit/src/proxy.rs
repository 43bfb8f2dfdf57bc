//! A proxy between the server and its database that can lose one answer: the statement is committed, nobody is told.
//!
//! Until the test says to go on, no new connection is let through, so that it can arrange what the next try meets.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parlour::store::Store;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::Notify;

/// The last bytes of an answer after which no transaction is open: ReadyForQuery, idle.
const READY_IDLE: &[u8] = &[b'Z', 0, 0, 0, 5, b'I'];

#[derive(Default)]
struct Shared {
    loses: AtomicBool,
    lost: Notify,
    is_shut: AtomicBool,
    opened: Notify,
}

/// The running proxy.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Starts one in front of the database of `app_url`.
    pub async fn start(app_url: &str) -> Self {
        let options = PgConnectOptions::from_str(app_url).expect("a URL");
        let directory = options.get_socket().cloned().unwrap_or_else(|| PathBuf::from(options.get_host()));
        let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!(
            "postgres://{}@127.0.0.1:{}/{}",
            options.get_username(),
            listener.local_addr().expect("an address").port(),
            options.get_database().expect("a database")
        );
        let shared = Arc::new(Shared::default());
        tokio::spawn(serve(listener, socket, Arc::clone(&shared)));
        Self { url, shared }
    }

    /// A store that reaches the database through the proxy.
    pub fn store(&self) -> Store {
        Store::new(&self.url, 4).expect("a store")
    }

    /// Swallows the next complete answer and cuts its connection.
    pub fn lose_next_answer(&self) {
        self.shared.is_shut.store(true, Ordering::SeqCst);
        self.shared.loses.store(true, Ordering::SeqCst);
    }

    /// Waits until an answer was swallowed.
    pub async fn answer_lost(&self) {
        self.shared.lost.notified().await;
    }

    /// Lets new connections through again.
    pub fn go_on(&self) {
        self.shared.is_shut.store(false, Ordering::SeqCst);
        self.shared.opened.notify_waiters();
        self.shared.opened.notify_one();
    }
}

async fn serve(listener: TcpListener, socket: PathBuf, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        while shared.is_shut.load(Ordering::SeqCst) {
            shared.opened.notified().await;
        }
        let server = UnixStream::connect(&socket).await.expect("the database");
        tokio::spawn(carry(client, server, Arc::clone(&shared)));
    }
}

async fn carry(client: TcpStream, server: UnixStream, shared: Arc<Shared>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
        let answer = &buffer[..length];
        if shared.loses.load(Ordering::SeqCst) {
            if answer.ends_with(READY_IDLE) {
                shared.loses.store(false, Ordering::SeqCst);
                shared.lost.notify_one();
                break;
            }
            continue;
        }
        if to_client.write_all(answer).await.is_err() {
            break;
        }
    }
    asking.abort();
}
