//! Shares as rows: made, found, changed, counted. The secret is never here, only its digest.
//!
//! Whoever changes a share or takes a seat holds its row ([`lock`]) before the conversation's: the order of locks is share,
//! then conversation, everywhere. Whether a link has ended is the database's clock's to say.

use parlour_protocol::id::{ConversationId, PersonId, ShareId};
use parlour_protocol::share::Share;
use parlour_protocol::time::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::secret::Digest;
use crate::domain::share::{Terms, permission, status};
use crate::store::error::StoreError;
use crate::store::tenant::TenantTx;

/// A share and what rights by it are decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareRow {
    /// As staff see it.
    pub share: Share,
    /// Moves with permissions, end and revocation.
    pub version: i32,
}

/// A share to be.
#[derive(Clone, Debug)]
pub struct NewShare<'a> {
    /// Its identity.
    pub id: ShareId,
    /// What it opens.
    pub conversation: ConversationId,
    /// What is kept of its secret.
    pub digest: Digest,
    /// The checked terms.
    pub terms: &'a Terms,
    /// Which member of staff made it.
    pub created_by: Option<PersonId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What to change; nothing else changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareChanges {
    /// Replaces the permissions.
    pub permissions: Option<Vec<String>>,
    /// Moves the end.
    pub expires_at: Option<OffsetDateTime>,
    /// Changes the number of devices.
    pub seats: Option<i32>,
    /// Ends it now.
    pub revoke: bool,
}

/// What happened on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Its page was rendered.
    Open,
    /// Somebody came in.
    Claim,
    /// Somebody was refused.
    Blocked,
}

/// The database's clock, by which every link begins and ends.
///
/// # Errors
/// When the database does not answer.
pub async fn now(tx: &mut TenantTx) -> Result<OffsetDateTime, StoreError> {
    Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(tx.conn()).await?)
}

/// Stores a new share.
///
/// # Errors
/// When the database does not answer.
pub async fn insert(tx: &mut TenantTx, new: &NewShare<'_>) -> Result<(), StoreError> {
    let organization = tx.scope().organization();
    let permissions: Vec<String> = new.terms.permissions.iter().map(|held| held.as_str().to_owned()).collect();
    sqlx::query!(
        r#"insert into shares (organization_id, id, conversation_id, label, digest, pepper_id, permissions, created_by,
                               created_at, expires_at, seats)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"#,
        organization.0,
        new.id.0,
        new.conversation.0,
        new.terms.label,
        &new.digest.bytes[..],
        new.digest.pepper_id,
        &permissions,
        new.created_by.map(|person| person.0),
        new.created_at.0,
        new.expires_at.0,
        new.terms.seats
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// One share.
///
/// # Errors
/// When the database does not answer.
pub async fn find(tx: &mut TenantTx, share: ShareId) -> Result<Option<ShareRow>, StoreError> {
    Ok(select(tx, Some(share), None).await?.pop())
}

/// The shares of a conversation, oldest first; at most 200.
///
/// # Errors
/// When the database does not answer.
pub async fn list(tx: &mut TenantTx, conversation: ConversationId) -> Result<Vec<ShareRow>, StoreError> {
    select(tx, None, Some(conversation)).await
}

/// Holds a share's row until the end of the transaction and reads it; none when there is none.
///
/// # Errors
/// When the database does not answer, or somebody else holds the row for too long.
pub async fn lock(tx: &mut TenantTx, share: ShareId) -> Result<Option<ShareRow>, StoreError> {
    let organization = tx.scope().organization();
    // A statement of its own: the reading below then sees what was committed while this one waited.
    sqlx::query!(
        r#"select id from shares where organization_id = $1 and id = $2 for no key update"#,
        organization.0,
        share.0
    )
    .fetch_optional(tx.conn())
    .await?;
    find(tx, share).await
}

/// Changes a share; its version moves, so that rights decided before are decided again.
///
/// # Errors
/// When the database does not answer.
pub async fn change(tx: &mut TenantTx, share: ShareId, changes: &ShareChanges) -> Result<(), StoreError> {
    let organization = tx.scope().organization();
    sqlx::query!(
        r#"update shares
              set permissions = coalesce($3, permissions), expires_at = coalesce($4, expires_at),
                  seats = coalesce($5, seats),
                  revoked_at = case when $6 then coalesce(revoked_at, clock_timestamp()) else revoked_at end,
                  version = version + 1
            where organization_id = $1 and id = $2"#,
        organization.0,
        share.0,
        changes.permissions.as_deref(),
        changes.expires_at,
        changes.seats,
        changes.revoke
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Counts what happened on a link.
///
/// # Errors
/// When the database does not answer.
pub async fn count(tx: &mut TenantTx, share: ShareId, visit: Visit) -> Result<(), StoreError> {
    let organization = tx.scope().organization();
    sqlx::query!(
        r#"update shares
              set opens = opens + $3, access_count = access_count + $4, blocked = blocked + $5,
                  last_accessed = case when $5 = 0 then clock_timestamp() else last_accessed end
            where organization_id = $1 and id = $2"#,
        organization.0,
        share.0,
        i64::from(visit == Visit::Open),
        i64::from(visit == Visit::Claim),
        i64::from(visit == Visit::Blocked)
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many links of a conversation still open it.
///
/// # Errors
/// When the database does not answer.
pub async fn live(tx: &mut TenantTx, conversation: ConversationId) -> Result<i64, StoreError> {
    let organization = tx.scope().organization();
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "live!" from shares
            where organization_id = $1 and conversation_id = $2 and revoked_at is null and expires_at > clock_timestamp()"#,
        organization.0,
        conversation.0
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Which share an entry of the log is about: how a repeated creation finds what the first one made.
///
/// # Errors
/// When the database does not answer.
pub async fn of_entry(
    tx: &mut TenantTx,
    conversation: ConversationId,
    seq: i64,
) -> Result<Option<ShareId>, StoreError> {
    let organization = tx.scope().organization();
    let share = sqlx::query_scalar!(
        r#"select (body ->> 'share')::uuid as share from entries
            where organization_id = $1 and conversation_id = $2 and seq = $3 and kind = 'share'"#,
        organization.0,
        conversation.0,
        seq
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(share.flatten().map(ShareId))
}

async fn select(
    tx: &mut TenantTx,
    share: Option<ShareId>,
    conversation: Option<ConversationId>,
) -> Result<Vec<ShareRow>, StoreError> {
    let organization = tx.scope().organization();
    let rows = sqlx::query_as!(
        Row,
        r#"select s.id, s.conversation_id, s.label, s.permissions, s.created_by, s.created_at, s.expires_at, s.revoked_at,
                  s.seats, s.version, s.opens, s.access_count, s.blocked, s.last_accessed,
                  s.expires_at <= clock_timestamp() as "expired!",
                  (select count(*) from guests g where g.organization_id = s.organization_id and g.share_id = s.id)::int
                    as "seats_used!"
             from shares s
            where s.organization_id = $1 and ($2::uuid is null or s.id = $2)
              and ($3::uuid is null or s.conversation_id = $3)
            order by s.created_at, s.id limit 200"#,
        organization.0,
        share.map(|share| share.0),
        conversation.map(|conversation| conversation.0)
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Row::into_share).collect())
}

struct Row {
    id: Uuid,
    conversation_id: Uuid,
    label: Option<String>,
    permissions: Vec<String>,
    created_by: Option<Uuid>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    seats: i32,
    version: i32,
    opens: i64,
    access_count: i64,
    blocked: i64,
    last_accessed: Option<OffsetDateTime>,
    expired: bool,
    seats_used: i32,
}

impl Row {
    fn into_share(self) -> ShareRow {
        let used = self.opens > 0 || self.access_count > 0;
        let share = Share {
            id: ShareId(self.id),
            conversation_id: ConversationId(self.conversation_id),
            label: self.label,
            permissions: self.permissions.iter().filter_map(|word| permission(word)).collect(),
            created_by: self.created_by.map(PersonId),
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
            revoked_at: self.revoked_at.map(Timestamp),
            status: status(self.revoked_at.is_some(), self.expired, used),
            opens: self.opens,
            access_count: self.access_count,
            blocked: self.blocked,
            seats: self.seats,
            seats_used: self.seats_used,
            last_accessed: self.last_accessed.map(Timestamp),
        };
        ShareRow { share, version: self.version }
    }
}
