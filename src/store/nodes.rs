//! The `nodes` table: which servers run on this database (migrations/0004). Part of the directory, as nodes belong to no tenant.

use std::time::Duration;

use time::OffsetDateTime;

use crate::domain::node::NodeId;
use crate::store::error::StoreError;
use crate::store::{Asked, Store};

impl Store {
    /// Notes that a node is alive; the others, and how long ago each was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn node_alive(&self, node: NodeId) -> Result<Vec<(NodeId, Duration)>, StoreError> {
        let rows = sqlx::query!(r#"select node_id as "node!", age_ms as "age_ms!" from node_alive_v1($1)"#, node.0)
            .fetch_all(&self.pool)
            .in_time()
            .await?;
        let age = |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        Ok(rows.into_iter().map(|row| (NodeId(row.node), age(row.age_ms))).collect())
    }

    /// What time it is, for everybody.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn clock(&self) -> Result<OffsetDateTime, StoreError> {
        Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&self.pool).in_time().await?)
    }

    /// Notes that a node has stopped.
    ///
    /// # Errors
    /// When the database does not answer; the row then goes by itself.
    pub async fn node_gone(&self, node: NodeId) -> Result<(), StoreError> {
        sqlx::query!(r#"select node_gone_v1($1)::text as done"#, node.0).fetch_one(&self.pool).in_time().await?;
        Ok(())
    }
}
