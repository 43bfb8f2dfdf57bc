//! A private redis-server, or a cluster of three: on free ports of this machine, nothing on disk, killed when dropped.
//!
//! Without redis-server a test says so and is passed by, except where CI is set: there it fails. Look for the faults it can
//! have in `Redis`: killed, started again, stopped and continued.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use parlour::bus::redis::config::{RedisConfig, Topology};
use redis::aio::MultiplexedConnection;
use redis::{Client, FromRedisValue, cmd};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

pub use crate::ports::free_port;
use crate::until::until;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether a server is one of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Single,
    OfCluster { bus_port: u16 },
}

/// One redis-server.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: u16,
    kind: Kind,
    directory: PathBuf,
}

/// Three redis-servers with all slots between them.
#[derive(Debug)]
pub struct RedisCluster {
    /// They.
    pub servers: Vec<Redis>,
}

/// Whether there is a redis-server to test with; says so where there is none.
pub async fn redis_is_installed() -> bool {
    let found =
        Command::new("redis-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let is_installed = found.is_ok_and(|status| status.success());
    assert!(is_installed || std::env::var_os("CI").is_none(), "redis-server is missing, and CI tests everything");
    if !is_installed {
        // Around the capture of a passing test's output: it must be seen.
        let note = "PASSED BY: there is no redis-server on this machine, so nothing was tested here";
        writeln!(std::io::stderr(), "{note}").expect("stderr");
    }
    is_installed
}

impl Redis {
    /// One by itself.
    pub async fn start() -> Self {
        let port = free_port().await;
        Self::start_at(port, Kind::Single, scratch_dir()).await
    }

    /// Where it is, for a node.
    pub fn config(&self) -> RedisConfig {
        config_at(self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the kill");
    }

    /// Starts another where it was.
    pub async fn start_again(&mut self) {
        *self = Self::start_at(self.port, self.kind, self.directory.clone()).await;
    }

    /// Stops it in its tracks: connections stay, nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it something, as anybody may.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).await.expect("an answer")
    }

    /// A connection to it.
    pub async fn connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        Client::open(format!("redis://127.0.0.1:{}/?protocol=resp3", self.port))?
            .get_multiplexed_async_connection()
            .await
    }

    async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut connection = self.connection().await?;
        cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().expect("it runs")).expect("a process id");
        kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("the signal");
    }

    async fn start_at(port: u16, kind: Kind, directory: PathBuf) -> Self {
        std::fs::create_dir_all(&directory).expect("a directory");
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.args(["--port", &port.to_string()]).arg("--dir").arg(&directory);
        if let Kind::OfCluster { bus_port } = kind {
            command.args(["--cluster-enabled", "yes", "--cluster-port", &bus_port.to_string()]);
        }
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn().expect("a redis-server");
        let server = Self { child, port, kind, directory };
        until("redis-server answers", async || server.try_ask::<String>(&["PING"]).await.ok()).await;
        server
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl RedisCluster {
    /// Three servers that agree.
    pub async fn start() -> Self {
        let mut servers = Vec::new();
        for _ in 0..3 {
            let (port, bus_port) = (free_port().await, free_port().await);
            servers.push(Redis::start_at(port, Kind::OfCluster { bus_port }, scratch_dir()).await);
        }
        for (server, slots) in servers.iter().zip([["0", "5460"], ["5461", "10922"], ["10923", "16383"]]) {
            server.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]]).await;
        }
        for other in &servers[1..] {
            let Kind::OfCluster { bus_port } = other.kind else { unreachable!("all are of the cluster") };
            let (port, bus_port) = (other.port.to_string(), bus_port.to_string());
            servers[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port]).await;
        }
        for server in &servers {
            until("the cluster agrees", async || {
                let info: String = server.ask(&["CLUSTER", "INFO"]).await;
                let is_ready = info.contains("cluster_state:ok") && info.contains("cluster_size:3");
                is_ready.then_some(())
            })
            .await;
        }
        Self { servers }
    }

    /// Where it is, for a node: one seed that is not there, and one that is.
    pub async fn config(&self) -> RedisConfig {
        let urls = [free_port().await, self.servers[1].port].map(url).to_vec();
        RedisConfig { urls, topology: Topology::Cluster }
    }

    /// Gives the slot of a channel to the server after the one that has it.
    pub async fn move_slot_of(&self, channel: &str) {
        let slot: u64 = self.servers[0].ask(&["CLUSTER", "KEYSLOT", channel]).await;
        let owner = usize::from(slot > 5_460) + usize::from(slot > 10_922);
        let to = (owner + 1) % 3;
        let id: String = self.servers[to].ask(&["CLUSTER", "MYID"]).await;
        for at in [to, owner, 3 - to - owner] {
            self.servers[at].ask::<()>(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]).await;
        }
    }
}

/// Where a server at a port is, whether it is there or not.
pub fn config_at(port: u16) -> RedisConfig {
    RedisConfig { urls: vec![url(port)], topology: Topology::Single }
}

fn url(port: u16) -> secrecy::SecretString {
    format!("redis://127.0.0.1:{port}").into()
}

fn scratch_dir() -> PathBuf {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("parlour-it-{}-redis-{number}", std::process::id()))
}
