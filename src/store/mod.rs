//! PostgreSQL: the truth. Three doors and no fourth: [`tenant::TenantTx`] (one organization's rows), [`log`] (entries) and
//! [`directory`] (the few named functions that cross organizations).
//!
//! The raw pool is private to this module; no other module may run SQL (`tests/architecture.rs`). Row-level security stands
//! behind every query, so a forgotten filter returns nothing instead of another tenant's rows. SQL lives beside the table it
//! serves, one file per aggregate; migrations are in `/migrations`.

pub mod api_keys;
pub mod cards;
pub mod conversations;
pub mod directory;
pub mod error;
pub mod guests;
pub mod log;
pub mod migrate;
pub mod nodes;
pub mod organizations;
pub mod platform;
pub mod seen;
pub mod shares;
pub mod tenant;
pub mod tickets;
pub mod watermarks;

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Row};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::store::error::StoreError;

/// Longest statement; PostgreSQL ends it and the caller may try again.
const STATEMENT_TIMEOUT_MS: &str = "2000";
/// Longest wait for a row lock.
const LOCK_TIMEOUT_MS: &str = "500";
/// Longest pause of an open transaction.
const IDLE_IN_TRANSACTION_TIMEOUT_MS: &str = "5000";
/// Longest wait for a pooled connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for an answer, the wait for a connection included: what swallows everything closes nothing.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for the rest of an answer that nobody waits for any more; then its connection is dropped.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long connections are looked at more closely after a `begin` was given up; giving one back takes far less.
const DOUBT_MS: u64 = 60_000;

/// The database, for as many users as there are clones.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    given_up: Arc<GivenUp>,
    /// One connection that only the lease query uses: a storm that empties the pool must not look like lost rights.
    leases: Arc<Mutex<Option<PgConnection>>>,
    options: PgConnectOptions,
}

impl Store {
    /// Prepares a pool; connections are made when first needed.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: &str, connections_max: u32) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|error| StoreError::Unexpected(format!("database URL: {error}")))?
            .application_name("parlour")
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT_MS),
                ("lock_timeout", LOCK_TIMEOUT_MS),
                ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT_MS),
            ]);
        let given_up = Arc::new(GivenUp::never());
        let doubt = Arc::clone(&given_up);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_release(move |connection, _| Box::pin(is_in_step(connection, doubt.is_recent())))
            .connect_lazy_with(options.clone());
        Ok(Self { pool, given_up, leases: Arc::default(), options })
    }

    pub(in crate::store) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Closes every connection; later calls fail as unavailable.
    pub async fn close(&self) {
        self.pool.close().await;
        if let Some(connection) = self.leases.lock().await.take() {
            // The server notices by itself, too.
            let _ = timeout(RELEASE_TIMEOUT, connection.close()).await;
        }
    }

    /// Whether the database answers and keeps what it acknowledges: `fsync`, `full_page_writes` and `synchronous_commit`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn durability(&self) -> Result<Durability, StoreError> {
        let row = sqlx::query!(
            r#"select current_setting('fsync') as "fsync!", current_setting('full_page_writes') as "full_page_writes!",
                      current_setting('synchronous_commit') as "synchronous_commit!""#
        )
        .fetch_one(&self.pool)
        .await?;
        let kept = row.fsync == "on" && row.full_page_writes == "on" && row.synchronous_commit != "off";
        Ok(if kept { Durability::Kept } else { Durability::Relaxed })
    }
}

/// A question to the database.
trait Asked<T>: Future<Output = Result<T, sqlx::Error>> + Sized {
    /// Waits no longer than [`ANSWER_TIMEOUT`]. The connection is looked after when it is given back.
    async fn in_time(self) -> Result<T, sqlx::Error> {
        timeout(ANSWER_TIMEOUT, self).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> Asked<T> for F {}

/// Whether a connection that was given back has answered everything it was asked, and is outside any transaction. The pool looks,
/// too, but for as long as it takes: every answer that the network lost would cost it a place for good.
async fn is_in_step(connection: &mut PgConnection, is_doubtful: bool) -> Result<bool, sqlx::Error> {
    let looked = timeout(RELEASE_TIMEOUT, async {
        connection.ping().await?;
        if is_doubtful && !is_outside(connection).await? {
            sqlx::raw_sql("rollback").execute(connection).await?;
        }
        Ok(true)
    });
    looked.await.map_err(|_| sqlx::Error::PoolTimedOut)?
}

async fn is_outside(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // One simple query by itself is a transaction that begins with it.
    sqlx::raw_sql("select now() = statement_timestamp()").fetch_one(connection).await?.try_get(0)
}

/// When a `begin` was last given up half-way: its connection is given back inside a transaction that nobody knows of, and whoever
/// came next would speak in it. Which one it is nobody can tell, so all are looked at that come back for a while.
#[derive(Debug)]
struct GivenUp {
    began: Instant,
    /// Milliseconds after that; 0: never.
    last: AtomicU64,
}

impl GivenUp {
    fn never() -> Self {
        Self { began: Instant::now(), last: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn is_recent(&self) -> bool {
        let last = self.last.load(Ordering::SeqCst);
        last > 0 && self.now().saturating_sub(last) <= DOUBT_MS
    }
}

/// Dropped before it was told that all is well, it notes a `begin` that was given up.
struct Beginning<'a>(Option<&'a GivenUp>);

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if let Some(given_up) = self.0 {
            given_up.last.store(given_up.now(), Ordering::SeqCst);
        }
    }
}

/// Whether the database keeps what it acknowledges through a crash of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Everything acknowledged is on disk.
    Kept,
    /// A setting trades durability for speed: for tests only.
    Relaxed,
}

/// What the database must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequireDurability {
    /// Everything it acknowledges.
    Yes,
    /// Whatever it likes: for tests on a relaxed cluster.
    No,
}

impl RequireDurability {
    /// Whether a database that keeps so much will do.
    pub fn accepts(self, durability: Durability) -> bool {
        match self {
            Self::Yes => durability == Durability::Kept,
            Self::No => true,
        }
    }
}
