//! Rows of a database that can be read and not written: the disk is full, or it was made read-only. Nothing is acknowledged,
//! sockets stay, an alarm is raised once, and it ends by itself.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use parlour_protocol::id::ClientId;
use serde_json::json;

use parlour_testkit::database::scratch_dir;
use parlour_testkit::nodes::{Ground, Nodes};
use parlour_testkit::party::Dice;
use parlour_testkit::postgres::Postgres;
use parlour_testkit::redis::{Redis, redis_is_installed};
use parlour_testkit::socket::Answer;
use parlour_testkit::until::until;

use super::{BUSY, REFUSED_WITHIN, Scene, passed_by, readiness};

/// A new cluster and its first segments fit, and not much more.
const DISK: &str = "size=192m,mode=0711";
/// Texts that fill a page each and cannot be compressed.
const TEXT_CHARS: usize = 7_000;

/// A small disk in memory; dropped, it goes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this machine does not let us.
    fn mount() -> Option<Self> {
        let place = scratch_dir("disk");
        std::fs::create_dir_all(&place).expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&place).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Self(place))
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file");
        for piece in [1 << 20, 4_096] {
            let zeros = vec![0; piece];
            while ballast.write_all(&zeros).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast goes");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test left behind is on its way out.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Says long things until one is refused; the keys of those that were not, and the code.
async fn says_until_refused(scene: &Scene) -> (Vec<ClientId>, String) {
    let (mut dice, mut acked) = (Dice(7), Vec::new());
    loop {
        let text: String = (0..TEXT_CHARS).filter_map(|_| char::from_u32(0x4E00 + dice.roll(0x5000) as u32)).collect();
        let (client_id, began) = (ClientId::generate(), Instant::now());
        match scene.speaker.say_as(scene.conversation, client_id, &text).await {
            Answer::Ok(_) => acked.push(client_id),
            Answer::Error(error) => {
                assert!(began.elapsed() < REFUSED_WITHIN + BUSY, "{:?}", began.elapsed());
                assert_eq!(error["retryable"], true, "{error}");
                return (acked, error["code"].as_str().expect("a code").to_owned());
            }
            closed @ Answer::Closed(_) => panic!("sockets stay: {closed:?}"),
        }
        assert!(acked.len() < 2_000, "a disk without an end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_no_entry_and_says_so() {
    if !redis_is_installed().await {
        return;
    }
    let Some(disk) = SmallDisk::mount() else {
        return passed_by("this machine lets us mount no small disk, so no full one was tried (it takes root)");
    };
    let postgres = Postgres::start_in(&disk.data()).await;
    let mut scene =
        Scene::on(Ground::on(Redis::start().await, postgres).await.nodes(&vec![Default::default(); 2]).await).await;
    disk.fill();
    let (acked, code) = says_until_refused(&scene).await;
    println!("{} long texts fitted; then: {code}", acked.len());
    assert!(["UNAVAILABLE", "OUTCOME_UNKNOWN"].contains(&code.as_str()), "{code}");
    for socket in [&scene.speaker, &scene.near, &scene.far] {
        assert!(socket.is_open());
        socket.command(json!({ "type": "ping" })).await.ok();
    }
    let server = scene.nodes.server(0);
    until("the alarm is raised", async || (server.logged("the database takes no entries").len() == 1).then_some(()))
        .await;
    assert_eq!(server.metric("parlour_log_failing").await, 1.0);

    disk.empty();
    if !scene.nodes.postgres.is_running() {
        println!("PostgreSQL has ended itself");
        scene.nodes.postgres.start_again().await;
    }
    until("writes come back", async || {
        matches!(scene.speaker.say(scene.conversation, "room again").await, Answer::Ok(_)).then_some(())
    })
    .await;
    scene.is_well().await;
    let mut admin = scene.nodes.database.admin().await;
    let stored: Vec<uuid::Uuid> =
        sqlx::query_scalar("select client_id from entries").fetch_all(&mut admin).await.expect("the transcript");
    assert!(acked.iter().all(|key| stored.contains(&key.0)), "what was acknowledged is there");
    drop(admin);
    scene.nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_takes_no_entry_and_says_so() {
    if !redis_is_installed().await {
        return;
    }
    let scene = Scene::on(Nodes::start(2).await).await;
    let mut admin = scene.nodes.database.admin().await;
    let arrange = async |admin: &mut sqlx::PgConnection, value: &str| {
        let statements = ["set default_transaction_read_only = off", value, "select pg_reload_conf()"];
        for statement in statements {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut *admin).await.expect("the setting");
        }
    };
    arrange(&mut admin, "alter system set default_transaction_read_only = on").await;
    let refused = until("writes are refused", async || {
        let began = Instant::now();
        let answer = scene.speaker.say(scene.conversation, "in stone").await;
        assert!(began.elapsed() < REFUSED_WITHIN + BUSY, "{:?}", began.elapsed());
        matches!(answer, Answer::Error(_)).then_some(answer)
    })
    .await;
    assert_eq!(refused.code(), "UNAVAILABLE", "it is known that nothing was stored");
    for socket in [&scene.speaker, &scene.near, &scene.far] {
        assert!(socket.is_open());
    }
    let history = json!({ "type": "history", "conversation": scene.conversation });
    scene.near.command(history).await.ok();
    let began = Instant::now();
    scene.amira.attached(scene.conversation).await;
    assert!(began.elapsed() < Duration::from_secs(2), "reading goes on: {:?}", began.elapsed());
    println!("read-only: /readyz says {}", readiness(scene.nodes.at(0)).await.0);
    let server = scene.nodes.server(0);
    assert_eq!(server.logged("the database takes no entries").len(), 1, "an alarm, once");
    assert_eq!(server.metric("parlour_log_failing").await, 1.0);

    arrange(&mut admin, "alter system reset default_transaction_read_only").await;
    until("writes come back", async || {
        matches!(scene.speaker.say(scene.conversation, "in clay").await, Answer::Ok(_)).then_some(())
    })
    .await;
    assert_eq!(server.logged("the database takes entries again").len(), 1);
    assert_eq!(server.metric("parlour_log_failing").await, 0.0);
    scene.is_well().await;
    scene.nodes.stop().await;
}
