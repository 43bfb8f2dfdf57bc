//! A short soak: hundreds of sessions come, talk and go at one server process, and what it holds is what it held before.
//!
//! The gauges that are read here are those that a long soak reads (ARCHITECTURE.md lists them). It warms up first: the pool of
//! connections, the rooms, which stay for a minute, and the allocator have their size then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parlour_protocol::codec::Codec;
use parlour_protocol::id::ConversationId;
use parlour_testkit::actors::Actor;
use parlour_testkit::database::{Database, durable_cluster};
use parlour_testkit::people::People;
use parlour_testkit::server::Server;
use parlour_testkit::until::until;
use serde_json::json;
use tokio::sync::{Barrier, Semaphore};
use tokio_tungstenite::tungstenite::Message;

use crate::limits::gauges;

const ROOMS: usize = 8;
const SESSIONS: usize = 64;
const ROUNDS: usize = 3;
/// Who comes in at once.
const AT_ONCE: usize = 12;
/// What may be open for other reasons: connections to the database come and go on their own.
const SPARE: f64 = 16.0;
/// What memory may have grown by: fragments, and what was asked of the database for the first time.
const GROWTH_BYTES: f64 = 24.0 * 1_024.0 * 1_024.0;

/// Where all visitors of a round meet: so many come in at once, and nobody goes before everybody is there.
struct Door {
    places: Semaphore,
    everybody: Barrier,
}

/// One session: comes, listens, talks, and goes with or without a word.
async fn visit(door: &Door, actor: &Actor, conversation: ConversationId, nth: usize) {
    let place = door.places.acquire().await.unwrap();
    let codec = if nth.is_multiple_of(2) { Codec::Json } else { Codec::MessagePack };
    let socket = actor.connect(codec).await;
    socket.attach(conversation, None).await.ok();
    socket.command(json!({ "type": "typing", "conversation": conversation, "active": true })).await.ok();
    socket.say(conversation, "here I am").await.ok();
    drop(place);
    door.everybody.wait().await;
    if nth % 3 == 1 {
        socket.command(json!({ "type": "detach", "conversation": conversation })).await.ok();
    }
    if nth % 3 == 2 {
        socket.raw(Message::Close(None));
        socket.closed().await;
    }
}

async fn round(visitors: &[(Actor, ConversationId)]) {
    let door = Door { places: Semaphore::new(AT_ONCE), everybody: Barrier::new(visitors.len()) };
    let visits = visitors.iter().enumerate().map(|(nth, (actor, room))| visit(&door, actor, *room, nth));
    join_all(visits).await;
}

/// What the server holds once everybody has left.
async fn at_rest(server: &Server, is_at_rest: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
    // One that was taken before the last has left is no reading of this rest.
    let began = Instant::now();
    until("it is at rest", async || {
        let mut held = gauges(server, "parlour_").await;
        held.extend(gauges(server, "process_").await);
        let gone = ["sessions", "attachments", "sockets_waiting", "unsent_bytes", "unsent_sockets", "writes_waiting"];
        let is_quiet = gone.iter().all(|name| held.get(*name) == Some(&0.0));
        (is_quiet && began.elapsed() > Duration::from_secs(5) && is_at_rest(&held)).then_some(held)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_hundreds_of_sessions_a_server_holds_what_it_held_before() {
    let (cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let server = Server::start(&database).await;
    let tenancy = People::new(server.endpoint(), &database).tenancy("lagon").await;
    let mut rooms = Vec::new();
    for _ in 0..ROOMS {
        rooms.push(tenancy.admin.conversation("Maria").await);
    }
    let guest = tenancy.admin.share(rooms[0], json!({})).await.claim("Maria").await;
    let staff = tenancy.admin.clone();
    let visitors: Vec<(Actor, ConversationId)> = (0..SESSIONS)
        .map(|nth| match nth % ROOMS {
            0 => (guest.actor.clone(), rooms[0]),
            room => (staff.clone(), rooms[room]),
        })
        .collect();
    round(&visitors).await;
    let before = at_rest(&server, |_| true).await;
    let began = Instant::now();
    for _ in 0..ROUNDS {
        round(&visitors).await;
    }
    println!("{} sessions in {:?}", ROUNDS * SESSIONS, began.elapsed());
    let after = at_rest(&server, |held| {
        ["open_fds", "tasks"].iter().all(|name| held.get(*name) <= before.get(*name).map(|was| was + SPARE).as_ref())
    })
    .await;
    assert_eq!(
        (before["rooms"], after["rooms"]),
        (ROOMS as f64, ROOMS as f64),
        "none twice, none lost within a minute"
    );
    let grown = after["resident_memory_bytes"] - before["resident_memory_bytes"];
    println!("memory: {} before, {grown:+} after", before["resident_memory_bytes"]);
    assert!(grown < GROWTH_BYTES, "{grown} bytes");
    server.terminate().await;
    cluster.stop().await.unwrap();
    std::fs::remove_dir_all(data_dir).unwrap();
}
