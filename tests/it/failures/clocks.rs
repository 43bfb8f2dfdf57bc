//! The row of a wrong clock: a node whose clock is ten minutes off, by libfaketime, with the monotonic clock left alone.
//!
//! No order, no end of a link and no lease may depend on it. Without libfaketime the test says so and is passed by.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use parlour_testkit::nodes::{Ground, Nodes, Plan};
use parlour_testkit::people::People;
use parlour_testkit::redis::redis_is_installed;
use parlour_testkit::socket::{Answer, Socket};
use parlour_testkit::until::until;

use super::{AT_ONCE, BUSY, hears, is_ready, passed_by};

const OFF_BY: [&str; 3] = ["+0", "+600s", "-600s"];
const ROUNDS: usize = 10;
/// How long the link is good for, and how late its end may be met: a tick, and a database that takes its time.
const LINK_LIFE: Duration = Duration::from_secs(3);
const END_WITHIN: Duration = Duration::from_secs(1);

fn faketime() -> Option<PathBuf> {
    let libraries = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = libraries.map(|directory| directory.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|library| library.is_file())
}

async fn nodes_with_wrong_clocks(library: &std::path::Path) -> Nodes {
    let plans = OFF_BY.map(|offset| {
        let settings = [
            ("LD_PRELOAD", library.to_str().expect("a path")),
            ("FAKETIME", offset),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_RESET", "1"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Plan { settings, ..Plan::default() }
    });
    Ground::start().await.nodes(&plans).await
}

/// By how many seconds a node's clock is off, as its log shows.
fn clock_of(nodes: &Nodes, node: usize) -> i64 {
    let lines = nodes.server(node).logged("timestamp");
    let last: Value = serde_json::from_str(lines.last().expect("a line")).expect("JSON");
    let said = OffsetDateTime::parse(last["timestamp"].as_str().expect("a time"), &Rfc3339).expect("a time");
    (said - OffsetDateTime::now_utc()).whole_seconds()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_changes_no_order_and_no_end() {
    if !redis_is_installed().await {
        return;
    }
    let Some(library) = faketime() else {
        return passed_by("there is no libfaketime on this machine (Debian: faketime), so no wrong clock was tried");
    };
    let nodes = nodes_with_wrong_clocks(&library).await;
    let tenancy = nodes.people().tenancy("lagon").await;
    let amira = tenancy.admin;
    let conversation = amira.conversation("Maria's honeymoon").await;
    let link = amira.share(conversation, json!({ "seats": 5 })).await;
    let (mut sockets, mut guests) = (Vec::new(), Vec::new());
    for (node, off_by) in [0, 600, -600].into_iter().enumerate() {
        // A token is judged by the clock of the node that is asked; whoever comes with one of that node's is let in.
        let people = People::new(nodes.at(node).clone(), &nodes.database);
        let here = people.staff(tenancy.organization, "dmc_admin", "Bruno").await;
        sockets.push(here.attached(conversation).await);
        let link = parlour_testkit::actors::Link { endpoint: nodes.at(node).clone(), ..link.clone() };
        guests.push(link.claim("Maria").await.attached().await);
        let clock = clock_of(&nodes, node);
        assert!((clock - off_by).abs() < 60, "the clock of node {node} is off by {clock} s");
    }
    has_one_order(&nodes, conversation, &sockets).await;
    ends_at_the_instant(&nodes, &guests).await;
    for node in 0..OFF_BY.len() {
        is_ready(nodes.at(node), json!(null)).await;
        assert_eq!(nodes.server(node).metric("parlour_entries_withheld").await, 0.0, "leases are kept");
        assert_eq!(nodes.server(node).logged("is gone").len(), 0, "nobody is taken for gone");
    }
    // The verdict on a token is the one thing that may differ.
    for node in [1, 2] {
        let socket = Socket::open(&nodes.at(node).ws, parlour_protocol::codec::Codec::Json).await.expect("a socket");
        let verdict = match socket.hello(&amira.token).await {
            Answer::Ok(ok) => format!("good for {} s", ok["expires_in_ms"].as_i64().unwrap_or(0) / 1_000),
            other => other.code().to_owned(),
        };
        println!("a token of the right clock where it is off by {}: {verdict}", OFF_BY[node]);
        until("the skew is told", async || {
            let skew: f64 = nodes.server(node).metric("parlour_clock_skew_seconds").await;
            (590.0..610.0).contains(&skew.abs()).then_some(())
        })
        .await;
        assert_eq!(nodes.server(node).logged("the clock of this machine is off").len(), 1);
    }
    nodes.stop().await;
}

/// Said at one node after the other: everybody hears everything at once, in the order in which it was acknowledged.
async fn has_one_order(nodes: &Nodes, conversation: parlour_protocol::id::ConversationId, sockets: &[Socket]) {
    let mut numbers = Vec::new();
    for round in 0..ROUNDS {
        for (node, socket) in sockets.iter().enumerate() {
            let text = format!("round {round} at node {node}");
            let said = socket.say(conversation, &text).await.ok();
            let acked = Instant::now();
            numbers.push(said["seq"].as_i64().expect("a number"));
            for listener in sockets {
                assert_eq!(hears(listener, &text).await["seq"], said["seq"]);
            }
            assert!(acked.elapsed() < AT_ONCE, "{:?}", acked.elapsed());
        }
    }
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let off = "select max(abs(extract(epoch from clock_timestamp() - at)))::float8, bool_and(at >= before)
                 from (select at, lag(at, 1, at) over (partition by conversation_id order by seq) as before from entries) e";
    let (oldest, in_order): (f64, bool) =
        sqlx::query_as(off).fetch_one(&mut nodes.database.admin().await).await.expect("the times");
    assert!(oldest < 120.0 && in_order, "times are the database's: {oldest} s, in order: {in_order}");
}

/// A link ends for everybody at its end by the database's clock.
async fn ends_at_the_instant(nodes: &Nodes, guests: &[Socket]) {
    let seconds = LINK_LIFE.as_secs();
    let end =
        format!("update shares set expires_at = clock_timestamp() + interval '{seconds} s', version = version + 1");
    sqlx::raw_sql(AssertSqlSafe(end)).execute(&mut nodes.database.admin().await).await.expect("the change");
    let began = Instant::now();
    let closed =
        futures_util::future::join_all(guests.iter().map(async |guest| (guest.closed().await, began.elapsed())));
    for (node, (code, after)) in closed.await.into_iter().enumerate() {
        eprintln!(
            "a link of {seconds} s where the clock is off by {}: closed with {code} after {after:?}",
            OFF_BY[node]
        );
        assert_eq!(code, 4510);
        assert!(after >= LINK_LIFE - BUSY && after <= LINK_LIFE + END_WITHIN + BUSY, "{after:?}");
    }
}
