//! The server as its own process, `parlour serve`: for what a test in this process cannot do, such as killing it outright.

use std::path::PathBuf;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::actors::Endpoint;
use crate::database::Database;
use crate::ports::free_port;
use crate::seeder::{PEPPER, TOKEN_KEY};
use crate::until::until;

/// A running server process; dropped, it is killed.
pub struct Server {
    child: Child,
    log: JoinHandle<String>,
    database_url: String,
    settings: Vec<(String, String)>,
    address: std::net::SocketAddr,
    admin: std::net::SocketAddr,
}

impl Server {
    /// Starts on a free port and waits until it is ready.
    pub async fn start(database: &Database) -> Self {
        Self::start_with(database, &[]).await
    }

    /// Starts with more settings.
    pub async fn start_with(database: &Database, settings: &[(&str, &str)]) -> Self {
        let (address, admin) = (free_address().await, free_address().await);
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::start_at(address, admin, database.app_url.clone(), settings).await
    }

    /// Where it is reached.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::at(self.address)
    }

    /// Where its operator reaches it.
    pub fn admin(&self) -> Endpoint {
        Endpoint::at(self.admin)
    }

    /// Kills it with SIGKILL and starts another at the same address.
    pub async fn kill_and_start_again(mut self) -> Self {
        self.child.kill().await.expect("the kill");
        self.start_again().await
    }

    /// Stops it with SIGTERM, waits for the end, and starts another at the same address.
    pub async fn restart(mut self) -> Self {
        self.ask_to_stop();
        let status = self.child.wait().await.expect("the end");
        assert_eq!(status.code(), Some(0));
        self.start_again().await
    }

    async fn start_again(&self) -> Self {
        Self::start_at(self.address, self.admin, self.database_url.clone(), self.settings.clone()).await
    }

    /// Sends SIGTERM, waits for the end, and returns everything it logged.
    pub async fn terminate(self) -> String {
        self.ask_to_stop();
        self.ended().await
    }

    /// Sends SIGTERM.
    pub fn ask_to_stop(&self) {
        let pid = i32::try_from(self.child.id().expect("it runs")).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the signal");
    }

    /// Waits for the end, and returns everything it logged.
    pub async fn ended(mut self) -> String {
        let status = self.child.wait().await.expect("the end");
        assert_eq!(status.code(), Some(0));
        let mut printed = String::new();
        let mut stdout = self.child.stdout.take().expect("a pipe");
        stdout.read_to_string(&mut printed).await.expect("UTF-8");
        assert_eq!(printed, "", "serve prints no result");
        self.log.await.expect("no panic")
    }

    async fn start_at(
        address: std::net::SocketAddr,
        admin: std::net::SocketAddr,
        database_url: String,
        settings: Vec<(String, String)>,
    ) -> Self {
        let mut child = Command::new(binary())
            .arg("serve")
            .env_clear()
            .env("DATABASE_URL", &database_url)
            .env("LISTEN_ADDR", address.to_string())
            .env("ADMIN_ADDR", admin.to_string())
            .env("PUBLIC_URL", format!("http://{address}"))
            .envs(shared_settings())
            .envs(settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let mut stderr = child.stderr.take().expect("a pipe");
        // Read while it runs: a full pipe would hold the server up.
        let log = tokio::spawn(async move {
            let mut log = String::new();
            stderr.read_to_string(&mut log).await.expect("UTF-8");
            log
        });
        let mut server = Self { child, log, database_url, settings, address, admin };
        let endpoint = server.endpoint();
        until("the server is ready", || {
            assert!(server.child.try_wait().expect("its state").is_none(), "the server ended");
            async { is_ready(&endpoint).await.then_some(()) }
        })
        .await;
        server
    }
}

/// What every server of a test is told: the tests' secrets, and that there are no limits against abuse.
pub fn shared_settings() -> [(&'static str, String); 3] {
    let pepper = STANDARD.encode(PEPPER);
    [("TOKEN_KEY", TOKEN_KEY.to_owned()), ("SHARE_PEPPER", pepper), ("LIMITS_PROFILE", "test".to_owned())]
}

/// The program that was built together with the test: Cargo puts it into the directory above the test's own.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("this program's path");
    let profile = test.ancestors().find(|directory| directory.join("parlour").is_file());
    profile.expect("parlour was built beside this program").join("parlour")
}

async fn is_ready(endpoint: &Endpoint) -> bool {
    let answer = reqwest::Client::new().request(Method::GET, format!("{}/readyz", endpoint.http)).send().await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

async fn free_address() -> std::net::SocketAddr {
    ([127, 0, 0, 1], free_port().await).into()
}
