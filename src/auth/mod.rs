//! Auth: from a credential (staff token, guest token, API key) to a principal, whose rights are always read from the database.
//!
//! Nothing here decides what a principal may do; that is [`crate::domain::policy`]. Secrets are compared by keyed digest only
//! and never logged.

pub mod failures;
pub mod passwords;
pub mod random;
pub mod tokens;
