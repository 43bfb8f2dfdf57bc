//! The `tickets` table, by the directory's functions (migrations/0007): a ticket is looked up before anybody knows whose it is.

use std::time::Duration;

use parlour_protocol::id::{ApiKeyId, GuestId, OrganizationId, PersonId, ShareId};

use crate::store::error::StoreError;
use crate::store::{Asked, Store};

/// Whose credential a ticket stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketHolder {
    /// A member of staff, of one session version.
    Staff {
        /// Who.
        person: PersonId,
        /// See [`crate::domain::principal::Actor::Staff`].
        session_version: i32,
    },
    /// A person on a link.
    Guest {
        /// The link.
        share: ShareId,
        /// Who.
        guest: GuestId,
    },
    /// A system behind a key.
    Service {
        /// The key.
        key: ApiKeyId,
    },
}

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// The tenant.
    pub organization: OrganizationId,
    /// For whom it stands.
    pub holder: TicketHolder,
    /// Where the page that asked for it came from; none when it was no page.
    pub origin: Option<String>,
    /// Life left in the credential it stands for; none when that has no end.
    pub admits: Option<Duration>,
}

impl Store {
    /// Keeps a ticket for `life`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn issue_ticket(&self, digest: &[u8], ticket: &TicketRow, life: Duration) -> Result<(), StoreError> {
        let (kind, holder, share, session_version) = match ticket.holder {
            TicketHolder::Staff { person, session_version } => ("staff", person.0, None, Some(session_version)),
            TicketHolder::Guest { share, guest } => ("guest", guest.0, Some(share.0), None),
            TicketHolder::Service { key } => ("service", key.0, None, None),
        };
        sqlx::query!(
            r#"select ticket_issue_v1($1, $2, $3, $4, $5, $6, $7, $8, $9)::text as done"#,
            ticket.organization.0,
            digest,
            kind,
            holder,
            share,
            session_version,
            ticket.origin,
            ticket.admits.map(milliseconds),
            milliseconds(life)
        )
        .fetch_one(&self.pool)
        .in_time()
        .await?;
        Ok(())
    }

    /// Takes a ticket away; none when it is unknown, used or over.
    ///
    /// # Errors
    /// When the database does not answer; the ticket may be gone then.
    pub async fn redeem_ticket(&self, digest: &[u8]) -> Result<Option<TicketRow>, StoreError> {
        let row = sqlx::query!(
            r#"select organization_id as "organization!", holder_kind as "kind!", holder_id as "holder!", share_id as share,
                      session_version, origin, admits_ms from ticket_redeem_v1($1)"#,
            digest
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.and_then(|row| {
            let holder = match (row.kind.as_str(), row.share, row.session_version) {
                ("staff", _, Some(session_version)) => {
                    TicketHolder::Staff { person: PersonId(row.holder), session_version }
                }
                ("guest", Some(share), _) => TicketHolder::Guest { share: ShareId(share), guest: GuestId(row.holder) },
                ("service", ..) => TicketHolder::Service { key: ApiKeyId(row.holder) },
                _ => return None,
            };
            let admits = row.admits_ms.map(|left| Duration::from_millis(u64::try_from(left).unwrap_or(0)));
            Some(TicketRow { organization: OrganizationId(row.organization), holder, origin: row.origin, admits })
        }))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}
