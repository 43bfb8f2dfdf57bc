//! Rows of Redis: down, hung, black-holed, emptied, losing messages, lying. Writes never notice; others hear a little later.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use parlour_testkit::nodes::Nodes;
use parlour_testkit::party::{check, party, talk};
use parlour_testkit::redis::{Redis, redis_is_installed};
use parlour_testkit::socket::Socket;
use parlour_testkit::tunnel::Tunnel;
use parlour_testkit::until::until;

use super::{AT_ONCE, BUSY, Scene, at, hears, is_ready};

/// Until a node knows that it hears nobody, has looked into the log and told what it found; from then on it looks this often.
const FOUND_FIRST: Duration = Duration::from_secs(5);
const FOUND_THEN: Duration = Duration::from_secs(2);

/// Said three times while the bus is away: each is found in time.
async fn is_found_in_the_log(scene: &Scene) {
    let first = scene.is_heard("the first", FOUND_FIRST).await;
    let (second, third) =
        (scene.is_heard("the second", FOUND_THEN).await, scene.is_heard("the third", FOUND_THEN).await);
    eprintln!("without the bus, at the other node after {first:?}, {second:?}, {third:?}");
}

/// What a node that is without the bus says of itself.
async fn says_that_it_is_degraded(scene: &Scene) {
    for (node, endpoint) in scene.nodes.endpoints().iter().enumerate() {
        is_ready(endpoint, json!(["redis"])).await;
        let server = scene.nodes.server(node);
        until("the gauge tells", async || (server.metric("parlour_bus_up").await == 0.0).then_some(())).await;
        assert_eq!(server.logged("the bus is down").len(), 1, "one line for one trouble");
    }
}

/// A guest of the other node is out of sight, and never called gone.
async fn is_unknown_and_not_gone(socket: &Socket) {
    let state = socket.push("presence").await["state"].clone();
    assert_eq!(state, "unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_down_costs_seconds_and_no_entry() {
    if !redis_is_installed().await {
        return;
    }
    let mut scene = Scene::on(Nodes::start(2).await).await;
    let maria = scene.amira.share(scene.conversation, json!({})).await.claim("Maria").await.actor;
    let phone = at(&maria, scene.nodes.at(1)).attached(scene.conversation).await;
    assert_eq!(scene.near.push("presence").await["state"], "online");
    scene.nodes.redis.kill().await;
    is_found_in_the_log(&scene).await;
    says_that_it_is_degraded(&scene).await;
    is_unknown_and_not_gone(&scene.near).await;
    for node in [0, 1] {
        scene.comes_in(node, "the third").await;
    }
    let (amira, conversation, mut followers) = party(&scene.nodes.people(), "meridian").await;
    followers.iter_mut().enumerate().for_each(|(n, follower)| follower.roam(scene.nodes.endpoints(), n));
    let followers = talk(followers, 5, 19, &Arc::default()).await;
    check(&amira, conversation, followers, 100).await;

    scene.nodes.redis.start_again().await;
    scene.is_well().await;
    let back = until("she is in sight again", async || {
        let push = scene.near.push("presence").await;
        (push["who"]["name"] == "Maria").then_some(push)
    })
    .await;
    assert_eq!(back["state"], "online");
    assert!(phone.is_open());
    assert_eq!(scene.nodes.server(0).logged("the bus is up").len(), 2, "at the start and now");
    scene.nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_never_waited_for() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let tunnel = Tunnel::to(redis.port()).await;
    let ports = [tunnel.port(), tunnel.port()];
    let scene = Scene::on(Nodes::start_through(redis, &ports).await).await;
    scene.nodes.redis.freeze();
    is_found_in_the_log(&scene).await;
    says_that_it_is_degraded(&scene).await;
    scene.comes_in(1, "the third").await;
    assert!(scene.nodes.server(0).metric("parlour_bus_breaker_opened_total").await >= 1.0);
    scene.nodes.redis.thaw();
    scene.is_well().await;

    tunnel.swallow();
    let began = Instant::now();
    scene.is_heard("into the void", FOUND_FIRST).await;
    scene.is_heard("once more", FOUND_THEN).await;
    for endpoint in scene.nodes.endpoints() {
        is_ready(endpoint, json!(["redis"])).await;
    }
    assert!(began.elapsed() < Duration::from_secs(10), "noticed: {:?}", began.elapsed());
    scene.comes_in(1, "once more").await;
    assert_eq!(scene.nodes.server(1).logged("the bus is down").len(), 2, "one line for each trouble");
    tunnel.pass();
    scene.is_well().await;
    scene.nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_had_nothing_to_lose() {
    if !redis_is_installed().await {
        return;
    }
    let mut scene = Scene::on(Nodes::start(2).await).await;
    let maria = scene.amira.share(scene.conversation, json!({})).await.claim("Maria").await.actor;
    let _phone = at(&maria, scene.nodes.at(1)).attached(scene.conversation).await;
    assert_eq!(scene.near.push("presence").await["state"], "online");
    scene.nodes.redis.ask::<()>(&["FLUSHALL"]).await;
    scene.is_heard("flushed", AT_ONCE).await;
    let keys: i64 = scene.nodes.redis.ask(&["DBSIZE"]).await;
    assert_eq!(keys, 0, "nothing is kept there");

    scene.nodes.redis.kill().await;
    scene.nodes.redis.start_again().await;
    let began = Instant::now();
    scene.says("while it restarts").await;
    scene.is_well().await;
    let members = json!({ "type": "presence", "conversation": scene.conversation });
    until("everybody is seen again", async || {
        let seen = scene.speaker.command(members.clone()).await.ok();
        let states: Vec<_> = seen["members"].as_array()?.iter().map(|member| member["state"].clone()).collect();
        (states.len() == 2 && states.iter().all(|state| state == "online")).then_some(())
    })
    .await;
    assert!(began.elapsed() <= Duration::from_secs(15), "{:?}", began.elapsed());
    println!("an empty Redis: everybody was seen again after {:?}", began.elapsed());
    let heard = scene.near.pushes_so_far().await;
    assert!(heard.iter().all(|push| push["state"] != "offline"), "nobody left: {heard:?}");
    scene.nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bus_loses_silently_is_found_in_time() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let tunnel = Tunnel::to(redis.port()).await;
    let ports = [tunnel.port(), redis.port()];
    let scene = Scene::on(Nodes::start_through(redis, &ports).await).await;
    let far = scene.nodes.server(1);
    let (gaps, tails) = (far.metric("parlour_gap_filled_total").await, far.metric("parlour_tail_filled_total").await);

    tunnel.lie();
    let mut tail_times = Vec::new();
    for n in 0..5 {
        tail_times.push(scene.is_heard(&format!("said to be published {n}"), FOUND_THEN).await);
    }
    println!("a lost last message, Redis says it was published: {tail_times:?}");
    assert!(far.metric("parlour_tail_filled_total").await >= tails + 5.0);
    is_ready(scene.nodes.at(0), json!(null)).await;

    let mut holes = 0;
    until("a hole was filled", async || {
        holes += 1;
        tunnel.lie();
        scene.says("lost").await;
        tunnel.pass();
        let acked = scene.says("behind the hole").await;
        hears(&scene.far, "lost").await;
        hears(&scene.far, "behind the hole").await;
        assert!(acked.elapsed() < AT_ONCE, "{:?}", acked.elapsed());
        (far.metric("parlour_gap_filled_total").await > gaps).then_some(())
    })
    .await;
    println!("{holes} holes until one was met before the next beacon");

    let cut: i64 = scene.nodes.redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    assert!(cut >= 2, "both nodes hear: {cut}");
    scene.is_heard("while nobody listens", FOUND_THEN).await;
    for n in 0..2 {
        tunnel.swallow();
        let took = scene.is_heard(&format!("swallowed {n}"), FOUND_FIRST).await;
        println!("a lost last message, black-holed bus: {took:?}");
        tunnel.pass();
        is_ready(scene.nodes.at(0), json!(null)).await;
    }
    assert!(BUSY < FOUND_THEN, "what is added is less than what is bounded");
    scene.is_well().await;
    scene.nodes.stop().await;
}
