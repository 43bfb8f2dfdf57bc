//! Several nodes: server processes over one database and one Redis, each reached at an address of its own.

use crate::actors::Endpoint;
use crate::database::Database;
use crate::people::People;
use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::server::Server;

/// The nodes and what they share.
pub struct Nodes {
    /// What they share.
    pub database: Database,
    /// Where that is.
    pub postgres: Postgres,
    /// What they tell each other through.
    pub redis: Redis,
    servers: Vec<Option<Server>>,
    endpoints: Vec<Endpoint>,
}

/// What nodes will share, before there are any.
pub struct Ground {
    /// A migrated database.
    pub database: Database,
    /// Where that is.
    pub postgres: Postgres,
    /// What they will tell each other through.
    pub redis: Redis,
}

/// How a node is to be started, where not as usual.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The port at which it reaches Redis, which may be that of a tunnel.
    pub redis_port: Option<u16>,
    /// How it reaches the database, which may be through a tunnel.
    pub database_url: Option<String>,
    /// More settings of its process.
    pub settings: Vec<(String, String)>,
}

impl Ground {
    /// A Redis, and a database that keeps what it acknowledges.
    pub async fn start() -> Self {
        Self::on(Redis::start().await, Postgres::start().await).await
    }

    /// On these.
    pub async fn on(redis: Redis, postgres: Postgres) -> Self {
        Self { database: postgres.database().await, postgres, redis }
    }

    /// A node for each plan.
    pub async fn nodes(self, plans: &[Plan]) -> Nodes {
        let Self { database, postgres, redis } = self;
        let (mut servers, mut endpoints) = (Vec::new(), Vec::new());
        for plan in plans {
            let redis_url = format!("redis://127.0.0.1:{}", plan.redis_port.unwrap_or(redis.port()));
            // One site to its users: tokens of one node are good at all.
            let mut settings =
                vec![("REDIS_URL".to_owned(), redis_url), ("PUBLIC_URL".to_owned(), "http://127.0.0.1".to_owned())];
            settings.extend(plan.settings.iter().cloned());
            let database_url = plan.database_url.as_ref().unwrap_or(&database.app_url);
            let server = Server::start_reaching(database_url.clone(), settings).await;
            endpoints.push(server.endpoint());
            servers.push(Some(server));
        }
        Nodes { database, postgres, redis, servers, endpoints }
    }
}

impl Nodes {
    /// So many, over a Redis and a database that keeps what it acknowledges.
    pub async fn start(count: usize) -> Self {
        Ground::start().await.nodes(&vec![Plan::default(); count]).await
    }

    /// One for each port at which Redis is reached, which may be that of a tunnel.
    pub async fn start_through(redis: Redis, ports: &[u16]) -> Self {
        let plans: Vec<Plan> = ports.iter().map(|port| Plan { redis_port: Some(*port), ..Plan::default() }).collect();
        Ground::on(redis, Postgres::start().await).await.nodes(&plans).await
    }

    /// Ends them all, and takes their data along.
    pub async fn stop(self) {
        drop(self.servers);
        self.postgres.stop().await;
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

    /// Kills a node outright and starts it again where it was.
    pub async fn kill_and_start_again(&mut self, node: usize) {
        let server = self.servers[node].take().expect("it runs");
        self.servers[node] = Some(server.kill_and_start_again().await);
    }

    /// Stops a node in good order and starts it again where it was.
    pub async fn restart(&mut self, node: usize) {
        let server = self.servers[node].take().expect("it runs");
        self.servers[node] = Some(server.restart().await);
    }
}
