//! Reconnect storms at the database: what it costs when everybody of a room comes back and nothing was said meanwhile.

use parlour_protocol::codec::Codec;
use secrecy::SecretString;
use serde_json::json;

use parlour_testkit::app::TestApp;
use parlour_testkit::meter::Meter;

/// Who is behind the token (1), what the right to attach is decided on (3, with begin and commit), how far others have read
/// (3), for staff alone what guests have seen of cards (1), and whether the room's memory is as new as the log (1): read anew each
/// time, because nobody but the database knows.
const QUERIES_EACH: usize = 9;
const CLIENTS: usize = 200;
/// What the node asks for itself meanwhile: leases, heads.
const UPKEEP_MAX: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_to_an_unmoved_room_costs_a_few_queries_however_many_have_read_it() {
    let database = parlour_testkit::database::Database::fresh().await;
    let meter = Meter::start(&database.app_url).await;
    let app = TestApp::start_on(database, |config| config.database_url = SecretString::from(meter.url.clone())).await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({})).await;
    let desk = amira.attached(conversation).await;
    for n in 0..5 {
        desk.say(conversation, &format!("message {n}")).await.ok();
    }
    for name in ["Maria", "José", "Ana"] {
        let guest = link.claim(name).await.attached().await;
        guest.command(json!({ "type": "read", "conversation": conversation, "read": 4 })).await.ok();
    }
    let head = desk.attach(conversation, None).await.ok()["position"]["seq"].as_i64().expect("a number");

    let before = meter.asked();
    let mut back = Vec::new();
    for _ in 0..CLIENTS {
        let socket = amira.connect(Codec::Json).await;
        let attached = socket.attach(conversation, Some((1, head))).await.ok();
        assert_eq!((&attached["resumed"], &attached["entries"]), (&json!(true), &json!([])));
        assert_eq!(attached["receipts"].as_array().expect("receipts").len(), 3, "{attached}");
        back.push(socket);
    }
    let spent = meter.asked() - before;
    println!("{spent} queries for {CLIENTS} clients");
    assert!(spent >= CLIENTS * QUERIES_EACH, "rights are read: {spent}");
    assert!(spent <= CLIENTS * QUERIES_EACH + UPKEEP_MAX, "and nothing more: {spent}");
}
