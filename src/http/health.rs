//! Health: `/livez` says that the process answers, `/readyz` that it can be sent work. Nothing more is told in public.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::failure::Failure;
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::store::error::StoreError;

const DATABASE_DEADLINE: Duration = Duration::from_secs(2);

/// How a node is.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    /// `live` or `ready`.
    status: &'static str,
    /// What it does without.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<&'static str>,
}

/// The process answers; the database is not asked.
pub async fn livez() -> Success<Health> {
    Success::ok(Health { status: "live", degraded: Vec::new() })
}

/// The database answers and keeps what it acknowledges, and the node is not about to stop. Without Redis it is ready, too, and
/// says so.
pub async fn readyz(State(api): State<Arc<Api>>) -> Result<Success<Health>, Problem> {
    let not_ready = |why: &str| Problem::from(Failure::Store(StoreError::Unavailable(why.to_owned())));
    if api.draining.load(Ordering::Relaxed) {
        return Err(not_ready("draining"));
    }
    match tokio::time::timeout(DATABASE_DEADLINE, api.store.durability()).await {
        Ok(Ok(durability)) if api.config.durability.accepts(durability) => {
            // The node serves without it; only what peers do is seen a little later.
            let degraded = if api.commands.is_cut_off() { vec!["redis"] } else { Vec::new() };
            Ok(Success::ok(Health { status: "ready", degraded }))
        }
        Ok(Ok(_)) => Err(not_ready("the database would lose what it acknowledges")),
        Ok(Err(error)) => Err(Failure::Store(error).into()),
        Err(_) => Err(not_ready("the database does not answer in time")),
    }
}
