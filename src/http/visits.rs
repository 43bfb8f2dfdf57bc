//! Links, for visitors: the page (which changes nothing), the claim, the open. Guessing is slowed down per address.
//!
//! Unknown, revoked and foreign links answer alike; refused attempts are counted after the answer, whether or not there is
//! anything to count them on, so that its time tells nothing.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::ConversationId;
use parlour_protocol::reply::Empty;
use parlour_protocol::share::Permission;
use parlour_protocol::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::AuthError;
use crate::commands::failure::Failure;
use crate::commands::visits::{Claim, Claimed, LinkPage, LinkState, PageOrganization, Visitor};
use crate::domain::principal::Actor;
use crate::http::Api;
use crate::http::assets::link_page;
use crate::http::client::ClientAddress;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{GivenKey, JsonBody, MaybeCaller};

/// A visitor who comes in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClaimShare")]
pub(super) struct ClaimBody {
    /// The link's secret.
    token: String,
    /// The name others see.
    #[serde(default)]
    #[schemars(length(max = 60))]
    name: Option<String>,
    /// What this device got before; brings the same guest back on the same seat.
    #[serde(default)]
    device_key: Option<String>,
}

/// A page that was seen.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OpenShare")]
pub(super) struct OpenBody {
    /// The link's secret.
    token: String,
}

/// Who the visitor now is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ClaimedShare")]
pub(super) struct ClaimReply {
    /// For `Authorization: Bearer` and for `hello`.
    guest_token: String,
    /// Life of the token, in seconds.
    expires_in: u64,
    /// To be kept by the device.
    device_key: String,
    conversation_id: Option<ConversationId>,
    permissions: Vec<Permission>,
    name: String,
    organization: PageOrganization,
}

/// What a program is told of a link.
#[derive(Serialize, JsonSchema)]
pub(super) struct LinkFacts {
    organization: Option<PageOrganization>,
    expires_at: Option<Timestamp>,
    permissions: Vec<Permission>,
    /// Where to POST the claim.
    claim_url: String,
}

pub(super) async fn page(
    State(api): State<Arc<Api>>,
    address: ClientAddress,
    token: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // What cannot be decoded opens nothing, like anything else that is no secret.
    let token = token.map_or_else(|_| String::new(), |Path(token)| token);
    charge(&api, address)?;
    let page = api.commands.link_page(&token).await;
    if !matches!(&page, Ok(page) if page.state == LinkState::Unknown) {
        api.probes.refund(&address.0);
    }
    let page = page?;
    if !wants_json(&headers) {
        let status = match page.state {
            LinkState::Live => StatusCode::OK,
            LinkState::Expired => StatusCode::GONE,
            LinkState::Unknown => StatusCode::NOT_FOUND,
        };
        return Ok((status, link_page(&page, &api.config.public_url)).into_response());
    }
    facts(&api, page).map(IntoResponse::into_response)
}

pub(super) async fn claim(
    State(api): State<Arc<Api>>,
    address: ClientAddress,
    GivenKey(key): GivenKey,
    JsonBody(body): JsonBody<ClaimBody>,
) -> Result<Success<ClaimReply>, Problem> {
    let ClaimBody { token, name, device_key } = body;
    let commands = Arc::clone(&api.commands);
    let claim = Claim { token: token.clone(), name, device_key, key };
    let work = async move { commands.claim(&claim).await };
    attempt(&api, address, token, work).await.map(|claimed| Success::ok(claim_reply(claimed)))
}

pub(super) async fn open(
    State(api): State<Arc<Api>>,
    address: ClientAddress,
    MaybeCaller(caller): MaybeCaller,
    headers: HeaderMap,
    JsonBody(body): JsonBody<OpenBody>,
) -> Result<Success<Empty>, Problem> {
    let is_staff = caller.is_some_and(|principal| matches!(principal.actor, Actor::Staff { .. }));
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let user_agent = user_agent.unwrap_or_default().to_owned();
    let (commands, token) = (Arc::clone(&api.commands), body.token.clone());
    let work = async move { commands.open_link(&token, Visitor { is_staff, user_agent: &user_agent }).await };
    attempt(&api, address, body.token, work).await.map(|()| Success::ok(Empty {}))
}

/// Tries something with a link's secret: a refusal costs the address, and is counted on the link if there is one.
async fn attempt<T: Send + 'static>(
    api: &Arc<Api>,
    address: ClientAddress,
    token: String,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Problem> {
    charge(api, address)?;
    let outcome = api.complete(work).await;
    let code = outcome.as_ref().err().map(Problem::code);
    if code != Some(ErrorCode::NotFound) {
        api.probes.refund(&address.0);
    }
    if matches!(code, Some(ErrorCode::NotFound | ErrorCode::Gone)) {
        let commands = Arc::clone(&api.commands);
        api.tasks.spawn(async move {
            if let Err(failure) = commands.count_blocked(&token).await {
                tracing::warn!("a refused visit was not counted: {failure}");
            }
        });
    }
    outcome
}

fn charge(api: &Api, address: ClientAddress) -> Result<(), Problem> {
    api.probes.charge(&address.0, Instant::now()).map_err(|refused| Failure::from(AuthError::from(refused)).into())
}

fn facts(api: &Api, page: LinkPage) -> Result<Success<LinkFacts>, Problem> {
    match page.state {
        LinkState::Unknown => Err(Failure::not_found().into()),
        LinkState::Expired => {
            let body = ErrorBody::new(ErrorCode::Gone, "this link has expired; ask for a new one");
            Err(body.with("organization", json!(page.organization)).into())
        }
        LinkState::Live => Ok(Success::ok(LinkFacts {
            organization: page.organization,
            expires_at: page.expires_at,
            permissions: page.permissions,
            claim_url: format!("{}/api/v1/shares/claim", api.config.public_url),
        })),
    }
}

fn claim_reply(claimed: Claimed) -> ClaimReply {
    let admission = claimed.admission();
    ClaimReply {
        conversation_id: admission.map(|(room, _)| room.conversation),
        permissions: admission.map(|(_, held)| held.to_vec()).unwrap_or_default(),
        name: claimed.principal.name.clone(),
        guest_token: claimed.token.token,
        expires_in: claimed.token.expires_in.as_secs(),
        device_key: claimed.device_key.expose().to_owned(),
        organization: claimed.organization,
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/html")
}
