//! Databases: one private cluster for the whole test binary, one database per test cloned from a migrated template.
//!
//! The shared cluster is relaxed (no fsync) and dies with the process. Fault tests take a durable cluster of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use parlour::devdb::{Cluster, ClusterOptions, Durability, Host};
use parlour::store::migrate::{ROLES_SQL, migrate};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::process::Command;
use tokio::sync::OnceCell;

const TEMPLATE: &str = "parlour_template";

static SHARED: OnceCell<Cluster> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of one test's own.
#[derive(Clone, Debug)]
pub struct Database {
    /// As the server connects.
    pub app_url: String,
    /// As a superuser connects: for arranging and looking, never for what is being tested.
    pub admin_url: String,
}

impl Database {
    /// A fresh, migrated database on the shared cluster.
    pub async fn fresh() -> Self {
        let cluster = SHARED.get_or_init(shared_cluster).await;
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&cluster.superuser_url("postgres")).await;
        let create = format!("create database {name} template {TEMPLATE} owner parlour_owner");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.expect("a clone of the template");
        Self::on(cluster, &name)
    }

    /// A migrated database on a cluster of the test's own.
    pub async fn create_on(cluster: &Cluster) -> Self {
        create_migrated(cluster, "parlour").await;
        Self::on(cluster, "parlour")
    }

    /// As [`Database::create_on`], migrated by a server program: its migrations may be others than ours.
    pub async fn create_by(program: &Path, cluster: &Cluster) -> Self {
        create(cluster, "parlour").await;
        let mut command = Command::new(program);
        command.arg("migrate").env_clear().env("MIGRATE_DATABASE_URL", cluster.url("parlour_migrator", "parlour"));
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().await;
        assert!(status.expect("the program starts").success(), "{} migrate", program.display());
        Self::on(cluster, "parlour")
    }

    fn on(cluster: &Cluster, name: &str) -> Self {
        Self { app_url: cluster.url("parlour_app", name), admin_url: cluster.superuser_url(name) }
    }

    /// A superuser's connection.
    pub async fn admin(&self) -> PgConnection {
        connect(&self.admin_url).await
    }
}

/// A durable cluster in a directory of its own, for tests that kill it.
pub async fn durable_cluster() -> (Cluster, PathBuf) {
    let data_dir = scratch_dir(&format!("durable-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    (start(data_dir.clone(), Durability::Durable).await, data_dir)
}

/// A durable cluster in a directory of the caller's.
pub async fn durable_cluster_in(data_dir: &Path) -> Cluster {
    start(data_dir.to_owned(), Durability::Durable).await
}

async fn shared_cluster() -> Cluster {
    let cluster = start(scratch_dir("shared"), Durability::Relaxed).await;
    create_migrated(&cluster, TEMPLATE).await;
    cluster
}

async fn start(data_dir: PathBuf, durability: Durability) -> Cluster {
    let host = Host::observe(|name| std::env::var_os(name));
    let options = ClusterOptions { data_dir, socket_dir: None, durability, host };
    Cluster::start(options).await.expect("a private cluster")
}

/// A directory of this test program's own; what gone ones left is removed.
pub fn scratch_dir(name: &str) -> PathBuf {
    let parent = std::env::temp_dir();
    for old in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
        let file_name = old.file_name();
        let owner =
            file_name.to_str().and_then(|name| name.strip_prefix("parlour-it-")?.split('-').next()?.parse().ok());
        if owner.is_some_and(|pid: u32| !PathBuf::from(format!("/proc/{pid}")).exists()) {
            // Left behind by a test binary that is gone, and its server with it.
            let _ = std::fs::remove_dir_all(old.path());
        }
    }
    parent.join(format!("parlour-it-{}-{name}", std::process::id()))
}

async fn create_migrated(cluster: &Cluster, name: &str) {
    create(cluster, name).await;
    migrate(&cluster.url("parlour_migrator", name)).await.expect("the migrations");
}

async fn create(cluster: &Cluster, name: &str) {
    let mut admin = connect(&cluster.superuser_url("postgres")).await;
    sqlx::raw_sql(ROLES_SQL).execute(&mut admin).await.expect("the roles");
    let create = format!("create database {name} owner parlour_owner");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await.expect("a database");
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a superuser's connection")
}
