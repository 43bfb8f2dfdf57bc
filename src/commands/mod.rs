//! Commands: one function per thing a caller can do. HTTP and socket meet here: authorize, then log or store, then reply.
//!
//! Nothing here knows a frame or a header; every function answers `Result<_, Failure>`. Facts about conversations are cached
//! only to save a look-up: the write transaction compares their version, and a denial is decided again on fresh ones.

mod clock;
pub mod conversations;
pub mod failure;
pub mod inbox;
pub mod lease;
pub mod pace;
pub mod post;
pub mod profile;
pub mod registration;
pub mod renewal;
pub mod revise;
pub mod shares;
pub mod transcript;
pub mod visits;

use std::sync::Arc;

use dashmap::DashMap;
use parlour_protocol::id::ConversationId;
use tokio::sync::Notify;

use crate::auth::Auth;
use crate::commands::failure::Failure;
use crate::commands::pace::Pace;
use crate::domain::limits::LimitsProfile;
use crate::domain::policy::{Asked, Denied, Facts, Grant, authorize};
use crate::domain::principal::Principal;
use crate::domain::room::RoomKey;
use crate::hub::Hub;
use crate::store::Store;
use crate::store::conversations::{ConversationFacts, facts as find_facts};
use crate::store::log::{Log, ReadLog};

/// Conversations whose facts are remembered; beyond it the memory starts again.
const FACTS_MAX: usize = 50_000;

/// Everything a caller can do, over the services it is done with.
pub struct Commands {
    store: Store,
    log: Log,
    reader: Arc<dyn ReadLog>,
    hub: Arc<Hub>,
    auth: Arc<Auth>,
    facts: DashMap<RoomKey, Facts>,
    pace: Pace,
    /// Somebody's end has moved: the leases are read at once.
    sweep_soon: Notify,
}

impl Commands {
    /// The commands over their services.
    pub fn new(
        store: Store,
        log: Log,
        reader: Arc<dyn ReadLog>,
        hub: Arc<Hub>,
        auth: Arc<Auth>,
        limits: LimitsProfile,
    ) -> Self {
        let (facts, pace) = (DashMap::new(), Pace::new(limits));
        Self { store, log, reader, hub, auth, facts, pace, sweep_soon: Notify::new() }
    }

    /// Writes that wait for the database.
    pub fn writes_waiting(&self) -> usize {
        self.log.waiting()
    }

    /// Whether this node and its peers can neither tell each other anything nor be heard.
    pub fn is_cut_off(&self) -> bool {
        self.hub.is_cut_off()
    }

    /// What rights in a conversation are decided on, fresh from the database.
    ///
    /// # Errors
    /// `NOT_FOUND` when it is absent or another organization's.
    pub async fn facts(
        &self,
        principal: &Principal,
        conversation: ConversationId,
    ) -> Result<ConversationFacts, Failure> {
        let mut tx = self.store.tenant(principal.scope()).await?;
        let found = find_facts(&mut tx, conversation).await?;
        tx.commit().await?;
        let found = found.ok_or_else(Failure::not_found)?;
        self.remember(&found.facts);
        Ok(found)
    }

    /// What rights were last decided on, if that is remembered.
    pub fn remembered_facts(&self, principal: &Principal, conversation: ConversationId) -> Option<Facts> {
        let room = RoomKey { organization: principal.organization.id, conversation };
        self.facts.get(&room).map(|facts| facts.value().clone())
    }

    /// A grant, decided on remembered facts where they allow and on fresh ones where they do not.
    async fn grant<A: Asked>(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
    ) -> Result<Grant<A>, Failure> {
        let remembered = self.remembered_facts(principal, conversation);
        if let Some(grant) = remembered.and_then(|facts| authorize::<A>(principal, &facts).ok()) {
            return Ok(grant);
        }
        let fresh = self.facts(principal, conversation).await?;
        authorize::<A>(principal, &fresh.facts).map_err(|denied: Denied| denied.into())
    }

    fn remember(&self, facts: &Facts) {
        if self.facts.len() >= FACTS_MAX {
            self.facts.clear();
        }
        let room = RoomKey { organization: facts.organization, conversation: facts.conversation };
        self.facts.insert(room, facts.clone());
    }

    fn forget(&self, principal: &Principal, conversation: ConversationId) {
        self.facts.remove(&RoomKey { organization: principal.organization.id, conversation });
    }
}
