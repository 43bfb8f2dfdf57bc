//! What is kept of a run: its plan, its history line by line, and the logs, in a directory that is printed.
//!
//! A history is cut off at a size that every disk and editor can take. Look at `main.rs` for when something is kept.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::history::History;
use crate::plan::Plan;

/// The plan's name in a directory.
pub const PLAN: &str = "plan.json";
const HISTORY: &str = "history.jsonl";
const BYTES_MAX: usize = 32 << 20;

/// Reads a plan.
pub fn read_plan(file: &Path) -> Result<Plan, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{} is no plan: {error}", file.display()))
}

/// Writes a plan.
pub fn write_plan(plan: &Plan, file: &Path) -> Result<(), String> {
    let text = serde_json::to_string_pretty(plan).map_err(|error| error.to_string())?;
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Keeps a run: its directory, with the logs that are in it already, under its final name.
pub fn keep(run: &Path, to: &Path, history: &History, plan: &Plan) -> Result<PathBuf, String> {
    write_plan(plan, &run.join(PLAN))?;
    write_history(history, &run.join(HISTORY)).map_err(|error| format!("the history: {error}"))?;
    // That of an earlier run with this seed.
    let _ = std::fs::remove_dir_all(to);
    std::fs::rename(run, to).map_err(|error| format!("{}: {error}", to.display()))?;
    Ok(to.to_owned())
}

/// One line for each thing that happened; what was broken and done first, because what was seen is the most by far.
fn write_history(history: &History, file: &Path) -> std::io::Result<()> {
    let mut lines = Lines { to: BufWriter::new(File::create(file)?), written: 0, left_out: 0 };
    lines.add("seed", &history.seed)?;
    lines.add("calm_since", &history.calm_since)?;
    lines.add("ended", &history.ended)?;
    lines.add("cast", &history.cast)?;
    lines.all("strike", &history.strikes)?;
    lines.all("revocation", &history.revocations)?;
    lines.all("leak", &history.leaks)?;
    lines.all("probe", &history.probes)?;
    lines.all("attendance", &history.attendances)?;
    lines.all("op", &history.ops)?;
    lines.all("seen", &history.seen)?;
    lines.all("sample", &history.samples)?;
    lines.all("reading", &history.readings)?;
    let left_out = lines.left_out;
    lines.written = 0;
    lines.add("left_out", &left_out)?;
    lines.to.flush()
}

struct Lines {
    to: BufWriter<File>,
    written: usize,
    left_out: u64,
}

impl Lines {
    fn all<T: Serialize>(&mut self, what: &str, several: &[T]) -> std::io::Result<()> {
        several.iter().try_for_each(|one| self.add(what, one))
    }

    fn add<T: Serialize>(&mut self, what: &str, one: &T) -> std::io::Result<()> {
        if self.written >= BYTES_MAX {
            self.left_out += 1;
            return Ok(());
        }
        let line = json!({ what: one }).to_string();
        self.written += line.len() + 1;
        writeln!(self.to, "{line}")
    }
}
