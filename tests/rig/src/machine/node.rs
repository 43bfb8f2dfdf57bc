//! A node: one `parlour serve`, killed, stopped, continued and started again at the same address, each of its links through a
//! tunnel of its own.
//!
//! What it writes goes into one file over all its lives. It must never outlive the rig: it is killed when dropped, and where
//! `setpriv` exists the kernel kills it with the rig. Look at `strike.rs` for who breaks it and when.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use parlour_testkit::actors::Endpoint;
use parlour_testkit::ports::free_port;
use parlour_testkit::server::shared_settings;
use parlour_testkit::tunnel::Tunnel;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Child;
use tokio::sync::Mutex;

use crate::machine::processes;

/// How long a node that was asked to stop may take, beyond its time to drain.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// How long a node may take to end its sockets when it is asked to stop.
const DRAIN_SECONDS: &str = "3";

/// How a node is, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is not reached, or says that it is not ready.
    Away,
    /// It works without Redis.
    Degraded,
    /// It works.
    Ready,
}

/// One node.
pub struct NodeProcess {
    address: SocketAddr,
    admin: SocketAddr,
    /// Between its clients and it.
    pub clients: Tunnel,
    /// Between it and Redis.
    pub redis: Tunnel,
    /// Between it and the database.
    pub postgres: Tunnel,
    database_url: String,
    program: PathBuf,
    /// What it writes.
    pub log: PathBuf,
    child: Mutex<Option<Child>>,
    /// By how many seconds its wall clock is wrong.
    skew: AtomicI32,
    /// Whether it was ready since it was started.
    was_ready: AtomicBool,
    http: reqwest::Client,
}

/// How a node ended that nobody had asked to.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: String,
    /// Whether it had been ready.
    pub was_ready: bool,
}

impl NodeProcess {
    /// Starts one; it may not be ready yet.
    pub async fn start(program: &Path, app_url: &str, redis_port: u16, log: PathBuf) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().await));
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port().await));
        let (postgres, database_url) = Tunnel::to_database(app_url).await;
        let node = Self {
            clients: Tunnel::to(address.port()).await,
            redis: Tunnel::to(redis_port).await,
            postgres,
            database_url: format!("{database_url}?sslmode=disable"),
            address,
            admin,
            program: program.to_owned(),
            log,
            child: Mutex::new(None),
            skew: AtomicI32::new(0),
            was_ready: AtomicBool::new(false),
            http: processes::http(),
        };
        node.begin().await;
        node
    }

    /// Where its clients reach it.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::at(([127, 0, 0, 1], self.clients.port()).into())
    }

    /// Where it is reached whatever happens to its clients.
    pub fn direct(&self) -> Endpoint {
        Endpoint::at(self.address)
    }

    /// Where its operator reaches it.
    pub fn admin(&self) -> Endpoint {
        Endpoint::at(self.admin)
    }

    /// Its process, while there is one.
    pub async fn pid(&self) -> Option<u32> {
        self.child.lock().await.as_ref()?.id()
    }

    /// Lets its wall clock be wrong by so many seconds from its next start on.
    pub fn skew(&self, seconds: i32) {
        self.skew.store(seconds, Ordering::SeqCst);
    }

    /// Starts it where it was.
    pub async fn begin(&self) {
        *self.child.lock().await = Some(self.spawn());
    }

    fn spawn(&self) -> Child {
        self.was_ready.store(false, Ordering::SeqCst);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("a log");
        let mut command = processes::dying_with_us(&self.program);
        command
            .arg("serve")
            .env_clear()
            .env("DATABASE_URL", &self.database_url)
            .env("REDIS_URL", format!("redis://127.0.0.1:{}", self.redis.port()))
            .env("LISTEN_ADDR", self.address.to_string())
            .env("ADMIN_ADDR", self.admin.to_string())
            // One site to its users: tokens of one node are good at all.
            .env("PUBLIC_URL", "http://127.0.0.1")
            .envs(shared_settings())
            .env("DRAIN_SECONDS", DRAIN_SECONDS)
            .env("LOG_FORMAT", "json");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let skew = self.skew.load(Ordering::SeqCst);
        if let (false, Some(library)) = (skew == 0, processes::faketime()) {
            // The monotonic clock is left alone, as it is by whoever sets a clock.
            command.env("LD_PRELOAD", library).env("FAKETIME", format!("{skew:+}s"));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        }
        let out = log.try_clone().expect("the log again");
        command.stdin(Stdio::null()).stdout(out).stderr(log).kill_on_drop(true);
        command.spawn().expect("the server starts")
    }

    /// Starts it again if it ended by itself, as whoever runs a server would; how it ended.
    pub async fn begin_again_if_ended(&self) -> Option<Ended> {
        let mut child = self.child.lock().await;
        let status = match child.as_mut()?.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let ended = Ended { status, was_ready: self.was_ready.load(Ordering::SeqCst) };
        *child = Some(self.spawn());
        Some(ended)
    }

    /// Kills it.
    pub async fn kill(&self) {
        if let Some(mut child) = self.child.lock().await.take() {
            // One that ended by itself meanwhile is as dead.
            let _ = child.kill().await;
        }
    }

    /// Stops it in its tracks: its connections stay, nothing is answered.
    pub async fn freeze(&self) {
        self.signal(Signal::STOP).await;
    }

    /// Lets it go on.
    pub async fn thaw(&self) {
        self.signal(Signal::CONT).await;
    }

    /// Asks it to stop and waits for the end; what was wrong with that.
    pub async fn stop(&self) -> Result<(), String> {
        let Some(mut child) = self.child.lock().await.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            // A stopped one would hear of it only later.
            processes::signal(pid, Signal::CONT);
            processes::signal(pid, Signal::TERM);
        }
        match tokio::time::timeout(STOP_PATIENCE, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("it was asked to stop and ended with {status}")),
            Ok(Err(error)) => Err(format!("it was asked to stop: {error}")),
            Err(_) => {
                let _ = child.kill().await;
                Err(format!("it was asked to stop and had not after {} s", STOP_PATIENCE.as_secs()))
            }
        }
    }

    /// How it is, asked as its clients would.
    pub async fn readiness(&self) -> Readiness {
        let asked = self.http.get(format!("{}/readyz", self.endpoint().http)).send().await;
        let Ok(answer) = asked else { return Readiness::Away };
        let is_ready = answer.status().is_success();
        self.was_ready.fetch_or(is_ready, Ordering::SeqCst);
        match answer.json::<Value>().await {
            Ok(body) if is_ready && body["data"]["degraded"].is_null() => Readiness::Ready,
            Ok(_) if is_ready => Readiness::Degraded,
            Ok(_) | Err(_) => Readiness::Away,
        }
    }

    async fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().await {
            processes::signal(pid, signal);
        }
    }
}
