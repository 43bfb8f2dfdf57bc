//! Rows of PostgreSQL: down, down for long, slow, put back to an earlier day. Nothing is acknowledged that is not kept, every
//! answer comes in time, and sockets outlive it for a minute.

use std::time::{Duration, Instant};

use parlour_protocol::id::ClientId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use parlour_testkit::nodes::{Ground, Nodes, Plan};
use parlour_testkit::redis::redis_is_installed;
use parlour_testkit::socket::{Answer, Socket};
use parlour_testkit::until::until;

use super::cuts::comes_in_vain;
use super::{BUSY, REFUSED_WITHIN, Scene, is_ready, readiness, takes_long};

/// What a write is told that was not acknowledged: it is not there, or nobody knows.
const NOT_ACKED: [&str; 2] = ["UNAVAILABLE", "OUTCOME_UNKNOWN"];
/// From the first answer of a database that is back until everything is as before.
const BACK_WITHIN: Duration = Duration::from_secs(6);

/// Refused in time, over the socket and over HTTP.
async fn takes_no_writes(scene: &Scene) {
    let code = scene.is_refused().await;
    assert!(NOT_ACKED.contains(&code.as_str()), "{code}");
    let (path, body) = (entries_of(scene), json!({ "kind": "message", "text": "by HTTP" }));
    let began = Instant::now();
    let (status, answer) =
        scene.amira.endpoint.request(Method::POST, &path, Some(&scene.amira.token), Some(&body)).await;
    assert!(began.elapsed() < REFUSED_WITHIN + BUSY, "{:?}", began.elapsed());
    assert_eq!((status, &answer["error"]["retryable"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(true)), "{answer}");
    assert!(NOT_ACKED.contains(&answer["error"]["code"].as_str().expect("a code")), "{answer}");
}

fn entries_of(scene: &Scene) -> String {
    format!("/api/v1/conversations/{}/entries", scene.conversation)
}

/// A command that must be answered as unavailable, in time.
async fn is_unavailable(socket: &Socket, command: Value) {
    let began = Instant::now();
    assert_eq!(socket.command(command).await.code(), "UNAVAILABLE");
    assert!(began.elapsed() < REFUSED_WITHIN + BUSY, "{:?}", began.elapsed());
}

/// No node is ready, and each said once what is wrong.
async fn nobody_is_ready(scene: &Scene, since: Instant) {
    for (node, endpoint) in scene.nodes.endpoints().iter().enumerate() {
        until("the node is not ready", async || {
            (readiness(endpoint).await.0 == StatusCode::SERVICE_UNAVAILABLE).then_some(())
        })
        .await;
        assert_eq!(scene.nodes.server(node).metric("parlour_bus_up").await, 1.0, "Redis is well");
    }
    assert!(since.elapsed() < Duration::from_secs(5) + BUSY, "not ready in time: {:?}", since.elapsed());
    let first = scene.nodes.server(0);
    assert_eq!(first.logged("the database takes no entries").len(), 1, "one line for one trouble");
    assert_eq!(first.metric("parlour_log_failing").await, 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_refuses_in_time_and_keeps_sockets() {
    if !redis_is_installed().await {
        return;
    }
    let mut scene = Scene::on(Nodes::start(2).await).await;
    let phone = scene.amira.share(scene.conversation, json!({})).await.claim("Maria").await.attached().await;
    scene.nodes.postgres.kill().await;
    let killed_at = Instant::now();
    let client_id = ClientId::generate();
    let typing = json!({ "type": "typing", "conversation": scene.conversation, "active": true });
    phone.command(typing).await.ok();
    for listener in [&scene.near, &scene.far] {
        assert_eq!(listener.push("typing").await["active"], true, "signs do without it");
    }
    let unsure = scene.speaker.say_as(scene.conversation, client_id, "did that arrive?").await;
    assert!(NOT_ACKED.contains(&unsure.code()), "{unsure:?}");
    nobody_is_ready(&scene, killed_at).await;
    let (withheld, ()) = tokio::join!(is_withheld(&scene, killed_at), serves_nobody(&scene));
    assert_eq!(scene.nodes.server(0).metric("parlour_entries_withheld").await, 1.0);

    scene.nodes.postgres.start_again().await;
    let back_at = Instant::now();
    let first = until("the unsure one is answered", async || {
        match scene.speaker.say_as(scene.conversation, client_id, "did that arrive?").await {
            Answer::Ok(ok) => Some(ok),
            _ => None,
        }
    })
    .await;
    let again = scene.speaker.say_as(scene.conversation, client_id, "did that arrive?").await.ok();
    assert_eq!((&again["duplicate"], &again["seq"]), (&json!(true), &first["seq"]), "stored once, whenever it was");
    comes_back(&scene).await;
    println!("without its database: entries withheld after {withheld:?}; back after {:?}", back_at.elapsed());
    assert!(back_at.elapsed() < BACK_WITHIN, "{:?}", back_at.elapsed());
    assert_eq!(scene.nodes.server(0).logged("the database takes entries again").len(), 1);
    scene.is_well().await;
    scene.nodes.stop().await;
}

/// Until everybody was told that entries are withheld; nobody is let go for it.
async fn is_withheld(scene: &Scene, since: Instant) -> Duration {
    for listener in [&scene.near, &scene.far] {
        listener.push("paused").await;
        assert!(listener.is_open());
    }
    let withheld = since.elapsed();
    assert!(withheld < Duration::from_secs(10) + 2 * BUSY, "{withheld:?}");
    withheld
}

/// Nobody writes, reads or comes in, and everybody is told so in time.
async fn serves_nobody(scene: &Scene) {
    takes_no_writes(scene).await;
    scene.speaker.command(json!({ "type": "ping" })).await.ok();
    // Also of what memory holds, because the log alone knows what was redacted.
    let since = json!({ "epoch": 1, "seq": 1 });
    is_unavailable(&scene.speaker, json!({ "type": "attach", "conversation": scene.conversation, "since": since }))
        .await;
    for node in [0, 1] {
        assert_eq!(comes_in_vain(&scene.amira, scene.nodes.at(node)).await, 1013);
    }
}

/// Those who were told that entries are withheld are told that they flow, and attach again.
async fn comes_back(scene: &Scene) {
    for listener in [&scene.near, &scene.far] {
        listener.push("head").await;
        attaches(scene, listener, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_down_lets_everybody_go() {
    if takes_long("sockets are kept for a minute without a database") || !redis_is_installed().await {
        return;
    }
    let mut scene = Scene::on(Nodes::start(2).await).await;
    scene.nodes.postgres.kill().await;
    let killed_at = Instant::now();
    let sockets = [&scene.speaker, &scene.near, &scene.far];
    while sockets.iter().any(|socket| socket.is_open()) {
        assert!(killed_at.elapsed() < Duration::from_secs(62), "kept for too long");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("without a database everybody was let go after {:?}", killed_at.elapsed());
    assert!(killed_at.elapsed() > Duration::from_secs(55), "let go too early: {:?}", killed_at.elapsed());
    for socket in sockets {
        assert_eq!(socket.closed().await, 1013);
    }
    assert_eq!(scene.nodes.server(0).logged("every session is closed").len(), 1);
    scene.nodes.postgres.start_again().await;
    is_ready(scene.nodes.at(0), json!(null)).await;
    scene.amira.attached(scene.conversation).await;
    scene.nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_slow_is_waited_for_two_seconds() {
    if !redis_is_installed().await {
        return;
    }
    let settings = vec![("DATABASE_CONNECTIONS_MAX".to_owned(), "3".to_owned())];
    let plan = Plan { settings, ..Plan::default() };
    let scene = Scene::on(Ground::start().await.nodes(&[plan]).await).await;
    let history = json!({ "type": "history", "conversation": scene.conversation });

    scene.nodes.postgres.freeze();
    let code = scene.is_refused().await;
    assert!(NOT_ACKED.contains(&code.as_str()), "{code}");
    is_unavailable(&scene.near, history.clone()).await;
    scene.near.command(json!({ "type": "ping" })).await.ok();
    scene.nodes.postgres.thaw();
    scene.is_well().await;

    let mut admin = scene.nodes.database.admin().await;
    sqlx::raw_sql("begin; lock table entries in exclusive mode").execute(&mut admin).await.expect("a lock");
    assert_eq!(scene.is_refused().await, "UNAVAILABLE", "it is known that nothing was stored");
    scene.near.command(history).await.ok();
    is_ready(scene.nodes.at(0), json!(null)).await;
    sqlx::raw_sql("rollback").execute(&mut admin).await.expect("the end of the lock");
    scene.is_well().await;

    sqlx::raw_sql("begin; lock table conversations in access exclusive mode")
        .execute(&mut admin)
        .await
        .expect("a lock");
    let path = entries_of(&scene);
    let asked = (0..24).map(|_| async {
        let began = Instant::now();
        let answer = scene.amira.endpoint.request(Method::GET, &path, Some(&scene.amira.token), None).await;
        (began.elapsed(), answer)
    });
    let (answers, ping) =
        tokio::join!(futures_util::future::join_all(asked), scene.near.command(json!({ "type": "ping" })));
    ping.ok();
    for (took, (status, answer)) in answers {
        assert_eq!((status, &answer["error"]["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE")));
        // Once for who asks, once for what is asked.
        assert!(took < 2 * REFUSED_WITHIN + BUSY, "a bounded wait: {took:?}");
    }
    sqlx::raw_sql("rollback").execute(&mut admin).await.expect("the end of the lock");
    assert!(scene.nodes.server(0).metric("parlour_pool_wait_seconds_count").await > 0.0);
    scene.is_well().await;
    let heard = scene.near.pushes_so_far().await;
    assert!(heard.iter().all(|push| push["type"] != "paused"), "live readers noticed nothing: {heard:?}");
    scene.nodes.stop().await;
}

/// Puts back what was there before, and starts.
async fn is_put_back(scene: &mut Scene, copy: &std::path::Path) {
    scene.nodes.postgres.kill().await;
    scene.nodes.postgres.put_back(copy);
    scene.nodes.postgres.start_again().await;
}

/// There is no command of an operator's for it yet: a restore that may have lost entries gives every log a new epoch.
async fn begins_new_epochs(scene: &Scene) {
    let bump = "update conversations set epoch = greatest(epoch + 1, extract(epoch from now())::bigint)";
    sqlx::raw_sql(bump).execute(&mut scene.nodes.database.admin().await).await.expect("the change");
}

/// Attaches as soon as that can be done.
async fn attaches(scene: &Scene, socket: &Socket, since: Option<(i64, i64)>) -> Value {
    until("the session is attached", async || match socket.attach(scene.conversation, since).await {
        Answer::Ok(ok) => Some(ok),
        _ => None,
    })
    .await
}

/// Where a session stands that has just attached.
async fn newest(scene: &Scene, socket: &Socket) -> (i64, i64) {
    let attached = attaches(scene, socket, None).await;
    let position = &attached["position"];
    (position["epoch"].as_i64().expect("an epoch"), position["seq"].as_i64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_went_back_is_told_and_starts_anew() {
    if !redis_is_installed().await {
        return;
    }
    let mut scene = Scene::on(Nodes::start(2).await).await;
    let (epoch, kept) = newest(&scene, &scene.near).await;
    scene.nodes.postgres.kill().await;
    let copy = scene.nodes.postgres.back_up();
    scene.nodes.postgres.start_again().await;
    until("writes come back", async || {
        matches!(scene.speaker.say(scene.conversation, "will be lost").await, Answer::Ok(_)).then_some(())
    })
    .await;
    scene.says("will be lost, too").await;
    let ahead = newest(&scene, &scene.near).await;
    assert_eq!(newest(&scene, &scene.far).await, ahead);
    assert!(ahead.0 == epoch && ahead.1 >= kept + 2, "{ahead:?}");

    is_put_back(&mut scene, &copy).await;
    // The nodes do not refuse to go on, as was once meant: they say it loudly, and nobody keeps what is gone. Until then whoever
    // comes may be served from memory, and a write may use a number again; an operator who gives new epochs ends that at once.
    // Heads are compared every ten seconds where nothing is amiss; then nobody is served silently from what is gone.
    for listener in [&scene.near, &scene.far] {
        // Of the trouble before there may be one, too.
        while listener.push("head").await["seq"] != kept {
            attaches(&scene, listener, Some(ahead)).await;
        }
    }
    for node in [0, 1] {
        let said = scene.nodes.server(node).logged("went back; its members are resynchronised");
        assert_eq!(said.len(), 1, "one line for one trouble: {said:?}");
        assert!(said[0].contains("ERROR"), "an alarm: {said:?}");
    }
    let reset = attaches(&scene, &scene.near, Some(ahead)).await;
    assert_eq!((&reset["resumed"], &reset["reset"]["head"]), (&json!(false), &json!(kept)), "{reset}");
    assert_eq!(newest(&scene, &scene.near).await, (epoch, kept));
    assert_eq!(newest(&scene, &scene.far).await, (epoch, kept));

    begins_new_epochs(&scene).await;
    scene.says("a new beginning").await;
    for listener in [&scene.near, &scene.far] {
        listener.push("head").await;
        // A position of the old epoch is worth nothing, whatever its number.
        let reset = attaches(&scene, listener, Some((epoch, kept))).await;
        assert_eq!((&reset["resumed"], &reset["reset"]["head"]), (&json!(false), &json!(kept + 1)), "{reset}");
        assert!(reset["reset"]["epoch"].as_i64().expect("an epoch") > 1_700_000_000, "{reset}");
        assert_eq!(newest(&scene, listener).await.1, kept + 1);
    }
    scene.is_well().await;
    let count = format!("select count(*) from entries where conversation_id = '{}'", scene.conversation);
    let mut admin = scene.nodes.database.admin().await;
    let stored: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut admin).await.expect("a count");
    assert!(stored > kept, "it goes on from there: {stored}");
    scene.nodes.stop().await;
}
