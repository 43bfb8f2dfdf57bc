//! One run: everything starts, people talk, things break, everything is healed, and what happened is judged.
//!
//! However it ends (done, interrupted, out of time, a panic of any task), the machine is stopped before this returns. Look at
//! `machine/`, `workload/`, `checkers/` for the parts.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::checkers::{self, Verdict};
use crate::draw::{Frame, draw};
use crate::finish::finish;
use crate::history::{History, Recorder};
use crate::kept;
use crate::machine::Machine;
use crate::options::Options;
use crate::plan::Plan;
use crate::progress::{self, Standing, say};
use crate::report;
use crate::workload::Workload;

/// What starting, ending and judging may take beside the workload.
const AROUND: Duration = Duration::from_secs(300);
/// The workload may take so many times longer than planned, until enough is acknowledged.
const STRETCH: u32 = 4;
/// How often it is looked whether enough is acknowledged.
const LOOK: Duration = Duration::from_millis(100);
/// How long the machine may take to stop when a run ends early.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every promise held.
    Held,
    /// One did not.
    Broken,
    /// Somebody stopped it.
    Interrupted,
}

/// A panic anywhere ends the run; see [`run`].
static PANICKED: Notify = Notify::const_new();

/// Runs.
///
/// # Errors
/// When the rig could not show anything.
pub async fn run(options: &Options) -> Result<End, String> {
    let plan = plan(options)?;
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        PANICKED.notify_one();
    }));
    let (mut interrupt, mut terminate) = (ended_by(SignalKind::interrupt())?, ended_by(SignalKind::terminate())?);
    let machine = OnceLock::new();
    let limit = Duration::from_secs(plan.seconds) * STRETCH + AROUND;
    let early = tokio::select! {
        end = play(options, &plan, &machine) => return end,
        _ = interrupt.recv() => Ok(End::Interrupted),
        _ = terminate.recv() => Ok(End::Interrupted),
        () = PANICKED.notified() => Err("a part of it panicked; see above".to_owned()),
        () = sleep(limit) => Err(format!("it was not over after {} s", limit.as_secs())),
    };
    if let Some(machine) = machine.into_inner() {
        // Everybody else was dropped together with the play; what is left running is killed by its own drop.
        let _ = timeout(STOP_PATIENCE, Machine::stop(machine)).await;
    }
    early.inspect_err(|_| say(&format!("the logs are in {}", options.run_directory().display())))
}

fn ended_by(kind: SignalKind) -> Result<tokio::signal::unix::Signal, String> {
    signal(kind).map_err(|error| error.to_string())
}

fn plan(options: &Options) -> Result<Plan, String> {
    if let Some(file) = &options.plan {
        return kept::read_plan(file);
    }
    let Options { seed, seconds, acks, faults, nodes, long, .. } = *options;
    Ok(draw(&Frame { seed, seconds, acks, faults, nodes, long }))
}

async fn play(options: &Options, plan: &Plan, slot: &OnceLock<Machine>) -> Result<End, String> {
    // A plan that is run again brings its own seed and aims.
    let options = &Options { seed: plan.seed, acks: plan.acks, seconds: plan.seconds, ..options.clone() };
    say(&format!("seed {}: {} faults on {} nodes in {} s", plan.seed, plan.faults.len(), options.nodes, plan.seconds));
    let began = Instant::now();
    let recorder = Recorder::new(plan.seed);
    let machine = Machine::start(options, &recorder).await;
    slot.get_or_init(|| machine.clone());
    let workload = Workload::cast(&machine, &recorder, options).await;
    say(&format!("everything runs after {:.1} s", began.elapsed().as_secs_f64()));
    workload.start();
    let enough = break_things(plan, &machine, &workload, &recorder).await;
    machine.calm().await;
    recorder.with(|history| history.calm_since = recorder.now());
    workload.stop().await;
    recorder.with(|history| history.ended = recorder.now());
    finish(&machine, &workload, &recorder).await;
    let _ = std::fs::copy(machine.database_log(), options.run_directory().join("postgres.log"));
    machine.stop().await;
    let history = recorder.finish();
    let verdicts = tokio::task::block_in_place(|| checkers::check(&history));
    let end = tell(options, plan, &history, &verdicts)?;
    say(&format!("{:.0} s in all", began.elapsed().as_secs_f64()));
    enough.map(|()| end)
}

/// Runs the plan, and goes on until its time is over and enough is acknowledged.
async fn break_things(plan: &Plan, machine: &Machine, workload: &Workload, recorder: &Recorder) -> Result<(), String> {
    let began = Instant::now();
    let look = || Standing {
        acks: workload.acked(),
        over: recorder.with(|history| history.strikes.len()),
        faults: plan.faults.len(),
        broken: machine.broken().iter().map(|kind| format!("{kind:?}")).collect(),
    };
    let strikes = async {
        join_all(plan.faults.iter().map(async |fault| {
            sleep_until(began + fault.at()).await;
            if fault.kind.is_of_clients() {
                workload.strike(fault).await;
            } else {
                machine.strike(fault).await;
            }
        }))
        .await;
        let planned = Duration::from_secs(plan.seconds);
        while began.elapsed() < planned || workload.acked() < plan.acks {
            if began.elapsed() > planned * STRETCH {
                return Err(format!("only {} of {} messages were acknowledged", workload.acked(), plan.acks));
            }
            sleep(LOOK).await;
        }
        Ok(())
    };
    tokio::select! {
        done = strikes => done,
        () = progress::tell(look) => unreachable!("it tells until it is dropped"),
    }
}

/// Writes the report, keeps what is to be kept, and prints the verdict.
fn tell(options: &Options, plan: &Plan, history: &History, verdicts: &[Verdict]) -> Result<End, String> {
    let figures = report::write(history, plan, verdicts, &options.directory).map_err(|error| error.to_string())?;
    say(&report::table(&figures, verdicts));
    let is_broken = verdicts.iter().any(|verdict| verdict.count > 0);
    // What a plan of somebody's own does not touch cannot be looked at.
    let blind: Vec<_> = verdicts.iter().filter(|verdict| verdict.checked == 0).map(|verdict| verdict.checker).collect();
    let run = options.run_directory();
    if is_broken {
        let failed = options.directory.join(format!("failed-{}", plan.seed));
        let failed = kept::keep(&run, &failed, history, plan)?;
        tell_how_to_go_on(plan.seed, &failed);
        return Ok(End::Broken);
    }
    if options.keep {
        let kept = kept::keep(&run, &options.directory.join(format!("kept-{}", plan.seed)), history, plan)?;
        say(&format!("kept in {}", kept.display()));
    } else {
        let _ = std::fs::remove_dir_all(&run);
    }
    if !blind.is_empty() && options.plan.is_none() {
        return Err(format!("there was nothing to look at for {}", blind.join(", ")));
    }
    Ok(End::Held)
}

fn tell_how_to_go_on(seed: u64, failed: &Path) {
    let plan = failed.join(kept::PLAN);
    say(&format!("the same seed again:    bin/rig --seed {seed}"));
    say(&format!("the same faults again:  bin/rig --plan {}", plan.display()));
    say(&format!("fewer and fewer faults: bin/rig --shrink {}", failed.display()));
    say(&format!("plan, history and logs: {}", failed.display()));
}
