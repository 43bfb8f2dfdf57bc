//! Several nodes: server processes over one database and one Redis, each reached at an address of its own.

use std::path::PathBuf;

use parlour::devdb::Cluster;

use crate::actors::Endpoint;
use crate::database::{Database, durable_cluster};
use crate::people::People;
use crate::redis::Redis;
use crate::server::Server;

/// The nodes and what they share.
pub struct Nodes {
    /// What they share.
    pub database: Database,
    cluster: Cluster,
    data_dir: PathBuf,
    /// What they tell each other through.
    pub redis: Redis,
    servers: Vec<Option<Server>>,
    endpoints: Vec<Endpoint>,
}

impl Nodes {
    /// So many, over a Redis and a database that keeps what it acknowledges.
    pub async fn start(count: usize) -> Self {
        let redis = Redis::start().await;
        let port = redis.port();
        Self::start_through(redis, &vec![port; count]).await
    }

    /// One for each port at which Redis is reached, which may be that of a tunnel.
    pub async fn start_through(redis: Redis, ports: &[u16]) -> Self {
        let (cluster, data_dir) = durable_cluster().await;
        let database = Database::create_on(&cluster).await;
        let (mut servers, mut endpoints) = (Vec::new(), Vec::new());
        for port in ports {
            let url = format!("redis://127.0.0.1:{port}");
            // One site to its users: tokens of one node are good at all.
            let settings = [("REDIS_URL", url.as_str()), ("PUBLIC_URL", "http://127.0.0.1")];
            let server = Server::start_with(&database, &settings).await;
            endpoints.push(server.endpoint());
            servers.push(Some(server));
        }
        Self { database, cluster, data_dir, redis, servers, endpoints }
    }

    /// Ends them all, and takes their data along.
    pub async fn stop(self) {
        drop(self.servers);
        self.cluster.stop().await.expect("a clean stop");
        std::fs::remove_dir_all(self.data_dir).expect("the directory goes");
    }

    /// Where they are reached.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Where one is reached.
    pub fn at(&self, node: usize) -> &Endpoint {
        &self.endpoints[node]
    }

    /// A node that runs.
    pub fn server(&self, node: usize) -> &Server {
        self.servers[node].as_ref().expect("it runs")
    }

    /// Makes people, who log in at the first node.
    pub fn people(&self) -> People {
        People::new(self.endpoints[0].clone(), &self.database)
    }

    /// Kills a node outright.
    pub fn kill(&mut self, node: usize) {
        // Dropped, it is killed.
        self.servers[node] = None;
    }

    /// Stops a node in good order and starts it again where it was.
    pub async fn restart(&mut self, node: usize) {
        let server = self.servers[node].take().expect("it runs");
        self.servers[node] = Some(server.restart().await);
    }
}
