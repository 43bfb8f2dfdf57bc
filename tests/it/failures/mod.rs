//! What each failure looks like, from outside: every row is a test that brings the failure about and looks at each column:
//! what becomes of writes, of those who listen, of those who come, what an operator sees, and when all is as before.
//!
//! | failure | test |
//! |---|---|
//! | Redis is down | [`redis::a_redis_that_is_down_costs_seconds_and_no_entry`] |
//! | Redis hangs, or its network swallows everything | [`redis::a_redis_that_hangs_is_never_waited_for`] |
//! | Redis is flushed, or comes back empty | [`redis::a_redis_that_comes_back_empty_had_nothing_to_lose`] |
//! | a message is lost, a subscriber is cut off, Redis lies | [`redis::what_the_bus_loses_silently_is_found_in_time`] |
//! | PostgreSQL is down, or restarts | [`postgres::a_database_that_is_down_refuses_in_time_and_keeps_sockets`] |
//! | … for more than a minute | [`postgres::a_database_that_stays_down_lets_everybody_go`] |
//! | PostgreSQL is slow: stopped, locked, every connection taken | [`postgres::a_database_that_is_slow_is_waited_for_two_seconds`] |
//! | PostgreSQL is put back, its newest entries are lost | [`postgres::a_log_that_went_back_is_told_and_starts_anew`] |
//! | the disk is full | [`disk::a_full_disk_takes_no_entry_and_says_so`] |
//! | the database is read-only | [`disk::a_read_only_database_takes_no_entry_and_says_so`] |
//! | a node is cut from PostgreSQL | [`cuts::a_node_without_its_database_falls_silent_alone`] |
//! | a node is cut from Redis | [`cuts::a_node_without_its_redis_is_heard_through_the_log`] |
//! | nodes cannot hear each other | [`cuts::nodes_that_cannot_hear_each_other_write_one_history`] |
//! | a node is cut from its clients | [`cuts::a_client_that_is_cut_off_is_given_up_and_leaves_once`] |
//! | a node's clock is wrong | [`clocks::a_wrong_clock_changes_no_order_and_no_end`] |
//! | everybody comes back at once | [`storm::everybody_who_comes_back_at_once_is_back_soon`] |
//! | … all eight thousand | [`storm::eight_thousand_who_come_back_at_once_are_back`] |
//! | an entry cannot be read | [`poison::an_entry_that_cannot_be_read_costs_its_room_alone`] |
//! | a delivery panics | `hub::tests` of the server, because nobody outside can make one panic |

mod clocks;
mod cuts;
mod disk;
mod poison;
mod postgres;
mod redis;
mod storm;

use std::io::Write;
use std::time::{Duration, Instant};

use parlour_protocol::id::ConversationId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use parlour_testkit::actors::{Actor, Endpoint};
use parlour_testkit::nodes::Nodes;
use parlour_testkit::socket::{Answer, Socket};
use parlour_testkit::until::until;

/// What a machine that does other things meanwhile adds to a promised time.
const BUSY: Duration = Duration::from_millis(500);
/// Within which whoever is healthy hears, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The longest wait for an answer of a database that gives none.
const REFUSED_WITHIN: Duration = Duration::from_millis(2_000);

/// Some nodes and a conversation: somebody who speaks at the first node, and listeners at the first and the last.
struct Scene {
    nodes: Nodes,
    amira: Actor,
    conversation: ConversationId,
    speaker: Socket,
    near: Socket,
    far: Socket,
}

impl Scene {
    async fn on(nodes: Nodes) -> Self {
        let amira = nodes.people().tenancy("lagon").await.admin;
        let conversation = amira.conversation("Maria's honeymoon").await;
        let (speaker, near) = (amira.attached(conversation).await, amira.attached(conversation).await);
        let last = nodes.endpoints().len() - 1;
        let far = at(&amira, nodes.at(last)).attached(conversation).await;
        let scene = Self { nodes, amira, conversation, speaker, near, far };
        scene.is_well().await;
        scene
    }

    /// Says something at the first node, which must be acknowledged in time; when it was.
    async fn says(&self, text: &str) -> Instant {
        let began = Instant::now();
        self.speaker.say(self.conversation, text).await.ok();
        assert!(began.elapsed() < AT_ONCE, "a write that waited for something: {:?}", began.elapsed());
        Instant::now()
    }

    /// Says something that both listeners hear in time, the far one within `bound`; how long that took.
    async fn is_heard(&self, text: &str, bound: Duration) -> Duration {
        let acked = self.says(text).await;
        hears(&self.near, text).await;
        assert!(acked.elapsed() < AT_ONCE, "at the same node: {:?}", acked.elapsed());
        hears(&self.far, text).await;
        let took = acked.elapsed();
        assert!(took <= bound + BUSY, "at the other node: {took:?} for {text}");
        took
    }

    /// Waits until every node is ready and does without nothing, and both listeners hear at once.
    async fn is_well(&self) {
        for endpoint in self.nodes.endpoints() {
            is_ready(endpoint, json!(null)).await;
        }
        until("what is said is heard at once", async || {
            let acked = self.says("is all well?").await;
            hears(&self.near, "is all well?").await;
            hears(&self.far, "is all well?").await;
            (acked.elapsed() < AT_ONCE).then_some(())
        })
        .await;
    }

    /// Says something that must be refused for now, in time; the code.
    async fn is_refused(&self) -> String {
        is_refused(&self.speaker, self.conversation).await
    }

    /// Somebody comes in at a node, who is given the newest entry.
    async fn comes_in(&self, node: usize, newest: &str) -> Socket {
        let began = Instant::now();
        let socket = at(&self.amira, self.nodes.at(node)).connect(parlour_protocol::codec::Codec::Json).await;
        let attached = socket.attach(self.conversation, None).await.ok();
        let entries = attached["entries"].as_array().expect("entries");
        assert_eq!(entries.last().expect("an entry")["entry"]["body"]["text"], newest);
        assert!(began.elapsed() < 2 * AT_ONCE, "{:?}", began.elapsed());
        socket
    }
}

/// The same person, at another node.
fn at(actor: &Actor, endpoint: &Endpoint) -> Actor {
    Actor { endpoint: endpoint.clone(), ..actor.clone() }
}

/// Says something that must be refused for now, in time; the code.
async fn is_refused(socket: &Socket, conversation: ConversationId) -> String {
    let began = Instant::now();
    let answer = socket.say(conversation, "is anybody there?").await;
    assert!(began.elapsed() < REFUSED_WITHIN + BUSY, "refused in time: {:?}", began.elapsed());
    let Answer::Error(error) = answer else { panic!("refused, and no more: {answer:?}") };
    assert_eq!(error["retryable"], true, "{error}");
    error["code"].as_str().expect("a code").to_owned()
}

/// Waits until an entry with this text comes.
async fn hears(socket: &Socket, text: &str) -> Value {
    loop {
        let push = socket.push("entry").await;
        if push["entry"]["body"]["text"] == text {
            return push;
        }
    }
}

/// Status and body of `/readyz`.
async fn readiness(endpoint: &Endpoint) -> (StatusCode, Value) {
    endpoint.request(Method::GET, "/readyz", None, None).await
}

/// Waits until a node is ready, without these.
async fn is_ready(endpoint: &Endpoint, degraded: Value) {
    until("the node is ready", async || {
        let (status, body) = readiness(endpoint).await;
        (status == StatusCode::OK && body["data"]["degraded"] == degraded).then_some(())
    })
    .await;
}

/// Whether tests that take more than a few seconds are to run; says so where they are not.
fn takes_long(what: &str) -> bool {
    let is_wanted = std::env::var_os("PARLOUR_LONG").is_some();
    if !is_wanted {
        passed_by(&format!("{what}; set PARLOUR_LONG=1 to run it"));
    }
    !is_wanted
}

/// Around the capture of a passing test's output: it must be seen.
fn passed_by(why: &str) {
    writeln!(std::io::stderr(), "PASSED BY: {why}").expect("stderr");
}
