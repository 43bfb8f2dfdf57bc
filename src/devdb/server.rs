//! A private server as a process of ours: forked, watched until it ends, and never left behind.
//! It must not outlive us: where `setpriv` exists the kernel interrupts it when the thread that forked it ends, so that thread
//! does nothing but wait for it. Neither may it share our process group, or Ctrl-C would take the database from under a server
//! that is draining. Look next in `cluster.rs` and `redis.rs`, which decide when.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use crate::devdb::account::Account;

/// A server process that we forked.
#[derive(Debug)]
pub(super) struct Server {
    pub pid: u32,
    ended: Arc<OnceLock<String>>,
}

impl Server {
    /// How it ended, once it has.
    pub fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }

    /// Starts it; it is not ready yet. `held` is let go when it has ended.
    pub fn fork(mut command: Command, held: impl Send + 'static) -> std::io::Result<Self> {
        command.process_group(0);
        let ended = Arc::new(OnceLock::new());
        let tell_end = Arc::clone(&ended);
        let (tell_pid, pid) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name("private-server".to_owned()).spawn(move || {
            let forked = command.spawn();
            let pid = forked.as_ref().map(std::process::Child::id);
            let told = tell_pid.send(pid.map_err(|error| std::io::Error::new(error.kind(), error.to_string())));
            debug_assert!(told.is_ok(), "the other side waits for nothing else");
            if let Ok(mut child) = forked {
                let end = child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                let first = tell_end.set(end);
                debug_assert!(first.is_ok(), "only this thread tells the end");
            }
            drop(held);
        })?;
        // Waited for without giving the thread back: it is a millisecond, and a start that is
        // given up in between would otherwise lose the number.
        let pid = pid.recv().map_err(std::io::Error::other)??;
        Ok(Self { pid, ended })
    }
}

/// `program` behind `setpriv --pdeathsig INT` where that works (util-linux), else alone: then an
/// orphan is replaced at the next start.
pub(super) fn dying_with_us(account: &Account, program: &Path) -> Command {
    let mut trial = account.command("setpriv");
    trial.args(["--pdeathsig", "INT", "true"]);
    if !trial.output().is_ok_and(|tried| tried.status.success()) {
        return account.command(program);
    }
    let mut command = account.command("setpriv");
    command.args(["--pdeathsig", "INT"]).arg(program);
    command
}
