//! HTTP: translates requests into commands and their answers into envelopes. It never decides anything.
//!
//! Start with [`routes`], the one table; each resource has a file of handlers. What every request passes is in [`around`],
//! what handlers take is in [`extract`], what they give in [`envelope`].

mod around;
mod client;
mod envelope;
mod extract;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::IpNet;
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::commands::failure::Failure;

/// What the edge must be told.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where people reach this installation (`https://chat.example.com`), without a slash at the end.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request may take; its work goes on, its caller is answered.
    pub request_timeout: Duration,
}

/// What handlers reach.
pub struct Api {
    auth: Arc<Auth>,
    config: HttpConfig,
    tasks: TaskTracker,
    draining: AtomicBool,
}
