//! Auth: from a credential (staff token, guest token, API key) to a principal, whose rights are always read from the database.
//!
//! Nothing here decides what a principal may do; that is [`crate::domain::policy`]. Secrets are looked up by keyed digest only
//! and never logged. All refusals look alike from outside. Logging in and staying so is [`login`]'s, tickets for
//! sockets are [`tickets`]'.

pub mod login;
pub mod passwords;
pub mod random;
pub mod rates;
pub mod tickets;
pub mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::id::{ApiKeyId, GuestId, OrganizationId, PersonId, ShareId};
use time::OffsetDateTime;

use crate::auth::passwords::{PasswordError, Passwords, Work};
use crate::auth::random::NoRandomness;
use crate::auth::rates::{Rate, Rates, TooOften};
use crate::auth::tokens::{BadKey, Bearer, Minted, TokenConfig, TokenRefused, Tokens};
use crate::domain::limits::LimitsProfile;
use crate::domain::permission::PermissionSet;
use crate::domain::principal::{Actor, Principal};
use crate::domain::role::Role;
use crate::domain::secret::{Peppers, Secret, SecretKind};
use crate::domain::share::permission;
use crate::store::Store;
use crate::store::directory::ApiKeyRow;
use crate::store::error::StoreError;

/// Failed log-ins a minute from one address, and to one e-mail.
pub const LOGIN_FAILURES_OF_ADDRESS: Rate = Rate::per_minute(10);
/// See [`LOGIN_FAILURES_OF_ADDRESS`].
pub const LOGIN_FAILURES_OF_EMAIL: Rate = Rate::per_minute(5);

/// What admission is made of.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Keys and lives of tokens.
    pub tokens: TokenConfig,
    /// The keys under which secrets are stored.
    pub peppers: Peppers,
    /// Life of a refresh token that is not used.
    pub refresh_life: Duration,
    /// How much work a password hash is.
    pub password_work: Work,
    /// Whether guessing is slowed down.
    pub limits: LimitsProfile,
}

/// Who may come in.
pub struct Auth {
    store: Store,
    tokens: Tokens,
    peppers: Peppers,
    passwords: Passwords,
    refresh_life: Duration,
    by_address: Rates<IpAddr>,
    by_email: Rates<String>,
}

/// A principal, and how long its credential admits it.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// Who, with rights as of now.
    pub principal: Arc<Principal>,
    /// Life left in the credential; none when it has no end (an API key without expiry).
    pub expires_in: Option<Duration>,
    /// Time to the end of what the rights stand on (the link, the key), by the database's clock; none when it has none.
    pub ends_in: Option<Duration>,
}

/// Why somebody was not admitted, or could not be asked about.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No valid credential; outsiders are not told more.
    #[error("not authenticated")]
    Unauthenticated,
    /// A token of ours that is over, by its time or because its person logged out: come back with a fresh one.
    #[error("the token has expired")]
    Expired,
    /// A guest's token of ours whose link is over.
    #[error("the link has ended")]
    LinkEnded,
    /// Too many failed attempts.
    #[error(transparent)]
    TooMany(#[from] TooOften),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Hashing, signing or randomness failed.
    #[error("{0}")]
    Defect(String),
}

impl From<TokenRefused> for AuthError {
    fn from(refused: TokenRefused) -> Self {
        match refused {
            TokenRefused::Invalid => Self::Unauthenticated,
            TokenRefused::Expired => Self::Expired,
        }
    }
}

impl From<BadKey> for AuthError {
    fn from(error: BadKey) -> Self {
        Self::Defect(error.to_string())
    }
}

impl From<NoRandomness> for AuthError {
    fn from(error: NoRandomness) -> Self {
        Self::Defect(error.to_string())
    }
}

impl From<PasswordError> for AuthError {
    fn from(error: PasswordError) -> Self {
        Self::Defect(error.to_string())
    }
}

impl Auth {
    /// Reads the keys.
    ///
    /// # Errors
    /// When a key cannot be used.
    pub fn new(store: Store, config: AuthConfig) -> Result<Self, AuthError> {
        Ok(Self {
            store,
            tokens: Tokens::new(&config.tokens)?,
            peppers: config.peppers,
            passwords: Passwords::new(config.password_work)?,
            refresh_life: config.refresh_life,
            by_address: Rates::under(config.limits, LOGIN_FAILURES_OF_ADDRESS),
            by_email: Rates::under(config.limits, LOGIN_FAILURES_OF_EMAIL),
        })
    }

    /// The keys under which secrets are stored.
    pub fn peppers(&self) -> &Peppers {
        &self.peppers
    }

    /// The hasher of passwords, for making people.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// Who is behind a credential of any of the three kinds.
    ///
    /// # Errors
    /// `Unauthenticated`, `Expired` or `LinkEnded` when it admits nobody (any more).
    pub async fn authenticate(&self, credential: &str) -> Result<Authenticated, AuthError> {
        if credential.starts_with(SecretKind::ApiKey.prefix()) {
            return self.authenticate_key(credential).await;
        }
        let verified = self.tokens.verify(credential, OffsetDateTime::now_utc())?;
        let (principal, ends_in) = match verified.bearer {
            Bearer::Staff { organization, person, session_version } => {
                (self.admit_staff(organization, person, session_version).await?, None)
            }
            Bearer::Guest { organization, share, guest } => {
                let (guest, ends_in) = self.guest(organization, share, guest).await?.ok_or(AuthError::LinkEnded)?;
                (guest, Some(ends_in))
            }
        };
        Ok(Authenticated { principal: Arc::new(principal), expires_in: Some(verified.expires_in), ends_in })
    }

    /// The same holder with the rights of now; none when it is no longer allowed in.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reload(&self, principal: &Principal) -> Result<Option<Arc<Principal>>, StoreError> {
        let organization = principal.organization.id;
        let fresh = match &principal.actor {
            Actor::Staff { person, session_version, .. } => self.staff(organization, *person, *session_version).await?,
            Actor::Guest { share, guest, .. } => {
                self.guest(organization, *share, *guest).await?.map(|(principal, _)| principal)
            }
            Actor::Service { key, .. } => self.store.api_key_by_id(organization, *key).await?.map(service),
        };
        Ok(fresh.map(Arc::new))
    }

    /// A new token for a member of staff, of the session version given.
    pub(in crate::auth) fn staff_token(
        &self,
        organization: OrganizationId,
        person: PersonId,
        session_version: i32,
    ) -> Result<Minted, AuthError> {
        let bearer = Bearer::Staff { organization, person, session_version };
        Ok(self.tokens.mint(&bearer, OffsetDateTime::now_utc())?)
    }

    /// A new token for a guest.
    ///
    /// # Errors
    /// When the principal is no guest, or signing fails.
    pub fn guest_token(&self, principal: &Principal) -> Result<Minted, AuthError> {
        let Actor::Guest { share, guest, .. } = principal.actor else {
            return Err(AuthError::Defect("only guests have guest tokens".into()));
        };
        let bearer = Bearer::Guest { organization: principal.organization.id, share, guest };
        Ok(self.tokens.mint(&bearer, OffsetDateTime::now_utc())?)
    }

    async fn authenticate_key(&self, credential: &str) -> Result<Authenticated, AuthError> {
        let secret = Secret::parse(SecretKind::ApiKey, credential).ok_or(AuthError::Unauthenticated)?;
        for digest in self.peppers.candidates(&secret) {
            if let Some(row) = self.store.api_key(&digest.bytes).await? {
                let ends_in = row.expires_in_ms.map(milliseconds);
                return Ok(Authenticated { principal: Arc::new(service(row)), expires_in: ends_in, ends_in });
            }
        }
        Err(AuthError::Unauthenticated)
    }

    /// As [`Auth::staff`], and why not: a log-in of before is over, a member who is none any more is nobody.
    async fn admit_staff(
        &self,
        organization: OrganizationId,
        person: PersonId,
        session_version: i32,
    ) -> Result<Principal, AuthError> {
        if let Some(principal) = self.staff(organization, person, session_version).await? {
            return Ok(principal);
        }
        let row = self.store.staff(organization, person).await?;
        let is_of_before = row.is_some_and(|row| row.session_version != session_version);
        Err(if is_of_before { AuthError::Expired } else { AuthError::Unauthenticated })
    }

    async fn staff(
        &self,
        organization: OrganizationId,
        person: PersonId,
        session_version: i32,
    ) -> Result<Option<Principal>, StoreError> {
        let Some(row) = self.store.staff(organization, person).await? else { return Ok(None) };
        let is_current = session_version == row.session_version;
        // A role this version does not know is refused, never defaulted.
        let Some(role) = Role::find(&row.role).filter(|_| is_current) else { return Ok(None) };
        Ok(Some(Principal {
            organization: row.organization,
            name: row.name,
            version: row.version,
            ends_at: None,
            actor: Actor::Staff { person, role, permissions: role.permissions(), session_version },
        }))
    }

    async fn guest(
        &self,
        organization: OrganizationId,
        share: ShareId,
        guest: GuestId,
    ) -> Result<Option<(Principal, Duration)>, StoreError> {
        let Some(row) = self.store.guest(organization, share, guest).await? else { return Ok(None) };
        let permissions = row.permissions.iter().filter_map(|word| permission(word)).collect();
        let principal = Principal {
            organization: row.organization,
            name: row.name,
            version: row.version,
            ends_at: Some(row.expires_at),
            actor: Actor::Guest { guest, share, conversation: row.conversation, permissions },
        };
        Ok(Some((principal, milliseconds(row.expires_in_ms))))
    }
}

fn service(row: ApiKeyRow) -> Principal {
    let (key, lineage): (ApiKeyId, ApiKeyId) = (row.key, row.lineage);
    Principal {
        organization: row.organization,
        name: row.name,
        version: row.version,
        ends_at: row.expires_at,
        actor: Actor::Service { key, lineage, permissions: PermissionSet::new(row.permissions) },
    }
}

fn milliseconds(left: i64) -> Duration {
    Duration::from_millis(u64::try_from(left).unwrap_or(0))
}
