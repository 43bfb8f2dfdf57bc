//! The scenarios of `protocol/scenarios`, played by the real program against real servers; and that a scenario which expects
//! something else than the server does is reported, for a runner that cannot fail proves nothing.
//!
//! What the scenarios say is not repeated here. Look in `src/cli/conformance/` for the player.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use parlour_testkit::actors::{Actor, Endpoint};
use parlour_testkit::app::{TestApp, limited};
use parlour_testkit::nodes::Nodes;
use parlour_testkit::redis::redis_is_installed;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/protocol/scenarios");

/// A server under its ordinary limits, with less patience for sockets that take no byte.
async fn one_node() -> (TestApp, Actor) {
    let app = TestApp::start_with(|config| {
        limited(config);
        config.ws.stall_max = Duration::from_secs(15);
    })
    .await;
    let actor = app.people.tenancy("lagon").await.admin;
    (app, actor)
}

/// Plays; the exit code and the report.
async fn play(endpoints: &[Endpoint], actor: &Actor, more: &[&str]) -> (Option<i32>, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
    command.env_clear().args(["--json", "conformance", "--token", &actor.token]).args(more).kill_on_drop(true);
    endpoints.iter().for_each(|endpoint| _ = command.args(["--url", &endpoint.ws]));
    let output = command.output().await.expect("the program");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(text.lines().count(), 1, "one line: {text}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), serde_json::from_str(&text).expect("JSON"))
}

fn named(report: &Value, result: &str) -> Vec<String> {
    let scenarios = report["scenarios"].as_array().expect("a list").iter();
    let chosen = scenarios.filter(|scenario| scenario["result"] == result);
    let text = |scenario: &Value, field: &str| scenario[field].as_str().unwrap_or_default().to_owned();
    chosen.map(|one| format!("{} in {}: {}", text(one, "name"), text(one, "codec"), text(one, "why"))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_does_what_the_scenarios_say() {
    let (_app, actor) = one_node().await;
    let (code, report) = play(std::slice::from_ref(&actor.endpoint), &actor, &[]).await;
    assert_eq!(named(&report, "failed"), Vec::<String>::new());
    assert_eq!(code, Some(0));
    let skipped = named(&report, "skipped");
    assert!(skipped.len() == 4 && skipped.iter().all(|one| one.contains("two-nodes")), "{skipped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_do_what_the_scenarios_say() {
    if !redis_is_installed().await {
        return;
    }
    let nodes = Nodes::start(2).await;
    let actor = nodes.people().tenancy("lagon").await.admin;
    let (code, report) = play(nodes.endpoints(), &actor, &[]).await;
    assert_eq!(named(&report, "failed"), Vec::<String>::new());
    assert_eq!(code, Some(0));
    let skipped = named(&report, "skipped");
    assert!(skipped.len() == 2 && skipped.iter().all(|one| one.contains("limits against abuse lifted")), "{skipped:?}");
    nodes.stop().await;
}

/// A copy of the scenarios that is gone when the test is over.
struct Copy(PathBuf);

impl Copy {
    /// Every scenario but those that take long, changed.
    fn changed(change: impl Fn(&mut Value)) -> Self {
        let copy = Self(std::env::temp_dir().join(format!("parlour-scenarios-{}", std::process::id())));
        fs::create_dir_all(copy.0.join("parts")).expect("a directory");
        for folder in ["parts", "."] {
            for file in fs::read_dir(Path::new(SCENARIOS).join(folder)).expect("the folder") {
                let file = file.expect("a file");
                let is_one = file.path().extension().is_some_and(|ending| ending == "json");
                if !is_one || ["blocked-reader.json", "presence.json"].iter().any(|slow| file.file_name() == *slow) {
                    continue;
                }
                let mut content = serde_json::from_slice(&fs::read(file.path()).expect("its text")).expect("JSON");
                if folder == "." {
                    change(&mut content);
                }
                fs::write(copy.0.join(folder).join(file.file_name()), content.to_string()).expect("a file");
            }
        }
        copy
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Changes the last expectation of a scenario into one that no server meets.
fn expect_otherwise(scenario: &mut Value) {
    let step = last_expectation(&mut scenario["steps"]).expect("a scenario expects something");
    let wrong = json!({ "no server says this": true });
    match step["do"].as_str() {
        Some("closed") => step["code"] = json!(4999),
        Some("replies") => step["expect"][0] = wrong,
        Some("http") => step["status"] = json!(299),
        Some("send") => step["reply"] = wrong,
        _ => step["expect"]["no server says this"] = json!(true),
    }
}

fn last_expectation(steps: &mut Value) -> Option<&mut Value> {
    let expects = |step: &Value| ["reply", "expect", "code", "status"].iter().any(|field| step.get(field).is_some());
    steps.as_array_mut()?.iter_mut().rev().find_map(|step| match step["do"].as_str()? {
        "repeat" => last_expectation(&mut step["steps"]),
        // More can be expected never to come, and that is no lie.
        "never" => None,
        _ => expects(step).then_some(step),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_that_expects_something_else_is_reported() {
    let (_app, actor) = one_node().await;
    let copy = Copy::changed(expect_otherwise);
    let folder = copy.0.to_str().expect("UTF-8");
    // The same node twice, so that the scenarios of two nodes are played too.
    let (code, report) =
        play(&[actor.endpoint.clone(), actor.endpoint.clone()], &actor, &["--scenarios", folder]).await;
    assert_eq!(code, Some(1));
    assert_eq!((named(&report, "passed"), named(&report, "skipped")), (Vec::new(), Vec::new()));
    assert!(report["failed"].as_u64() > Some(70), "{report}");
    assert!(named(&report, "failed").iter().all(|why| why.contains("step ") && why.contains("expected")), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_played_says_why() {
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlour"));
        let output = command.env_clear().arg("conformance").args(arguments).output().await.expect("the program");
        assert!(output.stdout.is_empty());
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (code, said) = run(&["--url", "wss://chat.example", "--token", "x"]).await;
    assert!(code == Some(2) && said.contains("TLS"), "{said}");
    let (code, said) = run(&["--url", "ws://127.0.0.1:1", "--token", "x"]).await;
    assert!(code == Some(69) && said.contains("cannot be reached"), "{said}");
    let (code, said) = run(&["--url", "ws://127.0.0.1:1", "--token", "x", "--only", "nothing like it"]).await;
    assert!(code == Some(2) && said.contains("no such scenario"), "{said}");
}
