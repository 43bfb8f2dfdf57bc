//! Cards: offers with options, in immutable numbered versions, and their state.
//!
//! This file holds shapes and value limits only; who may choose, and when, is decided by the server's `domain::selection`.

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::CardId;

/// A card as its readers see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Card {
    /// Identity over all versions.
    pub id: CardId,
    /// 1, 2, 3 …; a version never changes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub version: i32,
    /// What is offered.
    #[serde(flatten)]
    pub offer: Offer,
    /// The state this entry left the card in.
    pub state: CardState,
}

/// A list that may be `null`, which means that it is absent.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The same in a schema: only what is read may be `null`.
#[cfg(feature = "schema")]
fn nullable_list<T: schemars::JsonSchema>(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    if *generator.contract() == schemars::generate::Contract::Deserialize {
        generator.subschema_for::<Option<Vec<T>>>()
    } else {
        generator.subschema_for::<Vec<T>>()
    }
}

/// What a card offers: the part its author writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Which kind of offer.
    pub kind: CardKind,
    /// 1–120 characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 120)))]
    pub title: String,
    /// At most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 200)))]
    pub subtitle: Option<String>,
    /// 1–20 options with distinct ids.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 20)))]
    pub options: Vec<CardOption>,
    /// The days of an itinerary, or other titled lines; at most 40.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "nullable_list::<Detail>", length(max = 40)))]
    pub details: Vec<Detail>,
    /// Small print, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    pub note: Option<String>,
}

/// The kinds of cards of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CardKind {
    /// One of the options.
    Choice,
}

impl CardKind {
    /// The word used in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Choice => "choice",
        }
    }
}

/// Where a card stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// Choices are accepted.
    Open,
    /// The choice is made.
    Decided,
}

impl CardState {
    /// The state of that word.
    pub fn find(word: &str) -> Option<Self> {
        [Self::Open, Self::Decided].into_iter().find(|state| state.as_str() == word)
    }

    /// The word used in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Decided => "decided",
        }
    }
}

/// One thing that can be chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CardOption {
    /// 1–64 of `A–Z a–z 0–9 _ -`, distinct within the card.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$")))]
    pub id: String,
    /// 1–120 characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 120)))]
    pub label: String,
    /// At most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 500)))]
    pub description: Option<String>,
    /// What it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// What the price means ("642.00 each"), at most 80 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 80)))]
    pub price_note: Option<String>,
    /// Short facts, at most 8 of 120 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    #[cfg_attr(
        feature = "schema",
        schemars(schema_with = "nullable_list::<String>", length(max = 8), inner(length(min = 1, max = 120)))
    )]
    pub facts: Vec<String>,
    /// A journey from one place to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
}

/// Integer minor units and an ISO 4217 code; never a float.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units (cents), at most 2^53 − 1 either way.
    #[cfg_attr(feature = "schema", schemars(range(min = -crate::limits::INTEGER_MAX.cast_signed(), max = crate::limits::INTEGER_MAX.cast_signed())))]
    pub amount: i64,
    /// Three capital letters.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[A-Z]{3}$")))]
    pub currency: String,
}

/// A journey as people read it; every text at most 40 characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Local time of departure ("16:40").
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 40)))]
    pub departs: String,
    /// Place and zone of departure ("Paris, CET").
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 40)))]
    pub from: String,
    /// Local time of arrival.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 40)))]
    pub arrives: String,
    /// Place and zone of arrival.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 40)))]
    pub to: String,
    /// How long it takes ("11 h 25").
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 40)))]
    pub duration: String,
    /// Days between departure and arrival by the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = -30, max = 30)))]
    pub day_offset: Option<i32>,
}

/// A titled line of a card, such as one day of an itinerary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// "Day 3", at most 40 characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 40)))]
    pub label: String,
    /// At most 120 characters.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 120)))]
    pub title: String,
    /// At most 1,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 1000)))]
    pub text: Option<String>,
}
