//! Attacks on the live half: rights that change while something is under way, and what a guest could learn from signs.
//!
//! Each test plays one race or looks at every push of a view. The hub's own races are in `src/hub/races.rs`.

use std::time::{Duration, Instant};

use parlour_protocol::id::{ClientId, ConversationId};
use serde_json::{Value, json};

use parlour_testkit::app::TestApp;
use parlour_testkit::socket::Socket;

/// What a socket was pushed up to now: everything before the answer of a `ping` is there, as one socket keeps its order.
async fn pushed(socket: &Socket) -> Vec<Value> {
    socket.command(json!({ "type": "ping" })).await.ok();
    socket.pushes_so_far().await
}

async fn note(socket: &Socket, conversation: ConversationId, text: &str) -> Value {
    let client_id = ClientId::generate();
    let note = json!({ "type": "note", "conversation": conversation, "client_id": client_id, "text": text });
    socket.command(note).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_between_a_change_of_rights_and_its_sweep_does_not_hide_the_change() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria").await;
    let bruno = app.people.staff(tenancy.organization, "dmc_manager", "Bruno").await;
    let socket = bruno.attached(conversation).await;
    app.arrange("update memberships set role = 'guide', version = version + 1 where role = 'dmc_manager'").await;
    socket.command(json!({ "type": "refresh", "token": bruno.token })).await.ok();
    assert_eq!(socket.push("permission").await["permissions"], json!([]));
    tenancy.admin.attached(conversation).await.say(conversation, "not for him").await.ok();
    assert!(pushed(&socket).await.iter().all(|push| push["type"] != "entry"), "a guide hears nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guests_refresh_tells_changed_permissions() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({ "permissions": ["view", "respond"] })).await;
    let guest = link.claim("Maria").await.attached().await;
    app.arrange("update shares set permissions = '{view}', version = version + 1").await;
    guest.command(json!({ "type": "refresh" })).await.ok();
    let push = guest.push("permission").await;
    assert!(!push["permissions"].as_array().expect("rights").contains(&json!("send")), "{push}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_ends_right_after_the_hello_closes_in_time_with_its_own_code() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    for round in 0..4 {
        let link = amira.share(conversation, json!({})).await;
        let guest = link.claim("Maria").await;
        app.arrange("update shares set expires_at = now() + interval '500 milliseconds' where expires_at > now()")
            .await;
        let (began, socket) = (Instant::now(), guest.attached().await);
        assert_eq!(socket.closed().await, 4510, "round {round}");
        assert!(began.elapsed() < Duration::from_millis(1_300), "round {round}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reading_of_a_note_makes_no_sound_for_guests() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let amira = &tenancy.admin;
    let conversation = amira.conversation("Maria").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let bruno = app.people.staff(tenancy.organization, "dmc_manager", "Bruno").await;
    let (staff, reader) = (amira.attached(conversation).await, bruno.attached(conversation).await);
    let read =
        async |seq: &Value| reader.command(json!({ "type": "read", "conversation": conversation, "read": seq })).await;
    let first = note(&staff, conversation, "margin 9 %").await;
    read(&first["seq"]).await.ok();
    let guest = maria.actor.connect(parlour_protocol::codec::Codec::Json).await;
    let attached = guest.attach(conversation, None).await.ok();
    assert_eq!(attached["receipts"], json!([]), "who read only notes has read nothing");
    let said = staff.say(conversation, "Good morning").await.ok();
    read(&said["seq"]).await.ok();
    assert_eq!(guest.push("receipt").await["read"], 1);
    let second = note(&staff, conversation, "margin 8 %").await;
    read(&second["seq"]).await.ok();
    assert_eq!(staff.push("receipt").await["read"], first["seq"]);
    let heard = pushed(&guest).await;
    assert!(heard.iter().all(|push| push["type"] != "receipt"), "{heard:?}");
}
