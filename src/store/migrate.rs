//! Migrations: forward only, embedded in the binary, applied by a role of their own (`parlour migrate`).
//!
//! The connection becomes `parlour_owner`, so every object belongs to a role nobody logs in as.

use std::str::FromStr;

use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::store::Store;
use crate::store::error::StoreError;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The statements that make the cluster-wide roles; for a superuser, before the first migration.
pub const ROLES_SQL: &str = include_str!("../../migrations/roles.sql");

/// Applies what is missing; safe to run twice, and by two processes at once.
///
/// # Errors
/// When the database is not available, or holds a migration this binary does not know or knows differently.
pub async fn migrate(url: &str) -> Result<(), StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Unexpected(format!("database URL: {error}")))?
        .options([("role", "parlour_owner")]);
    let mut connection = PgConnection::connect_with(&options).await?;
    MIGRATOR.run(&mut connection).await.map_err(|error| StoreError::Unexpected(format!("migration: {error}")))?;
    connection.close().await?;
    Ok(())
}

/// The newest migration this binary knows.
pub fn newest_known() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

impl Store {
    /// Whether the database has every migration this binary knows.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn is_migrated(&self) -> Result<bool, StoreError> {
        let version = sqlx::query_scalar!(r#"select schema_version_v1() as "version!""#).fetch_one(&self.pool).await;
        match version {
            Ok(version) => Ok(version >= newest_known()),
            // The function itself is missing: nothing was migrated yet.
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42883") => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
