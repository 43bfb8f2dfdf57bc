//! What a member of staff is told of itself beyond its principal.

use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::principal::{Actor, Principal};
use crate::store::organizations;

/// A person's e-mail and their organization's name in URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The person's e-mail.
    pub email: String,
    /// The organization's name in URLs.
    pub slug: String,
}

impl Commands {
    /// The caller's own profile.
    ///
    /// # Errors
    /// `FORBIDDEN` when the caller is no staff, or the database's trouble.
    pub async fn profile(&self, principal: &Principal) -> Result<Profile, Failure> {
        let Actor::Staff { person, .. } = principal.actor else { return Err(Failure::forbidden()) };
        let (email, _) = self.store.person(person).await?.ok_or_else(Failure::unauthenticated)?;
        let mut tx = self.store.tenant(principal.scope()).await?;
        let organization = organizations::find(&mut tx).await?.ok_or_else(Failure::unauthenticated)?;
        tx.commit().await?;
        Ok(Profile { email, slug: organization.slug })
    }
}
