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
pub mod reader;
mod session;
pub mod throttle;
pub mod upgrade;
mod wire;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::domain::limits::LimitsProfile;
use crate::hub::Hub;
use crate::ws::desk::Desk;
use crate::ws::throttle::{Admission, Waiting};

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
    /// Sockets taken on in a second; who comes beyond it is asked to come back in a moment.
    pub upgrades_per_second: NonZeroU32,
}

/// See [`WsConfig::upgrades_per_second`]: eight thousand clients of a node that was lost are back within five seconds.
pub const UPGRADES_PER_SECOND: NonZeroU32 = NonZeroU32::new(2_000).expect("2,000 is not 0");

impl Default for WsConfig {
    fn default() -> Self {
        Self {
            allowed_origins: Vec::new(),
            limits: LimitsProfile::Standard,
            drain_spread: Duration::from_secs(20),
            stall_max: Duration::from_secs(30),
            upgrades_per_second: UPGRADES_PER_SECOND,
        }
    }
}

/// Everything a socket needs of the node; the state of [`upgrade::upgrade`].
pub struct Gate {
    config: WsConfig,
    hub: Arc<Hub>,
    desk: Arc<dyn Desk>,
    waiting: Arc<Waiting>,
    admission: Admission,
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
        let admission = Admission::new(config.upgrades_per_second, Instant::now());
        Self { config, hub, desk, waiting, admission, drain, abort, tracker }
    }
}

/// A time of one's own within a span, in milliseconds, so that not everybody comes at once.
fn own_moment(span: Duration) -> u64 {
    // These ids end in random bits.
    Uuid::now_v7().as_u64_pair().1 % handshake::millis(span).max(1)
}
