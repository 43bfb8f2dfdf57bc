//! `GET /api/v1/me`: who a member of staff is and what they may do.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use crate::commands::failure::Failure;
use crate::domain::principal::Actor;
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::Caller;

pub(super) async fn get(State(api): State<Arc<Api>>, Caller(principal): Caller) -> Result<Success<Value>, Problem> {
    let Actor::Staff { person, role, permissions, .. } = &principal.actor else {
        return Err(Failure::forbidden().into());
    };
    let profile = api.commands.profile(&principal).await?;
    let organization = &principal.organization;
    Ok(Success::ok(json!({
        "user": { "id": person, "email": profile.email, "name": principal.name },
        "role": role.key,
        "permissions": permissions.words().collect::<Vec<_>>(),
        "organization": { "id": organization.id, "name": organization.name, "slug": profile.slug, "role": role.key },
    })))
}
