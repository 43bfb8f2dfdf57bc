//! The hub alone, deterministically: many short lives of a few nodes over one log and one wire, each drawn from one number.
//!
//! A life that goes wrong is made smaller by leaving steps out and printed with the line that plays it again. Look next at
//! [`plan`] (what may happen), [`world`] (who carries it out), [`reader`] and [`check`] (what must hold), [`network`] and [`ledger`]
//! (what stands in for the bus and the database), [`defects`] (that each check can fail). `PARLOUR_SEED` plays one life;
//! `PARLOUR_SEEDS` says how many are played otherwise, from `PARLOUR_SEED_FIRST` on.

mod check;
mod defects;
mod ledger;
mod moves;
mod network;
mod plan;
mod reader;
mod stage;
mod world;

use std::env;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::hub::locked;
use crate::hub::simulation::plan::Plan;
use crate::hub::simulation::world::{Defect, Outcome, play};

/// Lives played where nobody says how many.
const SEEDS: u64 = 200;
/// Of what was heard before a failure, so much is printed.
const HEARD_LAST: usize = 30;
/// The same of one message.
const LINE_MAX: usize = 160;
/// Lives played twice, to see that both are one.
const HISTORIES: u64 = 12;
/// Failures worth reading at once.
const FAILURES_MAX: usize = 3;

/// Plays a plan; a panic is something wrong like any other.
fn outcome(plan: &Plan, defect: &Defect, writes: bool) -> Outcome {
    catch_unwind(|| play(plan, defect, writes)).unwrap_or_else(|panic| {
        let told = panic.downcast_ref::<String>().cloned();
        let told = told.or_else(|| panic.downcast_ref::<&str>().map(|told| (*told).to_owned()));
        Outcome { wrong: Some(format!("panic: {}", told.unwrap_or_default())), transcript: Vec::new(), entries: 0 }
    })
}

/// Which check failed: the first word that names one.
fn check_of(wrong: &str) -> Option<&str> {
    let is_check = |word: &&str| word.len() > 1 && word.starts_with(['I', 'C']) && word.as_bytes()[1].is_ascii_digit();
    wrong.split_whitespace().find(is_check)
}

/// The plan without every step without which the same check fails.
fn shrunk(plan: &Plan, defect: &Defect) -> Plan {
    let check = |plan: &Plan| outcome(plan, defect, false).wrong.map(|wrong| check_of(&wrong).map(str::to_owned));
    let expected = check(plan);
    let mut small = plan.clone();
    let mut size = small.steps.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < small.steps.len() {
            let mut without = small.clone();
            without.steps.drain(from..(from + size).min(small.steps.len()));
            match check(&without) == expected {
                true => small = without,
                false => from += size,
            }
        }
        size /= 2;
    }
    small
}

/// What went wrong in a seed's life, made as small as it gets, for a human.
fn story(plan: &Plan, wrong: &str, defect: &Defect) -> String {
    let small = shrunk(plan, defect);
    let life = outcome(&small, defect, true);
    let again = life.wrong.unwrap_or_default();
    let heard = life.transcript.iter().rev().take(HEARD_LAST).rev();
    let heard: Vec<String> = heard.map(|line| line.chars().take(LINE_MAX).collect()).collect();
    format!(
        "{wrong}\n  play it again: PARLOUR_SEED={} cargo test --lib simulation -- --nocapture\n  shrunk from {} steps to {}, where \
         it goes wrong {again}\n  {small}\n  heard last:\n{}",
        plan.seed,
        plan.steps.len(),
        small.steps.len(),
        heard.join("\n")
    )
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn every_life_keeps_its_promises() {
    let (first, count) = match number("PARLOUR_SEED") {
        Some(seed) => (seed, 1),
        None => (number("PARLOUR_SEED_FIRST").unwrap_or(0), number("PARLOUR_SEEDS").unwrap_or(SEEDS)),
    };
    let began = Instant::now();
    let (next, entries, told) = (AtomicU64::new(first), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while locked(&told).len() < FAILURES_MAX {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                break;
            }
            let plan = Plan::of(seed);
            let life = outcome(&plan, &Defect::default(), false);
            entries.fetch_add(life.entries, Ordering::Relaxed);
            if let Some(wrong) = life.wrong {
                let story = story(&plan, &wrong, &Defect::default());
                locked(&told).push(story);
            }
        }
    };
    thread::scope(|scope| {
        (0..thread::available_parallelism().map_or(1, usize::from)).for_each(|_| drop(scope.spawn(work)))
    });
    let played = next.into_inner().min(first + count) - first;
    let rate = played as f64 * 60.0 / began.elapsed().as_secs_f64();
    println!("{played} seeds, {} entries, {rate:.0} seeds a minute", entries.into_inner());
    if count == 1 {
        println!("{}", Plan::of(first));
    }
    let told = told.into_inner().unwrap_or_default();
    assert!(told.is_empty(), "\n{}", told.join("\n\n"));
}

#[test]
fn one_seed_is_one_history() {
    let first = number("PARLOUR_SEED_FIRST").unwrap_or(0);
    for seed in first..first + HISTORIES {
        let plan = Plan::of(seed);
        let (one, other) = (outcome(&plan, &Defect::default(), true), outcome(&plan, &Defect::default(), true));
        assert!(one.transcript.len() > plan.clients.len(), "seed {seed}: somebody heard something");
        let differs = one.transcript.iter().zip(&other.transcript).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
    }
}
