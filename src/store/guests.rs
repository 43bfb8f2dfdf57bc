//! Guests: one row per device that came in by a link, found again by the digest of the key its browser keeps.
//!
//! Whoever adds one holds the share's row, so that seats are counted without a race.

use parlour_protocol::id::{GuestId, ShareId};

use crate::domain::secret::Digest;
use crate::store::error::StoreError;
use crate::store::tenant::TenantTx;

/// A device's identity on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestRow {
    /// Identity.
    pub id: GuestId,
    /// The name others see.
    pub name: String,
}

/// The guest that a device is on a link, by any of the digests its key may be stored under.
///
/// # Errors
/// When the database does not answer.
pub async fn find_by_device(
    tx: &mut TenantTx,
    share: ShareId,
    device: &[Digest],
) -> Result<Option<GuestRow>, StoreError> {
    let organization = tx.scope().organization();
    let digests: Vec<Vec<u8>> = device.iter().map(|digest| digest.bytes.to_vec()).collect();
    let row = sqlx::query!(
        r#"select id, name from guests where organization_id = $1 and share_id = $2 and device_digest = any ($3)"#,
        organization.0,
        share.0,
        &digests
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| GuestRow { id: GuestId(row.id), name: row.name }))
}

/// Adds a device.
///
/// # Errors
/// When the database does not answer.
pub async fn insert(tx: &mut TenantTx, share: ShareId, guest: &GuestRow, device: &Digest) -> Result<(), StoreError> {
    let organization = tx.scope().organization();
    sqlx::query!(
        r#"insert into guests (organization_id, id, share_id, name, device_digest) values ($1, $2, $3, $4, $5)"#,
        organization.0,
        guest.id.0,
        share.0,
        guest.name,
        &device.bytes[..]
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Notes that a device came back, under its name of now.
///
/// # Errors
/// When the database does not answer.
pub async fn seen(tx: &mut TenantTx, guest: &GuestRow) -> Result<(), StoreError> {
    let organization = tx.scope().organization();
    sqlx::query!(
        r#"update guests set last_seen_at = now(), name = $3 where organization_id = $1 and id = $2"#,
        organization.0,
        guest.id.0,
        guest.name
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
