//! When to stop: Ctrl-C and SIGTERM, from the moment this is made.
//!
//! The first asks for a clean stop; what a second one means is the caller's to say.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::error::{CliError, Exit};

/// The signals that ask this process to stop.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes the signals over: from here on they no longer kill the process.
    pub fn take() -> Result<Self, CliError> {
        let take = |kind| signal(kind).map_err(|error| CliError::new(Exit::Internal, format!("no signals: {error}")));
        Ok(Self { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
