//! The socket edge: from an HTTP upgrade to a session that speaks the protocol of `protocol/SPEC.md` §2.
//!
//! It moves frames and keeps the rules of the wire (sizes, rates, deadlines, close codes); it decides no rights and stores
//! nothing. The way in: [`upgrade`] → [`handshake`] → [`session`] → [`dispatch`], which calls a [`desk::Desk`] and the hub.
//! The way out is the hub's: it writes to the socket itself, past everything here.

pub mod desk;
mod dispatch;
pub mod front_desk;
mod handshake;
mod pipeline;
mod progress;
mod reader;
mod session;
pub mod throttle;
pub mod upgrade;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::limits::LimitsProfile;
use crate::hub::Hub;
use crate::ws::desk::Desk;
use crate::ws::throttle::Waiting;

/// What the socket edge can be told.
#[derive(Clone, Debug)]
pub struct WsConfig {
    /// Origins (scheme, host, port) whose pages may connect, besides pages of the same host.
    pub allowed_origins: Vec<String>,
    /// Whether the abuse limits hold.
    pub limits: LimitsProfile,
    /// Over how long the clients of a draining node are asked to spread their return.
    pub drain_spread: Duration,
    /// How long a socket may take no byte of what waits for it.
    pub stall_max: Duration,
}

impl Default for WsConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            limits: LimitsProfile::Standard,
            drain_spread: Duration::from_secs(20),
            stall_max: Duration::from_secs(30),
        }
    }
}

/// Everything a socket needs of the node; the state of [`upgrade::upgrade`].
pub struct Gate {
    config: WsConfig,
    hub: Arc<Hub>,
    desk: Arc<dyn Desk>,
    waiting: Arc<Waiting>,
    /// Sockets are asked to leave.
    drain: CancellationToken,
    /// Sockets are cut.
    abort: CancellationToken,
    tracker: TaskTracker,
}

impl Gate {
    /// A gate to the hub. Sockets run on `tracker`, say goodbye at `drain` and are cut at `abort`.
    pub fn new(
        config: WsConfig,
        hub: Arc<Hub>,
        desk: Arc<dyn Desk>,
        tracker: TaskTracker,
        (drain, abort): (CancellationToken, CancellationToken),
    ) -> Self {
        let waiting = Arc::new(Waiting::new(config.limits));
        Self { config, hub, desk, waiting, drain, abort, tracker }
    }
}
