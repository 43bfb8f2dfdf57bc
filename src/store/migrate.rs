//! Migrations: forward only, embedded in the binary, applied by a role of their own (`parlour migrate`).
//!
//! The connection becomes `parlour_owner`, so every object belongs to a role nobody logs in as.

use std::collections::HashMap;
use std::str::FromStr;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

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
    let mut connection = as_owner(url).await?;
    MIGRATOR.run(&mut connection).await.map_err(trouble)?;
    connection.close().await?;
    Ok(())
}

/// One migration this binary knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub version: i64,
    /// What its file is called.
    pub description: String,
    /// Where the database stands with it.
    pub state: StepState,
}

/// Where a database stands with one migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Not applied yet.
    Pending,
    /// Applied as this binary knows it.
    Applied,
    /// Applied with another content: the database belongs to another version of the code.
    Different,
}

/// Where a database stands with every migration this binary knows. Changes nothing.
///
/// # Errors
/// When the database is not available.
pub async fn status(url: &str) -> Result<Vec<Step>, StoreError> {
    let mut connection = as_owner(url).await?;
    let applied = match connection.list_applied_migrations(&MIGRATOR.table_name).await {
        Ok(applied) => applied,
        // No table of migrations: nothing was applied yet.
        Err(MigrateError::Execute(sqlx::Error::Database(error))) if error.code().as_deref() == Some("42P01") => vec![],
        Err(error) => return Err(trouble(error)),
    };
    connection.close().await?;
    let applied: HashMap<i64, _> = applied.into_iter().map(|row| (row.version, row.checksum)).collect();
    let step = |migration: &sqlx::migrate::Migration| Step {
        version: migration.version,
        description: migration.description.clone().into_owned(),
        state: match applied.get(&migration.version) {
            None => StepState::Pending,
            Some(checksum) if *checksum == migration.checksum => StepState::Applied,
            Some(_) => StepState::Different,
        },
    };
    Ok(MIGRATOR.iter().map(step).collect())
}

/// Makes the roles and, where it is missing, a database of `parlour_owner`'s: for a private cluster, as its superuser.
///
/// # Errors
/// When the cluster is not available, or the name is not made of a–z and _.
pub async fn prepare_cluster(superuser_url: &str, database: &str) -> Result<(), StoreError> {
    if database.is_empty() || !database.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Err(StoreError::Unexpected(format!("{database:?} is no name for a database")));
    }
    let mut connection = PgConnection::connect(superuser_url).await?;
    sqlx::raw_sql(ROLES_SQL).execute(&mut connection).await?;
    let exists =
        sqlx::query_scalar!(r#"select exists (select from pg_database where datname = $1) as "exists!""#, database)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        // A name cannot be a parameter; this one is letters, as checked above.
        let create = format!("create database {database} owner parlour_owner");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}

async fn as_owner(url: &str) -> Result<PgConnection, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Unexpected(format!("database URL: {error}")))?
        .options([("role", "parlour_owner")]);
    Ok(PgConnection::connect_with(&options).await?)
}

/// A migration that fails for want of a database is unavailability, not a defect.
fn trouble(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        other => StoreError::Unexpected(format!("migration: {other}")),
    }
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

    /// Whether row-level security has no hold on the role this pool connects as: such a role must never serve.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn role_is_above_the_law(&self) -> Result<bool, StoreError> {
        let above = sqlx::query_scalar!(
            r#"select rolsuper or rolbypassrls as "above!" from pg_roles where rolname = current_user"#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(above)
    }
}
