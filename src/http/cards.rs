//! `POST /api/v1/conversations/{id}/cards`: offers a card.

use std::sync::Arc;

use axum::extract::State;
use parlour_protocol::card::{CardKind, CardOption, CardState, Detail, Offer};
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{CardId, ConversationId};
use parlour_protocol::reply::Appended;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::Api;
use crate::http::envelope::{Problem, Success};
use crate::http::extract::{Caller, Id, IdempotencyKey, JsonBody};

/// A card to offer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CreateCard")]
pub(super) struct Create {
    #[schemars(with = "CardKind")]
    kind: String,
    #[schemars(length(min = 1, max = 120))]
    title: String,
    #[serde(default)]
    #[schemars(length(max = 200))]
    subtitle: Option<String>,
    /// With distinct ids.
    #[schemars(length(min = 1, max = 20))]
    options: Vec<CardOption>,
    /// The days of an itinerary, or other titled lines.
    #[serde(default)]
    #[schemars(length(max = 40))]
    details: Option<Vec<Detail>>,
    /// Small print.
    #[serde(default)]
    #[schemars(length(max = 500))]
    note: Option<String>,
}

/// A card that was offered.
#[derive(Serialize, JsonSchema)]
pub(super) struct OfferedCard {
    card: CardVersion,
    #[serde(flatten)]
    appended: Appended,
}

/// One version of a card, without what it offers.
#[derive(Serialize, JsonSchema)]
struct CardVersion {
    id: CardId,
    version: i32,
    state: CardState,
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Caller(principal): Caller,
    Id(conversation): Id<ConversationId>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(body): JsonBody<Create>,
) -> Result<Success<OfferedCard>, Problem> {
    let offer = offer(body)?;
    let commands = Arc::clone(&api.commands);
    let work = async move { commands.offer(&principal, conversation, key, offer).await };
    let offered = api.complete(work).await?;
    let card = CardVersion { id: offered.card, version: offered.version, state: offered.state };
    let appended = offered.appended;
    Ok(Success::once(OfferedCard { card, appended }, appended.duplicate))
}

fn offer(body: Create) -> Result<Offer, Problem> {
    let Create { kind, title, subtitle, options, details, note } = body;
    if kind != CardKind::Choice.as_str() {
        return Err(ErrorBody::invalid("kind", "choice").into());
    }
    Ok(Offer { kind: CardKind::Choice, title, subtitle, options, details: details.unwrap_or_default(), note })
}
