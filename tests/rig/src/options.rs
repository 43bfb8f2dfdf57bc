//! Options: what a run can be told on the command line, and what follows from that.
//!
//! Without any it is the short run that every change must pass. Look at `main.rs` for what is done with them.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser;

/// Runs the whole system, breaks it on purpose, and checks that what it promises held.
#[derive(Clone, Debug, Parser)]
#[command(name = "bin/rig", disable_version_flag = true)]
pub struct Arguments {
    /// What drives workload and faults [default: another one each time].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long the workload runs at least [default: 52, long: 900].
    #[arg(long)]
    seconds: Option<u64>,
    /// How many messages must be acknowledged [default: 50000, long: 1000000].
    #[arg(long)]
    acks: Option<u64>,
    /// How many faults there are [default: 30, long: 150].
    #[arg(long)]
    faults: Option<u32>,
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=8))]
    nodes: u8,
    /// A plan that was kept, instead of a new one.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// The server to run [default: the one that was built beside this program].
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Another version of the server: the last node runs it.
    #[arg(long, value_name = "FILE")]
    other_binary: Option<PathBuf>,
    /// The long run: a million messages, faults of up to 20 s.
    #[arg(long)]
    long: bool,
    /// Keeps the logs and the history also when everything held.
    #[arg(long)]
    keep: bool,
    /// Runs a failing plan (or the directory of a failed run) with ever fewer faults, and tells the smallest that fails.
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    pub shrink: Option<PathBuf>,
    /// Plants bugs in copies of the server, all or those of these numbers, and tells which of them the checkers find.
    #[arg(long, value_name = "NUMBER", num_args = 0.., conflicts_with_all = ["plan", "shrink"])]
    pub mutants: Option<Vec<String>>,
    /// Where reports and what is kept go [default: target/rig].
    #[arg(long, value_name = "DIRECTORY")]
    into: Option<PathBuf>,
}

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// What drives it.
    pub seed: u64,
    /// How long the workload runs at least.
    pub seconds: u64,
    /// How many messages must be acknowledged.
    pub acks: u64,
    /// How many faults there are.
    pub faults: u32,
    /// How many nodes.
    pub nodes: u8,
    /// A plan to run instead of a new one.
    pub plan: Option<PathBuf>,
    /// The server.
    pub binary: PathBuf,
    /// What the last node runs instead.
    pub other_binary: Option<PathBuf>,
    /// Whether faults may be long.
    pub long: bool,
    /// Whether logs and history are kept also when everything held.
    pub keep: bool,
    /// Where everything that is kept goes.
    pub directory: PathBuf,
}

impl From<Arguments> for Options {
    fn from(told: Arguments) -> Self {
        let (seconds, acks, faults) = if told.long { (900, 1_000_000, 150) } else { (52, 50_000, 30) };
        Self {
            seed: told.seed.unwrap_or_else(any_seed),
            seconds: told.seconds.unwrap_or(seconds),
            acks: told.acks.unwrap_or(acks),
            faults: told.faults.unwrap_or(faults),
            nodes: told.nodes,
            plan: told.plan,
            binary: told.binary.unwrap_or_else(parlour_testkit::server::binary),
            other_binary: told.other_binary,
            long: told.long,
            keep: told.keep,
            directory: told.into.unwrap_or_else(directory),
        }
    }
}

impl Options {
    /// Where the logs of this run are while it runs.
    pub fn run_directory(&self) -> PathBuf {
        self.directory.join(format!("run-{}-{}", self.seed, std::process::id()))
    }
}

/// Short enough to be typed.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    u64::try_from(now % 1_000_000_007).expect("it is short")
}

/// `target/rig`: beside the directory of the profile, in which this program is.
pub fn directory() -> PathBuf {
    let program = std::env::current_exe().expect("this program's path");
    let target = program.ancestors().nth(2).expect("a program is in target/<profile>");
    target.join("rig")
}
