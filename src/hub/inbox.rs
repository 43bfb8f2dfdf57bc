//! Who keeps a live list of conversations, and which rows may have changed.
//!
//! Rows are state, not history: marks of one conversation merge, and nothing is kept when nobody listens. Reading the rows
//! from the database and pushing them is `commands::inbox`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlour_protocol::id::OrganizationId;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::domain::room::RoomKey;
use crate::hub::locked;
use crate::hub::session::Session;

/// Marks that come within this time of the first are read together.
const COALESCE: Duration = Duration::from_millis(100);

/// Subscriptions to lists, and the rows to read anew.
#[derive(Default)]
pub struct Inbox {
    subscribers: Mutex<HashMap<OrganizationId, Vec<Arc<Session>>>>,
    dirty: Mutex<HashSet<RoomKey>>,
    marked: Notify,
}

impl Inbox {
    /// Subscribes a session; again is the same.
    pub fn subscribe(&self, session: &Arc<Session>) {
        let mut subscribers = locked(&self.subscribers);
        let sessions = subscribers.entry(session.organization()).or_default();
        if !sessions.iter().any(|other| other.id() == session.id()) {
            sessions.push(Arc::clone(session));
        }
    }

    /// Ends a session's subscription.
    pub fn unsubscribe(&self, session: &Session) {
        let mut subscribers = locked(&self.subscribers);
        if let Some(sessions) = subscribers.get_mut(&session.organization()) {
            sessions.retain(|other| other.id() != session.id());
            if sessions.is_empty() {
                subscribers.remove(&session.organization());
            }
        }
    }

    /// The sessions of an organization that keep a live list.
    pub fn subscribers(&self, organization: OrganizationId) -> Vec<Arc<Session>> {
        locked(&self.subscribers).get(&organization).cloned().unwrap_or_default()
    }

    /// A conversation's row may have changed.
    pub fn mark(&self, room: RoomKey) {
        if !locked(&self.subscribers).contains_key(&room.organization) {
            return;
        }
        let mut dirty = locked(&self.dirty);
        let was_clean = dirty.is_empty();
        dirty.insert(room);
        drop(dirty);
        if was_clean {
            self.marked.notify_one();
        }
    }

    /// Waits for marks and takes those of a tenth of a second, one per conversation. For one caller; cancel-safe: marks are
    /// taken out only when they are returned.
    pub async fn dirty(&self) -> Vec<RoomKey> {
        while locked(&self.dirty).is_empty() {
            self.marked.notified().await;
        }
        sleep(COALESCE).await;
        std::mem::take(&mut *locked(&self.dirty)).into_iter().collect()
    }
}
