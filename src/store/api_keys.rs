//! API keys as rows, for the command line and the demo; who is behind one is asked of the directory.
//!
//! Only the digest of a key is stored, with its first characters to tell keys apart.

use parlour_protocol::id::ApiKeyId;
use time::OffsetDateTime;

use crate::domain::secret::Digest;
use crate::store::error::StoreError;
use crate::store::tenant::TenantTx;

/// A key to be.
#[derive(Clone, Debug)]
pub struct NewApiKey<'a> {
    /// Its identity.
    pub id: ApiKeyId,
    /// The first key of its line; itself, unless it replaces another.
    pub lineage: ApiKeyId,
    /// The service's name, as others see it.
    pub name: &'a str,
    /// The key's first characters.
    pub hint: &'a str,
    /// What is kept of the key.
    pub digest: Digest,
    /// What it may do.
    pub permissions: &'a [String],
    /// When it ends.
    pub expires_at: Option<OffsetDateTime>,
}

/// Stores a new key.
///
/// # Errors
/// When the database does not answer.
pub async fn insert(tx: &mut TenantTx, new: &NewApiKey<'_>) -> Result<(), StoreError> {
    let organization = tx.scope().organization();
    sqlx::query!(
        r#"insert into api_keys (organization_id, id, lineage, name, prefix, digest, pepper_id, permissions, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
        organization.0,
        new.id.0,
        new.lineage.0,
        new.name,
        new.hint,
        &new.digest.bytes[..],
        new.digest.pepper_id,
        new.permissions,
        new.expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends a key now; false when there is none.
///
/// # Errors
/// When the database does not answer.
pub async fn revoke(tx: &mut TenantTx, key: ApiKeyId) -> Result<bool, StoreError> {
    let organization = tx.scope().organization();
    let done = sqlx::query!(
        r#"update api_keys set revoked_at = coalesce(revoked_at, clock_timestamp()), version = version + 1
            where organization_id = $1 and id = $2"#,
        organization.0,
        key.0
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}
