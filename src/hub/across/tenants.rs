//! Which organizations somebody of is on this node: only their channels are heard, and only for as long.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use parlour_protocol::id::OrganizationId;

use crate::bus::interest::Subscription;
use crate::hub::locked;

/// The organizations of this node's sessions.
#[derive(Debug, Default)]
pub struct Tenants {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    tenants: HashMap<OrganizationId, Tenant>,
    /// Peers are about to be asked whom they hold of these.
    asking: HashSet<OrganizationId>,
}

#[derive(Debug)]
struct Tenant {
    sessions: usize,
    subscription: Arc<Subscription>,
}

impl Tenants {
    /// A session came; whether it is the first of its organization, whose channel is then heard by what `subscribe` gives.
    pub fn enter(&self, organization: OrganizationId, subscribe: impl FnOnce() -> Subscription) -> bool {
        let mut books = locked(&self.books);
        let tenant = books
            .tenants
            .entry(organization)
            .or_insert_with(|| Tenant { sessions: 0, subscription: Arc::new(subscribe()) });
        tenant.sessions += 1;
        tenant.sessions == 1
    }

    /// A session left; whether it was the last of its organization.
    pub fn leave(&self, organization: OrganizationId) -> bool {
        let mut books = locked(&self.books);
        let Some(tenant) = books.tenants.get_mut(&organization) else { return false };
        tenant.sessions -= 1;
        let was_last = tenant.sessions == 0;
        if was_last {
            books.tenants.remove(&organization);
        }
        was_last
    }

    /// Whether somebody of the organization is here.
    pub fn has(&self, organization: OrganizationId) -> bool {
        locked(&self.books).tenants.contains_key(&organization)
    }

    /// The subscription to an organization's channel, while somebody of it is here.
    pub fn subscription(&self, organization: OrganizationId) -> Option<Arc<Subscription>> {
        locked(&self.books).tenants.get(&organization).map(|tenant| Arc::clone(&tenant.subscription))
    }

    /// Every organization somebody of is here.
    pub fn all(&self) -> Vec<OrganizationId> {
        locked(&self.books).tenants.keys().copied().collect()
    }

    /// Peers are to be asked about an organization; false when they are about to be anyway.
    pub fn begin_asking(&self, organization: OrganizationId) -> bool {
        locked(&self.books).asking.insert(organization)
    }

    /// They are asked now.
    pub fn end_asking(&self, organization: OrganizationId) {
        locked(&self.books).asking.remove(&organization);
    }
}
