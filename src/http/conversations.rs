//! `/api/v1/conversations`: opened, listed, found.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::id::ConversationId;
use parlour_protocol::push::ConversationRow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::conversations::{ConversationRequest, ListRequest};
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody, Query};

/// A conversation to open.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateConversation")]
pub(super) struct Create {
    #[schemars(length(min = 1, max = 200))]
    title: String,
    /// `lead` (the default), `qualified`, `quoted`, `booked`, `completed` or `lost`.
    #[serde(default)]
    stage: Option<String>,
    /// `web`, `link`, `api`, `phone`, `walk_in`, `ota` or `agent`.
    #[serde(default)]
    channel: Option<String>,
}

/// Which part of the list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ListConversations")]
pub struct List {
    /// 1, 2, 3 …
    #[schemars(range(min = 1))]
    page: Option<u32>,
    /// Rows a page; 50 when absent.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// `-last_entry_at` (the default), `last_entry_at`, `-created_at` or `created_at`.
    sort: Option<String>,
    /// `open`, `snoozed` or `closed`.
    status: Option<String>,
    /// Only those of this stage.
    stage: Option<String>,
    /// Only those whose title holds this.
    #[schemars(length(max = 200))]
    q: Option<String>,
}

/// Where a page of the list stands.
#[derive(Serialize, JsonSchema)]
pub(super) struct ListMeta {
    page: u32,
    limit: u32,
    /// Rows on all pages.
    total: u64,
    pages: u64,
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
    Ok(Success::ok(listed.rows).with_meta(ListMeta { page, limit, total, pages }))
}

pub(super) async fn get(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
) -> Result<Success<ConversationRow>, Problem> {
    Ok(Success::ok(api.commands.conversation(&principal, conversation).await?))
}
