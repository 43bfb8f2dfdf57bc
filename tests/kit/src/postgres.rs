//! A durable PostgreSQL of a test's own, and the faults it can have: killed, started again, stopped and continued, put back to
//! an earlier day.
//!
//! Whatever a test leaves stopped is continued when this is dropped, so that it can end. What is in it: `database.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use parlour::devdb::Cluster;
use rustix::process::{Pid, Signal, kill_process};

use crate::database::{Database, durable_cluster, durable_cluster_in};

/// The server.
pub struct Postgres {
    cluster: Cluster,
    data_dir: PathBuf,
    frozen: Frozen,
}

/// Who was stopped; continued when dropped.
#[derive(Default)]
struct Frozen(Mutex<Vec<Pid>>);

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
    }
}

impl Frozen {
    fn thaw(&self) {
        for pid in self.0.lock().expect("no panic").drain(..) {
            // Somebody may have ended meanwhile.
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

impl Postgres {
    /// One on the machine's disk.
    pub async fn start() -> Self {
        let (cluster, data_dir) = durable_cluster().await;
        Self { cluster, data_dir, frozen: Frozen::default() }
    }

    /// One in a directory of the caller's.
    pub async fn start_in(data_dir: &Path) -> Self {
        let cluster = durable_cluster_in(data_dir).await;
        Self { cluster, data_dir: data_dir.to_owned(), frozen: Frozen::default() }
    }

    /// A migrated database on it; once.
    pub async fn database(&self) -> Database {
        Database::create_on(&self.cluster).await
    }

    /// Kills it with all its processes, as a power cut would.
    pub async fn kill(&self) {
        self.cluster.kill().await.expect("the kill");
    }

    /// Starts it where it was.
    pub async fn start_again(&mut self) {
        self.cluster.restart().await.expect("a start");
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.cluster.postmaster_pid().is_some()
    }

    /// Stops it in its tracks: connections stay, nothing is answered.
    pub fn freeze(&self) {
        let postmaster = self.cluster.postmaster_pid().expect("it runs");
        // First, so that it forks no more and nobody is missed.
        let mut frozen = self.frozen.0.lock().expect("no panic");
        frozen.push(stop(postmaster));
        let path = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(path).expect("its children");
        frozen.extend(children.split_whitespace().map(|pid| stop(pid.parse().expect("a process id"))));
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.frozen.thaw();
    }

    /// A copy of everything it holds, while it is down.
    pub fn back_up(&self) -> PathBuf {
        let copy = self.data_dir.join("copy");
        copy_all(&self.data_dir.join("cluster"), &copy);
        copy
    }

    /// Puts a copy in its place, while it is down.
    pub fn put_back(&self, copy: &Path) {
        let place = self.data_dir.join("cluster");
        std::fs::remove_dir_all(&place).expect("what was there goes");
        copy_all(copy, &place);
    }

    /// Ends it in good order, and takes its data along.
    pub async fn stop(self) {
        self.thaw();
        self.cluster.stop().await.expect("a clean stop");
        std::fs::remove_dir_all(self.data_dir).expect("the directory goes");
    }
}

fn stop(pid: u32) -> Pid {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process id");
    // One of them may have ended since it was listed.
    let _ = kill_process(pid, Signal::STOP);
    pid
}

/// As they are, owners and all.
fn copy_all(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(status.success(), "cp: {status}");
}
