//! The machine: everything that a run stands on and breaks: PostgreSQL, Redis, the nodes, and a tunnel on each link between them.
//!
//! It knows nothing of what is said through it. It must leave nothing behind: no process, no data, no stopped process. Look
//! next in `strike.rs` (what each fault does), `node.rs`, `postgres.rs`, `samples.rs` (what is measured meanwhile).

mod node;
mod postgres;
mod processes;
mod samples;
mod strike;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use parlour_testkit::actors::Endpoint;
use parlour_testkit::database::Database;
use parlour_testkit::redis::Redis;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::history::{Leak, Node, Recorder};
use crate::machine::node::{NodeProcess, Readiness};
use crate::machine::postgres::Postgres;
use crate::options::Options;
use crate::plan::{Kind, Place};

/// How long everything may take to work when nothing is broken.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked at again.
const LOOK: Duration = Duration::from_millis(25);
/// How often it is looked whether a node has ended by itself.
const WATCH: Duration = Duration::from_millis(200);

/// The machine. Cheap to clone.
#[derive(Clone)]
pub struct Machine(Arc<Inner>);

struct Inner {
    recorder: Recorder,
    postgres: Postgres,
    redis: tokio::sync::Mutex<Redis>,
    redis_port: u16,
    nodes: Vec<NodeProcess>,
    places: Mutex<BTreeMap<Place, Arc<tokio::sync::Mutex<()>>>>,
    /// What is broken now, by the fault's number.
    broken: Mutex<BTreeMap<u32, Kind>>,
    watchers: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl Machine {
    /// Starts everything, and waits until every node is ready.
    ///
    /// # Panics
    /// When something does not start: then there is nothing to be shown.
    pub async fn start(options: &Options, recorder: &Recorder) -> Self {
        let logs = options.run_directory();
        std::fs::create_dir_all(&logs).expect("a directory for the logs");
        let (postgres, redis) = tokio::join!(Postgres::start(&options.binary), Redis::start());
        let redis_port = redis.port();
        let mut nodes = Vec::new();
        for number in 0..options.nodes {
            let is_last = number + 1 == options.nodes;
            let other = options.other_binary.as_ref().filter(|_| is_last);
            let log = logs.join(format!("node-{number}.log"));
            let program = other.unwrap_or(&options.binary);
            nodes.push(NodeProcess::start(program, &postgres.database.app_url, redis_port, log).await);
        }
        let inner = Inner {
            recorder: recorder.clone(),
            postgres,
            redis: tokio::sync::Mutex::new(redis),
            redis_port,
            nodes,
            places: Mutex::default(),
            broken: Mutex::default(),
            watchers: Mutex::default(),
        };
        let machine = Self(Arc::new(inner));
        assert!(
            machine.is_whole_within(START_PATIENCE).await,
            "the nodes were not ready in time; see {}",
            logs.display()
        );
        machine.watch(machine.clone().restart_what_ends());
        machine.watch(samples::run(machine.clone()));
        machine
    }

    /// Each node, through its tunnel.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.0.nodes.iter().map(NodeProcess::endpoint).collect()
    }

    /// Each node, without a tunnel.
    pub fn direct(&self) -> Vec<Endpoint> {
        self.0.nodes.iter().map(NodeProcess::direct).collect()
    }

    /// Each node's listener for its operator.
    pub fn admins(&self) -> Vec<Endpoint> {
        self.0.nodes.iter().map(NodeProcess::admin).collect()
    }

    /// The database, without a tunnel.
    pub fn database(&self) -> &Database {
        &self.0.postgres.database
    }

    /// The port of Redis, without a tunnel.
    pub fn redis_port(&self) -> u16 {
        self.0.redis_port
    }

    /// What each node wrote so far, in all its lives.
    pub fn node_logs(&self) -> Vec<PathBuf> {
        self.0.nodes.iter().map(|node| node.log.clone()).collect()
    }

    /// What PostgreSQL wrote so far.
    pub fn database_log(&self) -> PathBuf {
        self.0.postgres.log().to_owned()
    }

    /// What is broken now.
    pub fn broken(&self) -> Vec<Kind> {
        self.0.broken.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Waits until everything works; says so when it does not.
    pub async fn calm(&self) {
        if !self.is_whole_within(START_PATIENCE).await {
            let seconds = START_PATIENCE.as_secs();
            self.found("machine", &format!("nothing is broken, and after {seconds} s not every node is ready"));
        }
    }

    /// Ends everything; a node that does not stop in order is a finding.
    pub async fn stop(self) {
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let stops = self.0.nodes.iter().enumerate().map(|(number, node)| async move { (number, node.stop().await) });
        for (number, stopped) in futures_util::future::join_all(stops).await {
            if let Err(why) = stopped {
                self.found(&format!("node-{number}"), &why);
            }
        }
        self.0.redis.lock().await.kill().await;
        self.0.postgres.stop().await;
    }

    async fn is_whole_within(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        for node in &self.0.nodes {
            while node.readiness().await != Readiness::Ready {
                if Instant::now() > deadline {
                    return false;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        true
    }

    /// As whoever runs a server does: one that ended is started again. That it ended is a finding, unless it had never got so
    /// far as to be ready: then what it stands on was away.
    async fn restart_what_ends(self) {
        loop {
            tokio::time::sleep(WATCH).await;
            for (number, node) in self.0.nodes.iter().enumerate() {
                let ended = node.begin_again_if_ended().await;
                if let Some(ended) = ended.filter(|ended| ended.was_ready) {
                    self.found(&format!("node-{number}"), &format!("it ended by itself: {}", ended.status));
                }
            }
        }
    }

    fn watch(&self, watcher: impl Future<Output = ()> + Send + 'static) {
        let handle = AbortOnDropHandle::new(tokio::spawn(watcher));
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }

    fn found(&self, place: &str, what: &str) {
        let leak = Leak { place: place.to_owned(), what: what.to_owned() };
        self.0.recorder.with(|history| history.leaks.push(leak));
    }

    fn node(&self, node: Node) -> &NodeProcess {
        &self.0.nodes[usize::from(node.0)]
    }
}
