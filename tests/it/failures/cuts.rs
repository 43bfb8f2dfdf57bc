//! Rows of a node that is cut off alone: from its database, from its Redis, from its peers, from its clients.

use std::time::{Duration, Instant};

use parlour_protocol::codec::Codec;
use reqwest::StatusCode;
use serde_json::{Value, json};

use parlour_testkit::actors::{Actor, Endpoint};
use parlour_testkit::nodes::{Ground, Nodes, Plan};
use parlour_testkit::redis::{Redis, redis_is_installed};
use parlour_testkit::socket::{Answer, Socket};
use parlour_testkit::tunnel::Tunnel;
use parlour_testkit::until::until;

use super::{AT_ONCE, BUSY, REFUSED_WITHIN, Scene, at, hears, is_ready, is_refused, readiness, takes_long};

/// How long entries flow without a confirmation of rights.
const WITHHELD_AFTER: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_database_falls_silent_alone() {
    if !redis_is_installed().await {
        return;
    }
    let ground = Ground::start().await;
    let (tunnel, url) = Tunnel::to_database(&ground.database.app_url).await;
    let plans = [Plan::default(), Plan { database_url: Some(url), ..Plan::default() }];
    let scene = Scene::on(ground.nodes(&plans).await).await;
    let (here, there) = (scene.nodes.server(0), scene.nodes.server(1));
    tunnel.swallow();
    let cut_at = Instant::now();
    scene.is_heard("it still hears the others", AT_ONCE).await;
    let code = is_refused(&scene.far, scene.conversation).await;
    assert!(["UNAVAILABLE", "OUTCOME_UNKNOWN"].contains(&code.as_str()), "{code}");
    assert_eq!(comes_in_vain(&scene.amira, scene.nodes.at(1)).await, 1013);
    assert_eq!(readiness(scene.nodes.at(1)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    is_ready(scene.nodes.at(0), json!(null)).await;

    scene.far.push("paused").await;
    let withheld = cut_at.elapsed();
    assert!(withheld <= WITHHELD_AFTER + BUSY, "{withheld:?}");
    scene.says("not for those who may have no right any more").await;
    hears(&scene.near, "not for those who may have no right any more").await;
    assert_eq!(there.metric("parlour_entries_withheld").await, 1.0);
    assert_eq!(here.metric("parlour_entries_withheld").await, 0.0);
    assert_eq!(there.logged("entries are withheld from everybody").len(), 1, "one line for one trouble");
    scene.comes_in(0, "not for those who may have no right any more").await;
    let heard = scene.far.pushes_so_far().await;
    assert!(heard.iter().all(|push| push["type"] != "entry"), "{heard:?}");
    assert!(scene.far.is_open());

    tunnel.pass();
    let healed_at = Instant::now();
    scene.far.push("head").await;
    println!("withheld {withheld:?} after the cut, given out again {:?} after its end", healed_at.elapsed());
    assert!(healed_at.elapsed() <= Duration::from_secs(6), "{:?}", healed_at.elapsed());
    let attached = scene.far.attach(scene.conversation, None).await.ok();
    let last = attached["entries"].as_array().and_then(|entries| entries.last().cloned()).expect("an entry");
    assert_eq!(last["entry"]["body"]["text"], "not for those who may have no right any more");
    scene.is_well().await;
    scene.nodes.stop().await;
}

/// Somebody who comes to a node that cannot let anybody in; the code that the socket closes with, in time.
pub(super) async fn comes_in_vain(actor: &Actor, endpoint: &Endpoint) -> u16 {
    let began = Instant::now();
    let socket = Socket::open(&endpoint.ws, Codec::Json).await.expect("the door is open");
    match socket.hello(&actor.token).await {
        Answer::Error(error) => {
            assert_eq!((&error["code"], &error["retryable"]), (&json!("UNAVAILABLE"), &json!(true)))
        }
        other => panic!("nobody knows who that is: {other:?}"),
    }
    assert!(began.elapsed() <= REFUSED_WITHIN + BUSY, "{:?}", began.elapsed());
    socket.closed().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_its_redis_is_heard_through_the_log() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let tunnel = Tunnel::to(redis.port()).await;
    let ports = [tunnel.port(), redis.port()];
    let scene = Scene::on(Nodes::start_through(redis, &ports).await).await;
    tunnel.swallow();
    let first = scene.is_heard("from the one that is cut off", Duration::from_secs(5)).await;
    let second = scene.is_heard("again", Duration::from_secs(2)).await;
    let acked = Instant::now();
    scene.far.say(scene.conversation, "to the one that is cut off").await.ok();
    hears(&scene.near, "to the one that is cut off").await;
    let back = acked.elapsed();
    println!("a node cut from Redis: its entries elsewhere after {first:?}, {second:?}; others' there after {back:?}");
    assert!(back <= Duration::from_secs(2) + BUSY, "{back:?}");
    is_ready(scene.nodes.at(0), json!(["redis"])).await;
    is_ready(scene.nodes.at(1), json!(null)).await;
    assert_eq!(scene.nodes.server(0).logged("the bus is down").len(), 1);
    assert_eq!(scene.nodes.server(1).logged("the bus is down").len(), 0, "it is not its trouble");
    scene.comes_in(0, "to the one that is cut off").await;
    tunnel.pass();
    scene.is_well().await;
    scene.nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_cannot_hear_each_other_write_one_history() {
    if !redis_is_installed().await {
        return;
    }
    const EACH: usize = 20;
    let redis = Redis::start().await;
    let (one, two) = (Tunnel::to(redis.port()).await, Tunnel::to(redis.port()).await);
    let scene = Scene::on(Nodes::start_through(redis, &[one.port(), two.port()]).await).await;
    one.swallow();
    two.swallow();
    let speak = async |socket: &Socket| {
        for n in 0..EACH {
            socket.say(scene.conversation, &format!("number {n}")).await.ok();
        }
    };
    tokio::join!(speak(&scene.speaker), speak(&scene.far));
    scene.is_heard("the last", Duration::from_secs(5)).await;
    let path = format!("/api/v1/conversations/{}/entries?limit=200", scene.conversation);
    let (here, there) = (scene.amira.get(&path).await, at(&scene.amira, scene.nodes.at(1)).get(&path).await);
    assert_eq!(here, there, "one history");
    let entries = here.as_array().expect("entries");
    let texts = entries.iter().filter(|entry| text_of(entry).starts_with("number")).count();
    assert_eq!(texts, 2 * EACH);
    let numbers: Vec<i64> = entries.iter().map(|entry| entry["seq"].as_i64().expect("a number")).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "dense: {numbers:?}");
    one.pass();
    two.pass();
    scene.is_well().await;
    scene.nodes.stop().await;
}

fn text_of(numbered: &Value) -> &str {
    numbered["entry"]["body"]["text"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_cut_off_is_given_up_and_leaves_once() {
    if takes_long("a half-open connection takes 35 seconds, which with a clock of its own `live::framing` does in none")
    {
        return;
    }
    if !redis_is_installed().await {
        return;
    }
    let scene = Scene::on(Nodes::start(1).await).await;
    let http = scene.nodes.at(0).http.clone();
    let port = http.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let tunnel = Tunnel::to(port).await;
    let maria = scene.amira.share(scene.conversation, json!({})).await.claim("Maria").await.actor;
    let endpoint = Endpoint::at(([127, 0, 0, 1], tunnel.port()).into());
    let _phone = at(&maria, &endpoint).attached(scene.conversation).await;
    assert_eq!(scene.near.push("presence").await["state"], "online");
    let sessions = async || scene.nodes.server(0).metric("parlour_sessions").await;
    until("the gauge counts her", async || (sessions().await >= 4.0).then_some(())).await;
    tunnel.swallow();
    let cut_at = Instant::now();
    scene.is_heard("nobody else notices", AT_ONCE).await;
    tokio::time::timeout(Duration::from_secs(60), async {
        while sessions().await > 3.0 {
            scene.says("still there?").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .expect("given up");
    let given_up = cut_at.elapsed();
    println!("a half-open connection was given up after {given_up:?}");
    // The gauge is set every five seconds.
    assert!((Duration::from_secs(34)..=Duration::from_secs(41)).contains(&given_up), "{given_up:?}");
    let left = until("she leaves", async || {
        let push = scene.near.push("presence").await;
        (push["state"] == "offline").then_some(push)
    })
    .await;
    assert_eq!(left["who"]["name"], "Maria");
    tunnel.pass();
    let heard = scene.near.pushes_so_far().await;
    assert!(heard.iter().all(|push| push["type"] != "presence"), "once: {heard:?}");
    scene.nodes.stop().await;
}
