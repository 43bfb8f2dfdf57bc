//! Tickets: a page that cannot keep a token out of its socket's first message asks for one over HTTP and says hello with it.
//!
//! A ticket stands for the credential that asked for it, works once, for half a minute, on any node, and only for a page of the
//! same origin. It is taken away when it is shown, whatever comes of it.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::limits::TICKET_LIFE_MS;

use crate::auth::{Auth, AuthError, Authenticated, milliseconds, random, service};
use crate::domain::principal::{Actor, Principal};
use crate::domain::secret::{Secret, SecretKind};
use crate::store::tickets::{TicketHolder, TicketRow};

/// A ticket, for the one reply that hands it out.
#[derive(Debug)]
pub struct Ticket {
    /// The secret.
    pub secret: Secret,
    /// How long it can be used.
    pub expires_in: Duration,
}

impl Auth {
    /// A ticket for whoever a credential admitted, for pages of `origin`.
    ///
    /// # Errors
    /// When the database does not answer, or there is no randomness.
    pub async fn issue_ticket(&self, admitted: &Authenticated, origin: Option<String>) -> Result<Ticket, AuthError> {
        let principal = &admitted.principal;
        let holder = match principal.actor {
            Actor::Staff { person, session_version, .. } => TicketHolder::Staff { person, session_version },
            Actor::Guest { guest, share, .. } => TicketHolder::Guest { share, guest },
            Actor::Service { key, .. } => TicketHolder::Service { key },
        };
        let row = TicketRow { organization: principal.organization.id, holder, origin, admits: admitted.expires_in };
        let (secret, expires_in) = (random::secret(SecretKind::Ticket)?, Duration::from_millis(TICKET_LIFE_MS));
        self.store.issue_ticket(&self.peppers.digest(&secret).bytes, &row, expires_in).await?;
        Ok(Ticket { secret, expires_in })
    }

    /// Who is behind a ticket that a page of `origin` shows.
    ///
    /// # Errors
    /// `Unauthenticated`, `Expired` or `LinkEnded` when it admits nobody (any more).
    pub async fn redeem(&self, ticket: &str, origin: Option<&str>) -> Result<Authenticated, AuthError> {
        let secret = Secret::parse(SecretKind::Ticket, ticket).ok_or(AuthError::Unauthenticated)?;
        let mut found = None;
        for digest in self.peppers.candidates(&secret) {
            found = self.store.redeem_ticket(&digest.bytes).await?;
            if found.is_some() {
                break;
            }
        }
        let row = found.filter(|row| row.origin.as_deref() == origin).ok_or(AuthError::Unauthenticated)?;
        let (principal, ends_in) = self.holder(&row).await?;
        Ok(Authenticated { principal: Arc::new(principal), expires_in: row.admits, ends_in })
    }

    /// The holder with the rights of now, and the time to the end of what they stand on.
    async fn holder(&self, row: &TicketRow) -> Result<(Principal, Option<Duration>), AuthError> {
        let organization = row.organization;
        Ok(match row.holder {
            TicketHolder::Staff { person, session_version } => {
                (self.admit_staff(organization, person, session_version).await?, None)
            }
            TicketHolder::Guest { share, guest } => {
                let (guest, ends_in) = self.guest(organization, share, guest).await?.ok_or(AuthError::LinkEnded)?;
                (guest, Some(ends_in))
            }
            TicketHolder::Service { key } => {
                let row = self.store.api_key_by_id(organization, key).await?.ok_or(AuthError::Unauthenticated)?;
                let ends_in = row.expires_in_ms.map(milliseconds);
                (service(row), ends_in)
            }
        })
    }
}
