//! The node's clock, held against the database's once a minute: a gauge, and one line when it is wrong.
//!
//! It decides nothing, here or anywhere: tokens alone are judged by it, with half a minute's patience, and times in logs are
//! its. So an operator should know.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::commands::Commands;

const EVERY: Duration = Duration::from_secs(60);
/// How long the database may take; longer, and the answer says nothing.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a clock may be off by before somebody is told, in seconds.
const OFF_MAX: f64 = 2.0;

impl Commands {
    /// Watches the clock until cancelled.
    pub async fn run_clock(&self, cancelled: CancellationToken) {
        let gauge = metrics::gauge!("parlour_clock_skew_seconds");
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_off = false;
        // Cancel-safe: nothing is kept of a look that was not finished.
        while cancelled.run_until_cancelled(ticks.tick()).await.is_some() {
            let before = OffsetDateTime::now_utc();
            let Ok(Ok(theirs)) = timeout(DEADLINE, self.store.clock()).await else { continue };
            // It was read at some moment between asking and hearing.
            let after = OffsetDateTime::now_utc();
            let skew = f64::midpoint((before - theirs).as_seconds_f64(), (after - theirs).as_seconds_f64());
            gauge.set(skew);
            let is_off = skew.abs() > OFF_MAX;
            if is_off && !was_off {
                tracing::warn!(
                    skew_seconds = skew,
                    "the clock of this machine is off by {skew:.1} s, or the database's is"
                );
            }
            was_off = is_off;
        }
    }
}
