//! The pause: while a node cannot confirm who may read, nobody on it hears an entry. Sockets stay, commands are answered.
//!
//! Nothing slips through its beginning: whoever starts to give out entries holds [`Flowing`] while it does, the beginning waits
//! for those, and who comes later is refused. At its end every attachment is told the `head`, so its client attaches again and
//! misses nothing. When to begin and end is decided in `commands::lease`.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use parlour_protocol::error::{ErrorBody, ErrorCode};
use tokio::sync::Notify;

use crate::hub::Hub;

/// When whoever is refused should ask again: about the time between two tries to confirm.
const RETRY_AFTER_MS: u64 = 3_000;

/// Whether entries are withheld.
#[derive(Default)]
pub(super) struct Pause {
    is_on: RwLock<bool>,
    ended: Notify,
}

/// The leave to give out entries: no pause begins while it is held. Never hold it across an `await`.
pub struct Flowing<'a>(#[expect(dead_code, reason = "held for its lock")] RwLockReadGuard<'a, bool>);

impl Hub {
    /// Withholds entries from everybody, from now on until [`Hub::resume`]; each live attachment is told.
    pub fn withhold(&self) {
        *self.pause.is_on.write().unwrap_or_else(PoisonError::into_inner) = true;
        // Whoever goes live later is refused, so nobody is missed.
        for session in self.sessions() {
            session.all_attachments().iter().for_each(|member| member.pause());
        }
    }

    /// Ends the pause: every attachment that was told is told its room's head, which asks it to attach again.
    pub fn resume(&self) {
        *self.pause.is_on.write().unwrap_or_else(PoisonError::into_inner) = false;
        for session in self.sessions() {
            session.all_attachments().iter().for_each(|member| member.resume());
        }
        self.pause.ended.notify_waiters();
    }

    /// The leave to give out entries now.
    ///
    /// # Errors
    /// `UNAVAILABLE` while they are withheld.
    pub fn flow(&self) -> Result<Flowing<'_>, ErrorBody> {
        let is_on = self.pause.is_on.read().unwrap_or_else(PoisonError::into_inner);
        if *is_on {
            let message = "who may read cannot be confirmed right now; try again";
            return Err(ErrorBody::new(ErrorCode::Unavailable, message).with("retry_after_ms", RETRY_AFTER_MS));
        }
        Ok(Flowing(is_on))
    }

    /// Waits while entries are withheld.
    pub async fn flowing(&self) {
        loop {
            let ended = self.pause.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.flow().is_ok() {
                return;
            }
            ended.await;
        }
    }
}

#[cfg(test)]
#[path = "pause_tests.rs"]
mod tests;
