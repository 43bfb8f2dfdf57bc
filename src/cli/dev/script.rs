//! The demonstration as data (`demo.json`): an organization, its people, its systems, and what was said.
//!
//! Only shapes; `demo.rs` plays it through the same commands that everybody uses. Every name and address in it is invented.

use parlour_protocol::card::Offer;
use serde::Deserialize;

use crate::cli::error::{CliError, Exit};

const SCRIPT: &str = include_str!("demo.json");

/// The whole demonstration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The tenant.
    pub organization: ScriptOrganization,
    /// Who logs in; the first one leads.
    pub staff: Vec<ScriptStaff>,
    /// Systems that write.
    pub systems: Vec<ScriptSystem>,
    /// What was said, oldest first.
    pub conversations: Vec<ScriptConversation>,
}

/// The tenant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptOrganization {
    pub name: String,
    pub slug: String,
    pub color: String,
    pub contact_email: String,
    pub contact_phone: String,
}

/// A member of staff.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptStaff {
    /// How steps call them.
    pub key: String,
    pub name: String,
    pub email: String,
    pub role: String,
}

/// A system.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptSystem {
    /// How steps call it.
    pub key: String,
    pub name: String,
}

/// One conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptConversation {
    pub title: String,
    pub stage: String,
    pub channel: String,
    /// The client's name, where a client writes; they come in by a link of their own.
    pub guest: Option<String>,
    /// Whether the printed link leads here.
    #[serde(default)]
    pub is_main: bool,
    pub steps: Vec<Step>,
    /// Staff who have read everything.
    pub read_by: Vec<String>,
}

/// One thing that was said or offered.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// A member of staff, a system, or `guest`.
    pub by: String,
    #[serde(flatten)]
    pub what: What,
}

/// What it was.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A message to everybody.
    Text(String),
    /// A note among staff.
    Note(String),
    /// A card.
    Card(Offer),
}

impl Script {
    /// Reads the script that is built in.
    pub fn read() -> Result<Self, CliError> {
        let broken = |error| CliError::new(Exit::Internal, format!("the demonstration's script is broken: {error}"));
        serde_json::from_str(SCRIPT).map_err(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::brand::Color;
    use crate::domain::offer;
    use crate::domain::role::Role;
    use crate::domain::text::MessageText;

    #[test]
    fn the_script_can_be_played() {
        let script = Script::read().unwrap();
        assert!(script.organization.color.parse::<Color>().is_ok());
        assert!(script.staff.iter().all(|person| Role::find(&person.role).is_some()));
        assert_eq!(script.conversations.iter().filter(|conversation| conversation.is_main).count(), 1);
        let names: Vec<&str> = script.staff.iter().map(|person| person.key.as_str()).collect();
        for conversation in &script.conversations {
            assert!(conversation.read_by.iter().all(|key| names.contains(&key.as_str())));
            for step in &conversation.steps {
                let is_system = script.systems.iter().any(|system| system.key == step.by);
                let is_guest = step.by == "guest" && conversation.guest.is_some();
                assert!(is_guest || is_system || names.contains(&step.by.as_str()), "{}", step.by);
                match &step.what {
                    What::Text(text) | What::Note(text) => assert!(MessageText::parse(text.clone()).is_ok()),
                    What::Card(card) => assert!(offer::check(card).is_ok(), "{}", card.title),
                }
            }
        }
    }

    #[test]
    fn the_main_conversation_shows_three_cards() {
        let script = Script::read().unwrap();
        let main = script.conversations.iter().find(|conversation| conversation.is_main).unwrap();
        let cards: Vec<&Offer> = main
            .steps
            .iter()
            .filter_map(|step| if let What::Card(card) = &step.what { Some(card) } else { None })
            .collect();
        let options: Vec<usize> = cards.iter().map(|card| card.options.len()).collect();
        assert_eq!(options, [3, 3, 2]);
        assert!(cards[0].options.iter().all(|option| option.route.is_some() && option.price.is_some()));
        assert!(!cards[2].details.is_empty());
    }
}
