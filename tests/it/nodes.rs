//! Several nodes, as their clients see them: nobody notices which one they are on, whatever becomes of Redis or of a node.
//!
//! Real processes, a real Redis, killed, frozen, emptied and started again. The figures printed here are for people; only bounds
//! that are promised decide.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlour_protocol::codec::Codec;
use parlour_protocol::id::ConversationId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use parlour_testkit::actors::{Actor, Endpoint};
use parlour_testkit::follower::Follower;
use parlour_testkit::nodes::Nodes;
use parlour_testkit::party::{check, party, some_traffic, start_talking};
use parlour_testkit::redis::redis_is_installed;
use parlour_testkit::socket::Socket;
use parlour_testkit::until::until;

/// The same person, at another node.
fn at(actor: &Actor, endpoint: &Endpoint) -> Actor {
    Actor { endpoint: endpoint.clone(), ..actor.clone() }
}

/// Twenty clients who talk, and come back to another node each time.
struct Party {
    amira: Actor,
    conversation: ConversationId,
    sent: Arc<AtomicUsize>,
    talking: JoinHandle<Vec<Follower>>,
}

impl Party {
    /// Each has so many messages to send.
    async fn begin(nodes: &Nodes, each: usize, seed: u64) -> Self {
        let (amira, conversation, mut followers) = party(&nodes.people(), "lagon").await;
        followers.iter_mut().enumerate().for_each(|(n, follower)| follower.roam(nodes.endpoints(), n));
        let sent = Arc::default();
        let talking = start_talking(followers, each, seed, &sent);
        Self { amira, conversation, sent, talking }
    }

    /// Waits for some more of it.
    async fn goes_on(&self) {
        some_traffic(&self.sent, &self.talking).await;
    }

    /// Waits for its end: everything acknowledged is stored and was given once, in order. How often clients came back.
    async fn ends_well(self) -> u32 {
        let followers = self.talking.await.expect("no client failed");
        let resumes = followers.iter().map(|follower| follower.resumes).sum();
        check(&self.amira, self.conversation, followers, self.sent.load(Ordering::Relaxed)).await;
        resumes
    }
}

async fn is_degraded(endpoint: &Endpoint) -> bool {
    let (status, answer) = endpoint.request(Method::GET, "/readyz", None, None).await;
    assert_eq!(status, StatusCode::OK, "ready all the same: {answer}");
    answer["data"]["degraded"] == json!(["redis"])
}

async fn all_are(nodes: &Nodes, degraded: bool) {
    for endpoint in nodes.endpoints() {
        until("nodes say how they are", async || (is_degraded(endpoint).await == degraded).then_some(())).await;
    }
}

/// Median, 99th percentile and longest, in milliseconds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let ms = |index: usize| times[index.min(times.len() - 1)].as_secs_f64() * 1_000.0;
    let (half, most) = (times.len() / 2, times.len() * 99 / 100);
    format!("{} times: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", times.len(), ms(half), ms(most), ms(times.len()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_redis_five_thousand_messages_on_three_nodes_are_given_once_in_order() {
    if !redis_is_installed().await {
        return;
    }
    let mut nodes = Nodes::start(3).await;
    let party = Party::begin(&nodes, 250, 17).await;
    for _ in 0..2 {
        party.goes_on().await;
        nodes.redis.kill().await;
        party.goes_on().await;
        nodes.redis.start_again().await;
        party.goes_on().await;
        nodes.redis.freeze();
        party.goes_on().await;
        nodes.redis.thaw();
        party.goes_on().await;
        nodes.redis.ask::<()>(&["FLUSHALL"]).await;
        nodes.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    }
    party.ends_well().await;
    all_are(&nodes, false).await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_takes_its_sockets_along_and_nothing_else() {
    if !redis_is_installed().await {
        return;
    }
    let mut nodes = Nodes::start(3).await;
    let party = Party::begin(&nodes, 60, 23).await;
    party.goes_on().await;
    nodes.kill(1);
    party.goes_on().await;
    party.ends_well().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarting_three_nodes_one_after_the_other_is_no_error_to_anybody() {
    if !redis_is_installed().await {
        return;
    }
    let mut nodes = Nodes::start(3).await;
    let party = Party::begin(&nodes, 150, 29).await;
    for node in 0..3 {
        party.goes_on().await;
        nodes.restart(node).await;
    }
    let resumes = party.ends_well().await;
    println!("rolling restart of 3 nodes: 3,000 messages, {resumes} resumes, 0 errors after retry");
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_at_a_killed_node_leaves_exactly_once_within_fifteen_seconds() {
    if !redis_is_installed().await {
        return;
    }
    let mut nodes = Nodes::start(2).await;
    let amira = nodes.people().tenancy("lagon").await.admin;
    let conversation = amira.conversation("Everybody").await;
    let link = amira.share(conversation, json!({ "seats": 25 })).await;
    let observer = at(&amira, nodes.at(1)).attached(conversation).await;
    let mut guests = Vec::new();
    for n in 0..10 {
        let guest = link.claim(&format!("Guest {n}")).await.actor;
        guests.push((guest.attached(conversation).await, guest));
    }
    let mut online = 0;
    while online < guests.len() {
        online += usize::from(observer.push("presence").await["state"] == "online");
    }
    nodes.kill(0);
    let killed = Instant::now();
    // One comes back at the other node in time: it never left.
    let back = at(&guests[0].1, nodes.at(1)).attached(conversation).await;
    let mut left: HashMap<String, usize> = HashMap::new();
    let mut last = Duration::ZERO;
    while left.len() < guests.len() - 1 {
        let push = observer.push("presence").await;
        if push["state"] == "offline" {
            *left.entry(push["who"]["id"].to_string()).or_default() += 1;
            last = killed.elapsed();
        }
    }
    println!("kill -9 of a node with 10 guests: {} leaves, the last after {:.1} s", left.len(), last.as_secs_f64());
    assert!(last <= Duration::from_secs(15), "late: {last:?}");
    // Nothing more comes of it: the next presence heard is the one that we cause.
    drop(back);
    let next = until("the one who came back leaves", async || {
        let push = observer.push("presence").await;
        (push["state"] == "offline").then_some(push)
    })
    .await;
    assert!(!left.contains_key(&next["who"]["id"].to_string()), "a second leave: {next}");
    assert!(left.values().all(|count| *count == 1), "{left:?}");
    nodes.stop().await;
}

/// Revokes one link after the other at the first node; how long each guest, at the second one, stays.
async fn revoke_all(amira: &Actor, nodes: &Nodes, count: usize) -> Vec<Duration> {
    let mut guests = Vec::new();
    for n in 0..count {
        let conversation = amira.conversation(&format!("Number {n}")).await;
        let link = amira.share(conversation, json!({})).await;
        let guest = link.claim("Maria").await.actor;
        guests.push((link.id.clone(), at(&guest, nodes.at(1)).attached(conversation).await));
    }
    let mut times = Vec::new();
    for (share, socket) in guests {
        amira.expect(Method::DELETE, &format!("/api/v1/shares/{share}"), None, StatusCode::OK).await;
        let revoked = Instant::now();
        assert_eq!(socket.closed().await, 4510);
        times.push(revoked.elapsed());
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_revoked_at_one_node_ends_at_the_other_with_redis_and_without() {
    if !redis_is_installed().await {
        return;
    }
    let mut nodes = Nodes::start(2).await;
    let amira = nodes.people().tenancy("lagon").await.admin;
    let with_redis = revoke_all(&amira, &nodes, 40).await;
    assert!(with_redis.iter().all(|time| *time <= Duration::from_secs(5)), "{with_redis:?}");
    println!("revoke → closed at the other node, with Redis:    {}", spread(with_redis));
    nodes.redis.kill().await;
    all_are(&nodes, true).await;
    let without = revoke_all(&amira, &nodes, 6).await;
    assert!(without.iter().all(|time| *time <= Duration::from_secs(5)), "{without:?}");
    println!("revoke → closed at the other node, without Redis: {}", spread(without));
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_receipts_rows_and_selections_cross_nodes() {
    if !redis_is_installed().await {
        return;
    }
    let nodes = Nodes::start(2).await;
    let amira = nodes.people().tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria's honeymoon").await;
    let link = amira.share(conversation, json!({ "permissions": ["view", "respond", "select_options"] })).await;
    let maria = at(&link.claim("Maria").await.actor, nodes.at(1));
    let staff = amira.attached(conversation).await;
    staff.command(json!({ "type": "subscribe", "topic": "inbox" })).await.ok();
    let phone = maria.attached(conversation).await;
    assert_eq!(staff.push("presence").await["who"]["name"], "Maria");
    assert_eq!(until_row(&staff, |row| row["online"] == true).await["id"], json!(conversation));
    phone.command(json!({ "type": "typing", "conversation": conversation, "active": true })).await.ok();
    assert_eq!(staff.push("typing").await["active"], true);
    let card = amira.card(conversation, "Which island?").await;
    let offered = phone.push("entry").await;
    assert_eq!(offered["entry"]["kind"], "card");
    let client_id = parlour_protocol::id::ClientId::generate();
    let select = json!({ "type": "select", "conversation": conversation, "client_id": client_id, "card": card, "version": 1, "options": ["a"] });
    let chosen = phone.command(select).await.ok();
    assert_eq!(chosen["state"], "decided");
    let read = json!({ "type": "read", "conversation": conversation, "read": chosen["seq"] });
    phone.command(read).await.ok();
    assert_eq!(staff.push("receipt").await["who"]["name"], "Maria");
    let path = format!("/api/v1/shares/{}", link.id);
    amira.expect(Method::PATCH, &path, Some(json!({ "permissions": ["view"] })), StatusCode::OK).await;
    let permission = phone.push("permission").await;
    assert!(!permission["permissions"].to_string().contains("send"), "felt without reconnecting: {permission}");
    let other = nodes.people().tenancy("meridian").await.admin;
    assert_eq!(at(&other, nodes.at(1)).connect(Codec::Json).await.attach(conversation, None).await.code(), "NOT_FOUND");
    nodes.stop().await;
}

async fn until_row(socket: &Socket, holds: impl Fn(&Value) -> bool) -> Value {
    loop {
        let row = socket.push("inbox").await["conversation"].take();
        if holds(&row) {
            return row;
        }
    }
}
