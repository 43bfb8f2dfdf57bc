//! What can go wrong with the database, as far as callers must tell it apart. Absence is `Option`, never an error.

/// A database operation that did not give an answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The statement never took effect; the caller may try again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The connection was lost around COMMIT; only the idempotency key knows.
    #[error("the outcome is not known: {0}")]
    OutcomeUnknown(String),
    /// A statement or row is not what this version of the code expects: a defect or a schema mismatch.
    #[error("unexpected database answer: {0}")]
    Unexpected(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
                Self::Unavailable(error.to_string())
            }
            sqlx::Error::Database(database) if is_transient(database.code().as_deref().unwrap_or_default()) => {
                Self::Unavailable(error.to_string())
            }
            _ => Self::Unexpected(error.to_string()),
        }
    }
}

/// SQLSTATE classes (PostgreSQL, appendix A) after which the same statement can succeed: connection, resources, operator
/// intervention, statement or lock timeouts, serialization; and a database that is read-only for now.
fn is_transient(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "53" | "57" | "40")) || matches!(code, "55P03" | "25006")
}
