//! The private Redis: what several nodes of `parlour dev` tell each other hints over. One Unix socket in a directory that only
//! its owner can enter, no TCP, no configuration file, nothing on disk: what is in it is worth nothing a second later.
//!
//! It must never be a fallback of `parlour serve` and never end a Redis that is not of this data directory.
//! Look next in `server.rs` (how long it lives) and `cluster.rs` (whose directories and user it shares).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::devdb::account::Account;
use crate::devdb::cluster::{open_lock, prepare};
use crate::devdb::error::DevDbError;
use crate::devdb::host::Host;
use crate::devdb::layout::{self, Layout};
use crate::devdb::log::Log;
use crate::devdb::process::{self, Signal, poll};
use crate::devdb::server::{self, Server};

const PROGRAM: &str = "redis-server";
/// Version 6 brought RESP3, in which messages are pushed.
const MAJOR_MIN: u32 = 6;
/// How the sockets are called, followed by the number of the process that started the server: one that is just ending takes its
/// own socket away and not the next one's.
const SOCKET: &str = "redis.";
/// More than hints ever need; a defect must not eat the machine.
const MEMORY_MAX: &str = "64mb";
/// How long a server may take from its start to its first answer.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// How long an earlier one of this process may take to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How long a clean stop may take before it becomes an immediate one, and how long that may take.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// How long one answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// A running private Redis. Dropping it asks the server to stop and does not wait; [`PrivateRedis::stop`] waits.
#[derive(Debug)]
pub struct PrivateRedis {
    socket: PathBuf,
    log: PathBuf,
    server: Server,
}

impl PrivateRedis {
    /// Starts one for `data_dir`, beside a private cluster or alone. Returns when it answers.
    ///
    /// # Errors
    /// When there is no program, another process has one here, or it does not come up.
    pub async fn start(data_dir: &Path, host: &Host) -> Result<Self, DevDbError> {
        let (layout, account) = prepare(host, data_dir, None)?;
        let lock = lock(&layout).await?;
        let program = find(host, &account)?;
        account.own_private_directory(&layout.socket_dir)?;
        dismiss_earlier(&layout.socket_dir).await?;
        let socket = layout.socket_dir.join(format!("{SOCKET}{:x}", std::process::id()));
        layout::check_socket(&socket)?;
        let log_file = layout.data_dir.join("redis.log");
        let mut log = Log::open(&log_file)?;
        let started = Instant::now();
        let server = spawn(&program, &account, &socket, &log, lock)?;
        // From here on a start that is given up ends the server by the drop.
        let redis = Self { socket, log: log_file, server };
        redis.wait_until_ready(&mut log).await?;
        tracing::info!(pid = redis.server.pid, "Redis was ready in {} ms", started.elapsed().as_millis());
        Ok(redis)
    }

    /// Where nodes find it.
    pub fn url(&self) -> String {
        layout::redis_url(&self.socket)
    }

    /// What it said, since its first start here.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The server's process; `None` when it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.server.ended().is_none().then_some(self.server.pid)
    }

    /// Stops the server and waits for its end.
    pub async fn stop(self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let Some(pid) = self.pid() else { return };
            process::signal(pid, signal);
            let ended = poll(STOP_PATIENCE, async || self.server.ended().map(drop));
            if ended.await.is_some() {
                return;
            }
        }
        tracing::warn!(pid = self.server.pid, "redis-server is still there; the system will end it");
    }

    async fn wait_until_ready(&self, log: &mut Log) -> Result<(), DevDbError> {
        let ready = poll(READY_PATIENCE, async || match self.server.ended() {
            Some(status) => Some(Err(status.to_owned())),
            None => ask(&self.socket, "PING", "+PONG").await.then_some(Ok(())),
        });
        let log_file = self.log.clone();
        match ready.await {
            Some(Ok(())) => Ok(()),
            Some(Err(status)) => {
                Err(DevDbError::EndedEarly { program: PROGRAM, status, log: log_file, tail: log.tail() })
            }
            None => {
                let waited_s = READY_PATIENCE.as_secs();
                Err(DevDbError::NotReady { program: PROGRAM, waited_s, log: log_file, tail: log.tail() })
            }
        }
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            process::signal(pid, Signal::TERM);
        }
    }
}

/// One process has a Redis here, for as long as its server lives.
async fn lock(layout: &Layout) -> Result<File, DevDbError> {
    let path = layout.data_dir.join("redis.lock");
    let lock = open_lock(&path)?;
    match poll(LOCK_PATIENCE, async || lock.try_lock().is_ok().then_some(())).await {
        Some(()) => Ok(lock),
        None => Err(DevDbError::RedisHeld { data_dir: layout.data_dir.clone() }),
    }
}

/// The first `redis-server` that runs as `account` and is new enough.
fn find(host: &Host, account: &Account) -> Result<PathBuf, DevDbError> {
    let mut rejected = String::new();
    for directory in host.search_path.iter().chain(&host.program_dirs) {
        let program = directory.join(PROGRAM);
        // `symlink_metadata` also sees a link that leads nowhere: worth a line in the error.
        if program.symlink_metadata().is_err() {
            continue;
        }
        match check_version(account, &program) {
            Ok(()) => return Ok(program),
            Err(why) => rejected.push_str(&format!("\n  {} was passed over: {why}", program.display())),
        }
    }
    Err(DevDbError::RedisMissing { rejected })
}

fn check_version(account: &Account, program: &Path) -> Result<(), String> {
    let ran = account.command(program).arg("--version").output().map_err(|error| error.to_string())?;
    if !ran.status.success() {
        return Err(format!("--version ended with {}", ran.status));
    }
    let words = String::from_utf8_lossy(&ran.stdout).into_owned();
    match parse_major(&words) {
        Some(major) if major >= MAJOR_MIN => Ok(()),
        Some(major) => Err(format!("it is version {major}, and {MAJOR_MIN} or newer is needed")),
        None => Err(format!("--version said {:?}", words.trim())),
    }
}

/// `Redis server v=7.0.15 sha=…` → 7; Valkey says the same with its own name.
fn parse_major(words: &str) -> Option<u32> {
    words.split(" server v=").nth(1)?.split('.').next()?.parse().ok()
}

/// Ends what an owner that was killed may have left, where the kernel did not, and takes the dead sockets away.
async fn dismiss_earlier(socket_dir: &Path) -> Result<(), DevDbError> {
    let entries = std::fs::read_dir(socket_dir).map_err(DevDbError::io("read", socket_dir))?;
    let ours = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(SOCKET);
    for socket in entries.flatten().filter(ours).map(|entry| entry.path()) {
        // Answered by its end alone; words would be a refusal.
        if ask(&socket, "SHUTDOWN NOSAVE", "-").await {
            tracing::warn!("the Redis of {} refuses to end", socket.display());
        }
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(DevDbError::io("remove", socket)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Says one line to the server and tells whether it answers with `expected`.
async fn ask(socket: &Path, line: &str, expected: &str) -> bool {
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer == expected.as_bytes())
    };
    matches!(tokio::time::timeout(ANSWER_PATIENCE, talk).await, Ok(Ok(true)))
}

fn spawn(program: &Path, account: &Account, socket: &Path, log: &Log, lock: File) -> Result<Server, DevDbError> {
    let mut command = server::dying_with_us(account, program);
    command.args(["--port", "0", "--unixsocketperm", "700", "--unixsocket"]).arg(socket);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    command.args(["--maxmemory", MEMORY_MAX, "--maxmemory-policy", "noeviction"]);
    log.catch_output_of(&mut command).map_err(DevDbError::io("write to", socket))?;
    Server::fork(command, lock).map_err(DevDbError::io("run", program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_program_says() {
        assert_eq!(parse_major("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"), Some(7));
        assert_eq!(parse_major("Valkey server v=8.1.4 sha=00000000:0"), Some(8));
        assert_eq!(parse_major("redis-cli 7.0.15"), None);
        assert_eq!(parse_major(""), None);
    }
}
