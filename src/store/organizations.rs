//! The organization's own row: what its pages show and what its links may be.
//!
//! Made by [`crate::store::platform`]; suspended and deleted elsewhere. Rights read it through the directory, not here.

use crate::domain::principal::Organization;
use crate::store::error::StoreError;
use crate::store::tenant::TenantTx;

/// What people see of an organization, and its own limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationRow {
    /// What rights need of it.
    pub organization: Organization,
    /// The name in URLs.
    pub slug: String,
    /// Where its logo is.
    pub logo: Option<String>,
    /// `#rrggbb`.
    pub primary_color: String,
    /// For clients whose link has ended.
    pub contact_email: Option<String>,
    /// For clients whose link has ended.
    pub contact_phone: Option<String>,
    /// The longest life of a link.
    pub share_hours_max: i32,
}

/// The transaction's own organization; none when it was deleted meanwhile.
///
/// # Errors
/// When the database does not answer.
pub async fn find(tx: &mut TenantTx) -> Result<Option<OrganizationRow>, StoreError> {
    let organization = tx.scope().organization();
    let row = sqlx::query!(
        r#"select name, slug, status, version, logo, primary_color, contact_email, contact_phone, share_hours_max
             from organizations where id = $1 and status <> 'deleted'"#,
        organization.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| OrganizationRow {
        organization: Organization {
            id: organization,
            name: row.name,
            active: matches!(row.status.as_str(), "active" | "setup"),
            version: row.version,
        },
        slug: row.slug,
        logo: row.logo,
        primary_color: row.primary_color,
        contact_email: row.contact_email,
        contact_phone: row.contact_phone,
        share_hours_max: row.share_hours_max,
    }))
}
