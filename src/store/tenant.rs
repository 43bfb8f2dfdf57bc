//! The first door: a transaction on one organization's rows.
//!
//! BEGIN and the setting that row-level security reads travel in one round trip, and the setting ends with the transaction:
//! a pooled connection never remembers an organization. Only `store` can reach the connection inside.

use std::time::Instant;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::domain::principal::OrgScope;
use crate::store::error::StoreError;
use crate::store::{Asked, Beginning, Store};

/// A transaction that sees and writes one organization's rows. Dropped without [`TenantTx::commit`], it is rolled back.
#[derive(Debug)]
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    scope: OrgScope,
}

impl Store {
    /// Opens a transaction on the scope's organization.
    ///
    /// # Errors
    /// When no connection can be had within two seconds.
    pub async fn tenant(&self, scope: OrgScope) -> Result<TenantTx, StoreError> {
        // The only text put into SQL anywhere: a UUID, by its type.
        let begin = format!(
            "begin; select set_config('app.current_organization_id', '{}', true)",
            scope.organization().0.hyphenated()
        );
        let began = Instant::now();
        let mut beginning = Box::pin(self.pool.begin_with(AssertSqlSafe(begin)));
        // Declared after it, and so dropped before it: the note is there before the connection is given back.
        let mut note = Beginning(Some(&self.given_up));
        let begun = beginning.as_mut().in_time().await;
        metrics::histogram!("parlour_pool_wait_seconds").record(began.elapsed());
        let tx = begun?;
        note.0 = None;
        Ok(TenantTx { tx, scope })
    }
}

impl TenantTx {
    /// The organization whose rows this transaction sees.
    pub fn scope(&self) -> OrgScope {
        self.scope
    }

    /// Makes everything done so far true.
    ///
    /// # Errors
    /// `OutcomeUnknown` when the connection was lost while committing.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(|error| match StoreError::from(error) {
            StoreError::Unavailable(text) => StoreError::OutcomeUnknown(text),
            other => other,
        })
    }

    pub(in crate::store) fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
