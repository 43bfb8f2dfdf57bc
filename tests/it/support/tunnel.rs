//! A tunnel to a server that can swallow everything, both ways, without closing anything: a network that lost its way.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The running tunnel.
pub struct Tunnel {
    port: u16,
    swallows: Arc<watch::Sender<bool>>,
}

impl Tunnel {
    /// Starts one to a port of this machine.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let swallows = Arc::new(watch::Sender::new(false));
        let told = swallows.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
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

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallows: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !*swallows.borrow() && to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}
