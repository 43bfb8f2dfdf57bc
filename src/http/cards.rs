//! `POST /api/v1/conversations/{id}/cards`: offers a card.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::card::{CardKind, CardOption, Detail, Offer};
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::ConversationId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    kind: String,
    title: String,
    #[serde(default)]
    subtitle: Option<String>,
    options: Vec<CardOption>,
    #[serde(default)]
    details: Option<Vec<Detail>>,
    #[serde(default)]
    note: Option<String>,
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<Create>,
) -> Result<Success<Value>, Problem> {
    let offer = offer(body)?;
    let commands = Arc::clone(&api.commands);
    let work = async move { commands.offer(&principal, conversation, key, offer).await };
    let offered = api.complete(work).await?;
    let appended = offered.appended;
    let data = json!({
        "card": { "id": offered.card, "version": offered.version, "state": offered.state },
        "entry_id": appended.entry_id,
        "seq": appended.seq,
        "duplicate": appended.duplicate,
    });
    Ok(Success::once(data, appended.duplicate))
}

fn offer(body: Create) -> Result<Offer, Problem> {
    let Create { kind, title, subtitle, options, details, note } = body;
    if kind != CardKind::Choice.as_str() {
        return Err(ErrorBody::invalid("kind", "choice").into());
    }
    Ok(Offer { kind: CardKind::Choice, title, subtitle, options, details: details.unwrap_or_default(), note })
}
