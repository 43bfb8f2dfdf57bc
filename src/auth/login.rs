//! Logging in, staying logged in, logging out: passwords against access tokens, and refresh tokens that work once.
//!
//! A wrong password, an unknown e-mail and a person without an organization answer alike, after the same work. The reuse of
//! a spent refresh token ends every token that descends from the same log-in, as one of its two users must be a thief.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use secrecy::SecretString;

use crate::auth::random;
use crate::auth::{Auth, AuthError};
use crate::domain::secret::{Secret, SecretKind};

/// The longest address there is (RFC 5321 §4.5.3.1.3, less the brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// What a log-in or a refresh gives.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// For `Authorization: Bearer` and `hello`.
    pub access_token: SecretString,
    /// Life of the access token.
    pub expires_in: Duration,
    /// For the next refresh; works once.
    pub refresh_token: Secret,
    /// Life of the refresh token.
    pub refresh_expires_in: Duration,
}

impl Auth {
    /// Logs a person in, to the organization they joined first.
    ///
    /// # Errors
    /// `Unauthenticated` for anything wrong, `TooMany` after too many failures.
    pub async fn login(&self, address: IpAddr, email: &str, password: SecretString) -> Result<Tokens, AuthError> {
        let email = normal(email);
        let now = Instant::now();
        self.by_address.charge(&address, now)?;
        if let Err(refused) = self.by_email.charge(&email, now) {
            self.by_address.refund(&address);
            return Err(refused.into());
        }
        let outcome = self.check_password(&email, password).await;
        // Only a wrong guess costs; a database that does not answer is nobody's guess.
        if !matches!(outcome, Err(AuthError::Unauthenticated)) {
            self.by_address.refund(&address);
            self.by_email.refund(&email);
        }
        outcome
    }

    /// Trades a refresh token for new tokens.
    ///
    /// # Errors
    /// `Unauthenticated` when it is unknown, spent or over, or its person is no longer allowed in.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, AuthError> {
        let spent = Secret::parse(SecretKind::Refresh, refresh_token).ok_or(AuthError::Unauthenticated)?;
        let next = random::secret(SecretKind::Refresh)?;
        let next_digest = self.peppers().digest(&next);
        for digest in self.peppers().candidates(&spent) {
            let rotated = self.store.rotate_refresh(&digest.bytes, &next_digest.bytes, self.refresh_seconds()).await?;
            if let Some(row) = rotated {
                self.staff(row.organization, row.person, row.session_version)
                    .await?
                    .ok_or(AuthError::Unauthenticated)?;
                let access = self.staff_token(row.organization, row.person, row.session_version)?;
                return Ok(self.tokens(access.token, access.expires_in, next));
            }
        }
        Err(AuthError::Unauthenticated)
    }

    /// Ends the session a refresh token belongs to; unknown ones are ignored.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), AuthError> {
        let Some(secret) = Secret::parse(SecretKind::Refresh, refresh_token) else { return Ok(()) };
        for digest in self.peppers().candidates(&secret) {
            self.store.revoke_refresh(&digest.bytes).await?;
        }
        Ok(())
    }

    async fn check_password(&self, email: &str, password: SecretString) -> Result<Tokens, AuthError> {
        let row = if email.is_empty() { None } else { self.store.person_by_email(email).await? };
        let stored = row.as_ref().and_then(|row| row.password_hash.clone());
        let is_right = self.passwords().verify(password, stored).await?;
        let row = row.filter(|_| is_right).ok_or(AuthError::Unauthenticated)?;
        let organization = row.organization.ok_or(AuthError::Unauthenticated)?;
        self.staff(organization, row.person, row.session_version).await?.ok_or(AuthError::Unauthenticated)?;
        let refresh = random::secret(SecretKind::Refresh)?;
        let digest = self.peppers().digest(&refresh);
        self.store.issue_refresh(&digest.bytes, row.person, organization, self.refresh_seconds()).await?;
        let access = self.staff_token(organization, row.person, row.session_version)?;
        Ok(self.tokens(access.token, access.expires_in, refresh))
    }

    fn tokens(&self, access_token: String, expires_in: Duration, refresh_token: Secret) -> Tokens {
        let access_token = SecretString::from(access_token);
        Tokens { access_token, expires_in, refresh_token, refresh_expires_in: self.refresh_life }
    }

    fn refresh_seconds(&self) -> i32 {
        i32::try_from(self.refresh_life.as_secs()).unwrap_or(i32::MAX)
    }
}

/// An e-mail as it is stored; empty, which nobody has, when it cannot be one.
fn normal(email: &str) -> String {
    let email = email.trim();
    let is_possible = email.len() <= EMAIL_BYTES_MAX && !email.contains('\0');
    if is_possible { email.to_lowercase() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_an_email_is_nobodys() {
        assert_eq!(normal(" Amira@Example.test "), "amira@example.test");
        assert_eq!(normal("a\0@example.test"), "");
        assert_eq!(normal(&"x".repeat(EMAIL_BYTES_MAX + 1)), "");
    }
}
