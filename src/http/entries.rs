//! `/api/v1/conversations/{id}/entries`: the transcript in pages, and messages, notes, edits and redactions for those without a socket.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::entry::NumberedEntry;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{ConversationId, EntryId};
use parlour_protocol::reply::Appended;
use serde::Deserialize;
use serde_json::json;

use crate::commands::revise::Named;
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

/// An entry to be, by kind.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Create {
    Message { text: String },
    Note { text: String },
    Edit { entry_id: EntryId, seq: i64, text: String },
    Redaction { entry_id: EntryId, seq: i64 },
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
    let work = async move {
        match body {
            Create::Message { text } => commands.send(&principal, conversation, key, text).await,
            Create::Note { text } => commands.note(&principal, conversation, key, text).await,
            Create::Edit { entry_id, seq, text } => {
                let target = Named { entry: entry_id, seq };
                commands.begin_edit(&principal, conversation, key, target, text).await?.await
            }
            Create::Redaction { entry_id, seq } => {
                let target = Named { entry: entry_id, seq };
                commands.begin_redact(&principal, conversation, key, target).await?.await
            }
        }
    };
    let appended = api.complete(work).await?;
    Ok(Success::once(appended, appended.duplicate))
}
