//! Our own tokens: JWTs signed with Ed25519 (EdDSA), short-lived, for staff and for guests.
//!
//! The algorithm is fixed, never taken from a token's header; of the header only `kid` is looked at, to pick one of our own
//! keys. A token says who, never what they may do: rights are read from the database at every use. Time is passed in.
//! Anchors: RFC 8725 (JWT best practice), RFC 8037 (EdDSA in JOSE).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use parlour_protocol::id::{GuestId, OrganizationId, PersonId, ShareId};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// The longest life a token of ours may claim, unless the configured one is longer.
const LIFE_MAX: Duration = Duration::from_secs(15 * 60);
const LEEWAY_MAX: Duration = Duration::from_secs(30);
/// Longer tokens are refused unread; ours have some 500 bytes.
const TOKEN_BYTES_MAX: usize = 2_048;
const KID_BYTES_MAX: usize = 64;

/// PKCS#8 v1 of an Ed25519 key (RFC 8410 §7) up to its 32 secret bytes.
const PKCS8_ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What tokens are made and checked with.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// `iss` of every token.
    pub issuer: String,
    /// `aud` of every token.
    pub audience: String,
    /// The Ed25519 key in use: PKCS#8, as PEM or as base64 of DER.
    pub signing_key: SecretString,
    /// Keys that were in use before and whose tokens still count.
    pub older_keys: Vec<SecretString>,
    /// Life of staff tokens.
    pub staff_life: Duration,
    /// Life of guest tokens.
    pub guest_life: Duration,
}

/// Whom a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A member of staff.
    Staff {
        /// The organization they entered.
        organization: OrganizationId,
        /// Who.
        person: PersonId,
        /// The person's session version: an older one is refused.
        session_version: i32,
    },
    /// A person on a link.
    Guest {
        /// The link's organization.
        organization: OrganizationId,
        /// The link.
        share: ShareId,
        /// The device's identity on it.
        guest: GuestId,
    },
}

/// A token that was ours and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whom it names.
    pub bearer: Bearer,
    /// Life left, without leeway; zero when only the leeway admitted it.
    pub expires_in: Duration,
}

/// A new token.
#[derive(Clone)]
pub struct Minted {
    /// The token itself.
    pub token: String,
    /// Its life.
    pub expires_in: Duration,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Minted(redacted, {:?})", self.expires_in)
    }
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// Not one of ours, or not of this use.
    #[error("not a valid token")]
    Invalid,
    /// Ours, and over.
    #[error("the token has expired")]
    Expired,
}

/// A key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token key must be an Ed25519 private key in PKCS#8, as PEM or as base64 of DER")]
pub struct BadKey;

/// Makes and checks tokens.
pub struct Tokens {
    signing: EncodingKey,
    /// The key in use comes first.
    verifying: Vec<VerifyingKey>,
    validation: Validation,
    issuer: String,
    audience: String,
    staff_life: Duration,
    guest_life: Duration,
}

struct VerifyingKey {
    kid: String,
    key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TokenType {
    Staff,
    Guest,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    typ: TokenType,
    /// The person or the guest.
    sub: Uuid,
    org: OrganizationId,
    exp: i64,
    nbf: i64,
    iat: i64,
    /// What the session stands on: the person's own session, or the link.
    sid: Uuid,
    /// The person's session version; 0 for guests, whose link is read at every use.
    ver: i32,
}

impl Tokens {
    /// Reads the keys.
    ///
    /// # Errors
    /// When one of them is no Ed25519 key.
    pub fn new(config: &TokenConfig) -> Result<Self, BadKey> {
        let signing = read_key(&config.signing_key)?;
        let mut verifying = vec![verifying_key(&signing)?];
        for older in &config.older_keys {
            verifying.push(verifying_key(&read_key(older)?)?);
        }
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.set_issuer(&[&config.issuer]);
        validation.set_audience(&[&config.audience]);
        // Checked in `check_times`, against the time that is passed in.
        validation.validate_exp = false;
        Ok(Self {
            signing,
            verifying,
            validation,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            staff_life: config.staff_life,
            guest_life: config.guest_life,
        })
    }

    /// A new token.
    ///
    /// # Errors
    /// Only if signing itself fails.
    pub fn mint(&self, bearer: &Bearer, now: OffsetDateTime) -> Result<Minted, BadKey> {
        let (typ, sub, org, sid, ver, life) = match *bearer {
            Bearer::Staff { organization, person, session_version } => {
                (TokenType::Staff, person.0, organization, person.0, session_version, self.staff_life)
            }
            Bearer::Guest { organization, share, guest } => {
                (TokenType::Guest, guest.0, organization, share.0, 0, self.guest_life)
            }
        };
        let (iss, aud, iat) = (self.issuer.clone(), self.audience.clone(), now.unix_timestamp());
        let claims = Claims { iss, aud, typ, sub, org, exp: iat + seconds(life), nbf: iat, iat, sid, ver };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = self.verifying.first().map(|key| key.kid.clone());
        let token = encode(&header, &claims, &self.signing).map_err(|_| BadKey)?;
        Ok(Minted { token, expires_in: life })
    }

    /// Checks a token.
    ///
    /// # Errors
    /// `Expired` when it was ours and is over, else `Invalid`.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Verified, TokenRefused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenRefused::Invalid);
        }
        let kid = decode_header(token).map_err(|_| TokenRefused::Invalid)?.kid.filter(|kid| kid.len() <= KID_BYTES_MAX);
        let known = self.verifying.iter().find(|key| Some(&key.kid) == kid.as_ref());
        let key = known.or(self.verifying.first()).ok_or(TokenRefused::Invalid)?;
        let claims = decode::<Claims>(token, &key.key, &self.validation).map_err(|_| TokenRefused::Invalid)?.claims;
        let life = match claims.typ {
            TokenType::Staff => self.staff_life,
            TokenType::Guest => self.guest_life,
        };
        let expires_in = check_times(&claims, life, now)?;
        Ok(Verified { bearer: bearer(&claims), expires_in })
    }
}

fn bearer(claims: &Claims) -> Bearer {
    match claims.typ {
        TokenType::Staff => {
            Bearer::Staff { organization: claims.org, person: PersonId(claims.sub), session_version: claims.ver }
        }
        TokenType::Guest => {
            Bearer::Guest { organization: claims.org, share: ShareId(claims.sid), guest: GuestId(claims.sub) }
        }
    }
}

/// Checks life and times, with a leeway for the clocks of other nodes that is small beside the token's life.
fn check_times(claims: &Claims, life: Duration, now: OffsetDateTime) -> Result<Duration, TokenRefused> {
    let leeway = seconds(LEEWAY_MAX.min(life / 4));
    let now = now.unix_timestamp();
    let claimed = claims.exp.checked_sub(claims.iat).ok_or(TokenRefused::Invalid)?;
    let starts = claims.nbf.max(claims.iat).checked_sub(leeway).ok_or(TokenRefused::Invalid)?;
    if claimed <= 0 || claimed > seconds(life.max(LIFE_MAX)) || starts > now {
        return Err(TokenRefused::Invalid);
    }
    match u64::try_from(claims.exp - now) {
        Ok(left) => Ok(Duration::from_secs(left)),
        Err(_) if now - claims.exp < leeway => Ok(Duration::ZERO),
        Err(_) => Err(TokenRefused::Expired),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 4)
}

fn read_key(key: &SecretString) -> Result<EncodingKey, BadKey> {
    let text = key.expose_secret().trim();
    if text.starts_with("-----BEGIN") {
        return EncodingKey::from_ed_pem(text.as_bytes()).map_err(|_| BadKey);
    }
    Ok(EncodingKey::from_ed_der(&STANDARD.decode(text).map_err(|_| BadKey)?))
}

fn verifying_key(signing: &EncodingKey) -> Result<VerifyingKey, BadKey> {
    let jwk = Jwk::from_encoding_key(signing, Algorithm::EdDSA).map_err(|_| BadKey)?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| BadKey)?;
    let hash = Sha256::digest(key.try_get_as_bytes().map_err(|_| BadKey)?);
    Ok(VerifyingKey { kid: hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect(), key })
}

/// The base64 of a new key's PKCS#8 form, from 32 random bytes: for `dev` and the command line.
pub fn key_from_random(random: [u8; 32]) -> SecretString {
    SecretString::from(STANDARD.encode([&PKCS8_ED25519[..], &random].concat()))
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
