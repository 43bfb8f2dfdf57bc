//! Passwords: argon2id, stored as PHC strings. Hashing runs on blocking threads, few at a time, and costs the same for people
//! who do not exist.
//!
//! A password is never logged and never leaves this file but as a hash.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Hashes at once: each takes 19 MiB and a core.
const CONCURRENT_MAX: usize = 2;
/// Longer passwords are refused before any work.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// Why a hash could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PasswordError {
    /// Empty, or longer than [`PASSWORD_BYTES_MAX`].
    #[error("a password has 1 to 1024 bytes")]
    Length,
    /// The hasher failed, or its thread did.
    #[error("cannot hash: {0}")]
    Hasher(String),
}

/// Makes and checks password hashes.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// OWASP's first recommendation (19 MiB, 2 passes), or the least possible in tests.
    params: Params,
    permits: Arc<Semaphore>,
    /// The hash of a password nobody has: the work done for unknown e-mails.
    nobody: Arc<str>,
}

/// How much work a hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// 19 MiB, 2 passes.
    Production,
    /// As little as the algorithm allows: for tests.
    Test,
}

impl Passwords {
    /// A hasher of that much work.
    ///
    /// # Errors
    /// When even one hash cannot be made.
    pub fn new(work: Work) -> Result<Self, PasswordError> {
        let params = match work {
            Work::Production => Params::new(19 * 1_024, 2, 1, None),
            Work::Test => Params::new(Params::MIN_M_COST, 1, 1, None),
        }
        .map_err(|error| PasswordError::Hasher(error.to_string()))?;
        let nobody = hash(&params, b"nobody's password")?.into();
        Ok(Self { params, permits: Arc::new(Semaphore::new(CONCURRENT_MAX)), nobody })
    }

    /// The PHC string of a new password.
    ///
    /// # Errors
    /// When the password has no acceptable length.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        check_length(&password)?;
        let params = self.params.clone();
        self.blocking(move || hash(&params, password.expose_secret().as_bytes())).await?
    }

    /// Whether the password is the one behind the hash. Without a hash the same work is done and the answer is no.
    ///
    /// # Errors
    /// When the work could not be done at all.
    pub async fn verify(&self, password: SecretString, stored: Option<String>) -> Result<bool, PasswordError> {
        if check_length(&password).is_err() {
            return Ok(false);
        }
        let nobody = Arc::clone(&self.nobody);
        self.blocking(move || {
            let matches = verify(stored.as_deref().unwrap_or(&nobody), password.expose_secret().as_bytes());
            matches && stored.is_some()
        })
        .await
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let failed = |error: &dyn std::error::Error| PasswordError::Hasher(error.to_string());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|error| failed(&error))?;
        // The permit moves along: a caller that goes away does not free the core that still works for it.
        let run = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| failed(&error))
    }
}

fn check_length(password: &SecretString) -> Result<(), PasswordError> {
    let bytes = password.expose_secret().len();
    if (1..=PASSWORD_BYTES_MAX).contains(&bytes) { Ok(()) } else { Err(PasswordError::Length) }
}

fn hash(params: &Params, password: &[u8]) -> Result<String, PasswordError> {
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let hash = hasher.hash_password(password).map_err(|error| PasswordError::Hasher(error.to_string()))?;
    Ok(hash.to_string())
}

fn verify(stored: &str, password: &[u8]) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_password_itself_opens_its_hash() {
        let passwords = Passwords::new(Work::Test).unwrap();
        let stored = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$"));
        assert!(passwords.verify(secret("correct horse"), Some(stored.clone())).await.unwrap());
        for wrong in ["Correct horse", "correct horse ", "", &"x".repeat(2_000)] {
            assert!(!passwords.verify(secret(wrong), Some(stored.clone())).await.unwrap());
        }
        assert_ne!(stored, passwords.hash(secret("correct horse")).await.unwrap(), "salted");
    }

    #[tokio::test]
    async fn nobody_can_log_in_as_nobody() {
        let passwords = Passwords::new(Work::Test).unwrap();
        assert!(!passwords.verify(secret("nobody's password"), None).await.unwrap());
        assert!(!passwords.verify(secret("x"), Some("not a PHC string".into())).await.unwrap());
    }

    #[tokio::test]
    async fn passwords_of_no_acceptable_length_are_refused() {
        let passwords = Passwords::new(Work::Test).unwrap();
        for broken in [String::new(), "x".repeat(PASSWORD_BYTES_MAX + 1)] {
            assert!(matches!(passwords.hash(secret(&broken)).await, Err(PasswordError::Length)));
        }
    }
}
