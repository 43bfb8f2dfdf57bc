//! Nodes of different versions on one database: what a newer one wrote is kept, counted and passed on by an older one.

use parlour_protocol::codec::Codec;
use parlour_protocol::id::ClientId;
use serde_json::{Value, json};

use parlour_testkit::app::TestApp;

/// The newest entry becomes one of a kind that does not exist yet, as if a newer node had written it.
const FROM_THE_FUTURE: &str =
    "update entries set kind = 'poll', body = '{\"question\": \"Sea view?\", \"votes\": [1, {\"deep\": null}]}'
                                where (conversation_id, seq) in (select id, seq from conversations)";

fn poll() -> Value {
    json!({ "question": "Sea view?", "votes": [1, { "deep": null }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_a_kind_unheard_of_is_kept_counted_and_passed_on() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let writer = amira.connect(Codec::Json).await;
    let said = writer.say(conversation, "to be a poll").await.ok();
    app.arrange(FROM_THE_FUTURE).await;

    let guest = maria.actor.connect(Codec::MessagePack).await;
    let page = guest.attach(conversation, None).await.ok();
    let entry = &page["entries"][0];
    assert_eq!((&entry["seq"], &entry["entry"]["kind"]), (&json!(1), &json!("poll")));
    assert_eq!(entry["entry"]["body"], poll(), "in MessagePack, too");
    let history = amira.get(&format!("/api/v1/conversations/{conversation}/entries")).await;
    let newest = history.as_array().and_then(|entries| entries.last()).unwrap();
    assert_eq!((&newest["seq"], &newest["entry"]["body"]), (&said["seq"], &poll()));

    let rows = amira.get("/api/v1/conversations").await;
    let last = &rows[0]["last_entry"];
    assert_eq!((&last["kind"], &last["preview"]), (&json!("poll"), &json!("")), "{rows}");

    let edit = json!({ "type": "edit", "conversation": conversation, "client_id": ClientId::generate(),
                       "entry_id": said["entry_id"], "seq": said["seq"], "text": "no poll" });
    assert_eq!(writer.command(edit).await.code(), "INVALID");
    let next = writer.say(conversation, "next").await.ok();
    assert_eq!(next["seq"].as_i64(), said["seq"].as_i64().map(|seq| seq + 1));
    assert_eq!(guest.push("entry").await["seq"], 2, "and the log goes on");
}
