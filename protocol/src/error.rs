//! Errors as clients see them: a stable code, a sentence, and what can be done about it (SPEC §8).
//!
//! Inner detail never comes here; the server logs it under the request id.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

macro_rules! error_codes {
    ($( $(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $retryable:literal; )*) => {
        /// The stable codes; new ones may be added in version 1, none changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum ErrorCode {
            $( $(#[$doc])* #[serde(rename = $code)] $name, )*
        }

        impl ErrorCode {
            /// Every code, in the order of the SPEC's table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as written on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The HTTP status (RFC 9110) of a reply that carries it.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// Whether the same request can succeed later.
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retryable),* }
            }
        }
    };
}

error_codes! {
    /// Cannot be parsed, unknown command or field, too deep.
    Malformed = "MALFORMED", 400, false;
    /// A credential in the query string.
    TokenInUrl = "TOKEN_IN_URL", 400, false;
    /// No, unknown or expired credential.
    Unauthenticated = "UNAUTHENTICATED", 401, false;
    /// The caller's organization, not the caller's right.
    Forbidden = "FORBIDDEN", 403, false;
    /// The organization is read-only.
    OrganizationSuspended = "ORGANIZATION_SUSPENDED", 403, false;
    /// Absent, or not the caller's to know.
    NotFound = "NOT_FOUND", 404, false;
    /// A genuine link that has expired.
    Gone = "GONE", 410, false;
    /// State moved on; details say to what.
    Conflict = "CONFLICT", 409, false;
    /// Every seat of the link is taken.
    SeatsFull = "SEATS_FULL", 409, false;
    /// Text, card or body over its limit.
    TooLarge = "TOO_LARGE", 413, false;
    /// A value breaks a rule.
    Invalid = "INVALID", 422, false;
    /// The key was used before with another content.
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH", 422, false;
    /// Too fast.
    RateLimited = "RATE_LIMITED", 429, true;
    /// A count is at its cap.
    Limit = "LIMIT", 429, false;
    /// Nothing was stored; try later.
    Unavailable = "UNAVAILABLE", 503, true;
    /// It may or may not have been stored; repeat with the same key.
    OutcomeUnknown = "OUTCOME_UNKNOWN", 503, true;
    /// The server's fault.
    Internal = "INTERNAL", 500, true;
}

/// An error as it travels in a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// The stable code.
    pub code: ErrorCode,
    /// A sentence for people; says what to do next where there is something.
    pub message: String,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// Facts for programs; an object, possibly empty.
    #[serde(default)]
    pub details: Map<String, Value>,
}

impl ErrorBody {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retryable: code.retryable(), details: Map::new() }
    }

    /// The same error with one more fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// A value that breaks a rule, named by its path.
    pub fn invalid(path: &str, message: &str) -> Self {
        let fields = serde_json::json!([{ "path": path, "message": message }]);
        Self::new(ErrorCode::Invalid, format!("{path}: {message}")).with("fields", fields)
    }
}

impl std::fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for ErrorBody {}
