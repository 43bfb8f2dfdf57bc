//! Whose rights have changed, so that their sessions are looked at now and not at the next sweep of the leases.
//!
//! A hint, like everything said between nodes: marks of one holder merge, too many become "look at everybody", and a lost one
//! is made up for by the sweep. Nothing here reads or decides a right; that is `commands::lease`.

use std::collections::HashSet;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::domain::principal::HolderKey;
use crate::hub::locked;

/// Holders remembered by name; beyond it everybody is looked at.
pub const HOLDERS_MAX: usize = 1_024;

/// The holders whose sessions must be looked at.
#[derive(Default)]
pub struct Renewals {
    changed: Mutex<Changed>,
    marked: Notify,
}

/// Whose rights have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Those of these holders.
    Of(HashSet<HolderKey>),
    /// Those of too many to name.
    OfMany,
}

impl Default for Changed {
    fn default() -> Self {
        Self::Of(HashSet::new())
    }
}

impl Renewals {
    /// A holder's rights have changed. Never waits.
    pub fn mark(&self, holder: HolderKey) {
        let mut changed = locked(&self.changed);
        if let Changed::Of(holders) = &mut *changed {
            if holders.len() >= HOLDERS_MAX && !holders.contains(&holder) {
                *changed = Changed::OfMany;
            } else {
                holders.insert(holder);
            }
        }
        drop(changed);
        self.marked.notify_one();
    }

    /// Waits for marks and takes them all. For one caller; cancel-safe: marks are taken out only when they are returned.
    pub async fn changed(&self) -> Changed {
        loop {
            let taken = std::mem::take(&mut *locked(&self.changed));
            if taken != Changed::default() {
                return taken;
            }
            self.marked.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::entry::WhoKind;
    use parlour_protocol::id::OrganizationId;
    use uuid::Uuid;

    use super::*;

    fn holder(n: usize) -> HolderKey {
        let organization = OrganizationId(Uuid::from_u128(1));
        HolderKey { kind: WhoKind::Guest, organization, id: Uuid::from_u128(n as u128) }
    }

    #[tokio::test]
    async fn marks_merge_and_too_many_mean_everybody() {
        let renewals = Renewals::default();
        for n in [1, 2, 1] {
            renewals.mark(holder(n));
        }
        assert_eq!(renewals.changed().await, Changed::Of(HashSet::from([holder(1), holder(2)])));
        for (marks, is_named) in [(HOLDERS_MAX - 1, true), (HOLDERS_MAX, true), (HOLDERS_MAX + 1, false)] {
            (0..marks).for_each(|n| renewals.mark(holder(n)));
            renewals.mark(holder(0));
            assert_eq!(matches!(renewals.changed().await, Changed::Of(_)), is_named, "{marks}");
        }
    }

    #[tokio::test]
    async fn a_mark_wakes_who_waits_and_is_taken_once() {
        let renewals = Renewals::default();
        let waiting = renewals.changed();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        renewals.mark(holder(1));
        assert_eq!(waiting.await, Changed::Of(HashSet::from([holder(1)])));
        assert!(futures_util::poll!(Box::pin(renewals.changed())).is_pending(), "a stored wake finds nothing");
    }
}
