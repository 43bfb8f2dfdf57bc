//! `/api/v1/conversations/{id}/entries`: the transcript in pages, and messages and notes for those without a socket.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::entry::NumberedEntry;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::ConversationId;
use parlour_protocol::limits::{PAGE_ENTRIES_MAX, TEXT_CHARS_MAX};
use parlour_protocol::reply::Appended;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::failure::Failure;
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody, Query};
use crate::store::log::Range;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ListEntries")]
pub(super) struct List {
    /// Entries below this number, newest last. At most one of `before`, `after` and `around`; none: the newest.
    before: Option<i64>,
    /// Entries above this number.
    after: Option<i64>,
    /// Entries on both sides of this number.
    around: Option<i64>,
    /// 50 when absent.
    #[schemars(range(min = 1, max = PAGE_ENTRIES_MAX))]
    limit: Option<u32>,
}

/// Where a page of the transcript stands, in the reader's view.
#[derive(Serialize, JsonSchema)]
pub(super) struct TranscriptMeta {
    epoch: i64,
    /// The newest entry.
    head: i64,
    /// Whether more entries lie in the direction asked.
    has_more: bool,
}

/// A message or an internal note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateEntry")]
pub(super) struct Create {
    #[schemars(extend("enum" = ["message", "note"]))]
    kind: String,
    /// Plain text.
    #[schemars(length(min = 1, max = TEXT_CHARS_MAX))]
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
    let meta = TranscriptMeta { epoch: page.epoch, head: page.head, has_more: page.has_more };
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
