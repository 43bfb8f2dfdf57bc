//! Makes a cluster's files and starts its server: `initdb`, `postgres`, and the log of both.
//! The server must not outlive us: where `setpriv` exists the kernel interrupts it when the
//! thread that forked it ends, so that thread does nothing but wait for it. Neither may it share
//! our process group, or Ctrl-C would take the database from under a server that is draining.
//! Look next in `cluster.rs`, which decides when.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::devdb::account::Account;
use crate::devdb::error::DevDbError;
use crate::devdb::layout::{Layout, PORT};
use crate::devdb::process::poll;
use crate::devdb::programs::Programs;

/// How long `initdb` may take; about a second is usual.
const INITDB_PATIENCE: Duration = Duration::from_secs(120);
/// How long the remains of an interrupted `initdb` may take to come to rest.
const CLEAR_PATIENCE: Duration = Duration::from_secs(5);
/// An older log is put aside when it has grown beyond this.
const LOG_BYTES_MAX: u64 = 8 << 20;
/// How much of the log an error quotes.
const TAIL_LINES: usize = 20;
const TAIL_BYTES_MAX: u64 = 16 << 10;
/// Enough for two nodes and for the test kit's many small databases.
const CONNECTIONS_MAX: u32 = 200;

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed: PostgreSQL's own defaults.
    Durable,
    /// Everything. For throw-away test clusters, which are several times faster this way.
    Relaxed,
}

impl Durability {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &[],
            Self::Relaxed => &["fsync=off", "full_page_writes=off", "synchronous_commit=off"],
        }
    }
}

/// Whether the server of `cluster_dir` was started with [`Durability::Relaxed`], from the command
/// line that it leaves in `postmaster.opts`.
pub(super) fn runs_relaxed(cluster_dir: &Path) -> bool {
    std::fs::read_to_string(cluster_dir.join("postmaster.opts")).is_ok_and(|line| line.contains("fsync=off"))
}

/// The log file from the point where this start began.
pub(super) struct Log {
    file: File,
    begin: u64,
}

impl Log {
    /// Opens the log for more, putting an overgrown one aside.
    pub fn open(layout: &Layout) -> Result<Self, DevDbError> {
        let path = &layout.log;
        if path.metadata().is_ok_and(|found| found.len() > LOG_BYTES_MAX) {
            std::fs::rename(path, path.with_extension("log.1")).map_err(DevDbError::io("put aside", path))?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(DevDbError::io("open", path))?;
        let begin = file.seek(SeekFrom::End(0)).map_err(DevDbError::io("read", path))?;
        Ok(Self { file, begin })
    }

    /// The last lines since this start began; an unreadable log is an empty tail.
    pub fn tail(&mut self) -> String {
        let mut bytes = Vec::new();
        let end = self.file.seek(SeekFrom::End(0)).unwrap_or(self.begin);
        let from = self.begin.max(end.saturating_sub(TAIL_BYTES_MAX));
        let read = self.file.seek(SeekFrom::Start(from)).and_then(|_| self.file.read_to_end(&mut bytes));
        if read.is_err() {
            bytes.clear();
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    fn catch_output_of(&self, command: &mut Command) -> std::io::Result<()> {
        command.stdout(self.file.try_clone()?).stderr(self.file.try_clone()?);
        Ok(())
    }
}

/// Makes an empty cluster beside its final place and moves it there when it is complete.
pub(super) async fn create_cluster(
    layout: &Layout,
    account: &Account,
    programs: &Programs,
    durability: Durability,
    log: &mut Log,
) -> Result<(), DevDbError> {
    let unfinished = &layout.unfinished_dir;
    for leftover in layout.leftovers().iter().filter(|path| *path != unfinished) {
        if let Err(error) = std::fs::remove_dir_all(leftover) {
            // Somebody's initdb notices its end only now; the next start will find it at rest.
            tracing::debug!(%error, "{} is left for later", leftover.display());
        }
    }
    clear_away(unfinished).await?;
    account.own_private_directory(unfinished)?;
    let mut command = account.command(&programs.initdb);
    command.arg("-D").arg(unfinished);
    command.args(["-U", "postgres", "-E", "UTF8", "--no-locale", "-A", "trust"]);
    if durability == Durability::Relaxed {
        command.arg("--no-sync");
    }
    log.catch_output_of(&mut command).map_err(DevDbError::io("write to", &layout.log))?;
    let ran = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .map_err(DevDbError::io("run", &programs.initdb))?;
    let status = match tokio::time::timeout(INITDB_PATIENCE, wait(ran)).await {
        Ok(Ok(status)) if status.success() => {
            return std::fs::rename(unfinished, &layout.cluster_dir)
                .map_err(DevDbError::io("move into place", unfinished));
        }
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done after {} s", INITDB_PATIENCE.as_secs()),
    };
    Err(DevDbError::Initdb { status, log: layout.log.clone(), tail: log.tail() })
}

/// Removes what an interrupted `initdb` left; a part of it may still be writing there and notice
/// its end only now.
async fn clear_away(unfinished: &Path) -> Result<(), DevDbError> {
    let mut refused = None;
    let cleared = poll(CLEAR_PATIENCE, async || match std::fs::remove_dir_all(unfinished) {
        Ok(()) => Some(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(()),
        Err(error) => {
            refused = Some(error);
            None
        }
    });
    match (cleared.await, refused) {
        (None, Some(error)) => Err(DevDbError::io("clear away", unfinished)(error)),
        (None | Some(()), _) => Ok(()),
    }
}

async fn wait(mut child: tokio::process::Child) -> std::io::Result<ExitStatus> {
    child.wait().await
}

/// A server process that we forked.
#[derive(Debug)]
pub(super) struct Postmaster {
    pub pid: u32,
    ended: Arc<OnceLock<String>>,
}

impl Postmaster {
    /// How it ended, once it has.
    pub fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }

    /// Starts the server of `layout`; it is not ready yet. `lock` is let go when it has ended.
    pub fn spawn(
        layout: &Layout,
        account: &Account,
        programs: &Programs,
        durability: Durability,
        log: &Log,
        lock: Arc<File>,
    ) -> Result<Self, DevDbError> {
        let mut command = dying_with_us(account, &programs.postgres);
        command.arg("-D").arg(&layout.cluster_dir);
        command.arg("-k").arg(quoted(&layout.socket_dir));
        command.args(["-p", &PORT.to_string(), "-c", "listen_addresses="]);
        command.args(["-c", &format!("max_connections={CONNECTIONS_MAX}")]);
        for setting in durability.settings() {
            command.args(["-c", setting]);
        }
        command.process_group(0);
        log.catch_output_of(&mut command).map_err(DevDbError::io("write to", &layout.log))?;
        Self::fork(command, lock).map_err(DevDbError::io("run", &programs.postgres))
    }

    fn fork(mut command: Command, lock: Arc<File>) -> std::io::Result<Self> {
        let ended = Arc::new(OnceLock::new());
        let tell_end = Arc::clone(&ended);
        let (tell_pid, pid) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("postmaster".to_owned()).spawn(move || {
            let forked = command.spawn();
            let pid = forked.as_ref().map(std::process::Child::id);
            let told = tell_pid.send(pid.map_err(|error| std::io::Error::new(error.kind(), error.to_string())));
            debug_assert!(told.is_ok(), "the other side waits for nothing else");
            if let Ok(mut child) = forked {
                let end = child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                let first = tell_end.set(end);
                debug_assert!(first.is_ok(), "only this thread tells the end");
            }
            drop(lock);
        })?;
        // Waited for without giving the thread back: it is a millisecond, and a start that is
        // given up in between would otherwise lose the number.
        let pid = pid.recv().map_err(std::io::Error::other)??;
        Ok(Self { pid, ended })
    }
}

/// `program` behind `setpriv --pdeathsig INT` where that works (util-linux), else alone: then an
/// orphan is replaced at the next start.
fn dying_with_us(account: &Account, program: &Path) -> Command {
    let mut trial = account.command("setpriv");
    trial.args(["--pdeathsig", "INT", "true"]);
    if !trial.output().is_ok_and(|tried| tried.status.success()) {
        return account.command(program);
    }
    let mut command = account.command("setpriv");
    command.args(["--pdeathsig", "INT"]).arg(program);
    command
}

/// `-k` takes a list, in which commas and spaces mean something unless quoted.
fn quoted(directory: &Path) -> std::ffi::OsString {
    let mut list = std::ffi::OsString::from("\"");
    list.push(directory);
    list.push("\"");
    list
}
