//! The rig: runs PostgreSQL, Redis, three nodes and many clients, breaks them by a seeded plan, writes down what happened, and
//! checks that every promise held.
//!
//! It ends by itself, always, and leaves nothing running: with 0 when everything held, 1 when something did not, 2 when the
//! rig itself failed and nothing is known. Look next in `run.rs` (a run from its beginning to its verdict), `plan.rs` (what
//! breaks) and `history.rs` (what is written down).

mod checkers;
mod dice;
mod draw;
mod finish;
mod history;
mod kept;
mod machine;
mod mutants;
mod options;
mod plan;
mod progress;
mod report;
mod run;
mod shrink;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use crate::options::{Arguments, Options};

const HELD: u8 = 0;
const BROKEN: u8 = 1;
const FAILED: u8 = 2;
const INTERRUPTED: u8 = 130;
/// The rig shares the machine with what it tests.
const THREADS: usize = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.shrink {
        return match shrink::shrink(file, &options::directory()) {
            Ok(()) => ExitCode::from(HELD),
            Err(why) => failed(&why),
        };
    }
    let runtime = match Builder::new_multi_thread().worker_threads(THREADS).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    if let Some(chosen) = &arguments.mutants {
        return match runtime.block_on(mutants::run(&options::directory(), chosen)) {
            Ok(true) => ExitCode::from(HELD),
            Ok(false) => ExitCode::from(BROKEN),
            Err(why) => failed(&why.to_string()),
        };
    }
    let ended = runtime.block_on(run::run(&Options::from(arguments)));
    match ended {
        Ok(run::End::Held) => ExitCode::from(HELD),
        Ok(run::End::Broken) => ExitCode::from(BROKEN),
        Ok(run::End::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("the rig itself failed, and nothing is known: {why}");
    ExitCode::from(FAILED)
}
