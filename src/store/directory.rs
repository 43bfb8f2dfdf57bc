//! The third door: the few named functions that answer across organizations (migrations/0003).
//!
//! Nothing here decides; it tells what rights must be decided on. A missing row is `None`: gone, ended or never there, which
//! callers must not tell apart for outsiders.

use std::time::Duration;

use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::{ApiKeyId, ConversationId, GuestId, OrganizationId, PersonId, ShareId};
use parlour_protocol::time::Timestamp;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;
use uuid::Uuid;

use crate::domain::principal::{HolderKey, Organization};
use crate::domain::room::{Head, RoomKey};
use crate::store::error::StoreError;
use crate::store::{Asked, Store};

/// Longest wait for the leases, whoever else reads them.
const LEASES_TIMEOUT: Duration = Duration::from_secs(2);

/// A person, as far as logging in needs it.
#[derive(Clone, Debug)]
pub struct LoginRow {
    /// Who.
    pub person: PersonId,
    /// Their name.
    pub name: String,
    /// argon2 in PHC form; none when they cannot log in here.
    pub password_hash: Option<String>,
    /// Tokens of an older version are refused.
    pub session_version: i32,
    /// The organization they joined first; none when they belong to none.
    pub organization: Option<OrganizationId>,
}

/// What a member of staff's rights are decided on.
#[derive(Clone, Debug)]
pub struct StaffRow {
    /// The tenant.
    pub organization: Organization,
    /// The person's name.
    pub name: String,
    /// The role's key.
    pub role: String,
    /// The membership's version.
    pub version: i32,
    /// Tokens of an older version are refused.
    pub session_version: i32,
}

/// What a guest's rights are decided on.
#[derive(Clone, Debug)]
pub struct GuestRow {
    /// The tenant.
    pub organization: Organization,
    /// The guest's name.
    pub name: String,
    /// The link's conversation.
    pub conversation: ConversationId,
    /// The link's permissions as stored.
    pub permissions: Vec<String>,
    /// When the link ends.
    pub expires_at: Timestamp,
    /// How long that is, by the database's clock.
    pub expires_in_ms: i64,
    /// The share's version.
    pub version: i32,
}

/// What a service's rights are decided on.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// The tenant.
    pub organization: Organization,
    /// The key.
    pub key: ApiKeyId,
    /// The first key of its line.
    pub lineage: ApiKeyId,
    /// The service's name.
    pub name: String,
    /// The key's permissions.
    pub permissions: Vec<String>,
    /// When the key ends.
    pub expires_at: Option<Timestamp>,
    /// How long that is, by the database's clock.
    pub expires_in_ms: Option<i64>,
    /// The key's version.
    pub version: i32,
}

/// The link behind a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareRef {
    /// The tenant.
    pub organization: OrganizationId,
    /// The link.
    pub share: ShareId,
    /// Ended by staff, or its organization is suspended.
    pub revoked: bool,
    /// Ended by itself.
    pub expired: bool,
}

/// How a holder stands now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderState {
    /// Which holder.
    pub key: HolderKey,
    /// Its version.
    pub version: i32,
    /// Its organization's version.
    pub organization_version: i32,
    /// The person's session version; none where no person logs in.
    pub session_version: Option<i32>,
    /// Time to its end by the database's clock; negative when past.
    pub ends_in_ms: Option<i64>,
    /// Whether it is over.
    pub ended: bool,
}

fn organization(id: Uuid, name: String, status: &str, version: i32) -> Organization {
    Organization { id: OrganizationId(id), name, active: matches!(status, "active" | "setup"), version }
}

impl Store {
    /// A person by e-mail, in any case.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn person_by_email(&self, email: &str) -> Result<Option<LoginRow>, StoreError> {
        let row = sqlx::query!(
            r#"select person_id as "person!", name as "name!", password_hash, session_version as "session_version!",
                      organization_id
                 from person_by_email_v1($1)"#,
            email
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| LoginRow {
            person: PersonId(row.person),
            name: row.name,
            password_hash: row.password_hash,
            session_version: row.session_version,
            organization: row.organization_id.map(OrganizationId),
        }))
    }

    /// A person's e-mail and name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn person(&self, person: PersonId) -> Result<Option<(String, String)>, StoreError> {
        let row = sqlx::query!(r#"select email as "email!", name as "name!" from person_v1($1)"#, person.0)
            .fetch_optional(&self.pool)
            .in_time()
            .await?;
        Ok(row.map(|row| (row.email, row.name)))
    }

    /// What a member of staff's rights are decided on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn staff(&self, scope: OrganizationId, person: PersonId) -> Result<Option<StaffRow>, StoreError> {
        let row = sqlx::query!(
            r#"select name as "name!", role as "role!", version as "version!", session_version as "session_version!",
                      organization_name as "organization_name!", organization_status as "status!",
                      organization_version as "organization_version!"
                 from staff_v1($1, $2)"#,
            scope.0,
            person.0
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| StaffRow {
            organization: organization(scope.0, row.organization_name, &row.status, row.organization_version),
            name: row.name,
            role: row.role,
            version: row.version,
            session_version: row.session_version,
        }))
    }

    /// The link behind a digest, live or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn share_by_digest(&self, digest: &[u8]) -> Result<Option<ShareRef>, StoreError> {
        let row = sqlx::query!(
            r#"select organization_id as "organization!", share_id as "share!", revoked as "revoked!", expired as "expired!"
                 from share_by_digest_v1($1)"#,
            digest
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| ShareRef {
            organization: OrganizationId(row.organization),
            share: ShareId(row.share),
            revoked: row.revoked,
            expired: row.expired,
        }))
    }

    /// Counts an attempt after a link's end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn share_blocked(&self, digest: &[u8]) -> Result<(), StoreError> {
        sqlx::query!(r#"select share_blocked_v1($1)::text as done"#, digest).fetch_one(&self.pool).in_time().await?;
        Ok(())
    }

    /// What a guest's rights are decided on; none when the link is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn guest(
        &self,
        scope: OrganizationId,
        share: ShareId,
        guest: GuestId,
    ) -> Result<Option<GuestRow>, StoreError> {
        let row = sqlx::query!(
            r#"select name as "name!", conversation_id as "conversation!", permissions as "permissions!",
                      expires_at as "expires_at!", expires_in_ms as "expires_in_ms!", version as "version!",
                      organization_name as "organization_name!", organization_status as "status!",
                      organization_version as "organization_version!"
                 from guest_v1($1, $2, $3)"#,
            scope.0,
            share.0,
            guest.0
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| GuestRow {
            organization: organization(scope.0, row.organization_name, &row.status, row.organization_version),
            name: row.name,
            conversation: ConversationId(row.conversation),
            permissions: row.permissions,
            expires_at: row.expires_at.into(),
            expires_in_ms: row.expires_in_ms,
            version: row.version,
        }))
    }

    /// What a service's rights are decided on, by the key's digest; none when it is unknown or over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key(&self, digest: &[u8]) -> Result<Option<ApiKeyRow>, StoreError> {
        let row = sqlx::query!(
            r#"select organization_id as "organization!", key_id as "key!", lineage as "lineage!", name as "name!",
                      permissions as "permissions!", expires_at, expires_in_ms, version as "version!",
                      organization_name as "organization_name!", organization_status as "status!",
                      organization_version as "organization_version!"
                 from api_key_v1($1)"#,
            digest
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| ApiKeyRow {
            organization: organization(row.organization, row.organization_name, &row.status, row.organization_version),
            key: ApiKeyId(row.key),
            lineage: ApiKeyId(row.lineage),
            name: row.name,
            permissions: row.permissions,
            expires_at: row.expires_at.map(Into::into),
            expires_in_ms: row.expires_in_ms,
            version: row.version,
        }))
    }

    /// The same by the key's id, to read rights again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_by_id(&self, scope: OrganizationId, key: ApiKeyId) -> Result<Option<ApiKeyRow>, StoreError> {
        let row = sqlx::query!(
            r#"select lineage as "lineage!", name as "name!", permissions as "permissions!", expires_at, expires_in_ms,
                      version as "version!", organization_name as "organization_name!", organization_status as "status!",
                      organization_version as "organization_version!"
                 from api_key_by_id_v1($1, $2)"#,
            scope.0,
            key.0
        )
        .fetch_optional(&self.pool)
        .in_time()
        .await?;
        Ok(row.map(|row| ApiKeyRow {
            organization: organization(scope.0, row.organization_name, &row.status, row.organization_version),
            key,
            lineage: ApiKeyId(row.lineage),
            name: row.name,
            permissions: row.permissions,
            expires_at: row.expires_at.map(Into::into),
            expires_in_ms: row.expires_in_ms,
            version: row.version,
        }))
    }

    /// How the holders of open sessions' rights stand, in one query. Holders that are gone are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn leases(&self, holders: &[HolderKey]) -> Result<Vec<HolderState>, StoreError> {
        let read = timeout(LEASES_TIMEOUT, self.read_leases(holders)).await;
        read.unwrap_or_else(|_| Err(StoreError::Unavailable("the leases were not read in time".to_owned())))
    }

    async fn read_leases(&self, holders: &[HolderKey]) -> Result<Vec<HolderState>, StoreError> {
        let kinds: Vec<String> = holders.iter().map(|holder| holder.kind.as_str().to_owned()).collect();
        let organizations: Vec<Uuid> = holders.iter().map(|holder| holder.organization.0).collect();
        let ids: Vec<Uuid> = holders.iter().map(|holder| holder.id).collect();
        let mut place = self.leases.lock().await;
        // Put back only after an answer: with whoever gives up waiting, or with an error, the connection goes.
        let mut connection = match place.take() {
            Some(connection) => connection,
            None => PgConnection::connect_with(&self.options).await?,
        };
        let rows = sqlx::query!(
            r#"select kind as "kind!", organization_id as "organization!", holder as "holder!", version as "version!",
                      organization_version as "organization_version!", session_version, ends_in_ms, ended as "ended!"
                 from leases_v2($1, $2, $3)"#,
            &kinds,
            &organizations,
            &ids
        )
        .fetch_all(&mut connection)
        .await?;
        *place = Some(connection);
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                let kind = WhoKind::find(&row.kind)?;
                Some(HolderState {
                    key: HolderKey { kind, organization: OrganizationId(row.organization), id: row.holder },
                    version: row.version,
                    organization_version: row.organization_version,
                    session_version: row.session_version,
                    ends_in_ms: row.ends_in_ms,
                    ended: row.ended,
                })
            })
            .collect())
    }

    /// Where the logs of rooms stand, in one query.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(in crate::store) async fn heads(&self, rooms: &[RoomKey]) -> Result<Vec<(RoomKey, Head)>, StoreError> {
        let organizations: Vec<Uuid> = rooms.iter().map(|room| room.organization.0).collect();
        let conversations: Vec<Uuid> = rooms.iter().map(|room| room.conversation.0).collect();
        let rows = sqlx::query!(
            r#"select organization_id as "organization!", conversation_id as "conversation!", epoch as "epoch!",
                      seq as "seq!", guest_seq as "guest_seq!"
                 from heads_v1($1, $2)"#,
            &organizations,
            &conversations
        )
        .fetch_all(&self.pool)
        .in_time()
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let room = RoomKey {
                    organization: OrganizationId(row.organization),
                    conversation: ConversationId(row.conversation),
                };
                (room, Head { epoch: row.epoch, seq: row.seq, guest_seq: row.guest_seq })
            })
            .collect())
    }
}
