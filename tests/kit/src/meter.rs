//! A meter between the server and its database: counts what is asked.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};

/// Messages that make the database do something: Query and Execute.
const ASKS: [u8; 2] = *b"QE";
/// The version in a startup message, which is the last one without a type.
const STARTUP: u32 = 196_608;

/// The running meter.
pub struct Meter {
    /// The database, through the meter.
    pub url: String,
    asked: Arc<AtomicUsize>,
}

impl Meter {
    /// Starts one in front of the database of `app_url`.
    pub async fn start(app_url: &str) -> Self {
        let options = PgConnectOptions::from_str(app_url).expect("a URL");
        let directory = options.get_socket().cloned().unwrap_or_else(|| PathBuf::from(options.get_host()));
        let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (user, database) = (options.get_username(), options.get_database().expect("a database"));
        let port = listener.local_addr().expect("an address").port();
        let url = format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the database");
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let counted = Arc::clone(&counted);
                tokio::spawn(async move { carry(&mut from_client, &mut to_server, &counted).await });
            }
        });
        Self { url, asked }
    }

    /// Queries so far; `begin` with its setting is one.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

/// Carries message by message until either side ends.
async fn carry(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut is_started = false;
    loop {
        let kind = if is_started { Some(from.read_u8().await?) } else { None };
        let length = from.read_u32().await?;
        let mut rest = vec![0; length.saturating_sub(4) as usize];
        from.read_exact(&mut rest).await?;
        is_started |= rest.starts_with(&STARTUP.to_be_bytes());
        if kind.is_some_and(|kind| ASKS.contains(&kind)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&rest);
        to.write_all(&message).await?;
    }
}
