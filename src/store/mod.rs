//! PostgreSQL: the truth. Three doors and no fourth: [`tenant::TenantTx`] (one organization's rows), [`log`] (entries) and
//! [`directory`] (the few named functions that cross organizations).
//!
//! The raw pool is private to this module; no other module may run SQL (`tests/architecture.rs`). Row-level security stands
//! behind every query, so a forgotten filter returns nothing instead of another tenant's rows. SQL lives beside the table it
//! serves, one file per aggregate; migrations are in `/migrations`.

pub mod error;
pub mod log;
