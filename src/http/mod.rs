//! HTTP: translates requests into commands and their answers into envelopes. It never decides anything.
//!
//! Start with [`routes`], the one table; each resource has a file of handlers. What every request passes is in [`around`],
//! what handlers take is in [`extract`], what they give in [`envelope`].

pub mod around;
mod assets;
mod auth;
mod cards;
pub mod client;
pub mod conversations;
mod documents;
pub mod entries;
mod envelope;
pub mod extract;
mod health;
mod me;
pub mod openapi;
pub mod routes;
mod shares;
mod visits;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use parlour_protocol::id::ApiKeyId;
use parlour_protocol::limits::{KEY_REQUESTS_BURST, KEY_REQUESTS_PER_SECOND};
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::auth::rates::{Rate, Rates};
use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::limits::LimitsProfile;
use crate::http::envelope::Problem;
use crate::store::{RequireDurability, Store};

/// Links that may be tried in vain from one address in a minute.
pub const PROBES_OF_ADDRESS: Rate = Rate::per_minute(10);
/// Requests of one API key.
pub const REQUESTS_OF_KEY: Rate = Rate {
    burst: KEY_REQUESTS_BURST,
    per: Duration::from_millis(1_000 * KEY_REQUESTS_BURST as u64 / KEY_REQUESTS_PER_SECOND as u64),
};

/// What the edge must be told.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where people reach this installation (`https://chat.example.com`), without a slash at the end.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request may take; its work goes on, its caller is answered.
    pub request_timeout: Duration,
    /// What the database must keep for the node to be ready.
    pub durability: RequireDurability,
    /// Whether probing for links, and keys, are slowed down.
    pub limits: LimitsProfile,
}

/// What handlers reach.
pub struct Api {
    store: Store,
    auth: Arc<Auth>,
    commands: Arc<Commands>,
    config: HttpConfig,
    tasks: TaskTracker,
    draining: AtomicBool,
    probes: Rates<IpAddr>,
    keys: Rates<ApiKeyId>,
}

impl Api {
    /// The edge over its services. Work that outlives its request is tracked by `tasks`.
    pub fn new(store: Store, auth: Arc<Auth>, commands: Arc<Commands>, config: HttpConfig, tasks: TaskTracker) -> Self {
        let probes = Rates::under(config.limits, PROBES_OF_ADDRESS);
        let keys = Rates::under(config.limits, REQUESTS_OF_KEY);
        Self { store, auth, commands, config, tasks, draining: AtomicBool::new(false), probes, keys }
    }

    /// From now on the node says that it is not ready, so that nobody new is sent to it.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Runs a change to its end, whether or not its caller waits for the answer.
    async fn complete<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        match self.tasks.spawn(work).await {
            Ok(outcome) => outcome.map_err(Problem::from),
            Err(error) => Err(Problem::internal(format!("a change did not run to its end: {error}"))),
        }
    }
}
