//! The variables of a scenario, and how `{{…}}` in its texts is filled in.
//!
//! A text that is nothing but `{{name}}` becomes the variable's value with its type; inside of other text it becomes text.
//! Never guesses: a name nobody bound is an error. `protocol/README.md` lists what can stand between the braces.

use parlour_protocol::time::Timestamp;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Names and what they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Words(Map<String, Value>);

impl Words {
    /// Gives a name its value; what it had before.
    pub fn set(&mut self, name: impl Into<String>, value: Value) -> Option<Value> {
        self.0.insert(name.into(), value)
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// All of them as one value, to be matched.
    pub fn as_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// A value with every text in it filled in.
    pub fn fill(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => self.fill_text(text),
            Value::Array(items) => items.iter().map(|item| self.fill(item)).collect(),
            Value::Object(map) => {
                let pair = |(key, value): (&String, &Value)| Ok((self.text(key)?, self.fill(value)?));
                map.iter().map(pair).collect::<Result<Map<_, _>, String>>().map(Value::Object)
            }
            other => Ok(other.clone()),
        }
    }

    /// A text with everything filled in, as text.
    pub fn text(&self, text: &str) -> Result<String, String> {
        Ok(as_text(&self.fill_text(text)?))
    }

    /// Innermost braces first, so that one name can be made of another: `{{{{name}}_token}}`.
    fn fill_text(&self, text: &str) -> Result<Value, String> {
        let mut text = text.to_owned();
        while let Some(end) = text.find("}}") {
            let Some(start) = text[..end].rfind("{{") else { return Err(format!("`}}}}` without beginning: {text}")) };
            let value = self.look_up(&text[start + 2..end])?;
            if start == 0 && end + 2 == text.len() {
                return Ok(value);
            }
            text.replace_range(start..end + 2, &as_text(&value));
        }
        if text.contains("{{") { Err(format!("`{{{{` without end: {text}")) } else { Ok(Value::String(text)) }
    }

    fn look_up(&self, name: &str) -> Result<Value, String> {
        let unknown = || format!("nothing is called `{name}`");
        if let Some(value) = self.0.get(name) {
            return Ok(value.clone());
        }
        if name == "uuid" {
            return Ok(json!(Uuid::now_v7()));
        }
        if let Some(rest) = name.strip_prefix("fill:") {
            let (count, unit) = rest.split_once(':').unwrap_or((rest, "x"));
            return Ok(Value::String(unit.repeat(count.parse().map_err(|_| unknown())?)));
        }
        if let Some(seconds) = name.strip_prefix("in:") {
            let ahead = Duration::seconds(seconds.parse().map_err(|_| unknown())?);
            return Ok(json!(Timestamp(OffsetDateTime::now_utc() + ahead)));
        }
        let (base, step) = name.split_once('+').ok_or_else(unknown)?;
        let base = self.0.get(base).and_then(Value::as_i64).ok_or_else(unknown)?;
        Ok(json!(base + step.parse::<i64>().map_err(|_| unknown())?))
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let mut words = Words::default();
        words.set("name", json!("maria"));
        words.set("seq", json!(41));
        words
    }

    #[test]
    fn a_text_that_is_one_name_keeps_the_type() {
        let filled = words().fill(&json!({ "a": "{{seq}}", "b": "at {{seq}}", "{{name}}_c": "{{seq+-1}}" })).unwrap();
        assert_eq!(filled, json!({ "a": 41, "b": "at 41", "maria_c": 40 }));
    }

    #[test]
    fn what_is_made_up_on_the_spot() {
        let words = words();
        assert_eq!(words.fill(&json!("{{fill:3}}{{fill:2:☀}}")).unwrap(), json!("xxx☀☀"));
        assert_ne!(words.text("{{uuid}}").unwrap(), words.text("{{uuid}}").unwrap());
        assert!(words.text("{{in:60}}").unwrap().ends_with('Z'));
    }

    #[test]
    fn a_name_can_be_made_of_another() {
        let mut words = words();
        words.set("maria_seq", json!(7));
        assert_eq!(words.fill(&json!("{{{{name}}_seq}}")).unwrap(), json!(7));
        assert_eq!(words.fill(&json!("{{{{name}}_seq+1}}!")).unwrap(), json!("8!"));
    }

    #[test]
    fn a_name_nobody_bound_is_an_error() {
        for text in ["{{nobody}}", "{{name+1}}", "{{seq+x}}", "{{fill:x}}", "{{seq", "seq}}"] {
            assert!(words().fill(&json!(text)).is_err(), "{text}");
        }
    }
}
