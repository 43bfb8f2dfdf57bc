//! Fresh secrets from the operating system's randomness (getrandom), and nothing else: identifiers are not made here.

use crate::domain::secret::{Secret, SecretKind};

/// The operating system gave no randomness; nothing secret can be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gives no randomness: {0}")]
pub struct NoRandomness(getrandom::Error);

/// A new secret of a kind.
///
/// # Errors
/// Only where the operating system has no randomness to give.
pub fn secret(kind: SecretKind) -> Result<Secret, NoRandomness> {
    Ok(Secret::from_random(kind, bytes()?))
}

/// 32 random bytes, for keys and peppers made at first start.
///
/// # Errors
/// Only where the operating system has no randomness to give.
pub fn bytes() -> Result<[u8; 32], NoRandomness> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}
