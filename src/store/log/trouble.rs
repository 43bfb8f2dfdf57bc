//! Whether the log can be written: admission is narrower while it cannot, and an operator is told once when writes are given up
//! for it and once when they are taken again.
//!
//! Says nothing of what was to be written. Shared by the committers of a node.

use std::sync::atomic::{AtomicBool, Ordering};

/// The state of writing.
pub(in crate::store::log) struct Trouble {
    /// The last call did not reach the database.
    is_failing: AtomicBool,
    /// Writes were given up, and the log says so.
    is_told: AtomicBool,
    gauge: metrics::Gauge,
}

impl std::fmt::Debug for Trouble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Trouble").field("is_failing", &self.is_failing()).finish_non_exhaustive()
    }
}

impl Trouble {
    /// None yet.
    pub fn none() -> Self {
        let gauge = metrics::gauge!("parlour_log_failing");
        gauge.set(0.0);
        Self { is_failing: AtomicBool::default(), is_told: AtomicBool::default(), gauge }
    }

    /// Whether the last call failed.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// A call failed; another try may succeed.
    pub fn met(&self) {
        self.is_failing.store(true, Ordering::Relaxed);
    }

    /// Writes are given up.
    pub fn given_up(&self, error: &sqlx::Error) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.gauge.set(1.0);
            tracing::error!(%error, "the database takes no entries: writes are refused until it does");
        }
    }

    /// A call succeeded.
    pub fn over(&self) {
        self.is_failing.store(false, Ordering::Relaxed);
        if self.is_told.load(Ordering::Relaxed) && self.is_told.swap(false, Ordering::Relaxed) {
            self.gauge.set(0.0);
            tracing::info!("the database takes entries again");
        }
    }
}
