//! Processes by number: whether one lives, who its children are, and signals to it.
//! Through safe wrappers only. It must never signal a number that was not just seen alive as a
//! postmaster, or is of a child not yet collected, because numbers are reused.
//! Look next in `cluster.rs`, which stops and kills with it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, kill_process, test_kill_process};
use tokio::time::Instant;

pub(super) use rustix::process::Signal;

/// How often a condition is looked at again.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// What a process number stands for at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessState {
    /// Nothing.
    Gone,
    /// A process that ended and was not collected by its parent: it does nothing any more, but
    /// `postgres` takes it for alive.
    Zombie,
    /// A running PostgreSQL server whose working directory is, as far as we may see, the one asked
    /// about.
    Postmaster,
    /// Something else that happens to have the number now.
    Stranger,
}

/// Looks at process `pid`, which may be the postmaster of `cluster_dir`.
pub(super) fn state(pid: u32, cluster_dir: &Path) -> ProcessState {
    let Some(id) = as_pid(pid) else {
        return ProcessState::Gone;
    };
    if let Err(rustix::io::Errno::SRCH) = test_kill_process(id) {
        return ProcessState::Gone;
    }
    let Some((letter, name)) = letter_and_name(pid) else {
        return ProcessState::Gone;
    };
    if letter == 'Z' || letter == 'X' {
        return ProcessState::Zombie;
    }
    // A server works in its data directory. Where that cannot be read, the name decides.
    let elsewhere = std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory != cluster_dir);
    if elsewhere || !(name.contains("postgres") || name.contains("postmaster")) {
        return ProcessState::Stranger;
    }
    ProcessState::Postmaster
}

/// The direct children of a process.
pub(super) fn children(parent: u32) -> Vec<u32> {
    if Path::new("/proc/self/stat").exists() {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        return numbers.filter(|pid| proc_stat(*pid).is_some_and(|stat| stat.parent == parent)).collect();
    }
    let listed = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output();
    let text = listed.map(|ps| String::from_utf8_lossy(&ps.stdout).into_owned());
    let pairs = text.unwrap_or_default();
    pairs
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
            let (pid, of) = (numbers.next()??, numbers.next()??);
            (of == parent).then_some(pid)
        })
        .collect()
}

/// Sends `signal`; a process that is gone already is fine.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(id) = as_pid(pid)
        && let Err(error) = kill_process(id, signal)
    {
        tracing::debug!(pid, ?signal, %error, "signal to process {pid} was not delivered");
    }
}

/// Looks again and again until `condition` answers something or `patience` is over.
pub(super) async fn poll<T>(patience: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = condition().await {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn as_pid(pid: u32) -> Option<Pid> {
    // 0 and 1 would mean our own group and init: never a postmaster of ours.
    i32::try_from(pid).ok().filter(|raw| *raw > 1).and_then(Pid::from_raw)
}

struct ProcStat {
    name: String,
    letter: char,
    parent: u32,
}

/// `/proc/<pid>/stat` is `pid (name) S ppid …`, and the name may hold anything, even `)`.
fn proc_stat(pid: u32) -> Option<ProcStat> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some(ProcStat {
        name: head.split_once('(')?.1.to_owned(),
        letter: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

fn letter_and_name(pid: u32) -> Option<(char, String)> {
    if let Some(stat) = proc_stat(pid) {
        return Some((stat.letter, stat.name));
    }
    // No /proc (macOS, BSD), or the process ended since.
    let asked = Command::new("ps").args(["-o", "state=,comm=", "-p", &pid.to_string()]).output().ok()?;
    let line = String::from_utf8_lossy(&asked.stdout).into_owned();
    let (letter, name) = line.trim().split_once(char::is_whitespace)?;
    Some((letter.chars().next()?, name.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_is_seen_alive_then_as_a_zombie_then_gone() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(state(child.id(), &here), ProcessState::Stranger);
        assert!(children(std::process::id()).contains(&child.id()));
        signal(child.id(), Signal::KILL);
        let seen =
            poll(Duration::from_secs(5), async || (state(child.id(), &here) == ProcessState::Zombie).then_some(()));
        seen.await.expect("a killed child that nobody waited for is a zombie");
        child.wait().unwrap();
        assert_eq!(state(child.id(), &here), ProcessState::Gone);
    }

    #[tokio::test]
    async fn polling_gives_up_at_its_deadline() {
        let never = poll(Duration::from_millis(30), async || None::<()>).await;
        assert!(never.is_none());
    }

    #[test]
    fn init_is_never_a_target() {
        assert!(as_pid(0).is_none() && as_pid(1).is_none());
    }
}
