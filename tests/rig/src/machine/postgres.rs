//! PostgreSQL, durable, in a directory of its own: killed whole or by one backend, stopped, continued, and blocked by locks.
//!
//! Nothing here goes through a tunnel. Look at `strike.rs` for who breaks it and when.

use std::path::{Path, PathBuf};
use std::time::Duration;

use parlour::devdb::Cluster;
use parlour_testkit::database::{Database, durable_cluster};
use rustix::process::Signal;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::machine::processes;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than the server takes, so that the last ones are refused.
const CONNECTIONS: usize = 220;

/// How the log is kept from being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storm {
    /// A lock on a whole table.
    Table,
    /// A transaction that holds the rows of all conversations.
    Rows,
    /// No connection is left.
    Connections,
}

/// The server and its database.
pub struct Postgres {
    /// There until the stop.
    cluster: Mutex<Option<Cluster>>,
    data_dir: PathBuf,
    log: PathBuf,
    /// The database of all nodes.
    pub database: Database,
}

impl Postgres {
    /// Starts it, with an empty database, migrated by the server program that will be run: it knows its own.
    pub async fn start(program: &Path) -> Self {
        let (cluster, data_dir) = durable_cluster().await;
        let database = Database::create_by(program, &cluster).await;
        let log = cluster.log().to_owned();
        Self { cluster: Mutex::new(Some(cluster)), data_dir, log, database }
    }

    /// What it wrote.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its first process, while it runs.
    pub async fn pid(&self) -> Option<u32> {
        self.cluster.lock().await.as_ref()?.postmaster_pid()
    }

    /// Kills all of it.
    pub async fn kill(&self) {
        if let Some(cluster) = self.cluster.lock().await.as_ref() {
            cluster.kill().await.expect("all its processes end");
        }
    }

    /// Starts it after a kill.
    pub async fn start_again(&self) {
        if let Some(cluster) = self.cluster.lock().await.as_mut() {
            cluster.restart().await.expect("it recovers");
        }
    }

    /// Kills one backend of a node's, the `choice`th; it then restarts by itself.
    pub async fn kill_backend(&self, choice: u32) -> Result<(), String> {
        let mut connection = self.connect().await.ok_or("no connection")?;
        let asked = sqlx::query_scalar::<_, i32>(
            "select pid from pg_stat_activity where usename = 'parlour_app' and backend_type = 'client backend'",
        );
        let pids = timeout(PATIENCE, asked.fetch_all(&mut connection)).await;
        let pids = pids.map_err(|late| late.to_string())?.map_err(|error| error.to_string())?;
        let pid = pids.get(choice as usize % pids.len().max(1)).ok_or("no node is connected")?;
        processes::signal(u32::try_from(*pid).map_err(|error| error.to_string())?, Signal::KILL);
        Ok(())
    }

    /// Stops all of it in its tracks; who it was.
    pub async fn freeze(&self) -> Vec<u32> {
        let Some(postmaster) = self.pid().await else { return Vec::new() };
        // Stopped first, it forks no more, so nobody is missing from the list.
        processes::signal(postmaster, Signal::STOP);
        let mut stopped = processes::children(postmaster);
        stopped.push(postmaster);
        for pid in &stopped {
            processes::signal(*pid, Signal::STOP);
        }
        stopped
    }

    /// Lets them go on.
    pub fn thaw(&self, stopped: &[u32]) {
        for pid in stopped {
            processes::signal(*pid, Signal::CONT);
        }
    }

    /// Keeps the log from being written until what is returned is dropped.
    pub async fn storm(&self, storm: Storm) -> Result<Vec<PgConnection>, String> {
        let sql = match storm {
            Storm::Table => "set lock_timeout = '5s'; begin; lock table entries in access exclusive mode",
            Storm::Rows => "set lock_timeout = '5s'; begin; select 1 from conversations for update",
            Storm::Connections => return Ok(self.fill().await),
        };
        let mut connection = self.connect().await.ok_or("no connection")?;
        let locked = timeout(3 * PATIENCE, sqlx::raw_sql(sql).execute(&mut connection)).await;
        locked.map_err(|late| late.to_string())?.map_err(|error| error.to_string())?;
        Ok(vec![connection])
    }

    /// All at once, because each takes a while on a busy machine.
    async fn fill(&self) -> Vec<PgConnection> {
        let url = &self.database.app_url;
        let tries = (0..CONNECTIONS).map(|_| timeout(PATIENCE, PgConnection::connect(url)));
        futures_util::future::join_all(tries).await.into_iter().flatten().flatten().collect()
    }

    /// How many connections there are; nothing when it does not answer.
    pub async fn connections(&self) -> Option<i64> {
        let mut connection = self.connect().await?;
        let count = sqlx::query_scalar("select count(*) from pg_stat_activity where backend_type = 'client backend'");
        timeout(PATIENCE, count.fetch_one(&mut connection)).await.ok()?.ok()
    }

    /// Ends it, and takes its data along.
    pub async fn stop(&self) {
        let Some(cluster) = self.cluster.lock().await.take() else { return };
        // Where a run ends early it may be stopped in its tracks.
        if let Some(postmaster) = cluster.postmaster_pid() {
            self.thaw(&processes::children(postmaster));
            self.thaw(&[postmaster]);
        }
        if let Err(error) = cluster.stop().await {
            eprintln!("PostgreSQL did not stop in order: {error}");
        }
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }

    async fn connect(&self) -> Option<PgConnection> {
        timeout(PATIENCE, PgConnection::connect(&self.database.admin_url)).await.ok()?.ok()
    }
}
