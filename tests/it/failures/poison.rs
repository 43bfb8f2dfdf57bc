//! The row of a poison entry: stored bytes that this version cannot read, as a defect or a broken disk would leave them.
//!
//! What would give it to somebody fails, its room cannot be read where it is, and everybody else goes on. An alarm names the
//! entry and none of its words.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::AssertSqlSafe;

use parlour_testkit::nodes::Nodes;
use parlour_testkit::redis::redis_is_installed;
use parlour_testkit::until::until;

use super::{AT_ONCE, Scene, at, hears, is_ready};

/// Which must not be found in any log.
const WORDS: &str = "unmistakable";

async fn arrange(scene: &Scene, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut scene.nodes.database.admin().await).await.expect("the change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_cannot_be_read_costs_its_room_alone() {
    if !redis_is_installed().await {
        return;
    }
    let mut scene = Scene::on(Nodes::start(2).await).await;
    let (room, elsewhere) = (scene.conversation, scene.amira.conversation("Somebody else").await);
    let other = scene.amira.attached(elsewhere).await;
    let said = scene.speaker.say(room, "is about to be spoilt").await.ok();
    let (entry, seq) = (said["entry_id"].as_str().expect("an id").to_owned(), said["seq"].as_i64().expect("a number"));
    scene.is_heard("behind it", AT_ONCE).await;
    let spoil = |id: &str| format!("update entries set body = '\"{WORDS}\"' where id = '{id}'");
    arrange(&scene, spoil(&entry)).await;

    // Whoever asks for it is told that we are at fault, under an id that finds the reason.
    let path = format!("/api/v1/conversations/{room}/entries");
    let (status, answer) = scene.amira.endpoint.request(Method::GET, &path, Some(&scene.amira.token), None).await;
    assert_eq!((status, &answer["error"]["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &json!("INTERNAL")));
    let request_id = answer["error"]["request_id"].as_str().expect("an id");
    let alarm = scene.nodes.server(0).logged(request_id);
    assert!(alarm.len() == 1 && alarm[0].contains("ERROR") && alarm[0].contains(&entry), "{alarm:?}");
    let history = scene.speaker.command(json!({ "type": "history", "conversation": room })).await;
    assert_eq!(history.code(), "INTERNAL");
    let late = scene.amira.connect(parlour_protocol::codec::Codec::Json).await;
    assert_eq!(
        late.attach(room, None).await.code(),
        "UNAVAILABLE",
        "the room; version 1 has no code of its own for it"
    );
    // Whoever stands behind it, and everybody elsewhere, goes on.
    scene.is_heard("life goes on", AT_ONCE).await;
    late.attach(room, Some((1, seq))).await.ok();
    other.say(elsewhere, "undisturbed").await.ok();
    hears(&other, "undisturbed").await;

    is_not_found_behind_a_loss(&scene, &spoil).await;
    other.say(elsewhere, "still undisturbed").await.ok();
    hears(&other, "still undisturbed").await;

    // A new life meets it again, and does not end of it.
    scene.nodes.kill_and_start_again(1).await;
    is_ready(scene.nodes.at(1), json!(null)).await;
    let back = at(&scene.amira, scene.nodes.at(1)).attached(elsewhere).await;
    assert_eq!(back.attach(room, None).await.code(), "UNAVAILABLE");
    other.say(elsewhere, "as before").await.ok();
    hears(&back, "as before").await;

    arrange(&scene, "update entries set body = '{\"text\": \"mended\"}' where body = '\"unmistakable\"'".to_owned())
        .await;
    until("who waited for it hears the rest", async || {
        let push = scene.near.push("entry").await;
        (push["entry"]["body"]["text"] == "mended").then_some(())
    })
    .await;
    back.attach(room, None).await.ok();
    for node in [0, 1] {
        assert_eq!(scene.nodes.server(node).logged(WORDS).len(), 0, "no words in a log");
    }
    scene.nodes.stop().await;
}

/// It is the newest entry and nobody was told of it, as after a kill between commit and publish.
async fn is_not_found_behind_a_loss(scene: &Scene, spoil: &impl Fn(&str) -> String) {
    let room = scene.conversation;
    let id = uuid::Uuid::new_v4();
    let insert = format!(
        "insert into entries select (jsonb_populate_record(e, jsonb_build_object('id', '{id}', 'client_id', '{id}',
            'seq', e.seq + 1, 'guest_seq', e.guest_seq + 1))).* from entries e where conversation_id = '{room}' order by seq desc limit 1;
         {}; update conversations set seq = seq + 1, guest_seq = guest_seq + 1 where id = '{room}'",
        spoil(&id.to_string())
    );
    arrange(scene, insert).await;
    // In doubt, heads are compared at once.
    scene.nodes.redis.ask::<()>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    for node in [0, 1] {
        let server = scene.nodes.server(node);
        until("the alarm is raised", async || (!server.logged(&id.to_string()).is_empty()).then_some(())).await;
    }
    // Long enough for several tries.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for node in [0, 1] {
        let alarms = scene.nodes.server(node).logged(&id.to_string());
        assert!(alarms.len() == 1 && alarms[0].contains("ERROR"), "one line for one trouble: {alarms:?}");
    }
    scene.says("acknowledged, and heard by nobody yet").await;
    is_ready(scene.nodes.at(0), json!(null)).await;
}
