//! The commands of an operator, from an empty cluster to a link for a client, with the real program and the real roles.
//!
//! One test, because each command needs what the one before made. `parlour dev` has its own, `dev.rs`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use parlour::devdb::{Cluster, ClusterOptions, Durability, Host};
use parlour::store::migrate::prepare_cluster;
use serde_json::Value;

/// The key of RFC 8410 §10.3, known to everybody.
const TOKEN_KEY: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";
const PEPPER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// An installation and the settings that lead to it.
struct Installation {
    cluster: Cluster,
    data_dir: PathBuf,
}

impl Installation {
    async fn new() -> Self {
        let data_dir = std::env::temp_dir().join(format!("parlour-command-line-{}", std::process::id()));
        let host = Host::observe(|name| std::env::var_os(name));
        // Durable: `serve` accepts nothing less, and `share create` starts the same services.
        let options =
            ClusterOptions { data_dir: data_dir.clone(), socket_dir: None, durability: Durability::Durable, host };
        let cluster = Cluster::start(options).await.expect("a private cluster");
        prepare_cluster(&cluster.superuser_url("postgres"), "parlour").await.expect("roles and a database");
        Self { cluster, data_dir }
    }

    fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        self.run_as(&self.cluster.url("parlour_app", "parlour"), arguments, stdin)
    }

    fn run_as(&self, database_url: &str, arguments: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_parlour"))
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", database_url)
            .env("MIGRATE_DATABASE_URL", self.cluster.url("parlour_migrator", "parlour"))
            .env("PUBLIC_URL", "http://localhost:8080")
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("ADMIN_ADDR", "off")
            .env("TOKEN_KEY", TOKEN_KEY)
            .env("SHARE_PEPPER", PEPPER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut pipe = child.stdin.take().expect("its stdin");
        // A program that refuses at once has closed it already.
        let _ = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        child.wait_with_output().expect("its output")
    }

    /// What a command that must succeed prints, which is one line of JSON.
    fn json(&self, arguments: &[&str], stdin: &str) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), stdin);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The exit code of a command that must fail, and that it printed no result.
    fn refused(&self, arguments: &[&str], stdin: &str) -> Option<i32> {
        let output = self.run(arguments, stdin);
        assert!(output.stdout.is_empty(), "{arguments:?} printed a result");
        output.status.code()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_cluster_to_a_link() {
    let it = Installation::new().await;

    let steps = it.json(&["migrate", "status"], "");
    let is =
        |steps: &Value, state: &str| steps["migrations"].as_array().unwrap().iter().all(|step| step["state"] == state);
    assert!(is(&steps, "pending"), "{steps}");
    assert_eq!(it.refused(&["serve"], ""), Some(69), "a database without its tables is not ready");
    assert!(!it.json(&["migrate"], "")["applied"].as_array().unwrap().is_empty());
    assert!(it.json(&["migrate", "up"], "")["applied"].as_array().unwrap().is_empty());
    assert!(is(&it.json(&["migrate", "status"], ""), "applied"));

    let organization = it.json(&["org", "create", "Blue Dhow", "--slug", "blue-dhow", "--color", "#0B5D5B"], "");
    assert_eq!(it.refused(&["org", "create", "Again", "--slug", "blue-dhow"], ""), Some(1));

    let user = ["user", "create", "Zuri@Example.test", "--name", "Zuri", "--org", "blue-dhow", "--role", "owner"];
    assert_eq!(it.refused(&user, "a password\n"), Some(2), "stdin is read only when asked to");
    let user = [&user[..], &["--password-stdin"]].concat();
    assert_eq!(it.refused(&user, "\n"), Some(2), "an empty password");
    assert_eq!(it.json(&user, "a password\n")["email"], "zuri@example.test");
    assert_eq!(it.refused(&user, "a password\n"), Some(1), "taken");
    assert_eq!(it.refused(&["user", "create", "a@b.test", "--name", "A", "--system-admin"], ""), Some(1));

    let unknown = ["apikey", "create", "Typo", "--org", "blue-dhow", "--permissions", "conversation:read"];
    assert_eq!(it.refused(&unknown, ""), Some(2), "a permission that nobody knows");
    let key = it.json(&["apikey", "create", "Booking system", "--org", "blue-dhow"], "");
    assert!(key["api_key"].as_str().unwrap().starts_with("parlour_sk_"), "{key}");
    assert_eq!(key["organization_id"], organization["organization_id"]);
    assert_eq!(it.refused(&["apikey", "create", "x", "--org", "nobody"], ""), Some(1));

    let token = it.json(&["token", "mint", "zuri@example.test", "--org", "blue-dhow"], "");
    assert_eq!(token["access_token"].as_str().unwrap().split('.').count(), 3, "{token}");
    assert_eq!(it.refused(&["token", "mint", "nobody@example.test", "--org", "blue-dhow"], ""), Some(1));

    let unknown = "0197d7bb-6f3b-7000-8000-000000000000";
    let share = ["share", "create", unknown, "--org", "blue-dhow", "--as", "zuri@example.test"];
    assert_eq!(it.refused(&share, ""), Some(1), "a conversation that is not there");

    let superuser = it.run_as(&it.cluster.superuser_url("parlour"), &["serve"], "");
    assert_eq!(superuser.status.code(), Some(78), "row-level security has no hold on a superuser");
    let away = it.run_as("postgres://parlour_app@127.0.0.1:1/parlour", &["serve"], "");
    assert_eq!(away.status.code(), Some(69));
}
