//! A tunnel to Redis that can swallow everything, both ways, without closing anything, as a network that lost its way; or lie:
//! say that messages to conversations were published, and publish none.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
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

impl Tunnel {
    /// Starts one to a port of this machine.
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let told = mode.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let to_client = Arc::new(Mutex::new(to_client));
                tokio::spawn(ask(from_client, to_server, Arc::clone(&to_client), told.clone()));
                tokio::spawn(answer(from_server, to_client, told.clone()));
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
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    back: Arc<Mutex<OwnedWriteHalf>>,
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

async fn answer(mut from: OwnedReadHalf, to: Arc<Mutex<OwnedWriteHalf>>, mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if *mode.borrow() != Mode::Swallow && to.lock().await.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}

fn count(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).filter(|window| *window == word).count()
}
