//! Whether what came is what a scenario expects, and if not, where they differ.
//!
//! A subset match: every field that is named must be there and match; others may come along, as clients ignore what they do not
//! know. An object whose keys begin with `$` asks for more than equality. Nothing is bound unless the whole matches.

use std::fmt;

use parlour_protocol::time::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cli::conformance::words::Words;

/// Where expectation and reality part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mismatch {
    path: String,
    expected: String,
    got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "(all of it)" } else { self.path.trim_start_matches('.') };
        write!(f, "  at        {path}\n  expected  {}\n  got       {}", shortened(&self.expected), shortened(&self.got))
    }
}

/// Longest piece of a message in a report.
const SHOWN_CHARS: usize = 600;

/// A text, not too long.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

type Matched = Result<(), Mismatch>;

/// Compares, and binds what is asked to be bound.
pub(super) fn check(expected: &Value, got: &Value, words: &mut Words) -> Matched {
    let mut trial = words.clone();
    compare("", expected, Some(got), &mut trial)?;
    *words = trial;
    Ok(())
}

/// Whether it matches; binds nothing.
pub(super) fn matches(expected: &Value, got: &Value, words: &Words) -> bool {
    check(expected, got, &mut words.clone()).is_ok()
}

fn compare(path: &str, expected: &Value, got: Option<&Value>, words: &mut Words) -> Matched {
    let differ = |expected: String| {
        let got = got.map_or("nothing".to_owned(), Value::to_string);
        Err(Mismatch { path: path.to_owned(), expected, got })
    };
    match (expected, got) {
        (Value::Object(asked), got) if asked.keys().any(|name| is_question(name)) => {
            asked
                .iter()
                .filter(|(name, _)| is_question(name))
                .try_for_each(|(name, wanted)| ask(path, name, wanted, got, words))?;
            let named = || asked.iter().filter(|(name, _)| !is_question(name));
            match got {
                Some(Value::Object(got)) => fields(path, named(), got, words),
                _ if named().next().is_none() => Ok(()),
                _ => differ(expected.to_string()),
            }
        }
        (Value::Object(expected), Some(Value::Object(got))) => fields(path, expected.iter(), got, words),
        (Value::Array(expected), Some(Value::Array(got))) if expected.len() == got.len() => expected
            .iter()
            .zip(got)
            .enumerate()
            .try_for_each(|(at, (expected, got))| compare(&format!("{path}[{at}]"), expected, Some(got), words)),
        (Value::String(text), got) => match words.fill(&Value::String(text.clone())) {
            Ok(filled) if Some(&filled) == got => Ok(()),
            Ok(filled) => differ(filled.to_string()),
            Err(problem) => differ(problem),
        },
        (expected, Some(got)) if expected == got => Ok(()),
        (expected, _) => differ(expected.to_string()),
    }
}

fn is_question(name: &str) -> bool {
    name.starts_with('$')
}

fn fields<'a>(
    path: &str,
    mut expected: impl Iterator<Item = (&'a String, &'a Value)>,
    got: &Map<String, Value>,
    words: &mut Words,
) -> Matched {
    expected.try_for_each(|(name, value)| compare(&format!("{path}.{name}"), value, got.get(name), words))
}

/// One `$` question about a value, which may be absent.
fn ask(path: &str, name: &str, wanted: &Value, got: Option<&Value>, words: &mut Words) -> Matched {
    let mismatch = || Mismatch {
        path: path.to_owned(),
        expected: format!("{{{name:?}: {wanted}}}"),
        got: got.map_or("nothing".to_owned(), Value::to_string),
    };
    let filled = words.fill(wanted).map_err(|problem| Mismatch { expected: problem, ..mismatch() });
    let text = got.and_then(Value::as_str).unwrap_or_default();
    let items = got.and_then(Value::as_array);
    let holds = match name {
        "$absent" => got.is_none_or(Value::is_null),
        "$any" => got.is_some_and(|got| !got.is_null()),
        "$uuid" => text.parse::<Uuid>().is_ok_and(|id| id.to_string() == text),
        "$time" => serde_json::from_value::<Timestamp>(Value::from(text)).is_ok_and(|time| time.to_string() == text),
        "$above" => got.and_then(Value::as_f64).zip(filled?.as_f64()).is_some_and(|(got, bound)| got > bound),
        "$has" => got.is_some_and(|got| contains(got, &filled_text(&filled))),
        "$lacks" => got.is_some_and(|got| !contains(got, &filled_text(&filled))),
        "$length" => items.is_some_and(|items| filled.is_ok_and(|length| length.as_u64() == Some(items.len() as u64))),
        "$one_of" => got.is_some_and(|got| filled.is_ok_and(|all| all.as_array().is_some_and(|all| all.contains(got)))),
        "$some" => return some(wanted, items, words).ok_or_else(mismatch),
        "$none" => items.is_some_and(|items| !items.iter().any(|item| matches(wanted, item, words))),
        "$run" => items.is_some_and(|items| filled.is_ok_and(|first| is_run(items, first.as_i64()))),
        "$bind" => {
            let name = filled?.as_str().unwrap_or_default().to_owned();
            got.map(|got| words.set(name, got.clone())).is_some()
        }
        _ => false,
    };
    if holds { Ok(()) } else { Err(mismatch()) }
}

fn filled_text(filled: &Result<Value, Mismatch>) -> String {
    filled.as_ref().ok().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Whether a text stands anywhere in a value. No text at all stands everywhere.
fn contains(value: &Value, text: &str) -> bool {
    value.to_string().contains(text)
}

/// Whether one of the items matches; what that one binds is bound.
fn some(wanted: &Value, items: Option<&Vec<Value>>, words: &mut Words) -> Option<()> {
    items?.iter().find_map(|item| check(wanted, item, words).ok())
}

/// Whether the items are numbered from there on without hole or repeat, and there are some.
fn is_run(items: &[Value], first: Option<i64>) -> bool {
    let numbered = |first: i64| (first..).zip(items).all(|(seq, item)| item["seq"].as_i64() == Some(seq));
    !items.is_empty() && first.is_some_and(numbered)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(expected: Value, got: Value) -> bool {
        let mut words = Words::default();
        words.set("seq", json!(3));
        matches(&expected, &got, &words)
    }

    #[test]
    fn what_is_named_must_be_there_and_the_rest_may() {
        assert!(fits(json!({ "a": { "b": 1 } }), json!({ "a": { "b": 1, "c": 2 }, "d": 3 })));
        assert!(!fits(json!({ "a": 1 }), json!({ "b": 1 })));
        assert!(!fits(json!({ "a": 1 }), json!({ "a": 2 })));
        assert!(!fits(json!([1]), json!([1, 2])), "an array is matched whole");
        assert!(fits(json!({ "$lacks": "canary", "a": 1 }), json!({ "a": 1, "b": 2 })));
        assert!(!fits(json!({ "$lacks": "canary", "a": 1 }), json!({ "a": 2 })), "questions and fields go together");
        assert!(!fits(json!({ "$any": true, "a": 1 }), json!(1)));
        assert!(fits(json!({ "seq": "{{seq}}" }), json!({ "seq": 3 })));
        assert!(!fits(json!({ "seq": "{{seq}}" }), json!({ "seq": "3" })), "types count");
    }

    #[test]
    fn every_question_can_be_answered_both_ways() {
        let run = json!([{ "seq": 4 }, { "seq": 5 }]);
        for (question, yes, no) in [
            (json!({ "$any": true }), json!(0), Value::Null),
            (json!({ "$absent": true }), Value::Null, json!(0)),
            (json!({ "$uuid": true }), json!("01934a5e-0000-7000-8000-0000000000c0"), json!("kenya")),
            (json!({ "$time": true }), json!("2026-11-21T12:00:00.000Z"), json!("2026-11-21T12:00:00Z")),
            (json!({ "$above": "{{seq}}" }), json!(4), json!(3)),
            (json!({ "$has": "canary" }), json!(["a canary"]), json!([])),
            (json!({ "$lacks": "canary" }), json!([]), json!(["a canary"])),
            (json!({ "$length": 2 }), run.clone(), json!([1])),
            (json!({ "$one_of": [1, 2] }), json!(2), json!(3)),
            (json!({ "$some": { "seq": 5 } }), run.clone(), json!([])),
            (json!({ "$none": { "seq": 6 } }), run.clone(), json!([{ "seq": 6 }])),
            (json!({ "$run": "{{seq+1}}" }), run, json!([{ "seq": 4 }, { "seq": 6 }])),
        ] {
            assert!(fits(question.clone(), yes.clone()), "{question} of {yes}");
            assert!(!fits(question.clone(), no.clone()), "{question} of {no}");
        }
        assert!(!fits(json!({ "$unheard_of": true }), json!(1)));
        assert!(!fits(json!([{ "$run": 1 }]), json!([[]])), "no entries are no run");
    }

    #[test]
    fn nothing_is_bound_unless_the_whole_matches() {
        let mut words = Words::default();
        let expected = json!({ "a": { "$bind": "a" }, "b": 2 });
        let mismatch = check(&expected, &json!({ "a": 1, "b": 3 }), &mut words).unwrap_err();
        assert_eq!(words.as_value(), json!({}));
        assert_eq!(mismatch.to_string(), "  at        b\n  expected  2\n  got       3");
        check(&expected, &json!({ "a": 1, "b": 2 }), &mut words).unwrap();
        assert_eq!(words.as_value(), json!({ "a": 1 }));
    }
}
