//! The private Redis, for real: reachable by its owner alone, nothing on disk, one per data directory, and gone when its owner is,
//! however that ended. The owner that is killed is this test binary again, told by an environment variable.
//! It must never leave a server running. Look next in `src/devdb/redis.rs`.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is their report")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parlour::devdb::{DevDbError, Host, PrivateRedis};

/// Set in a child: the directory of the Redis it shall own.
const CHILD_DIR: &str = "PARLOUR_TEST_REDIS_DIR";
/// What a child says when its Redis answers, followed by the server's process number.
const READY: &str = "redis-child-ready ";
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory of its own for one test; the space in its name is on purpose.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/tmp/predis {name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o711)).unwrap();
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn host() -> Host {
    Host::observe(|name| std::env::var_os(name))
}

/// A host whose only `redis-server` is a script.
fn host_with(directory: &Path, script: &str) -> Host {
    std::fs::create_dir_all(directory).unwrap();
    let program = directory.join("redis-server");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut host = host();
    host.search_path = vec![directory.to_owned()];
    host.program_dirs.clear();
    host
}

fn socket(redis: &PrivateRedis) -> PathBuf {
    PathBuf::from(redis.url().strip_prefix("redis+unix://").unwrap().replace("%20", " "))
}

/// Everything the server answers to these lines.
fn talk(redis: &PrivateRedis, lines: &str) -> String {
    let mut stream = UnixStream::connect(socket(redis)).unwrap();
    stream.write_all(format!("{lines}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn only_its_owner_reaches_it_and_nothing_is_kept() {
    let scratch = Scratch::new("private");
    let redis = PrivateRedis::start(&scratch.data(), &host()).await.unwrap();
    let directory = socket(&redis).parent().unwrap().metadata().unwrap();
    assert_eq!(directory.mode() & 0o777, 0o700);
    assert_ne!(directory.uid(), 0, "root lends an ordinary user");
    if let Ok(process) = PathBuf::from(format!("/proc/{}", redis.pid().unwrap())).metadata() {
        assert_eq!(process.uid(), directory.uid());
    }
    let said = talk(&redis, "CONFIG GET port\r\nCONFIG GET save\r\nCONFIG GET appendonly\r\nCONFIG GET maxmemory");
    let words: Vec<&str> = said.lines().filter(|line| !line.starts_with(['*', '$', '+'])).collect();
    assert_eq!(words, ["port", "0", "save", "", "appendonly", "no", "maxmemory", "67108864"]);
    let pid = redis.pid().unwrap();
    redis.stop().await;
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_second_one_is_refused_until_the_first_has_ended() {
    let scratch = Scratch::new("second");
    let first = PrivateRedis::start(&scratch.data(), &host()).await.unwrap();
    let refused = PrivateRedis::start(&scratch.data(), &host()).await.unwrap_err();
    assert!(matches!(refused, DevDbError::RedisHeld { .. }), "{refused}");
    assert!(talk(&first, "PING").contains("PONG"), "the first is as it was");
    drop(first); // does not wait: the next start does
    let second = PrivateRedis::start(&scratch.data(), &host()).await.unwrap();
    assert!(talk(&second, "PING").contains("PONG"));
    second.stop().await;
}

/// Not a claim: what the other process of this file plays. Alone it does nothing.
#[tokio::test]
async fn child_process() {
    let Some(data) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let redis = PrivateRedis::start(Path::new(&data), &host()).await.unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{READY}{}", redis.pid().unwrap()).unwrap();
    out.flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    redis.stop().await;
}

#[tokio::test]
async fn it_dies_with_an_owner_that_was_killed_and_the_next_owner_starts_anew() {
    let scratch = Scratch::new("killed");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "private_redis::child_process", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, scratch.data())
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let pid: u32 =
        lines.find_map(|line| line.split_once(READY)?.1.trim().parse().ok()).expect("the child owns a Redis");
    assert!(is_alive(pid));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let next = PrivateRedis::start(&scratch.data(), &host()).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "redis-server {pid} outlived its owner");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(talk(&next, "PING").contains("PONG"), "the end of the old one took nothing from the new one");
    next.stop().await;
}

#[tokio::test]
async fn a_failed_start_quotes_what_the_server_said() {
    let scratch = Scratch::new("fails");
    let script = "[ \"$1\" = --version ] && { echo 'Redis server v=7.2.4 sha=0'; exit; }\necho 'no more ink'; exit 3";
    let host = host_with(&scratch.0.join("bin"), script);
    let refused = PrivateRedis::start(&scratch.data(), &host).await.unwrap_err();
    assert!(matches!(refused, DevDbError::EndedEarly { program: "redis-server", .. }));
    let words = refused.to_string();
    assert!(words.contains("no more ink") && words.contains("redis.log"), "{words}");
}

#[tokio::test]
async fn what_to_do_is_said_where_there_is_none_or_none_that_does() {
    let scratch = Scratch::new("missing");
    let host = host_with(&scratch.0.join("bin"), "echo 'Redis server v=5.0.14 sha=0'");
    let refused = PrivateRedis::start(&scratch.data(), &host).await.unwrap_err().to_string();
    for part in ["redis-server is missing", "version 5", "bin/dev --nodes 2", "apt-get install redis-server"] {
        assert!(refused.contains(part), "{part} is missing in {refused}");
    }
}
