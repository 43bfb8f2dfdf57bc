//! A tunnel to a server that can swallow everything, both ways, without closing anything: a network that lost its way.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// The running tunnel.
pub struct Tunnel {
    port: u16,
    swallows: Arc<watch::Sender<bool>>,
}

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
        let swallows = Arc::new(watch::Sender::new(false));
        let told = swallows.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(server) = connect().await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (split(client), split(server));
                tokio::spawn(carry(from_client, to_server, told.clone()));
                tokio::spawn(carry(from_server, to_client, told.clone()));
            }
        });
        Self { port, swallows }
    }

    /// Its near end.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Swallows what comes, on old connections and new.
    pub fn swallow(&self) {
        self.swallows.send_replace(true);
    }

    /// Lets through what comes; what was swallowed is gone.
    pub fn pass(&self) {
        self.swallows.send_replace(false);
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, swallows: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !*swallows.borrow() && to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}
