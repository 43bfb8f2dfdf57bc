//! The life of a private cluster: start or attach, kill and restart for fault tests, stop.
//! One process owns it, by holding a lock for as long as the server lives; others attach. A
//! server found running without a living owner is an orphan: it is replaced, never trusted,
//! because the kernel may be about to end it.
//! It deletes data only when told to by name ([`Cluster::erase`]). Look next in `launch.rs` (how it is started) and `process.rs`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

use crate::devdb::account::Account;
use crate::devdb::error::DevDbError;
use crate::devdb::host::Host;
use crate::devdb::launch::{self, Durability};
use crate::devdb::layout::{self, Layout};
use crate::devdb::log::Log;
use crate::devdb::pid_file::PidFile;
use crate::devdb::process::{self, ProcessState, Signal, poll};
use crate::devdb::programs;
use crate::devdb::server::Server;

/// How long a server may take from its start to its first answer; recovery after a crash counts.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// How long another process may take to start or stop the same cluster.
const OWNER_PATIENCE: Duration = Duration::from_secs(90);
/// How long a dead postmaster may stay uncollected before its file is removed regardless.
const ZOMBIE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a clean stop may take before it becomes an immediate one, and how long that may take.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const QUIT_PATIENCE: Duration = Duration::from_secs(5);
/// How long one question to the socket may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// A client's "do you speak TLS?" (length 8, code 80877103); every server answers with one byte.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// What the owner writes into its lock file while others may attach.
const OPEN: &[u8] = b"open\n";

/// Where a private cluster lives and how it is run.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Holds the cluster, its log, its lock and its socket. Made when absent.
    pub data_dir: PathBuf,
    /// A short directory for the socket; `None`: beside the data, or below /tmp where that path
    /// would be too long.
    pub socket_dir: Option<PathBuf>,
    /// What a crash of the machine may cost.
    pub durability: Durability,
    /// The machine and the person.
    pub host: Host,
}

impl ClusterOptions {
    fn prepare(&self) -> Result<(Layout, Account), DevDbError> {
        prepare(&self.host, &self.data_dir, self.socket_dir.as_deref())
    }
}

/// A running private cluster, ours or another process's.
///
/// Dropping one that is ours asks the server to stop and does not wait; [`Cluster::stop`] waits.
#[derive(Debug)]
pub struct Cluster {
    layout: Layout,
    /// Where the running server listens; an attached one may have been told another place.
    socket_dir: PathBuf,
    port: u16,
    durability: Durability,
    account: Account,
    host: Host,
    /// Held by the owner only.
    lock: Option<Arc<File>>,
    /// What the owner forked last, ready or not.
    postmaster: Option<Server>,
}

impl Cluster {
    /// Starts the cluster of `options.data_dir`, making it when there is none, or attaches to it
    /// when a living process owns it already. Returns when it answers.
    pub async fn start(options: ClusterOptions) -> Result<Self, DevDbError> {
        // Some short programs (`id`, `initdb --version`) run on this thread: a launcher has
        // nothing better to do yet.
        let (layout, account) = options.prepare()?;
        let lock = open_lock(&layout.lock)?;
        let entered = poll(OWNER_PATIENCE, async || match lock.try_lock() {
            Ok(()) => Some(Ok(None)),
            Err(std::fs::TryLockError::WouldBlock) if is_open(&layout.lock) => {
                answering(&layout.cluster_dir).await.map(|file| Ok(Some(file)))
            }
            Err(std::fs::TryLockError::WouldBlock) => None,
            Err(std::fs::TryLockError::Error(error)) => Some(Err(error)),
        });
        let running = match entered.await {
            None => return Err(held(&layout)),
            Some(entered) => entered.map_err(DevDbError::io("lock", &layout.lock))?,
        };
        let mut cluster = Self {
            socket_dir: layout.socket_dir.clone(),
            port: layout::PORT,
            durability: options.durability,
            account,
            host: options.host,
            lock: running.is_none().then(|| Arc::new(lock)),
            postmaster: None,
            layout,
        };
        match running {
            Some(file) => cluster.attach(file)?,
            None => cluster.replace_and_launch().await?,
        }
        Ok(cluster)
    }

    /// Throws the cluster of `options.data_dir` away, with everything in it; an orphan is ended before. Refuses while a
    /// living process owns it. Files of the caller's beside it stay.
    pub async fn erase(options: &ClusterOptions) -> Result<(), DevDbError> {
        let (layout, _) = options.prepare()?;
        let lock = open_lock(&layout.lock)?;
        lock.try_lock().map_err(|_| held(&layout))?;
        clear_the_way(&layout.cluster_dir).await?;
        // A directory of that name could be anybody's.
        if layout.cluster_dir.exists() && layout.data_major().is_none() {
            let stranger = std::io::Error::other("it is no database cluster");
            return Err(DevDbError::io("remove", &layout.cluster_dir)(stranger));
        }
        match std::fs::remove_dir_all(&layout.cluster_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DevDbError::io("remove", &layout.cluster_dir)(error))
            }
            _ => Ok(()),
        }
    }

    /// Whether this value started the server and will stop it.
    pub fn is_owner(&self) -> bool {
        self.lock.is_some()
    }

    /// A URL for PostgreSQL's superuser, on whom row-level security has no hold: for roles,
    /// databases and migrations only.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url("postgres", database)
    }

    /// A URL for `role` (made by the caller) in `database`.
    pub fn url(&self, role: &str, database: &str) -> String {
        layout::url(&self.socket_dir, self.port, role, database)
    }

    /// What PostgreSQL said, since the cluster was made.
    pub fn log(&self) -> &Path {
        &self.layout.log
    }

    /// The server's first process; `None` when it does not run.
    pub fn postmaster_pid(&self) -> Option<u32> {
        running_postmaster(&self.layout.cluster_dir)
    }

    /// Stops the server if it is ours, cleanly; lets go of another's.
    pub async fn stop(mut self) -> Result<(), DevDbError> {
        let Some(lock) = self.lock.take() else {
            return Ok(());
        };
        close(&lock);
        stop_server(&self.layout.cluster_dir, Signal::INT).await
    }

    /// For fault tests: SIGKILL to the server and all its backends, as a power cut would. Returns
    /// when none of them runs any more.
    pub async fn kill(&self) -> Result<(), DevDbError> {
        let cluster_dir = &self.layout.cluster_dir;
        let Some(pid) = running_postmaster(cluster_dir) else {
            return Ok(());
        };
        // A stopped postmaster forks no more, so nobody is missing from the list.
        process::signal(pid, Signal::STOP);
        let mut victims = process::children(pid);
        victims.push(pid);
        for victim in &victims {
            process::signal(*victim, Signal::KILL);
        }
        let over = poll(QUIT_PATIENCE, async || {
            let over = |pid: &u32| is_over(process::state(*pid, cluster_dir));
            victims.iter().all(over).then_some(())
        });
        over.await.ok_or(DevDbError::DidNotStop { pid })
    }

    /// Starts a killed server again; one that runs is stopped cleanly before. Only its owner can.
    pub async fn restart(&mut self) -> Result<(), DevDbError> {
        if self.lock.is_none() {
            return Err(held(&self.layout));
        }
        self.replace_and_launch().await
    }

    /// Takes over the address of a server that another process owns.
    fn attach(&mut self, file: PidFile) -> Result<(), DevDbError> {
        let relaxed = launch::runs_relaxed(&self.layout.cluster_dir);
        if relaxed && self.durability == Durability::Durable {
            return Err(DevDbError::RelaxedRunning { data_dir: self.layout.data_dir.clone() });
        }
        self.socket_dir = file.socket_dir.unwrap_or_else(|| self.socket_dir.clone());
        self.port = file.port.unwrap_or(self.port);
        Ok(())
    }

    /// With the lock held: clears away what an earlier owner left, then starts the server.
    async fn replace_and_launch(&mut self) -> Result<(), DevDbError> {
        let Some(lock) = self.lock.clone() else {
            return Err(held(&self.layout));
        };
        close(&lock);
        clear_the_way(&self.layout.cluster_dir).await?;
        self.launch(Arc::clone(&lock)).await?;
        open(&lock).map_err(DevDbError::io("write to", &self.layout.lock))
    }

    async fn launch(&mut self, lock: Arc<File>) -> Result<(), DevDbError> {
        let (layout, account, durability) = (&self.layout, &self.account, self.durability);
        let major = layout.data_major();
        let programs = programs::find(&self.host, account, &layout.data_dir, major)?;
        let mut log = Log::open(&layout.log)?;
        if major.is_none() {
            launch::create_cluster(layout, account, &programs, durability, &mut log).await?;
        }
        account.own_private_directory(&layout.socket_dir)?;
        let started = Instant::now();
        let postmaster = launch::start_postgres(layout, account, &programs, durability, &log, lock)?;
        // Kept before it is ready: a start that is given up from here on ends it by the drop.
        let postmaster = self.postmaster.insert(postmaster);
        wait_until_ready(&self.layout, postmaster, &mut log).await?;
        tracing::info!(
            pid = postmaster.pid,
            "PostgreSQL {} at {} was ready in {} ms",
            programs.major,
            self.layout.data_dir.display(),
            started.elapsed().as_millis(),
        );
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else {
            return;
        };
        close(&lock);
        let running = self.postmaster.as_ref().filter(|postmaster| postmaster.ended().is_none());
        if let Some(postmaster) = running {
            // What may be lost anyway need not be written out first.
            let signal = match self.durability {
                Durability::Durable => Signal::INT,
                Durability::Relaxed => Signal::QUIT,
            };
            process::signal(postmaster.pid, signal);
        }
    }
}

/// Makes the data directory and decides on names and on the user.
pub(super) fn prepare(
    host: &Host,
    data_dir: &Path,
    socket_dir: Option<&Path>,
) -> Result<(Layout, Account), DevDbError> {
    let account = Account::choose(host, &data_dir.join("cluster"))?;
    // The programs of root run as somebody who must be able to pass through, not to look around.
    let mode = if host.is_root() { 0o711 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(data_dir).map_err(DevDbError::io("create", data_dir))?;
    let layout = Layout::new(data_dir, socket_dir, host.user_id)?;
    account.check_can_enter(&layout.data_dir)?;
    Ok((layout, account))
}

pub(super) fn open_lock(path: &Path) -> Result<File, DevDbError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(DevDbError::io("open", path))
}

/// Tells other processes that they may attach.
fn open(lock: &File) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    lock.write_all_at(OPEN, 0)
}

/// Tells other processes to wait: the server stops, or is about to start.
fn close(lock: &File) {
    if let Err(error) = lock.set_len(0) {
        tracing::warn!(%error, "the lock file of the development database could not be emptied");
    }
}

fn is_open(lock: &Path) -> bool {
    std::fs::read(lock).is_ok_and(|content| content == OPEN)
}

fn held(layout: &Layout) -> DevDbError {
    let pid = running_postmaster(&layout.cluster_dir);
    DevDbError::Held {
        data_dir: layout.data_dir.clone(),
        holder: pid.map_or_else(String::new, |pid| format!(" (postgres is process {pid})")),
    }
}

fn running_postmaster(cluster_dir: &Path) -> Option<u32> {
    let pid = PidFile::read(cluster_dir)?.pid;
    (process::state(pid, cluster_dir) == ProcessState::Postmaster).then_some(pid)
}

fn is_over(state: ProcessState) -> bool {
    match state {
        // A number that changed hands means the same as none: ours is over.
        ProcessState::Gone | ProcessState::Zombie | ProcessState::Stranger => true,
        ProcessState::Postmaster => false,
    }
}

async fn wait_until_ready(layout: &Layout, postmaster: &Server, log: &mut Log) -> Result<(), DevDbError> {
    let ready = poll(READY_PATIENCE, async || {
        if let Some(status) = postmaster.ended() {
            return Some(Err(status.to_owned()));
        }
        let file = answering(&layout.cluster_dir).await?;
        (file.pid == postmaster.pid).then_some(Ok(()))
    });
    match ready.await {
        Some(Ok(())) => Ok(()),
        Some(Err(status)) => {
            Err(DevDbError::EndedEarly { program: "postgres", status, log: layout.log.clone(), tail: log.tail() })
        }
        None => {
            process::signal(postmaster.pid, Signal::QUIT);
            let waited_s = READY_PATIENCE.as_secs();
            Err(DevDbError::NotReady { program: "postgres", waited_s, log: layout.log.clone(), tail: log.tail() })
        }
    }
}

/// The server's own words, if it calls itself ready and its socket really answers.
async fn answering(cluster_dir: &Path) -> Option<PidFile> {
    let file = PidFile::read(cluster_dir).filter(|file| file.ready)?;
    let socket = layout::socket(file.socket_dir.as_deref()?, file.port?);
    let ask = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(&TLS_REQUEST).await?;
        stream.read_u8().await
    };
    let answered = tokio::time::timeout(ANSWER_PATIENCE, ask).await;
    matches!(answered, Ok(Ok(_))).then_some(file)
}

/// Ends an orphan and removes a `postmaster.pid` that would make `postgres` refuse to start.
/// PostgreSQL's own check of shared memory still stands between us and a second server.
async fn clear_the_way(cluster_dir: &Path) -> Result<(), DevDbError> {
    let Some(file) = PidFile::read(cluster_dir) else {
        return Ok(());
    };
    if process::state(file.pid, cluster_dir) == ProcessState::Postmaster {
        tracing::info!(pid = file.pid, "ending PostgreSQL process {} left by an earlier run", file.pid);
        stop_server(cluster_dir, Signal::INT).await?;
    }
    let freed = poll(ZOMBIE_PATIENCE, async || match process::state(file.pid, cluster_dir) {
        ProcessState::Zombie => None,
        ProcessState::Gone | ProcessState::Stranger | ProcessState::Postmaster => Some(()),
    });
    if freed.await.is_none() {
        tracing::warn!(pid = file.pid, "the dead process {} is still not collected by its parent", file.pid);
    }
    let path = PidFile::path(cluster_dir);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DevDbError::io("remove", path)(error)),
    }
}

/// Ends the server of `cluster_dir`: as asked, and if that takes too long, immediately.
async fn stop_server(cluster_dir: &Path, how: Signal) -> Result<(), DevDbError> {
    let Some(pid) = running_postmaster(cluster_dir) else {
        return Ok(());
    };
    for (signal, patience) in [(how, STOP_PATIENCE), (Signal::QUIT, QUIT_PATIENCE)] {
        process::signal(pid, signal);
        let over = poll(patience, async || is_over(process::state(pid, cluster_dir)).then_some(()));
        if over.await.is_some() {
            return Ok(());
        }
    }
    Err(DevDbError::DidNotStop { pid })
}
