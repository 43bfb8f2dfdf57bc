//! Several nodes: server processes over one database and one Redis, each reached at an address of its own.

use parlour::devdb::Cluster;

use crate::support::actors::Endpoint;
use crate::support::database::Database;
use crate::support::people::People;
use crate::support::redis::Redis;
use crate::support::server::Server;

/// The nodes and what they share.
pub struct Nodes {
    /// What they share.
    pub database: Database,
    /// What they tell each other through.
    pub redis: Redis,
    servers: Vec<Option<Server>>,
    endpoints: Vec<Endpoint>,
}

impl Nodes {
    /// So many, on a database of the tests' own cluster.
    pub async fn start(count: usize) -> Self {
        Self::start_over(Database::fresh().await, count).await
    }

    /// So many, on a cluster that keeps what it acknowledges.
    pub async fn start_on(cluster: &Cluster, count: usize) -> Self {
        Self::start_over(Database::create_on(cluster).await, count).await
    }

    async fn start_over(database: Database, count: usize) -> Self {
        let redis = Redis::start().await;
        let url = format!("redis://127.0.0.1:{}", redis.port());
        Self::start_through(database, redis, &vec![url; count]).await
    }

    /// One for each address of Redis, which may be that of a tunnel.
    pub async fn start_through(database: Database, redis: Redis, urls: &[String]) -> Self {
        let (mut servers, mut endpoints) = (Vec::new(), Vec::new());
        for url in urls {
            let server = Server::start_with(&database, &[("REDIS_URL", url)]).await;
            endpoints.push(server.endpoint());
            servers.push(Some(server));
        }
        Self { database, redis, servers, endpoints }
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
