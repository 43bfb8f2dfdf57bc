//! `/api/v1/conversations`: opened, listed, found.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::id::ConversationId;
use parlour_protocol::push::ConversationRow;
use serde::Deserialize;
use serde_json::json;

use crate::commands::conversations::{ConversationRequest, ListRequest};
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody, Query};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    title: String,
    #[serde(default)]
    stage: Option<String>,
    #[serde(default)]
    channel: Option<String>,
}

/// Which part of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    page: Option<u32>,
    limit: Option<u32>,
    sort: Option<String>,
    status: Option<String>,
    stage: Option<String>,
    q: Option<String>,
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<Create>,
) -> Result<Success<ConversationRow>, Problem> {
    let commands = Arc::clone(&api.commands);
    let request = ConversationRequest { title: body.title, stage: body.stage, channel: body.channel };
    let work = async move { commands.create_conversation(&principal, key, request).await };
    let (row, duplicate) = api.complete(work).await?;
    Ok(Success::once(row, duplicate))
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Query(query): Query<List>,
) -> Result<Success<Vec<ConversationRow>>, Problem> {
    let List { page, limit, sort, status, stage, q } = query;
    let listed = api.commands.conversations(&principal, ListRequest { page, limit, sort, status, stage, q }).await?;
    let (page, limit, total) = (listed.page, listed.limit, u64::try_from(listed.total).unwrap_or(0));
    let pages = total.div_ceil(u64::from(limit.max(1)));
    let meta = json!({ "page": page, "limit": limit, "total": total, "pages": pages });
    Ok(Success::ok(listed.rows).with_meta(meta))
}

pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
) -> Result<Success<ConversationRow>, Problem> {
    Ok(Success::ok(api.commands.conversation(&principal, conversation).await?))
}
