//! Registration: this node says every few seconds, by the database's clock, that it is alive, and learns who else is.
//!
//! It is how a peer is known that cannot be heard on the bus: whose messages may be missed, and who is gone. Never more than a
//! hint: when the database does not answer, nobody is taken for gone.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;

/// How often; [`crate::hub::across::peers::PeersConfig`] counts on it.
const EVERY: Duration = Duration::from_secs(3);
/// How long the database may take.
const DEADLINE: Duration = Duration::from_secs(1);

impl Commands {
    /// Keeps this node registered until cancelled, then tells everybody that it has stopped.
    pub async fn run_registration(&self, cancelled: CancellationToken) {
        let node = self.hub.node();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_registered = true;
        // Cancel-safe: what was not learned is asked again by whoever goes on.
        while cancelled.run_until_cancelled(ticks.tick()).await.is_some() {
            let is_registered = match timeout(DEADLINE, self.store.node_alive(node)).await {
                Ok(Ok(others)) => {
                    self.hub.registered(&others);
                    true
                }
                Ok(Err(_)) | Err(_) => false,
            };
            if was_registered && !is_registered {
                tracing::warn!(node.id = %node, "node {node} cannot tell the database that it is alive");
            }
            was_registered = is_registered;
        }
        // A row that stays goes by itself.
        if !matches!(timeout(DEADLINE, self.store.node_gone(node)).await, Ok(Ok(()))) {
            tracing::warn!(node.id = %node, "node {node} could not tell the database that it has stopped");
        }
    }
}
