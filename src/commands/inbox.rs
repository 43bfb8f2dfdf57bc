//! The live list: rows whose conversation moved are read again, once per person, and pushed to their sessions.
//!
//! State, not history: marks within a tenth of a second merge, and a lost push is mended by the next or by listing again.
//! Each person's rows pass the same filter as their list.

use std::collections::HashMap;
use std::sync::Arc;

use parlour_protocol::id::{ConversationId, OrganizationId, PersonId};
use parlour_protocol::push::Push;

use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::permission::Reach;
use crate::domain::policy;
use crate::domain::principal::Principal;
use crate::domain::room::RoomKey;
use crate::hub::session::Session;
use crate::store::conversations::{self, ListQuery, Sort};

/// Rows read at once for one person; the rest of a burst follows in the next round.
const ROWS_MAX: usize = 200;

impl Commands {
    /// Pushes changed rows for as long as it is run.
    pub async fn run_inbox(&self) {
        loop {
            // Marks merge meanwhile.
            self.hub.flowing().await;
            let mut by_organization: HashMap<OrganizationId, Vec<ConversationId>> = HashMap::new();
            for room in self.hub.inbox().dirty().await {
                by_organization.entry(room.organization).or_default().push(room.conversation);
            }
            for (organization, conversations) in by_organization {
                for rows in conversations.chunks(ROWS_MAX) {
                    self.push_rows(organization, rows).await;
                }
            }
        }
    }

    async fn push_rows(&self, organization: OrganizationId, conversations: &[ConversationId]) {
        let mut by_person: HashMap<PersonId, Vec<Arc<Session>>> = HashMap::new();
        for session in self.hub.inbox().subscribers(organization) {
            let person = PersonId(session.principal().author());
            by_person.entry(person).or_default().push(session);
        }
        for (person, sessions) in by_person {
            let Some(principal) = sessions.first().map(|session| session.principal()) else { continue };
            match self.rows(&principal, person, conversations).await {
                Ok(pushes) => {
                    // Rows show what was said: they are withheld like entries, and read again afterwards.
                    let Ok(_flowing) = self.hub.flow() else {
                        let room = |&conversation| RoomKey { organization, conversation };
                        return conversations.iter().map(room).for_each(|room| self.hub.inbox().mark(room));
                    };
                    for session in &sessions {
                        pushes.iter().for_each(|push| session.push(push));
                    }
                }
                Err(failure) => {
                    tracing::warn!(organization.id = %organization, "inbox rows of organization {organization} were not read: {failure}")
                }
            }
        }
    }

    async fn rows(
        &self,
        principal: &Arc<Principal>,
        person: PersonId,
        conversations: &[ConversationId],
    ) -> Result<Vec<Push>, Failure> {
        let Some(reach) = policy::sight(principal) else { return Ok(Vec::new()) };
        let query = ListQuery {
            person: Some(person),
            assigned_only: reach == Reach::Assigned,
            status: None,
            stage: None,
            title: None,
            only: Some(conversations.to_vec()),
            sort: Sort::NewestEntry,
            offset: 0,
            limit: i64::try_from(conversations.len()).unwrap_or(i64::MAX),
        };
        let mut tx = self.store.tenant(principal.scope()).await?;
        let (rows, _) = conversations::list(&mut tx, &query).await?;
        tx.commit().await?;
        Ok(rows
            .into_iter()
            .map(|mut row| {
                let room = RoomKey { organization: principal.organization.id, conversation: row.id };
                row.online = self.hub.has_guest(room);
                Push::Inbox { conversation: Box::new(row) }
            })
            .collect())
    }
}
