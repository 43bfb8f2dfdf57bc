//! A pledge: what is committed in a caller's own transaction is delivered, or looked up by whoever is left to do it.
//!
//! Where the connection to the database breaks during the commit, or the caller ends before the delivery, the entry may be in
//! the log and nobody knows. Taken before the commit, a pledge that is dropped unkept has the room looked up
//! ([`Hub::unsure`]), which costs one small query and is harmless when nothing was committed.

use crate::domain::room::{Committed, RoomKey};
use crate::hub::Hub;

/// Looks a room up when dropped, unless what it stands for was delivered.
#[must_use = "dropped, it counts as broken"]
pub struct Pledge<'a> {
    hub: &'a Hub,
    room: RoomKey,
    is_kept: bool,
}

impl Hub {
    /// Something is about to be committed to a room.
    pub fn pledge(&self, room: RoomKey) -> Pledge<'_> {
        Pledge { hub: self, room, is_kept: false }
    }
}

impl Pledge<'_> {
    /// It was committed: delivers it.
    pub async fn deliver(mut self, entry: Committed) {
        self.hub.deliver(vec![entry]).await;
        self.is_kept = true;
    }
}

impl Drop for Pledge<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.hub.unsure(vec![self.room]);
        }
    }
}
