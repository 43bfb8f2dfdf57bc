//! What became of the scenarios, for people and for programs.
//!
//! Pure: colour is a question the caller answers.

use std::time::Duration;

use parlour_protocol::codec::Codec;
use serde_json::{Value, json};

use crate::cli::conformance::player::Stopped;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// One scenario, played in one codec.
#[derive(Debug)]
pub(super) struct Row {
    pub scenario: String,
    pub title: String,
    pub spec: String,
    pub codec: Codec,
    pub steps: usize,
    pub took: Duration,
    pub notes: Vec<String>,
    pub outcome: Result<(), Stopped>,
}

impl Row {
    /// How the lines of [`Row::text`] are headed.
    pub fn head() -> String {
        format!("{:<26} {:<8} {:<8} {:>5}  {:<7} {:>6}", "scenario", "spec", "codec", "steps", "result", "ms")
    }

    /// Its line, and below it what went wrong.
    pub fn text(&self, colors: bool) -> String {
        let (word, color) = match self.outcome {
            Ok(()) => ("passed", GREEN),
            Err(Stopped::Failed(_)) => ("FAILED", RED),
            Err(Stopped::Skipped(_)) => ("skipped", YELLOW),
        };
        let (on, off) = if colors { (color, PLAIN) } else { ("", "") };
        let Self { scenario, spec, steps, .. } = self;
        let (codec, ms) = (self.codec_name(), self.took.as_millis());
        let mut text = format!("{scenario:<26} {spec:<8} {codec:<8} {steps:>5}  {on}{word:<7}{off} {ms:>6}");
        for line in self.notes.iter().map(String::as_str).chain(self.why().unwrap_or_default().lines()) {
            text.push_str("\n    ");
            text.push_str(line);
        }
        text
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let result = match self.outcome {
            Ok(()) => "passed",
            Err(Stopped::Failed(_)) => "failed",
            Err(Stopped::Skipped(_)) => "skipped",
        };
        json!({ "name": self.scenario, "title": self.title, "spec": self.spec, "codec": self.codec_name(), "steps": self.steps,
                "result": result, "ms": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX), "notes": self.notes, "why": self.why() })
    }

    /// Whether the server did something else.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Err(Stopped::Failed(_)))
    }

    fn why(&self) -> Option<&str> {
        match &self.outcome {
            Ok(()) => None,
            Err(Stopped::Failed(why) | Stopped::Skipped(why)) => Some(why),
        }
    }

    fn codec_name(&self) -> &'static str {
        match self.codec {
            Codec::Json => "json",
            Codec::MessagePack => "msgpack",
        }
    }
}

/// How many came out how: `(passed, failed, skipped)`.
pub(super) fn counts(rows: &[Row]) -> (usize, usize, usize) {
    let failed = rows.iter().filter(|row| row.has_failed()).count();
    let passed = rows.iter().filter(|row| row.outcome.is_ok()).count();
    (passed, failed, rows.len() - passed - failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(outcome: Result<(), Stopped>) -> Row {
        let (scenario, title, spec) = ("hello".to_owned(), "A greeting.".to_owned(), "§2.1".to_owned());
        Row {
            scenario,
            title,
            spec,
            codec: Codec::Json,
            steps: 7,
            took: Duration::from_millis(42),
            notes: Vec::new(),
            outcome,
        }
    }

    #[test]
    fn a_row_is_a_line_and_a_failure_says_why_below() {
        let passed = row(Ok(())).text(false);
        assert_eq!(passed.split_whitespace().collect::<Vec<_>>(), ["hello", "§2.1", "json", "7", "passed", "42"]);
        let failed = row(Err(Stopped::Failed("step 3\n  expected  1".into()))).text(true);
        assert!(failed.contains("\x1b[31mFAILED ") && failed.ends_with("\n    step 3\n      expected  1"), "{failed}");
        assert_eq!(row(Err(Stopped::Skipped("one node".into()))).json()["why"], "one node");
    }

    #[test]
    fn rows_are_counted_by_how_they_came_out() {
        let rows = [row(Ok(())), row(Err(Stopped::Failed(String::new()))), row(Err(Stopped::Skipped(String::new())))];
        assert_eq!(counts(&rows), (1, 1, 1));
    }
}
