//! Processes of this machine by their numbers, and what they take: signals, children, memory, descriptors.
//!
//! Only numbers of processes that the rig started are ever signalled. What Linux tells in /proc is not there elsewhere; then
//! there is less to tell. Look at `node.rs` and `postgres.rs`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

/// How long one question over HTTP may take.
const HTTP_PATIENCE: Duration = Duration::from_secs(2);

/// Sends a signal; a process that is gone already is fine.
pub fn signal(pid: u32, signal: Signal) {
    // 0 and 1 would mean our own group and init.
    let pid = i32::try_from(pid).ok().filter(|raw| *raw > 1).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        let _ = kill_process(pid, signal);
    }
}

/// The direct children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// `/proc/<pid>/stat` is `pid (name) S ppid …`, and the name may hold anything, even `)`.
fn parent_of(pid: u32) -> Option<u32> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Resident memory in bytes.
pub fn memory(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024.0)
}

/// Open descriptors.
pub fn descriptors(pid: u32) -> Option<f64> {
    let count = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    u32::try_from(count).ok().map(f64::from)
}

/// A command that the kernel kills when the thread that starts it ends, which is when the rig does: the threads of its runtime
/// live as long as it.
pub fn dying_with_us(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// The library that gives a process another time, where it is installed.
pub fn faketime() -> Option<PathBuf> {
    let parents = ["/usr/lib", "/usr/local/lib", "/usr/lib64"].map(Path::new);
    let below = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let directories = parents.iter().map(|path| path.to_path_buf()).chain(below);
    directories.map(|path| path.join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

/// Asks over HTTP, and does not wait for long.
pub fn http() -> reqwest::Client {
    // A connection of its own for each question: one that a fault has hit says nothing about now.
    let client = reqwest::Client::builder().timeout(HTTP_PATIENCE).pool_max_idle_per_host(0).build();
    client.expect("nothing in it can be refused")
}
