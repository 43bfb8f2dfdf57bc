//! `GET /api/v1/me`: who a member of staff is and what they may do.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::id::{OrganizationId, PersonId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::failure::Failure;
use crate::domain::principal::Actor;
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::Caller;

/// A member of staff, as told to themselves.
#[derive(Serialize, JsonSchema)]
pub(super) struct Me {
    user: User,
    /// The role's key, as in `organization`.
    role: String,
    /// What the role allows: `resource:action`, perhaps limited (`:own`, `:assigned`).
    permissions: Vec<String>,
    organization: Membership,
}

/// A person who logs in.
#[derive(Serialize, JsonSchema)]
struct User {
    id: PersonId,
    email: String,
    name: String,
}

/// The organization the credential is for.
#[derive(Serialize, JsonSchema)]
struct Membership {
    id: OrganizationId,
    name: String,
    slug: String,
    role: String,
}

pub(super) async fn get(State(api): State<Arc<Api>>, Caller(principal): Caller) -> Result<Success<Me>, Problem> {
    let Actor::Staff { person, role, permissions, .. } = &principal.actor else {
        return Err(Failure::forbidden().into());
    };
    let profile = api.commands.profile(&principal).await?;
    let organization = &principal.organization;
    let role = role.key.to_string();
    Ok(Success::ok(Me {
        user: User { id: *person, email: profile.email, name: principal.name.clone() },
        role: role.clone(),
        permissions: permissions.words().map(|word| word.to_string()).collect(),
        organization: Membership { id: organization.id, name: organization.name.clone(), slug: profile.slug, role },
    }))
}
