//! The client in `examples/python`, written from SPEC.md alone, against two real nodes of which one is killed under it.
//!
//! It runs in the environment that `bin/test` prepares (`bin/lib.sh`, need_python_client); without one the test says so.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use parlour_testkit::nodes::Nodes;
use parlour_testkit::socket::Socket;
use parlour_testkit::until::PATIENCE;

struct Python {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start(python: &Path, script: &Path, link: &str, nodes: &Nodes) -> Self {
        let mut process = Command::new(python)
            .arg("-I")
            .arg(script)
            .args(["--once", "--name", "Maria", link])
            .args(nodes.endpoints().iter().map(|endpoint| &endpoint.http))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python starts");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("its output")).lines();
        Self { process, input, output }
    }

    async fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("its input is open");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("it listens");
    }

    /// The next line it prints.
    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("a line in time");
        line.expect("its output").expect("it goes on")
    }
}

/// The text of the next message at a socket.
async fn heard(socket: &Socket) -> String {
    socket.push("entry").await["entry"]["body"]["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_written_from_the_spec_claims_resumes_and_survives_the_death_of_its_node() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python/bin/python");
    if !python.exists() {
        println!("skipped: there is no {}; bin/test makes it", python.display());
        return;
    }
    let mut nodes = Nodes::start(2).await;
    let tenancy = nodes.people().tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria Fernandes").await;
    let link = tenancy.admin.share(conversation, json!({})).await;
    let mut amira = tenancy.admin.clone();
    amira.endpoint = nodes.at(1).clone();
    let staff = amira.attached(conversation).await;
    staff.say(conversation, "Bom dia, Maria.").await.ok();
    assert_eq!(heard(&staff).await, "Bom dia, Maria.");

    let mut maria = Python::start(&python, &root.join("examples/python/parlour.py"), &link.url, &nodes);
    assert_eq!(maria.line().await, "1 Amira: Bom dia, Maria.");
    maria.say("Good morning!").await;
    while heard(&staff).await != "Good morning!" {}
    assert_eq!(maria.line().await, "2 Maria: Good morning!");

    nodes.kill(0);
    staff.say(conversation, "Still there?").await.ok();
    assert_eq!(heard(&staff).await, "Still there?");
    maria.say("Yes.").await;
    assert_eq!(heard(&staff).await, "Yes.");
    assert_eq!(maria.line().await, "3 Amira: Still there?");
    assert_eq!(maria.line().await, "4 Maria: Yes.");

    maria.input = None;
    let ended = timeout(PATIENCE, maria.process.wait()).await.expect("it ends").expect("its status");
    assert!(ended.success(), "{ended}");
    assert!(maria.output.next_line().await.expect("its output").is_none(), "nothing was printed twice");
    nodes.stop().await;
}
