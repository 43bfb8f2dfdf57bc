//! Makes a cluster's files and starts its server: `initdb` and `postgres`, with the settings a private cluster needs.
//! It must never start a second server on the same files: its callers hold the lock.
//! Look next in `cluster.rs`, which decides when, and in `server.rs` (how long the server lives).

use std::fs::File;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use crate::devdb::account::Account;
use crate::devdb::error::DevDbError;
use crate::devdb::layout::{Layout, PORT};
use crate::devdb::log::Log;
use crate::devdb::process::poll;
use crate::devdb::programs::Programs;
use crate::devdb::server::{self, Server};

/// How long `initdb` may take; about a second is usual.
const INITDB_PATIENCE: Duration = Duration::from_secs(120);
/// How long the remains of an interrupted `initdb` may take to come to rest.
const CLEAR_PATIENCE: Duration = Duration::from_secs(5);
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

/// Starts the server of `layout`; it is not ready yet. `lock` is let go when it has ended.
pub(super) fn start_postgres(
    layout: &Layout,
    account: &Account,
    programs: &Programs,
    durability: Durability,
    log: &Log,
    lock: Arc<File>,
) -> Result<Server, DevDbError> {
    let mut command = server::dying_with_us(account, &programs.postgres);
    command.arg("-D").arg(&layout.cluster_dir);
    command.arg("-k").arg(quoted(&layout.socket_dir));
    command.args(["-p", &PORT.to_string(), "-c", "listen_addresses="]);
    command.args(["-c", &format!("max_connections={CONNECTIONS_MAX}")]);
    for setting in durability.settings() {
        command.args(["-c", setting]);
    }
    log.catch_output_of(&mut command).map_err(DevDbError::io("write to", &layout.log))?;
    Server::fork(command, lock).map_err(DevDbError::io("run", &programs.postgres))
}

/// `-k` takes a list, in which commas and spaces mean something unless quoted.
fn quoted(directory: &Path) -> std::ffi::OsString {
    let mut list = std::ffi::OsString::from("\"");
    list.push(directory);
    list.push("\"");
    list
}
