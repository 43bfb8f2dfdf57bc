//! `rig --mutants`: the check that the checkers have teeth. Each patch of tests/rig/mutants plants one bug in a copy of the
//! product; the rig runs against it and the checker that the patch names must find something.
//!
//! First the product as it is goes through the same plans and must come out clean: otherwise a catch would mean nothing. A run
//! here is a rig of its own, this program started again, so that nothing of one mutant is left for the next. Look next in
//! [`patch`], [`plans`], [`sources`].

mod patch;
mod plans;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use crate::mutants::patch::Patch;
use crate::mutants::sources::Scratch;

/// A run that takes longer is ended: it hangs, although every run is to end by itself before.
const RUN_MAX: Duration = Duration::from_secs(600);
/// Characters of a violation in the table.
const SHOWN_MAX: usize = 100;

/// What a run's report says of a checker; the rest of it is for others.
#[derive(Clone, Debug, Deserialize)]
struct Finding {
    checker: String,
    violations: Vec<String>,
    count: u64,
    kinds: BTreeMap<String, u64>,
}

impl Finding {
    /// How much it found. That there was nothing to look at is not a bug that was caught.
    fn real(&self) -> u64 {
        self.count - self.kinds.get("vacuous").copied().unwrap_or_default().min(self.count)
    }
}

/// The part of a run's report that is read here.
#[derive(Clone, Debug, Deserialize)]
struct Report {
    verdicts: Vec<Finding>,
}

/// A run, as it is told of it.
#[derive(Clone, Debug, Serialize)]
struct Trial {
    /// Which mutant; `none` for the product as it is.
    mutant: String,
    /// What the bug is.
    title: String,
    /// The checker that must catch it.
    checker: String,
    /// Whether it did; for the product as it is, whether nothing was found.
    caught: bool,
    /// How long the run took, without the build.
    seconds: u64,
    /// What was found first by that checker.
    first: Option<String>,
    /// How much each checker found.
    found: BTreeMap<String, u64>,
}

/// Runs the mutants whose numbers or names are given, all without, and leaves everything in `directory`; whether each was
/// caught and the product itself was clean.
///
/// # Errors
/// When a patch is stale, something does not build, or a run does not come to its end.
pub async fn run(directory: &Path, chosen: &[String]) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let root = &Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let patches = Patch::all(&root.join("tests/rig/mutants"))?;
    let total = patches.len();
    let patches = choose(patches, chosen)?;
    let scratch = Scratch::new(root, &directory.join("mutants"));
    std::fs::create_dir_all(scratch.directory())?;
    let mut trials = Vec::new();
    say("none", "building the product as it is");
    scratch.set(&BTreeMap::new())?;
    let binary = scratch.build("none").await?;
    // Once for all mutants that share a plan.
    for faults in patches.iter().map(|patch| &patch.faults).collect::<BTreeSet<_>>() {
        trials.push(trial(&scratch, &binary, None, faults).await);
    }
    for patch in &patches {
        say(&patch.name, "building");
        scratch.set(&patch.apply(root)?)?;
        let binary = scratch.build(&patch.name).await?;
        trials.push(trial(&scratch, &binary, Some(patch), &patch.faults).await);
    }
    let caught = trials.iter().filter(|trial| trial.caught && trial.mutant != "none").count();
    let is_good = trials.iter().all(|trial| trial.caught);
    let json = serde_json::json!({ "caught": caught, "of": patches.len(), "known": total, "runs": trials });
    std::fs::write(directory.join("mutants.json"), serde_json::to_vec_pretty(&json)?)?;
    let mut out = std::io::stdout().lock();
    out.write_all(table(&trials).as_bytes())?;
    writeln!(out, "{caught} of {} mutants caught", patches.len())?;
    Ok(is_good)
}

/// The patches of these numbers or names.
fn choose(patches: Vec<Patch>, chosen: &[String]) -> Result<Vec<Patch>, String> {
    let is = |patch: &Patch, wanted: &str| patch.name == wanted || patch.name.split('-').next() == Some(wanted);
    if let Some(wanted) = chosen.iter().find(|wanted| !patches.iter().any(|patch| is(patch, wanted))) {
        return Err(format!("there is no mutant {wanted}"));
    }
    let keeps = |patch: &Patch| chosen.is_empty() || chosen.iter().any(|wanted| is(patch, wanted));
    Ok(patches.into_iter().filter(keeps).collect())
}

/// One run of the rig against a program, and what its checkers found.
async fn trial(scratch: &Scratch, binary: &Path, patch: Option<&Patch>, faults: &[String]) -> Trial {
    let name = patch.map_or_else(|| format!("none-{}", faults.join("-")), |patch| patch.name.clone());
    say(&name, if faults.is_empty() { "running without faults".to_owned() } else { faults.join(", ") });
    let began = Instant::now();
    // A run without a verdict has shown nothing; the others are run all the same.
    let report = rig(scratch, binary, &name, faults).await;
    let seconds = began.elapsed().as_secs();
    let (verdicts, trouble) = match report {
        Ok(report) => (report.verdicts, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let broken = verdicts.iter().filter(|finding| finding.real() > 0);
    let found: BTreeMap<String, u64> = broken.map(|finding| (finding.checker.clone(), finding.real())).collect();
    let first_of = |checker: Option<&str>| {
        let is_asked = |finding: &&Finding| finding.real() > 0 && checker.is_none_or(|name| finding.checker == name);
        let mut findings = verdicts.iter().filter(is_asked);
        trouble.clone().or_else(|| findings.find_map(|finding| finding.violations.first().cloned()))
    };
    let trial = match patch {
        Some(patch) => Trial {
            mutant: name,
            title: patch.title.clone(),
            checker: patch.checker.clone(),
            caught: found.contains_key(&patch.checker),
            seconds,
            first: first_of(Some(&patch.checker)),
            found,
        },
        None => Trial {
            mutant: "none".to_owned(),
            title: format!(
                "the product as it is, with {}",
                if faults.is_empty() { "no fault".to_owned() } else { faults.join(", ") }
            ),
            checker: String::new(),
            caught: found.is_empty() && trouble.is_none(),
            seconds,
            first: first_of(None),
            found,
        },
    };
    say(
        &trial.mutant,
        format!("{} after {seconds} s: {}", trial.word(), trial.first.as_deref().unwrap_or("nothing found")),
    );
    trial
}

/// Starts this program again, against that binary.
async fn rig(
    scratch: &Scratch,
    binary: &Path,
    name: &str,
    faults: &[String],
) -> Result<Report, Box<dyn std::error::Error + Send + Sync>> {
    let directory = scratch.directory().join("runs").join(name);
    if directory.exists() {
        std::fs::remove_dir_all(&directory)?;
    }
    std::fs::create_dir_all(&directory)?;
    let plan = plans::plan(faults, seed(name))?;
    let plan_file = directory.join("plan.json");
    std::fs::write(&plan_file, serde_json::to_vec_pretty(&plan)?)?;
    let said: PathBuf = directory.join("log");
    let log = std::fs::File::create(&said)?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--plan")
        .arg(&plan_file)
        .arg("--binary")
        .arg(binary)
        .arg("--into")
        .arg(&directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    let told = || format!("the run did not come to a verdict: {}", said.display());
    timeout(RUN_MAX, child.wait()).await.map_err(|_| told())??;
    let bytes = std::fs::read(directory.join("latest.json")).map_err(|_| told())?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The same for a mutant every time.
fn seed(name: &str) -> u64 {
    name.bytes().fold(0, |seed: u64, byte| (seed * 31 + u64::from(byte)) % 1_000_000)
}

impl Trial {
    fn word(&self) -> &'static str {
        match (self.mutant == "none", self.caught) {
            (true, true) => "clean",
            (true, false) => "NOT CLEAN",
            (false, true) => "caught",
            (false, false) => "MISSED",
        }
    }
}

/// For a terminal: a line for each run, and what else was found.
fn table(trials: &[Trial]) -> String {
    let mut out = format!("\n{:<32} {:<8} {:<10} {:>8}  first finding\n", "mutant", "checker", "", "seconds");
    for trial in trials {
        let first: String = trial.first.as_deref().unwrap_or("").chars().take(SHOWN_MAX).collect();
        let Trial { mutant, checker, seconds, .. } = trial;
        out += &format!("{mutant:<32} {checker:<8} {:<10} {seconds:>8}  {first}\n", trial.word());
        let others: Vec<String> = trial
            .found
            .iter()
            .filter(|(other, _)| *other != checker)
            .map(|(other, count)| format!("{other} {count}"))
            .collect();
        if !others.is_empty() {
            out += &format!("{:<32} also {}\n", "", others.join(", "));
        }
    }
    out
}

/// Progress, on stderr: the table alone is the result.
fn say(mutant: &str, what: impl std::fmt::Display) {
    // If nobody reads it any more, that is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{mutant}: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(name: &str) -> Patch {
        let text = "T.\n\nBug: b\nHow one comes to have it: h\nChecker: C1\nFaults: none\n\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
        Patch::parse(name, text).unwrap()
    }

    #[test]
    fn mutants_are_chosen_by_number_or_name_and_a_wrong_one_is_told() {
        let all = || vec![patch("01-one"), patch("02-two"), patch("03-three")];
        let names = |chosen: &[&str]| {
            let chosen: Vec<String> = chosen.iter().map(|word| (*word).to_owned()).collect();
            choose(all(), &chosen).map(|patches| patches.into_iter().map(|patch| patch.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap().len(), 3);
        assert_eq!(names(&["03", "01-one"]).unwrap(), ["01-one", "03-three"]);
        assert!(names(&["04"]).is_err());
    }
}
