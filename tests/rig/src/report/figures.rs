//! Figures: a run in numbers, as they are published. They are counted from the verdicts, so that none can say `0 lost` that a
//! checker did not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::faults::label;
use crate::checkers::Verdict;
use crate::history::History;
use crate::plan::Plan;

/// A run in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// What drove it.
    pub seed: u64,
    /// How long the workload ran.
    pub seconds: u64,
    /// How many nodes served it.
    pub nodes: u64,
    /// Whether every promise was kept.
    pub is_clean: bool,
    /// Operations tried.
    pub operations: u64,
    /// Of them acknowledged.
    pub acked: u64,
    /// Entries that readers were given.
    pub given: u64,
    /// Faults that came to pass.
    pub faults: u64,
    /// Faults of the plan.
    pub planned: u64,
    /// Of those that came to pass, what they broke did not work again.
    pub unrecovered: u64,
    /// The slowest recovery after a cause was gone.
    pub longest_recovery_ms: f64,
    /// Acknowledged and not there, somewhere.
    pub lost: u64,
    /// Stored twice.
    pub duplicated: u64,
    /// Holes in a log or a stream.
    pub gaps: u64,
    /// Out of order, by numbers or in time.
    pub reordered: u64,
    /// Found where it must not be.
    pub leaked: u64,
    /// The longest that an attached reader was without what had been acknowledged, without excuse.
    pub worst_staleness_ms: f64,
    /// From ack to another screen, while nothing was broken.
    pub staleness: Spread,
    /// From the end of somebody's rights to the end of their socket.
    pub revoke_to_close: Spread,
    /// The longest of those while nodes could not hear each other.
    pub revoke_to_close_without_redis_ms: Option<f64>,
    /// Cards that somebody chose on.
    pub cards: u64,
    /// Of them with a winner.
    pub winners: u64,
    /// Of them wanted by several.
    pub contested: u64,
    /// Rooms at nodes that named exactly those who were there.
    pub attendances: u64,
    /// Of them wrong.
    pub attendances_wrong: u64,
    /// Times a reader went on from a position.
    pub resumes: u64,
    /// Readers at which more was pushed than may wait for them, while they did not read.
    pub flooded: u64,
    /// The highest values of gauges.
    pub highest: BTreeMap<&'static str, f64>,
    /// Faults by kind.
    pub kinds: BTreeMap<String, Struck>,
}

/// How something was spread.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Spread {
    /// The middle.
    pub p50_ms: f64,
    /// All but one of a hundred.
    pub p99_ms: f64,
    /// All.
    pub max_ms: f64,
    /// Of how many.
    pub count: u64,
}

/// Faults of a kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Struck {
    /// How many.
    pub count: u64,
    /// The slowest recovery after a cause was gone.
    pub slowest_recovery_ms: f64,
    /// How many did not recover.
    pub unrecovered: u64,
}

impl Figures {
    /// Counts.
    pub fn of(history: &History, plan: &Plan, verdicts: &[Verdict]) -> Self {
        let kinds = kinds(history);
        let by = |checker: &str, kind: &str| {
            verdicts.iter().find(|verdict| verdict.checker == checker).map_or(0, |verdict| verdict.of_kind(kind))
        };
        let measured = |checker: &str, name: &str| {
            verdicts.iter().find(|verdict| verdict.checker == checker)?.figures.get(name).copied()
        };
        let whole = |checker: &str, name: &str| measured(checker, name).unwrap_or_default() as u64;
        let spread = |checker: &str, of: &str| Spread {
            p50_ms: measured(checker, &format!("{of}_p50_ms")).unwrap_or_default(),
            p99_ms: measured(checker, &format!("{of}_p99_ms")).unwrap_or_default(),
            max_ms: measured(checker, &format!("{of}_max_ms")).unwrap_or_default(),
            count: whole(checker, of),
        };
        let highest = verdicts.iter().filter(|verdict| verdict.checker == "C12").flat_map(|verdict| &verdict.figures);
        Self {
            seed: history.seed,
            seconds: history.ended / 1_000_000_000,
            nodes: nodes(history),
            is_clean: verdicts.iter().all(Verdict::is_kept),
            operations: history.ops.len() as u64,
            acked: history.acked().count() as u64,
            given: history.seen.iter().filter(|seen| crate::checkers::is_entry(&seen.event)).count() as u64,
            faults: history.strikes.len() as u64,
            planned: plan.faults.len() as u64,
            unrecovered: kinds.values().map(|kind| kind.unrecovered).sum(),
            longest_recovery_ms: kinds.values().map(|kind| kind.slowest_recovery_ms).fold(0.0, f64::max),
            lost: by("C1", "lost"),
            duplicated: by("C1", "duplicated") + by("C1", "shared"),
            gaps: by("C2", "gap") + by("C4", "gap") + by("C4", "missing"),
            reordered: by("C3", "reordered") + by("C3", "pipeline") + by("C4", "reordered"),
            leaked: verdicts.iter().filter(|verdict| verdict.checker == "C8").map(|verdict| verdict.count).sum(),
            worst_staleness_ms: measured("C5", "worst_ms").unwrap_or_default(),
            staleness: spread("C5", "healthy"),
            revoke_to_close: spread("C7", "closed"),
            revoke_to_close_without_redis_ms: measured("C7", "closed_without_redis_max_ms"),
            cards: whole("C6", "cards"),
            winners: whole("C6", "winners"),
            contested: whole("C6", "contested"),
            attendances: history.attendances.len() as u64,
            attendances_wrong: by("C9", "ghost") + by("C9", "missing") + by("C9", "undecided"),
            resumes: whole("C4", "resumes"),
            flooded: whole("C12", "flooded"),
            highest: highest.filter(|(name, _)| name.ends_with("_max")).map(|(name, value)| (*name, *value)).collect(),
            kinds,
        }
    }
}

/// How many nodes were there by what is known of them.
fn nodes(history: &History) -> u64 {
    let sampled = history.samples.iter().filter_map(|sample| sample.of.strip_prefix("node-"));
    let numbers: std::collections::BTreeSet<&str> = sampled.collect();
    let asked: std::collections::BTreeSet<u8> =
        history.attendances.iter().map(|attendance| attendance.node.0).collect();
    numbers.len().max(asked.len()) as u64
}

fn kinds(history: &History) -> BTreeMap<String, Struck> {
    let mut kinds: BTreeMap<String, Struck> = BTreeMap::new();
    for strike in &history.strikes {
        let struck = kinds.entry(label(&strike.fault.kind).kind.to_owned()).or_default();
        struck.count += 1;
        match strike.recovered {
            Some(at) => {
                let took = at.saturating_sub(strike.healed) as f64 / 1e6;
                struck.slowest_recovery_ms = struck.slowest_recovery_ms.max(took);
            }
            None => struck.unrecovered += 1,
        }
    }
    kinds
}
