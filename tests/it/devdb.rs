//! The private cluster, for real: as this user and, for root, as an ordinary one; two processes;
//! an owner killed with SIGKILL; a server killed with all its backends; files left behind.
//! Other processes are this test binary again, told by an environment variable what to play.
//! It must never leave a server running. Look next in `src/devdb/cluster.rs`.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their report")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parlour::devdb::{Cluster, ClusterOptions, DevDbError, Durability, Host};
use sqlx::{Connection, PgConnection};

/// Set in a child: the directory of the cluster it shall own.
const CHILD_DIR: &str = "PARLOUR_TEST_DEVDB_DIR";
/// What a child says when its cluster answers, followed by the postmaster's number.
const READY: &str = "devdb-child-ready ";

fn host() -> Host {
    Host::observe(|name| std::env::var_os(name))
}

fn options(directory: &Path, durability: Durability) -> ClusterOptions {
    ClusterOptions { data_dir: directory.to_owned(), socket_dir: None, durability, host: host() }
}

async fn start(directory: &Path) -> Cluster {
    Cluster::start(options(directory, Durability::Relaxed)).await.unwrap()
}

/// A directory of its own for one test, removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/pdb-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn pid_file(&self) -> PathBuf {
        self.data().join("cluster/postmaster.pid")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A server that is still ending may be removing files of its own.
        for _ in 0..3 {
            if std::fs::remove_dir_all(&self.0).is_ok() {
                return;
            }
        }
    }
}

async fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::connect(&cluster.superuser_url("postgres")).await.unwrap()
}

async fn write_note(cluster: &Cluster, note: &'static str) {
    let mut db = connect(cluster).await;
    sqlx::query("create table if not exists notes (note text)").execute(&mut db).await.unwrap();
    sqlx::query("insert into notes values ($1)").bind(note).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

async fn notes(cluster: &Cluster) -> Vec<String> {
    let mut db = connect(cluster).await;
    let found = sqlx::query_scalar("select note from notes order by note").fetch_all(&mut db).await.unwrap();
    db.close().await.unwrap();
    found
}

/// This test binary again, owning the cluster in `data` until its stdin closes.
struct Owner {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Kept open: a test program that cannot print fails.
    stdout: BufReader<ChildStdout>,
    postmaster: u32,
}

impl Owner {
    fn spawn(program: &Path, data: &Path, user: Option<u32>) -> Self {
        let mut command = Command::new(program);
        if let Some(id) = user {
            command.uid(id).gid(id);
        }
        Self::spawn_with(&mut command, data)
    }

    fn spawn_with(command: &mut Command, data: &Path) -> Self {
        command
            .args(["--exact", "devdb::child_process", "--nocapture", "--test-threads=1"])
            .env(CHILD_DIR, data)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        // The end of its output would mean that it failed; the wait has no other end.
        let postmaster = stdout
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, pid) = line.split_once(READY)?;
                pid.trim().parse().ok()
            })
            .expect("the child owns a cluster");
        Self { child, stdin, stdout, postmaster }
    }

    fn leave(mut self) {
        drop(self.stdin.take());
        let rest = std::io::read_to_string(&mut self.stdout).unwrap();
        assert!(self.child.wait().unwrap().success(), "{rest}");
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Not a claim: what the other processes of this file play. Alone it does nothing.
#[tokio::test]
async fn child_process() {
    let Some(data) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let data = PathBuf::from(data);
    let first = start(&data).await;
    assert!(first.is_owner());
    write_note(&first, "before").await;
    first.stop().await.unwrap();
    let again = start(&data).await;
    assert_eq!(notes(&again).await, ["before"]);
    let mut out = std::io::stdout();
    writeln!(out, "{READY}{}", again.postmaster_pid().unwrap()).unwrap();
    out.flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    again.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_written_is_there_after_a_stop() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(options(&scratch.data(), Durability::Durable)).await.unwrap();
    write_note(&cluster, "kept").await;
    let pid = cluster.postmaster_pid().unwrap();
    cluster.stop().await.unwrap();
    assert!(!scratch.pid_file().exists(), "a clean stop leaves no pid file");
    let again = start(&scratch.data()).await;
    assert_ne!(again.postmaster_pid().unwrap(), pid);
    assert_eq!(notes(&again).await, ["kept"]);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn only_its_owner_can_reach_the_cluster_and_roles_are_no_superusers() {
    let scratch = Scratch::new();
    let cluster = start(&scratch.data()).await;
    for private in ["cluster", "socket"] {
        let mode = scratch.data().join(private).metadata().unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o700, "{private}");
    }
    let mut db = connect(&cluster).await;
    let tcp: String = sqlx::query_scalar("show listen_addresses").fetch_one(&mut db).await.unwrap();
    assert_eq!(tcp, "");
    sqlx::query("create role parlour_app login").execute(&mut db).await.unwrap();
    let mut app = PgConnection::connect(&cluster.url("parlour_app", "postgres")).await.unwrap();
    let superuser: String = sqlx::query_scalar("show is_superuser").fetch_one(&mut app).await.unwrap();
    assert_eq!(superuser, "off");
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn root_and_an_ordinary_user_can_both_own_a_cluster() {
    if !host().is_root() {
        println!("not root: the other tests of this file are the ordinary user's");
        return;
    }
    let scratch = Scratch::new();
    // The checkout may lie in a private home, so the ordinary user gets a copy of the program.
    let program = scratch.0.join("test-program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Owner::spawn(&program, &scratch.data(), Some(65_534)).leave();
    Owner::spawn(&program, &scratch.0.join("roots"), None).leave();
}

#[tokio::test]
async fn a_second_start_attaches_and_does_not_stop_what_it_does_not_own() {
    let scratch = Scratch::new();
    let program = std::env::current_exe().unwrap();
    let owner = Owner::spawn(&program, &scratch.data(), None);
    let data = scratch.data();
    let (second, third) = tokio::join!(start(&data), start(&data));
    for attached in [&second, &third] {
        assert!(!attached.is_owner());
        assert_eq!(attached.postmaster_pid(), Some(owner.postmaster));
        assert_eq!(notes(attached).await, ["before"]);
    }
    drop(third);
    second.stop().await.unwrap();
    let fourth = start(&scratch.data()).await;
    assert_eq!(fourth.postmaster_pid(), Some(owner.postmaster));
    owner.leave();
    assert_eq!(fourth.postmaster_pid(), None);
}

#[tokio::test]
async fn two_first_starts_at_once_make_one_cluster() {
    let scratch = Scratch::new();
    let data = scratch.data();
    let (one, two) = tokio::join!(start(&data), start(&data));
    assert!(one.is_owner() != two.is_owner());
    assert_eq!(one.postmaster_pid(), two.postmaster_pid());
    let (owner, guest) = if one.is_owner() { (one, two) } else { (two, one) };
    drop(guest);
    owner.stop().await.unwrap();
}

#[tokio::test]
async fn an_owner_killed_without_warning_does_not_block_the_next_start() {
    let scratch = Scratch::new();
    let program = std::env::current_exe().unwrap();
    let owner = Owner::spawn(&program, &scratch.data(), None);
    replaces_the_orphan(&scratch, owner).await;
}

#[tokio::test]
async fn a_server_that_outlives_its_owner_is_replaced() {
    let scratch = Scratch::new();
    // A machine without a working setpriv: nothing ends the server together with its owner.
    let bin = scratch.0.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("setpriv"), "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(bin.join("setpriv"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let program = std::env::current_exe().unwrap();
    let owner = Owner::spawn_with(Command::new(&program).env("PATH", path), &scratch.data());
    replaces_the_orphan(&scratch, owner).await;
}

async fn replaces_the_orphan(scratch: &Scratch, owner: Owner) {
    let orphan = owner.postmaster;
    owner.kill();
    let cluster = start(&scratch.data()).await;
    assert!(cluster.is_owner());
    assert_ne!(cluster.postmaster_pid(), Some(orphan));
    assert_eq!(notes(&cluster).await, ["before"]);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_cluster_does_not_block_the_next_start() {
    let scratch = Scratch::new();
    let first = start(&scratch.data()).await;
    let pid = first.postmaster_pid();
    drop(first);
    let again = start(&scratch.data()).await;
    assert!(again.is_owner() && again.postmaster_pid() != pid);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_start_given_up_halfway_does_not_block_the_next() {
    let scratch = Scratch::new();
    for patience_ms in [1, 100, 300, 600, 900, 1200] {
        let patience = Duration::from_millis(patience_ms);
        drop(tokio::time::timeout(patience, start(&scratch.data())).await);
    }
    let cluster = start(&scratch.data()).await;
    assert!(cluster.is_owner());
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn committed_data_survives_a_kill_of_every_process() {
    let scratch = Scratch::new();
    let mut cluster = Cluster::start(options(&scratch.data(), Durability::Durable)).await.unwrap();
    write_note(&cluster, "committed").await;
    let mut open = connect(&cluster).await;
    for _ in 0..2 {
        cluster.kill().await.unwrap();
        assert_eq!(cluster.postmaster_pid(), None);
        assert!(sqlx::query("select 1").execute(&mut open).await.is_err());
        cluster.restart().await.unwrap();
        assert_eq!(notes(&cluster).await, ["committed"]);
        open = connect(&cluster).await;
    }
    let killed = cluster.postmaster_pid();
    cluster.kill().await.unwrap();
    cluster.stop().await.unwrap();
    let again = start(&scratch.data()).await;
    assert_ne!(again.postmaster_pid(), killed);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_of_a_dead_a_zombie_or_another_process_is_no_obstacle() {
    let scratch = Scratch::new();
    start(&scratch.data()).await.stop().await.unwrap();
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let mut zombie = Command::new("true").spawn().unwrap();
    for pid in [dead.id(), zombie.id(), std::process::id()] {
        let directory = scratch.data().join("cluster");
        let left = format!("{pid}\n{}\n1700000000\n5432\n/x\n\n1 1\nready\n", directory.display());
        std::fs::write(scratch.pid_file(), left).unwrap();
        let began = Instant::now();
        let cluster = start(&scratch.data()).await;
        assert!(cluster.is_owner());
        assert!(began.elapsed() < Duration::from_secs(20));
        cluster.stop().await.unwrap();
    }
    zombie.wait().unwrap();
}

#[tokio::test]
async fn a_relaxed_cluster_is_not_passed_off_as_durable() {
    let scratch = Scratch::new();
    let relaxed = start(&scratch.data()).await;
    let refused = Cluster::start(options(&scratch.data(), Durability::Durable)).await;
    assert!(matches!(refused, Err(DevDbError::RelaxedRunning { .. })));
    relaxed.stop().await.unwrap();
    let durable = Cluster::start(options(&scratch.data(), Durability::Durable)).await.unwrap();
    let mut db = connect(&durable).await;
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&mut db).await.unwrap();
    assert_eq!(fsync, "on");
    durable.stop().await.unwrap();
}

#[tokio::test]
async fn missing_and_broken_programs_are_named_with_what_to_do() {
    let scratch = Scratch::new();
    let bin = scratch.0.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let mut options = options(&scratch.data(), Durability::Relaxed);
    options.host.search_path = vec![bin.clone()];
    options.host.program_dirs.clear();
    let missing = Cluster::start(options.clone()).await.unwrap_err().to_string();
    assert!(missing.contains("bin/dev") && missing.contains("apt-get install"), "{missing}");
    std::fs::write(bin.join("initdb"), "not a program").unwrap();
    let broken = Cluster::start(options).await.unwrap_err().to_string();
    assert!(broken.contains(&*bin.join("initdb").to_string_lossy()), "{broken}");
    assert!(broken.contains("denied"), "{broken}");
}

#[tokio::test]
async fn data_of_another_major_version_is_left_alone() {
    let scratch = Scratch::new();
    start(&scratch.data()).await.stop().await.unwrap();
    let version = scratch.data().join("cluster/PG_VERSION");
    let own = std::fs::read_to_string(&version).unwrap();
    std::fs::write(&version, "9.6\n").unwrap();
    let refused = Cluster::start(options(&scratch.data(), Durability::Relaxed)).await;
    assert!(matches!(refused, Err(DevDbError::MajorMismatch { data_major: 9, .. })));
    std::fs::write(&version, own).unwrap();
    start(&scratch.data()).await.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_start_quotes_what_postgres_said() {
    let scratch = Scratch::new();
    start(&scratch.data()).await.stop().await.unwrap();
    let settings = scratch.data().join("cluster/postgresql.auto.conf");
    std::fs::write(settings, "nonsense_setting = 1\n").unwrap();
    let refused = Cluster::start(options(&scratch.data(), Durability::Relaxed)).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, DevDbError::EndedEarly { .. }));
    let text = error.to_string();
    assert!(text.contains("nonsense_setting") && text.contains("postgres.log"), "{text}");
}

#[tokio::test]
async fn root_is_told_when_the_programs_cannot_enter() {
    if !host().is_root() {
        println!("not root: nobody else runs the programs");
        return;
    }
    let scratch = Scratch::new();
    let home = scratch.0.join("private-home");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let refused = Cluster::start(options(&home.join("data"), Durability::Relaxed)).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("private-home") && text.contains("/var/lib/parlour"), "{text}");
}
