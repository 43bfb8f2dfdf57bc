//! The values a card may hold (SPEC §7), checked once before the draft is made.
//!
//! Only shapes and sizes: who may choose, and when, is [`crate::domain`]'s `selection`. No rule here depends on who asks.

use std::collections::HashSet;

use parlour_protocol::card::{CardOption, Detail, Money, Offer, Route};
use parlour_protocol::limits::{CARD_BYTES_MAX, INTEGER_MAX};

use crate::domain::text::{is_blank, is_unfit};
use crate::domain::violation::Violation;

const OPTIONS_MAX: usize = 20;
const DETAILS_MAX: usize = 40;
const FACTS_MAX: usize = 8;
const ROUTE_CHARS_MAX: usize = 40;
const DAY_OFFSET_MAX: i32 = 30;

/// Checks an offer as its author wrote it.
///
/// # Errors
/// The first value that breaks a rule, by its path; `TooLarge` when the whole card is.
pub fn check(offer: &Offer) -> Result<(), Violation> {
    required("title", &offer.title, 120)?;
    optional("subtitle", offer.subtitle.as_deref(), 200)?;
    optional("note", offer.note.as_deref(), 500)?;
    check_options(&offer.options)?;
    if offer.details.len() > DETAILS_MAX {
        return Err(Violation::invalid("details", "at most 40"));
    }
    offer.details.iter().enumerate().try_for_each(|(at, detail)| check_detail(&format!("details[{at}]"), detail))?;
    let bytes = serde_json::to_vec(offer).map_or(usize::MAX, |json| json.len());
    if bytes > CARD_BYTES_MAX { Err(Violation::too_large("card", "a card is at most 32 KiB")) } else { Ok(()) }
}

fn check_options(options: &[CardOption]) -> Result<(), Violation> {
    if options.is_empty() || options.len() > OPTIONS_MAX {
        return Err(Violation::invalid("options", "1 to 20 options"));
    }
    let mut ids = HashSet::with_capacity(options.len());
    for (at, option) in options.iter().enumerate() {
        let path = format!("options[{at}]");
        check_option(&path, option)?;
        if !ids.insert(option.id.as_str()) {
            return Err(Violation::invalid(format!("{path}.id"), "distinct within the card"));
        }
    }
    Ok(())
}

fn check_option(path: &str, option: &CardOption) -> Result<(), Violation> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if option.id.is_empty() || option.id.len() > 64 || !option.id.bytes().all(is_word) {
        return Err(Violation::invalid(format!("{path}.id"), "1 to 64 of A-Z a-z 0-9 _ -"));
    }
    required(&format!("{path}.label"), &option.label, 120)?;
    optional(&format!("{path}.description"), option.description.as_deref(), 500)?;
    optional(&format!("{path}.price_note"), option.price_note.as_deref(), 80)?;
    if option.facts.len() > FACTS_MAX {
        return Err(Violation::invalid(format!("{path}.facts"), "at most 8"));
    }
    option.facts.iter().enumerate().try_for_each(|(at, fact)| required(&format!("{path}.facts[{at}]"), fact, 120))?;
    option.price.as_ref().map_or(Ok(()), |price| check_money(&format!("{path}.price"), price))?;
    option.route.as_ref().map_or(Ok(()), |route| check_route(&format!("{path}.route"), route))
}

fn check_money(path: &str, money: &Money) -> Result<(), Violation> {
    if money.amount.unsigned_abs() > INTEGER_MAX {
        return Err(Violation::invalid(format!("{path}.amount"), "at most 2^53 - 1 minor units either way"));
    }
    if money.currency.len() != 3 || !money.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Violation::invalid(format!("{path}.currency"), "an ISO 4217 code, such as EUR"));
    }
    Ok(())
}

fn check_route(path: &str, route: &Route) -> Result<(), Violation> {
    for (name, text) in [
        ("departs", &route.departs),
        ("from", &route.from),
        ("arrives", &route.arrives),
        ("to", &route.to),
        ("duration", &route.duration),
    ] {
        required(&format!("{path}.{name}"), text, ROUTE_CHARS_MAX)?;
    }
    match route.day_offset {
        Some(days) if days.abs() > DAY_OFFSET_MAX => {
            Err(Violation::invalid(format!("{path}.day_offset"), "at most 30 days either way"))
        }
        _ => Ok(()),
    }
}

fn check_detail(path: &str, detail: &Detail) -> Result<(), Violation> {
    required(&format!("{path}.label"), &detail.label, 40)?;
    required(&format!("{path}.title"), &detail.title, 120)?;
    optional(&format!("{path}.text"), detail.text.as_deref(), 1_000)
}

fn required(path: &str, text: &str, chars_max: usize) -> Result<(), Violation> {
    if is_blank(text) {
        return Err(Violation::invalid(path, "must not be empty"));
    }
    optional(path, Some(text), chars_max)
}

fn optional(path: &str, text: Option<&str>, chars_max: usize) -> Result<(), Violation> {
    let Some(text) = text else { return Ok(()) };
    if text.chars().any(is_unfit) {
        return Err(Violation::invalid(path, "must not hold control characters"));
    }
    if text.chars().count() > chars_max {
        return Err(Violation::invalid(path, format!("at most {chars_max} characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn offer() -> Value {
        json!({
            "kind": "choice", "title": "Your flights", "subtitle": "Two good ones", "note": "Held for 24 h",
            "options": [
                {"id": "opt-1", "label": "Direct", "description": "Night flight", "price": {"amount": 128_400, "currency": "EUR"},
                 "price_note": "642.00 each", "facts": ["2 bags"],
                 "route": {"departs": "16:40", "from": "Paris, CET", "arrives": "07:05", "to": "Malé, MVT",
                           "duration": "11 h 25", "day_offset": 1}},
                {"id": "opt-2", "label": "Via Doha"}
            ],
            "details": [{"label": "Day 1", "title": "Arrival", "text": "Boat to the island"}]
        })
    }

    fn path_of(change: impl FnOnce(&mut Value)) -> String {
        let mut value = offer();
        change(&mut value);
        match check(&serde_json::from_value(value).unwrap()) {
            Ok(()) => "ok".to_owned(),
            Err(Violation::Invalid { path, .. }) => path,
            Err(Violation::TooLarge { path, .. }) => format!("too large: {path}"),
        }
    }

    #[test]
    fn a_full_card_is_accepted() {
        assert_eq!(path_of(|_| {}), "ok");
    }

    #[test]
    fn each_text_has_its_limit_and_the_limit_itself_is_allowed() {
        for (pointer, path, max) in [
            ("/title", "title", 120),
            ("/subtitle", "subtitle", 200),
            ("/note", "note", 500),
            ("/options/0/label", "options[0].label", 120),
            ("/options/0/description", "options[0].description", 500),
            ("/options/0/price_note", "options[0].price_note", 80),
            ("/options/0/facts/0", "options[0].facts[0]", 120),
            ("/options/0/route/from", "options[0].route.from", 40),
            ("/details/0/label", "details[0].label", 40),
            ("/details/0/title", "details[0].title", 120),
            ("/details/0/text", "details[0].text", 1_000),
        ] {
            let set = |text: String| move |value: &mut Value| *value.pointer_mut(pointer).unwrap() = json!(text);
            assert_eq!(path_of(set("é".repeat(max))), "ok", "{path} at its limit");
            assert_eq!(path_of(set("é".repeat(max + 1))), path, "{path} over its limit");
            assert_eq!(path_of(set("a\0".to_owned())), path, "{path} with NUL");
        }
    }

    #[test]
    fn required_texts_are_not_blank() {
        for (pointer, path) in [("/title", "title"), ("/options/1/label", "options[1].label")] {
            assert_eq!(path_of(|value| *value.pointer_mut(pointer).unwrap() = json!("  ")), path);
        }
    }

    #[test]
    fn options_are_one_to_twenty_with_distinct_plain_ids() {
        let many = |count: usize| {
            move |value: &mut Value| {
                value["options"] = (0..count).map(|at| json!({"id": format!("o{at}"), "label": "x"})).collect()
            }
        };
        assert_eq!(path_of(many(20)), "ok");
        assert_eq!(path_of(many(0)), "options");
        assert_eq!(path_of(many(21)), "options");
        assert_eq!(path_of(|value| value["options"][1]["id"] = json!("opt-1")), "options[1].id");
        for id in ["", "a b", "é", "a/b", &"x".repeat(65)] {
            assert_eq!(path_of(|value| value["options"][0]["id"] = json!(id)), "options[0].id", "{id}");
        }
    }

    #[test]
    fn money_is_exact_in_every_json_reader() {
        let amount = |amount: i64| path_of(|value| value["options"][0]["price"]["amount"] = json!(amount));
        assert_eq!(amount((1 << 53) - 1), "ok");
        assert_eq!(amount(-(1 << 53)), "options[0].price.amount");
        assert_eq!(amount(i64::MIN), "options[0].price.amount");
        for currency in ["eur", "EURO", "E1R", ""] {
            let path = path_of(|value| value["options"][0]["price"]["currency"] = json!(currency));
            assert_eq!(path, "options[0].price.currency");
        }
    }

    #[test]
    fn a_card_within_each_limit_can_still_be_too_large() {
        let path = path_of(|value| {
            let detail = json!({"label": "d", "title": "t", "text": "x".repeat(1_000)});
            value["details"] = (0..40).map(|_| detail.clone()).collect();
        });
        assert_eq!(path, "too large: card");
    }
}
