//! Why a command failed: a refusal in its outward form, or the database's trouble, whose inner detail never leaves the server.
//!
//! Both edges convert here and nowhere else: [`ErrorBody`] from a [`Failure`], which also logs what the caller must not see.
//! The codes and their meaning are `protocol::error`'s.

use parlour_protocol::error::{ErrorBody, ErrorCode};

use crate::auth::AuthError;
use crate::auth::rates::TooOften;
use crate::domain::policy::Denied;
use crate::domain::violation::Violation;
use crate::store::error::StoreError;
use crate::store::log::AppendError;

/// How long a caller should wait before it tries an unavailable server again.
const RETRY_AFTER_MS: u64 = 1_000;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Refused, with everything the caller may know.
    #[error("{0}")]
    Refused(ErrorBody),
    /// The database gave no answer, or not the expected one.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect on our side; the text is for the log only.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// A refusal by code, with a sentence for people.
    pub fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused(ErrorBody::new(code, message))
    }

    /// Absent, or not the caller's to know: one body for both.
    pub fn not_found() -> Self {
        Self::refused(ErrorCode::NotFound, "not found")
    }

    /// No credential, or none that is valid (any more): one body for all reasons.
    pub fn unauthenticated() -> Self {
        Self::refused(ErrorCode::Unauthenticated, "a valid credential is required")
    }

    /// The caller's organization, not the caller's right.
    pub fn forbidden() -> Self {
        Self::from(Denied::Forbidden)
    }

    /// A key that was used before with another content.
    pub fn mismatch() -> Self {
        let message = "this client_id was used before with another content; use a new one";
        Self::refused(ErrorCode::IdempotencyMismatch, message)
    }

    /// Too fast; come back after this time.
    pub fn rate_limited(retry_after_ms: u64) -> Self {
        let body = ErrorBody::new(ErrorCode::RateLimited, "too fast, try again later");
        Self::Refused(body.with("retry_after_ms", retry_after_ms))
    }

    /// A guest's link is over.
    pub fn link_ended() -> Self {
        Self::over("the link has ended; ask for a new one", Reason::LinkEnded)
    }

    fn over(message: &str, reason: Reason) -> Self {
        Self::Refused(ErrorBody::new(ErrorCode::Unauthenticated, message).with(Reason::KEY, reason.as_str()))
    }

    /// Whether the failure is ours, so that somebody must look at it.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unexpected(_)) | Self::Internal(_))
    }
}

impl From<&Failure> for ErrorBody {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Refused(body) => body.clone(),
            Failure::Store(StoreError::Unavailable(_)) => {
                Self::new(ErrorCode::Unavailable, "not available now; nothing was stored")
                    .with("retry_after_ms", RETRY_AFTER_MS)
            }
            Failure::Store(StoreError::OutcomeUnknown(_)) => {
                Self::new(ErrorCode::OutcomeUnknown, "it may have been stored; repeat with the same client_id")
            }
            Failure::Store(StoreError::Unexpected(_)) | Failure::Internal(_) => {
                Self::new(ErrorCode::Internal, "something went wrong on our side")
            }
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotFound => Self::not_found(),
            Denied::Forbidden => Self::refused(ErrorCode::Forbidden, "your role or link does not allow this"),
            Denied::Suspended => Self::refused(ErrorCode::OrganizationSuspended, "the organization is read-only"),
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Store(error) => Self::Store(error),
            AppendError::Nul => Self::Refused(ErrorBody::invalid("body", "must not hold U+0000")),
        }
    }
}

impl From<TooOften> for Failure {
    fn from(refused: TooOften) -> Self {
        // Rounded up: whoever comes back then finds it fine.
        let retry_after = refused.retry_after.as_nanos().div_ceil(1_000_000);
        Self::rate_limited(u64::try_from(retry_after).unwrap_or(u64::MAX))
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Unauthenticated => Self::unauthenticated(),
            AuthError::Expired => Self::over("the token has expired; come back with a fresh one", Reason::Expired),
            AuthError::LinkEnded => Self::link_ended(),
            AuthError::TooMany(refused) => Self::from(refused),
            AuthError::Store(error) => Self::Store(error),
            AuthError::Defect(text) => Self::Internal(text),
        }
    }
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Refused(match violation {
            Violation::Invalid { path, message } => ErrorBody::invalid(&path, &message),
            Violation::TooLarge { path, message } => {
                ErrorBody::new(ErrorCode::TooLarge, message).with("field", path.as_str())
            }
        })
    }
}

/// Why a genuine credential admits nobody any more: what `details.reason` says beside `UNAUTHENTICATED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A fresh token admits its holder again.
    Expired,
    /// Nothing admits them again by this link.
    LinkEnded,
}

impl Reason {
    /// Where it stands in the details.
    pub const KEY: &'static str = "reason";

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::LinkEnded => "link_ended",
        }
    }

    /// The reason an error gives, if it gives one.
    pub fn of(error: &ErrorBody) -> Option<Self> {
        let word = error.details.get(Self::KEY).and_then(|word| word.as_str());
        [Self::Expired, Self::LinkEnded].into_iter().find(|reason| Some(reason.as_str()) == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_detail_never_leaves() {
        for error in [
            StoreError::Unavailable("poisoned".into()),
            StoreError::OutcomeUnknown("poisoned".into()),
            StoreError::Unexpected("poisoned".into()),
        ] {
            let body = ErrorBody::from(&Failure::from(error));
            assert!(!format!("{body:?}").contains("poisoned"));
        }
        assert!(!format!("{:?}", ErrorBody::from(&Failure::Internal("poisoned".into()))).contains("poisoned"));
    }

    #[test]
    fn transient_failures_can_be_retried_and_say_when() {
        let body = ErrorBody::from(&Failure::from(StoreError::Unavailable(String::new())));
        assert!(body.retryable && body.details.contains_key("retry_after_ms"));
        let body = ErrorBody::from(&Failure::rate_limited(1_500));
        assert_eq!(body.details["retry_after_ms"], 1_500);
    }
}
