//! Shrinking: finds a small plan that still fails, by leaving faults out (ddmin).
//!
//! Real processes are not deterministic, so a plan counts as harmless only when it has held several times. Each try is a run of
//! this program of its own. It must end: runs are counted. Look at `draw.rs` for where plans come from.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kept;
use crate::plan::{Fault, Plan};
use crate::progress::say;

/// How often a plan must hold to count as harmless.
const TRIES: u32 = 5;
/// How many runs there are at most: hours of them.
const RUNS_MAX: u32 = 300;
/// What a run that found something ends with; see `main.rs`.
const BROKEN: i32 = 1;

/// Shrinks the plan of a file or of the directory of a failed run, and tells the smallest.
pub fn shrink(of: &Path, directory: &Path) -> Result<(), String> {
    let file = if of.is_dir() { of.join(kept::PLAN) } else { of.to_owned() };
    let plan = kept::read_plan(&file)?;
    let smallest = directory.join("smallest.json");
    let mut runs = 0;
    let faults = ddmin(plan.faults.clone(), |faults| {
        let tried = Plan { faults: faults.to_vec(), ..plan.clone() };
        for attempt in 1..=TRIES {
            if runs == RUNS_MAX {
                return Ok(false);
            }
            runs += 1;
            say(&format!("run {runs}: {} faults, try {attempt} of {TRIES}", faults.len()));
            if fails(&tried, &directory.join("tried.json"))? {
                kept::write_plan(&tried, &smallest)?;
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    let Some(faults) = faults else {
        return Err(format!("the plan of {} held {TRIES} times: it is not its faults alone", file.display()));
    };
    say(&format!("the smallest plan that fails has {} of {} faults:", faults.len(), plan.faults.len()));
    for fault in &faults {
        say(&format!("  {:>6} ms, for {:>5} ms: {:?}", fault.at_ms, fault.for_ms, fault.kind));
    }
    say(&format!("run it again: bin/rig --plan {}", smallest.display()));
    Ok(())
}

fn fails(plan: &Plan, file: &PathBuf) -> Result<bool, String> {
    kept::write_plan(plan, file)?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut run = Command::new(program);
    run.arg("--plan").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = run.status().map_err(|error| error.to_string())?;
    Ok(status.code() == Some(BROKEN))
}

/// The smallest list found by leaving ever smaller parts out, that still fails; none when the whole does not.
fn ddmin(
    whole: Vec<Fault>,
    mut fails: impl FnMut(&[Fault]) -> Result<bool, String>,
) -> Result<Option<Vec<Fault>>, String> {
    if !fails(&whole)? {
        return Ok(None);
    }
    let mut left = whole;
    let mut parts = 2;
    while left.len() > 1 {
        let size = left.len().div_ceil(parts);
        let mut smaller = None;
        for start in (0..left.len()).step_by(size) {
            let end = left.len().min(start + size);
            let without: Vec<Fault> = left[..start].iter().chain(&left[end..]).cloned().collect();
            if fails(&without)? {
                smaller = Some(without);
                break;
            }
        }
        match smaller {
            Some(without) => {
                left = without;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(left.len()),
        }
    }
    Ok(Some(left))
}

#[cfg(test)]
mod tests {
    use super::ddmin;
    use crate::plan::{Fault, Kind};

    fn faults(count: u32) -> Vec<Fault> {
        let fault = |number| Fault { number, at_ms: 0, for_ms: 0, kind: Kind::FlushRedis };
        (0..count).map(fault).collect()
    }

    fn smallest(count: u32, needed: &[u32]) -> (Vec<u32>, u32) {
        let mut runs = 0;
        let left = ddmin(faults(count), |faults| {
            runs += 1;
            Ok(needed.iter().all(|number| faults.iter().any(|fault| fault.number == *number)))
        });
        (left.unwrap().unwrap().iter().map(|fault| fault.number).collect(), runs)
    }

    #[test]
    fn what_is_left_is_what_is_needed_wherever_it_is() {
        for needed in [&[0][..], &[29], &[3, 17], &[0, 15, 29], &[7, 8]] {
            let (left, runs) = smallest(30, needed);
            assert_eq!(left, needed);
            assert!(runs < 100, "{runs} runs");
        }
    }

    #[test]
    fn a_plan_that_holds_is_not_shrunk() {
        assert_eq!(ddmin(faults(3), |_| Ok(false)), Ok(None));
    }

    #[test]
    fn an_only_fault_stays_and_a_run_that_cannot_be_ends_it() {
        assert_eq!(smallest(1, &[0]).0, [0]);
        assert_eq!(ddmin(faults(3), |_| Err("no".to_owned())), Err("no".to_owned()));
    }
}
