//! `/api/v1/conversations/{id}/entries`: the transcript in pages, and messages and notes for those without a socket.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::entry::NumberedEntry;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::ConversationId;
use parlour_protocol::reply::Appended;
use serde::Deserialize;
use serde_json::json;

use crate::commands::failure::Failure;
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody, Query};
use crate::store::log::Range;

/// Which part of the transcript.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    before: Option<i64>,
    after: Option<i64>,
    around: Option<i64>,
    limit: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    kind: String,
    text: String,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
    Query(query): Query<List>,
) -> Result<Success<Vec<NumberedEntry>>, Problem> {
    let range = match (query.before, query.after, query.around) {
        (None, None, None) => Range::Newest,
        (Some(seq), None, None) => Range::Before(seq),
        (None, Some(seq), None) => Range::After(seq),
        (None, None, Some(seq)) => Range::Around(seq),
        _ => return Err(ErrorBody::invalid("before", "one of before, after and around").into()),
    };
    let page = api.commands.history(&principal, conversation, range, query.limit).await?;
    let meta = json!({ "epoch": page.epoch, "head": page.head, "has_more": page.has_more });
    Ok(Success::ok(page.entries).with_meta(meta))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<Create>,
) -> Result<Success<Appended>, Problem> {
    let commands = Arc::clone(&api.commands);
    let Create { kind, text } = body;
    let work = async move {
        match kind.as_str() {
            "message" => commands.send(&principal, conversation, key, text).await,
            "note" => commands.note(&principal, conversation, key, text).await,
            _ => Err(Failure::Refused(ErrorBody::invalid("kind", "message or note"))),
        }
    };
    let appended = api.complete(work).await?;
    Ok(Success::once(appended, appended.duplicate))
}
