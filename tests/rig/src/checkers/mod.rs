//! Checkers: each looks at a finished history and says what broke one promise, in sentences that name the operation, the room
//! and the number.
//!
//! They are pure: no clock, no network, no database. None may pass for want of something to look at ([`check`] sees to it).
//! The promises are listed in docs/rig.md; a checker is one file here, and its first lines say what it holds the server to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::history::{Act, Event, History};
use crate::plan::Kind;
use index::Index;

mod bounds;
mod dense;
mod durable;
#[cfg(test)]
pub mod fixture;
mod index;
mod liveness;
mod presence;
#[cfg(test)]
mod property;
mod realtime;
mod resume;
mod revocation;
mod staleness;
mod state;
mod walls;
mod windows;
mod winner;

/// How many violations are told in full; the others are only counted.
const TOLD: usize = 20;

/// What a checker has to say.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// Which checker: `C1` …
    pub checker: &'static str,
    /// What it holds the server to.
    pub promise: &'static str,
    /// How many things it looked at.
    pub checked: u64,
    /// The first violations, as sentences.
    pub violations: Vec<String>,
    /// How many there were in all.
    pub count: u64,
    /// The same by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// What it measured on the way.
    pub figures: BTreeMap<&'static str, f64>,
}

impl Verdict {
    fn new(checker: &'static str, promise: &'static str) -> Self {
        let (kinds, figures) = (BTreeMap::new(), BTreeMap::new());
        Self { checker, promise, checked: 0, violations: Vec::new(), count: 0, kinds, figures }
    }

    /// Counts something that was looked at.
    fn looked(&mut self) {
        self.checked += 1;
    }

    /// Notes a violation; the sentence is made only while there is room for it.
    fn violated(&mut self, kind: &'static str, sentence: impl FnOnce() -> String) {
        self.count += 1;
        *self.kinds.entry(kind).or_default() += 1;
        if self.violations.len() < TOLD {
            self.violations.push(sentence());
        }
    }

    /// Violations of one kind.
    pub fn of_kind(&self, kind: &str) -> u64 {
        self.kinds.get(kind).copied().unwrap_or_default()
    }

    /// Whether the promise was kept.
    pub fn is_kept(&self) -> bool {
        self.count == 0
    }
}

/// Holds a finished run against every promise.
pub fn check(history: &History) -> Vec<Verdict> {
    let index = Index::new(history);
    let mut verdicts = vec![
        durable::check(&index),
        dense::check(&index),
        realtime::check(&index),
        resume::check(&index),
        staleness::check(&index),
        winner::check(&index),
        revocation::check(&index),
        walls::check(&index),
        presence::check(&index),
        liveness::check(&index),
        bounds::check(&index),
        state::check(&index),
    ];
    for verdict in &mut verdicts {
        if verdict.checked == 0 && has_what_it_takes(history, verdict.checker) {
            verdict.violated("vacuous", || "nothing was looked at, although the run had what it takes".to_owned());
        }
    }
    verdicts
}

/// Whether a reader was given an entry.
pub fn is_entry(event: &Event) -> bool {
    index::given(event).is_some()
}

/// Whether a run must have given a checker something to look at.
fn has_what_it_takes(history: &History, checker: &str) -> bool {
    match checker {
        "C6" => history.ops.iter().any(|op| matches!(op.act, Act::Select(..))),
        "C7" => history.strikes.iter().any(|strike| strike.fault.kind == Kind::EndRights),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::fixture::Story;

    #[test]
    fn a_run_without_fault_keeps_every_promise() {
        for verdict in check(&Story::whole()) {
            assert!(verdict.is_kept(), "{}: {:?}", verdict.checker, verdict.violations);
            assert!(verdict.checked > 0, "{} looked at nothing", verdict.checker);
        }
    }

    #[test]
    fn a_run_in_which_nothing_happened_keeps_no_promise() {
        let verdicts = check(&History::default());
        let vacuous: Vec<&str> = verdicts.iter().filter(|v| v.of_kind("vacuous") == 1).map(|v| v.checker).collect();
        assert_eq!(vacuous, ["C1", "C2", "C3", "C4", "C5", "C8", "C9", "C11", "C12", "C13"]);
    }

    #[test]
    fn of_many_violations_the_first_are_told_and_all_are_counted() {
        let mut verdict = Verdict::new("C1", "x");
        for n in 0..100 {
            verdict.violated("lost", || format!("op {n}"));
        }
        assert_eq!((verdict.count, verdict.of_kind("lost"), verdict.violations.len()), (100, 100, TOLD));
    }
}
