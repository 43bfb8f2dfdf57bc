//! Choosing on a card: who wins, and what a late or stale choice is told. Pure; the log's compare-and-set makes it true.
//!
//! The rule of this version: exactly one of the options, the first choice on the current version wins. A refusal is definite:
//! it is remembered under its key, so that a network retry can never turn it into an acceptance.

use parlour_protocol::card::{CardState, Offer};
use parlour_protocol::entry::{Selection, Who};
use parlour_protocol::id::CardId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A card as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct CardRecord {
    /// Identity.
    pub id: CardId,
    /// The current version.
    pub version: i32,
    /// Where it stands.
    pub state: CardState,
    /// Moves with every change; what compare-and-set compares.
    pub revision: i32,
    /// The current version's offer.
    pub offer: Offer,
    /// Whose choice stands.
    pub holder: Option<Holder>,
}

/// Whose choice stands, and which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Who chose.
    pub who: Who,
    /// Ids of the chosen options.
    pub options: Vec<String>,
}

/// A choice as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The card.
    pub card: CardId,
    /// The version the chooser saw.
    pub version: i32,
    /// Ids of the chosen options.
    pub options: Vec<String>,
}

/// What becomes of a choice.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It stands, if the card's revision still is what the decision was made on.
    Accepted {
        /// The entry's body.
        selection: Selection,
        /// Who holds the card from now on.
        holder: Holder,
    },
    /// The card moved on; these are the facts the chooser is told.
    Refused(Map<String, Value>),
    /// The options break the rule.
    Invalid(&'static str),
}

/// Decides on a choice by `who`.
pub fn decide(card: &CardRecord, who: &Who, choice: &Choice) -> Decision {
    if choice.version != card.version || card.state != CardState::Open {
        return Decision::Refused(refusal(card));
    }
    let [option] = choice.options.as_slice() else {
        return Decision::Invalid("choose exactly one option");
    };
    let Some(chosen) = card.offer.options.iter().find(|offered| offered.id == *option) else {
        return Decision::Invalid("no such option on this card");
    };
    Decision::Accepted {
        selection: Selection {
            card: card.id,
            version: card.version,
            options: choice.options.clone(),
            title: card.offer.title.clone(),
            labels: vec![chosen.label.clone()],
            state: CardState::Decided,
        },
        holder: Holder { who: who.clone(), options: choice.options.clone() },
    }
}

fn refusal(card: &CardRecord) -> Map<String, Value> {
    let facts = json!({ "current_version": card.version, "state": card.state, "holder": card.holder });
    match facts {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
