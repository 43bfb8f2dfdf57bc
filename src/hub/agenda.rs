//! What must happen later: one ordered list of deadlines for the whole hub instead of a timer per room or sign.
//!
//! Nothing is ever cancelled here: whoever handles an item looks first whether it still applies.

use std::collections::BTreeMap;
use std::sync::Mutex;

use parlour_protocol::entry::Who;
use parlour_protocol::id::OrganizationId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::domain::node::NodeId;
use crate::domain::room::RoomKey;
use crate::hub::locked;

/// Something that may be due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A room may miss entries.
    Repair(RoomKey),
    /// A room may have been empty for long enough.
    Evict(RoomKey),
    /// Somebody may have been away for long enough.
    Offline(RoomKey, Who),
    /// A typing sign may have run out.
    TypingEnd(RoomKey, Who),
    /// It is not known whether something was committed to these rooms.
    Unsure(Vec<RoomKey>),
    /// Peers are to be told whom we hold.
    Announce,
    /// Peers are to be told which rows changed.
    TellRows,
    /// Peers are to be asked whom they hold in an organization.
    Ask(OrganizationId),
    /// A peer that said farewell is gone for good.
    Gone(NodeId),
}

/// The hub's deadlines.
#[derive(Debug, Default)]
pub struct Agenda {
    items: Mutex<Items>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Items {
    by_time: BTreeMap<(Instant, u64), Due>,
    added: u64,
}

impl Agenda {
    /// Notes what is due at a time.
    pub fn at(&self, when: Instant, due: Due) {
        let mut items = locked(&self.items);
        let key = (when, items.added);
        let is_earliest = items.by_time.first_key_value().is_none_or(|(earliest, _)| key < *earliest);
        items.added += 1;
        items.by_time.insert(key, due);
        drop(items);
        if is_earliest {
            self.earlier.notify_one();
        }
    }

    /// Waits for the next item. Cancel-safe: an item is taken out only when it is returned.
    pub async fn next(&self) -> Due {
        loop {
            let earliest = locked(&self.items).by_time.first_key_value().map(|((when, _), _)| *when);
            match earliest {
                Some(when) if when <= Instant::now() => {
                    if let Some((_, due)) = locked(&self.items).by_time.pop_first() {
                        return due;
                    }
                }
                // Both waits may be dropped freely: the list is read anew.
                Some(when) => tokio::select! { () = sleep_until(when) => {}, () = self.earlier.notified() => {} },
                None => self.earlier.notified().await,
            }
        }
    }
}
