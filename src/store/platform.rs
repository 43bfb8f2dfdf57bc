//! Making tenants and people, and the rotation of refresh tokens: the directory's functions that write (migrations/0003).
//!
//! For the command line, the demo and `auth`; no request handler makes a tenant yet.

use parlour_protocol::id::{OrganizationId, PersonId};
use uuid::Uuid;

use crate::store::error::StoreError;
use crate::store::{Asked, Store};

/// A spent refresh token's bearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// Who.
    pub person: PersonId,
    /// In which organization.
    pub organization: OrganizationId,
    /// The session version the token belongs to.
    pub session_version: i32,
}

/// A new tenant.
#[derive(Clone, Debug)]
pub struct NewOrganization<'a> {
    /// Identity.
    pub id: OrganizationId,
    /// The name people see.
    pub name: &'a str,
    /// 3–50 of a–z 0–9 -, unique.
    pub slug: &'a str,
    /// `#rrggbb`.
    pub primary_color: Option<&'a str>,
    /// Shown to clients.
    pub contact_email: Option<&'a str>,
    /// Shown to clients.
    pub contact_phone: Option<&'a str>,
    /// Path of the logo.
    pub logo: Option<&'a str>,
}

impl Store {
    /// Makes a tenant.
    ///
    /// # Errors
    /// When the slug is taken or breaks its rule, or the database does not answer.
    pub async fn create_organization(&self, new: &NewOrganization<'_>) -> Result<(), StoreError> {
        sqlx::query!(
            r#"select create_organization_v1($1, $2, $3, $4, $5, $6, $7)::text as done"#,
            new.id.0,
            new.name,
            new.slug,
            new.primary_color,
            new.contact_email,
            new.contact_phone,
            new.logo
        )
        .fetch_one(&self.pool)
        .in_time()
        .await?;
        Ok(())
    }

    /// A tenant by its slug.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn organization_by_slug(&self, slug: &str) -> Result<Option<(OrganizationId, String)>, StoreError> {
        let row = sqlx::query!(
            r#"select organization_id as "organization!", name as "name!" from organization_by_slug_v1($1)"#,
            slug
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| (OrganizationId(row.organization), row.name)))
    }

    /// Makes a person; the e-mail is stored in lower case.
    ///
    /// # Errors
    /// When the e-mail is taken, or the database does not answer.
    pub async fn create_person(
        &self,
        person: PersonId,
        email: &str,
        name: &str,
        password_hash: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(r#"select create_person_v1($1, $2, $3, $4)::text as done"#, person.0, email, name, password_hash)
            .fetch_one(&self.pool)
            .in_time()
            .await?;
        Ok(())
    }

    /// Makes a person a member of a tenant.
    ///
    /// # Errors
    /// When they are one already, or the database does not answer.
    pub async fn add_membership(
        &self,
        organization: OrganizationId,
        person: PersonId,
        role: &str,
    ) -> Result<(), StoreError> {
        sqlx::query!(r#"select add_membership_v1($1, $2, $3)::text as done"#, organization.0, person.0, role)
            .fetch_one(&self.pool)
            .in_time()
            .await?;
        Ok(())
    }

    /// Stores the first refresh token of a log-in.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn issue_refresh(
        &self,
        digest: &[u8],
        person: PersonId,
        organization: OrganizationId,
        seconds: i32,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            r#"select issue_refresh_v1($1, $2, $3, $4, $5)::text as done"#,
            digest,
            Uuid::now_v7(),
            person.0,
            organization.0,
            seconds
        )
        .fetch_one(&self.pool)
        .in_time()
        .await?;
        Ok(())
    }

    /// Spends a refresh token for the next one. None when it is unknown, over or spent; a token spent long ago ends its family.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rotate_refresh(
        &self,
        digest: &[u8],
        next: &[u8],
        seconds: i32,
    ) -> Result<Option<Refreshed>, StoreError> {
        let row = sqlx::query!(
            r#"select person_id as "person!", organization_id as "organization!", session_version as "session_version!"
                 from rotate_refresh_v1($1, $2, $3)"#,
            digest,
            next,
            seconds
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| Refreshed {
            person: PersonId(row.person),
            organization: OrganizationId(row.organization),
            session_version: row.session_version,
        }))
    }

    /// Ends the family of a refresh token.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_refresh(&self, digest: &[u8]) -> Result<(), StoreError> {
        sqlx::query!(r#"select revoke_refresh_v1($1)::text as done"#, digest).fetch_one(&self.pool).in_time().await?;
        Ok(())
    }
}
