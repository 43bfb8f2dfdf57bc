//! `parlour dev` as somebody meets it: the real program, its own database, one line of JSON, and the same room again at the
//! second start. Ends everything it starts and never waits without a deadline.
//! Look next in `src/cli/dev/`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Making a cluster takes a second on an idle machine; this is for a busy one.
const READY_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// A running `parlour dev`; killed when a test gives up.
struct Dev {
    child: Child,
    welcome: Value,
}

impl Dev {
    fn start(data_dir: &Path, more: &[&str]) -> Self {
        let mut child = command(data_dir, more).stdout(Stdio::piped()).spawn().expect("the program");
        let stdout = child.stdout.take().expect("its stdout");
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            // The first line is the result; anything after it would be one too many.
            while let Some(Ok(line)) = lines.next() {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        match told.recv_timeout(READY_PATIENCE) {
            Ok(line) => Self { child, welcome: serde_json::from_str(&line).expect("one line of JSON") },
            Err(error) => {
                let _ = child.kill();
                panic!("parlour dev printed nothing ({error}): {:?}", child.wait());
            }
        }
    }

    fn text(&self, pointer: &str) -> &str {
        self.welcome
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer}: {}", self.welcome))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text("/http_url"))
    }

    fn share_token(&self) -> &str {
        self.text("/share_url").rsplit('/').next().expect("a last segment")
    }

    fn stop(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("a living program");
        wait(&mut self.child)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(data_dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
    command.args(["dev", "--json", "--port", "0", "--data-dir"]).arg(data_dir).args(more);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + STOP_PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("its status") {
            return status;
        }
        assert!(Instant::now() < deadline, "the program did not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A directory that is gone when the test is over. Not in a private home: root's PostgreSQL runs as somebody else.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("parlour-dev-test-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn log_in(dev: &Dev) -> String {
    let body = json!({"email": dev.text("/staff/0/email"), "password": dev.text("/staff/0/password")});
    let answer = post(&dev.url("/api/v1/auth/login"), None, &body).await;
    answer["data"]["access_token"].as_str().unwrap_or_else(|| panic!("no log-in: {answer}")).to_owned()
}

async fn post(url: &str, token: Option<&str>, body: &Value) -> Value {
    let request = reqwest::Client::new().post(url).json(body);
    let request = token.iter().fold(request, |request, token| request.bearer_auth(token));
    request.send().await.expect("an answer").json().await.expect("JSON")
}

async fn get(url: &str, token: &str) -> Value {
    reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer").json().await.expect("JSON")
}

#[tokio::test]
async fn a_second_start_finds_the_same_room() {
    let scratch = Scratch::new("again");
    let first = Dev::start(&scratch.0, &["--limits-profile", "test", "--staff-token-seconds", "60"]);
    let token = log_in(&first).await;
    let titles = get(&first.url("/api/v1/conversations"), &token).await;
    assert_eq!(titles["data"][0]["title"], "Maria Fernandes", "{titles}");
    assert!(titles["data"].as_array().unwrap().len() >= 4);
    let room = format!("/api/v1/conversations/{}/entries", first.text("/conversation_id"));
    let entries = get(&first.url(&room), first.text("/staff/1/token")).await;
    let kinds: Vec<&str> =
        entries["data"].as_array().unwrap().iter().filter_map(|row| row["entry"]["kind"].as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "card").count(), 3, "{entries}");

    let message = json!({"kind": "message", "text": "Hello from curl"});
    let pushed = post(&first.url(&room), Some(first.text("/api_key")), &message).await;
    assert_eq!(pushed["success"], true, "{pushed}");
    let claimed = post(&first.url("/api/v1/shares/claim"), None, &json!({"token": first.share_token()})).await;
    assert_eq!(claimed["data"]["conversation_id"], first.welcome["conversation_id"], "{claimed}");

    // The data is in use: a second server on it is refused, and so is throwing it away.
    for more in [&[][..], &["--reset"]] {
        assert_eq!(wait(&mut command(&scratch.0, more).stdout(Stdio::null()).spawn().unwrap()).code(), Some(69));
    }

    let (link, before) = (first.share_token().to_owned(), first.welcome.clone());
    assert_eq!(first.stop().code(), Some(0));
    let second = Dev::start(&scratch.0, &[]);
    assert_eq!(second.share_token(), link);
    for pointer in ["/api_key", "/organization_id", "/conversation_id", "/staff/0/password", "/staff/1/email"] {
        assert_eq!(second.welcome.pointer(pointer), before.pointer(pointer), "{pointer}");
    }
    let entries = get(&second.url(&room), &log_in(&second).await).await;
    assert!(entries.to_string().contains("Hello from curl"), "{entries}");
    assert_eq!(second.stop().code(), Some(0));
}

#[tokio::test]
async fn a_dead_link_is_replaced_and_a_reset_begins_anew() {
    let scratch = Scratch::new("link");
    let first = Dev::start(&scratch.0, &[]);
    let token = first.text("/staff/0/token").to_owned();
    let shares = format!("/api/v1/conversations/{}/shares", first.text("/conversation_id"));
    let listed = get(&first.url(&shares), &token).await;
    let share = listed["data"][0]["id"].as_str().unwrap();
    let revoked = reqwest::Client::new().delete(first.url(&format!("/api/v1/shares/{share}"))).bearer_auth(&token);
    assert!(revoked.send().await.unwrap().status().is_success());
    let (link, before) = (first.share_token().to_owned(), first.welcome.clone());
    assert_eq!(first.stop().code(), Some(0));

    let second = Dev::start(&scratch.0, &[]);
    assert_ne!(second.share_token(), link);
    assert_eq!(second.welcome["api_key"], before["api_key"]);
    let claimed = post(&second.url("/api/v1/shares/claim"), None, &json!({"token": second.share_token()})).await;
    assert_eq!(claimed["success"], true, "{claimed}");
    assert_eq!(second.stop().code(), Some(0));

    let third = Dev::start(&scratch.0, &["--reset"]);
    assert_ne!(third.welcome["organization_id"], before["organization_id"]);
    assert_eq!(third.stop().code(), Some(0));
}

#[tokio::test]
async fn two_nodes_are_one_parlour_with_two_addresses() {
    let scratch = Scratch::new("nodes");
    let dev = Dev::start(&scratch.0, &["--nodes", "2", "--limits-profile", "test"]);
    assert_eq!(dev.text("/nodes/0/http_url"), dev.text("/http_url"));
    assert_eq!(dev.text("/nodes/0/ws_url"), dev.text("/ws_url"));
    let [first, second] = ["/nodes/0/http_url", "/nodes/1/http_url"].map(|node| dev.text(node).to_owned());
    assert_ne!(first, second);

    // One demonstration, and each node lets in whom the other let in.
    let token = log_in(&dev).await;
    let mut titles = vec![];
    for node in [&first, &second] {
        titles.push(get(&format!("{node}/api/v1/conversations"), &token).await);
    }
    assert_eq!(titles[0]["data"].as_array().map(Vec::len), titles[1]["data"].as_array().map(Vec::len), "{titles:?}");
    assert_eq!(titles[1]["data"][0]["title"], "Maria Fernandes", "{titles:?}");

    // A link of either node leads in on both.
    for (maker, opener) in [(&first, &second), (&second, &first)] {
        let share = format!("{maker}/api/v1/conversations/{}/share", dev.text("/conversation_id"));
        let made = post(&share, Some(&token), &json!({"label": "A phone"})).await;
        assert!(made["data"]["url"].as_str().is_some_and(|url| url.starts_with(maker)), "{made}");
        let claim = json!({"token": made["data"]["session_token"]});
        for node in [opener, maker] {
            let claimed = post(&format!("{node}/api/v1/shares/claim"), None, &claim).await;
            assert_eq!(claimed["data"]["conversation_id"], dev.welcome["conversation_id"], "{claimed}");
        }
    }
    assert!(scratch.0.join("redis.log").exists(), "they tell each other over a Redis of their own");
    assert_eq!(dev.stop().code(), Some(0));
    let left: Vec<_> =
        std::fs::read_dir(scratch.0.join("socket")).unwrap().flatten().map(|it| it.file_name()).collect();
    assert!(left.is_empty(), "both servers are gone, and their sockets with them: {left:?}");
}

#[test]
fn a_directory_that_is_no_database_is_never_thrown_away() {
    let scratch = Scratch::new("stranger");
    let file = scratch.0.join("cluster").join("thesis.txt");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "mine").unwrap();
    for more in [&[][..], &["--reset"]] {
        let status = wait(&mut command(&scratch.0, more).stdout(Stdio::null()).spawn().unwrap());
        assert_eq!(status.code(), Some(69));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}

#[test]
fn a_first_start_that_was_interrupted_is_begun_anew() {
    let scratch = Scratch::new("interrupted");
    let mut child = command(&scratch.0, &[]).stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + READY_PATIENCE;
    while !scratch.0.join("postgres.log").exists() {
        assert!(Instant::now() < deadline, "no database was begun");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let dev = Dev::start(&scratch.0, &[]);
    assert!(dev.text("/share_url").contains("/s/parlour_sh_"));
    assert_eq!(dev.stop().code(), Some(0));
}

#[test]
fn missing_settings_are_told_at_once_with_their_own_exit_code() {
    let output = Command::new(env!("CARGO_BIN_EXE_parlour")).arg("serve").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(output.stdout.is_empty(), "stdout is for results");
    let said = String::from_utf8(output.stderr).unwrap();
    for name in ["DATABASE_URL", "PUBLIC_URL", "TOKEN_KEY", "SHARE_PEPPER"] {
        assert!(said.contains(&format!("{name} is missing")), "{said}");
    }
}
