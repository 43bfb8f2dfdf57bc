//! What provokes a mutant: the faults that its patch names, one after the other, at one node after the other.
//!
//! Fixed, not drawn: a mutant that is missed must be missed again. The same plan is run against the product as it is, where
//! nothing may be found.

use crate::history::Node;
use crate::plan::{Fault, Kind, Link, Plan, Way};

/// How long the workload runs.
pub const SECONDS: u64 = 40;
/// Messages that must be acknowledged before silence of the checkers means anything.
pub const ACKS: u64 = 2_000;
/// When the first fault strikes: everybody has come in by then.
const FIRST_MS: u64 = 5_000;
/// No fault begins later before the end: what it has broken must be seen.
const LAST_MS: u64 = 4_000;
/// Between the end of a fault and the next one.
const PAUSE_MS: u64 = 2_500;
/// Between faults that strike together.
const APART_MS: u64 = 300;
/// Nodes of a run.
const NODES: u8 = 3;

/// What a kind of fault is called in the headers of patches, how many milliseconds it lasts, and what it is at a node.
type Word = (&'static str, u64, fn(Node) -> Kind);

/// The faults that patches may name, and how long each lasts, in milliseconds.
const WORDS: [Word; 12] = [
    ("kill_node", 500, Kind::KillNode),
    // Longer than a client waits before it tries its luck elsewhere.
    ("stop_node", 4_000, Kind::StopNode),
    ("kill_postgres", 0, |_| Kind::KillPostgres),
    ("kill_backend", 0, |_| Kind::KillBackend),
    ("kill_redis", 1_500, |_| Kind::KillRedis),
    ("stop_redis", 2_000, |_| Kind::StopRedis),
    // Longer than a silent loss may last.
    ("blackhole_redis", 10_000, |node| Kind::Blackhole(Link::Redis(node), Way::Back)),
    ("lying_bus", 10_000, Kind::LyingBus),
    ("reset_clients", 0, |node| Kind::Reset(Link::Clients(node))),
    ("lock_tables", 1_000, |_| Kind::LockTables),
    ("lazy_clients", 6_000, |_| Kind::LazyClients),
    ("end_rights", 0, |_| Kind::EndRights),
];

/// The plan of these faults, in turn until the time is over. Words with a `+` between them strike together.
///
/// # Errors
/// With the first word that names no fault.
pub fn plan(words: &[String], seed: u64) -> Result<Plan, String> {
    let known = |word: &str| WORDS.iter().find(|(name, ..)| *name == word).ok_or_else(|| word.to_owned());
    let together = |words: &String| words.split('+').map(known).collect::<Result<Vec<_>, String>>();
    let chosen: Vec<_> = words.iter().map(together).collect::<Result<_, String>>()?;
    let mut faults = Vec::new();
    let (mut at_ms, mut round) = (FIRST_MS, 0_u8);
    for group in chosen.into_iter().cycle() {
        let for_ms = group.iter().map(|(_, for_ms, _)| *for_ms).max().unwrap_or_default();
        if at_ms + for_ms + LAST_MS > SECONDS * 1_000 {
            break;
        }
        for ((_, for_ms, kind), later) in group.into_iter().zip(0..) {
            let number = u32::try_from(faults.len()).unwrap_or_default();
            let (at_ms, kind) = (at_ms + later * APART_MS, kind(Node(round % NODES)));
            faults.push(Fault { number, at_ms, for_ms: *for_ms, kind });
        }
        (at_ms, round) = (at_ms + for_ms + PAUSE_MS, round + 1);
    }
    Ok(Plan { seed, seconds: SECONDS, acks: ACKS, faults })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn faults_take_turns_and_end_before_the_run_does() {
        let plan = plan(&words(&["kill_node", "blackhole_redis"]), 7).unwrap();
        assert_eq!(plan.faults[0].kind, Kind::KillNode(Node(0)));
        assert_eq!(plan.faults[1].kind, Kind::Blackhole(Link::Redis(Node(1)), Way::Back));
        let last = plan.faults.last().unwrap();
        assert!(last.at_ms + last.for_ms + LAST_MS <= plan.seconds * 1_000);
        assert!(plan.faults.len() >= 4);
    }

    #[test]
    fn what_strikes_together_does() {
        let plan = plan(&words(&["stop_redis+end_rights"]), 7).unwrap();
        assert_eq!([&plan.faults[0].kind, &plan.faults[1].kind], [&Kind::StopRedis, &Kind::EndRights]);
        assert_eq!(plan.faults[1].at_ms, plan.faults[0].at_ms + APART_MS);
        assert!(plan.faults[2].at_ms > plan.faults[0].at_ms + plan.faults[0].for_ms);
    }

    #[test]
    fn no_words_are_no_faults_and_a_wrong_one_is_told() {
        assert!(plan(&[], 7).unwrap().faults.is_empty());
        assert_eq!(plan(&words(&["earthquake"]), 7), Err("earthquake".to_owned()));
        assert!(super::plan(&words(&["kill_node+flood"]), 7).is_err());
    }
}
