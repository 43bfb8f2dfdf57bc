//! Links, for staff: made, listed, changed, revoked. The secret is in the answer to the first creation and nowhere else.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::id::{ClientId, ConversationId, ShareId};
use parlour_protocol::share::{Permission, Share};
use parlour_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::shares::ShareChangeRequest;
use crate::domain::principal::Principal;
use crate::domain::share::ShareRequest;
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody, OptionalBody};

/// A link to make; everything has a default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateShare")]
pub(super) struct Create {
    /// 48 when absent; the organization's own cap may be lower than the maximum.
    #[serde(default)]
    #[schemars(range(min = 1, max = 720))]
    expiry_hours: Option<i64>,
    /// `view` and `respond` when absent; `view` is implied.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Permission>>")]
    permissions: Option<Vec<String>>,
    /// For staff only.
    #[serde(default)]
    #[schemars(length(max = 120))]
    label: Option<String>,
    /// Devices it admits; 5 when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 25))]
    seats: Option<i64>,
}

/// What to change about a link; the rest stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChangeShare")]
pub(super) struct Change {
    /// Replaces what it allowed; `view` is implied.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Permission>>")]
    permissions: Option<Vec<String>>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    /// Devices it admits.
    #[serde(default)]
    #[schemars(range(min = 1, max = 25))]
    seats: Option<i64>,
}

/// A link that was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CreatedShare")]
pub(super) struct Created {
    /// What the client opens; only in the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The secret in it; only in the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    share: Share,
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
    IdempotencyKey(key): IdempotencyKey,
    OptionalBody(body): OptionalBody<Create>,
) -> Result<Success<Created>, Problem> {
    let Create { expiry_hours, permissions, label, seats } = body;
    let request = ShareRequest { expiry_hours, permissions, label, seats };
    let commands = Arc::clone(&api.commands);
    let work = async move { commands.create_share(&principal, conversation, key, request).await };
    let created = api.complete(work).await?;
    let secret = created.secret.as_ref().map(|secret| secret.expose().to_owned());
    let url = secret.as_ref().map(|secret| format!("{}/s/{secret}", api.config.public_url));
    let is_repeat = secret.is_none();
    Ok(Success::once(Created { url, session_token: secret, share: created.share }, is_repeat))
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
) -> Result<Success<Vec<Share>>, Problem> {
    Ok(Success::ok(api.commands.shares(&principal, conversation).await?))
}

pub(super) async fn change(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(share): Id<ShareId>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<Change>,
) -> Result<Success<Share>, Problem> {
    let Change { permissions, expires_at, seats } = body;
    let request = ShareChangeRequest { permissions, expires_at, seats, revoke: false };
    apply(&api, principal, share, key, request).await
}

pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(share): Id<ShareId>,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Success<Share>, Problem> {
    apply(&api, principal, share, key, ShareChangeRequest { revoke: true, ..ShareChangeRequest::default() }).await
}

async fn apply(
    api: &Arc<Api>,
    principal: Arc<Principal>,
    share: ShareId,
    key: ClientId,
    request: ShareChangeRequest,
) -> Result<Success<Share>, Problem> {
    let commands = Arc::clone(&api.commands);
    let work = async move { commands.change_share(&principal, share, key, request).await };
    Ok(Success::ok(api.complete(work).await?))
}
