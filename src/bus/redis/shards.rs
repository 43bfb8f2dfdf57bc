//! The servers that carry the channels, connected: one, or every primary of a cluster.
//!
//! All or nothing: when one is away, none is used, and whoever holds the shards connects anew; that is also how a cluster's
//! moved slots are followed. Plain connections instead of the library's cluster client, because that one keeps what it heard in
//! a queue without bound, and sends a pipeline to one slot only. Where slots are is in [`crate::bus::redis::slots`].

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, cmd};
use tokio::time::timeout;

use crate::bus::redis::config::Topology;
use crate::bus::redis::slots::{Server, Slots};

/// How long connecting may take, greeting and login included.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// The words of the two kinds of pub/sub.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// To say something.
    pub publish: &'static str,
    /// To hear a channel.
    pub subscribe: &'static str,
    /// To hear it no longer.
    pub unsubscribe: &'static str,
}

/// Where to begin.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// Addresses; any one tells of all others.
    pub addresses: Vec<ConnectionInfo>,
    /// How they belong together.
    pub topology: Topology,
}

/// All servers, connected. Dropped, the connections are closed.
#[derive(Debug)]
pub struct Shards<L> {
    shards: Vec<Shard<L>>,
    /// None: there is one server.
    slots: Option<Slots>,
}

/// One server.
#[derive(Debug)]
pub struct Shard<L> {
    /// The connection; copies share it.
    pub connection: MultiplexedConnection,
    /// Who is told what it pushes.
    pub listener: Arc<L>,
}

impl Seeds {
    /// The words that this Redis understands.
    pub fn words(&self) -> Words {
        match self.topology {
            Topology::Single => Words { publish: "PUBLISH", subscribe: "SUBSCRIBE", unsubscribe: "UNSUBSCRIBE" },
            Topology::Cluster => Words { publish: "SPUBLISH", subscribe: "SSUBSCRIBE", unsubscribe: "SUNSUBSCRIBE" },
        }
    }

    /// Connects to all servers, each with a listener for what it pushes.
    ///
    /// # Errors
    /// When one of them cannot be reached in time, or no seed tells of them.
    pub async fn connect<L: AsyncPushSender>(&self, listen: impl Fn() -> L) -> RedisResult<Shards<L>> {
        let mut why = RedisError::from((ErrorKind::InvalidClientConfig, "no address"));
        for seed in &self.addresses {
            let connected = match self.topology {
                Topology::Single => single(seed, &listen).await,
                Topology::Cluster => cluster(seed, &listen).await,
            };
            match connected {
                Ok(shards) => return Ok(shards),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

impl<L> Shards<L> {
    /// Every server.
    pub fn all(&self) -> &[Shard<L>] {
        &self.shards
    }

    /// Which of them carries a channel.
    pub fn index_of(&self, channel: &str) -> usize {
        self.slots.as_ref().map_or(0, |slots| slots.server_of(channel))
    }
}

async fn single<L: AsyncPushSender>(seed: &ConnectionInfo, listen: impl Fn() -> L) -> RedisResult<Shards<L>> {
    Ok(Shards { shards: vec![shard(seed.clone(), listen()).await?], slots: None })
}

async fn cluster<L: AsyncPushSender>(seed: &ConnectionInfo, listen: impl Fn() -> L) -> RedisResult<Shards<L>> {
    let mut asked = connect(seed.clone(), config()).await?;
    let answer = timeout(CONNECT_DEADLINE, cmd("CLUSTER").arg("SLOTS").query_async(&mut asked)).await;
    let slots = Slots::read(answer.map_err(|_| too_late())??)?;
    let connecting = slots.servers().iter().map(|server| {
        let address = address_of(server, seed.addr());
        shard(seed.clone().set_addr(address), listen())
    });
    Ok(Shards { shards: try_join_all(connecting).await?, slots: Some(slots) })
}

async fn shard<L: AsyncPushSender>(address: ConnectionInfo, listener: L) -> RedisResult<Shard<L>> {
    let listener = Arc::new(listener);
    let connection = connect(address, config().set_push_sender(Arc::clone(&listener))).await?;
    Ok(Shard { connection, listener })
}

/// A server of the cluster, reached the way the seed was.
fn address_of(server: &Server, seed: &ConnectionAddr) -> ConnectionAddr {
    let or = |seed_host: &String| if server.host.is_empty() { seed_host.clone() } else { server.host.clone() };
    match seed {
        ConnectionAddr::TcpTls { host, insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: or(host),
            port: server.port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        ConnectionAddr::Tcp(host, _) => ConnectionAddr::Tcp(or(host), server.port),
        other => other.clone(),
    }
}

/// Deadlines are ours, around everything; the library's would only count answers.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

async fn connect(address: ConnectionInfo, config: AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
    let client = Client::open(address)?;
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    timeout(CONNECT_DEADLINE, connecting).await.map_err(|_| too_late())?
}

fn too_late() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}
