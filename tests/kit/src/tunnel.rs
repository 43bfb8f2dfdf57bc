//! A tunnel to a server that can swallow everything, both ways, without closing anything, as a network that lost its way; or, in
//! front of Redis, lie: say that messages to conversations were published, and publish none.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Mutex, watch};

/// What becomes of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    Swallow,
    Lie,
}

/// The running tunnel.
pub struct Tunnel {
    port: u16,
    mode: Arc<watch::Sender<Mode>>,
}

/// The way back to a client: answers go there, and lies.
type Back = Arc<Mutex<WriteHalf<TcpStream>>>;

impl Tunnel {
    /// Starts one to a port of this machine.
    pub async fn to(server: u16) -> Self {
        Self::start(move || async move { TcpStream::connect(("127.0.0.1", server)).await.ok() }).await
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
        F: Future<Output = Option<S>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let told = mode.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(server) = connect().await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
                let back = Arc::new(Mutex::new(to_client));
                tokio::spawn(ask(from_client, to_server, Arc::clone(&back), told.clone()));
                tokio::spawn(answer(from_server, back, told.clone()));
            }
        });
        Self { port, mode }
    }

    /// Its near end.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Swallows what comes, on old connections and new.
    pub fn swallow(&self) {
        self.mode.send_replace(Mode::Swallow);
    }

    /// Publishes nothing to conversations, and says that it did.
    pub fn lie(&self) {
        self.mode.send_replace(Mode::Lie);
    }

    /// Lets through what comes; what was swallowed is gone.
    pub fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

async fn ask(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    back: Back,
    mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let asked = &buffer[..length];
        let mode = *mode.borrow();
        let carried = match mode {
            Mode::Swallow => Ok(()),
            Mode::Lie if count(asked, b":conversation:") > 0 && count(asked, b"PUBLISH") > 0 => {
                back.lock().await.write_all(&b":1\r\n".repeat(count(asked, b"PUBLISH"))).await
            }
            Mode::Pass | Mode::Lie => to.write_all(asked).await,
        };
        if carried.is_err() {
            break;
        }
    }
}

async fn answer(mut from: impl AsyncRead + Unpin, back: Back, mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if *mode.borrow() != Mode::Swallow && back.lock().await.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}

fn count(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).filter(|window| *window == word).count()
}
