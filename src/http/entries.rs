//! `/api/v1/conversations/{id}/entries`: the transcript in pages, and messages, notes, edits and redactions for those without a socket.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::entry::NumberedEntry;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{ConversationId, EntryId};
use parlour_protocol::limits::{PAGE_ENTRIES_MAX, TEXT_CHARS_MAX};
use parlour_protocol::reply::Appended;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commands::revise::Named;
use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody, Query};
use crate::store::log::Range;

/// Which part of the transcript.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ListEntries")]
pub struct List {
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

/// An entry to be, by kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "CreateEntry")]
pub(super) enum Create {
    /// A chat message.
    Message {
        #[schemars(length(min = 1, max = TEXT_CHARS_MAX))]
        text: String,
    },
    /// An internal note.
    Note {
        #[schemars(length(min = 1, max = TEXT_CHARS_MAX))]
        text: String,
    },
    /// Another text for a message or note of one's own.
    Edit {
        entry_id: EntryId,
        /// Its number in the own view.
        seq: i64,
        #[schemars(length(min = 1, max = TEXT_CHARS_MAX))]
        text: String,
    },
    /// A message or note is blanked for good.
    Redaction {
        entry_id: EntryId,
        /// Its number in the own view.
        seq: i64,
    },
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
