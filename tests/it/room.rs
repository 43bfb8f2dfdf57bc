//! One room, three kinds of people: what each says reaches the others live, once, in order, in the numbering of their view.

use parlour_protocol::codec::Codec;
use parlour_protocol::id::ClientId;
use reqwest::{Method, StatusCode};
use serde_json::json;

use parlour_testkit::app::TestApp;
use parlour_testkit::socket::Answer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_a_guest_and_a_service_talk_live_in_one_room() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let amira = &tenancy.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let link = amira.share(conversation, json!({ "permissions": ["view", "respond", "select_options"] })).await;
    let staff = amira.attached(conversation).await;
    let maria = link.claim("Maria").await;
    let guest = maria.attached().await;
    let presence = staff.push("presence").await;
    assert_eq!((&presence["who"]["name"], &presence["state"]), (&json!("Maria"), &json!("online")));

    let said = guest.say(conversation, "Good morning!").await.ok();
    assert_eq!(said["seq"], 1, "the first entry of the guest's view");
    let heard = staff.push("entry").await;
    assert_eq!(heard["entry"]["body"]["text"], "Good morning!");
    let own = guest.push("entry").await;
    assert_eq!(own["seq"], 1);
    assert_eq!(own["entry"]["author"]["name"], "Maria");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_codecs_give_the_same_entries() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let json_socket = amira.attached(conversation).await;
    let binary = amira.connect(Codec::MessagePack).await;
    binary.attach(conversation, None).await.ok();
    binary.say(conversation, "naïve — ☀").await.ok();
    let (left, right) = (json_socket.push("entry").await, binary.push("entry").await);
    assert_eq!(left, right);
    assert_eq!(left["entry"]["body"]["text"], "naïve — ☀");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_reach_staff_only_and_leave_no_hole_for_guests() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let (staff, guest) = (amira.attached(conversation).await, maria.attached().await);
    staff.say(conversation, "one").await.ok();
    let note = json!({ "type": "note", "conversation": conversation, "client_id": ClientId::generate(), "text": "margin 9 %" });
    staff.command(note.clone()).await.ok();
    staff.say(conversation, "two").await.ok();
    let (first, second) = (guest.push("entry").await, guest.push("entry").await);
    assert_eq!((&first["seq"], &second["seq"]), (&json!(1), &json!(2)));
    assert_eq!(second["entry"]["body"]["text"], "two");
    let mut of_guest = note;
    of_guest["client_id"] = json!(ClientId::generate());
    assert_eq!(guest.command(of_guest).await.code(), "FORBIDDEN");
    let history = guest.command(json!({ "type": "history", "conversation": conversation })).await.ok();
    assert!(!history.to_string().contains("margin"), "{history}");
    assert_eq!(history["head"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_pushes_over_http_once_per_key() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria Fernandes").await;
    let staff = tenancy.admin.attached(conversation).await;
    let service = app.people.service(tenancy.organization, &["conversations:*", "bookings:*"]).await;
    let path = format!("/api/v1/conversations/{conversation}/entries");
    let body = json!({ "kind": "message", "text": "Air Mauritius holds its price." });
    let key = ClientId::generate().to_string();
    let send = async |body: &serde_json::Value| {
        let headers = [("Idempotency-Key", key.as_str())];
        service.endpoint.request_with(Method::POST, &path, Some(&service.token), Some(body), &headers).await
    };
    let (status, first) = send(&body).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let (status, again) = send(&body).await;
    assert_eq!((status, &again["data"]["duplicate"]), (StatusCode::OK, &json!(true)));
    assert_eq!(first["data"]["entry_id"], again["data"]["entry_id"]);
    let (status, other) = send(&json!({ "kind": "message", "text": "another" })).await;
    assert_eq!((status, &other["error"]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("IDEMPOTENCY_MISMATCH")));
    let push = staff.push("entry").await;
    assert_eq!(push["entry"]["author"]["kind"], "service");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_choice_wins_and_the_second_is_told_who_holds_it() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let link = amira.share(conversation, json!({ "permissions": ["view", "respond", "select_options"] })).await;
    let card = amira.card(conversation, "Flights").await;
    let (maria, tomas) = (link.claim("Maria").await, link.claim("Tomás").await);
    let (left, right) = (maria.attached().await, tomas.attached().await);
    let (a, b) = tokio::join!(left.choose(conversation, &card, "a"), right.choose(conversation, &card, "b"));
    let (won, lost) = if matches!(a, Answer::Ok(_)) { (a, b) } else { (b, a) };
    assert_eq!(won.ok()["state"], "decided");
    assert_eq!(lost.code(), "CONFLICT");
    let Answer::Error(error) = lost else { unreachable!("a code was read") };
    assert_eq!(error["details"]["state"], "decided");
    assert!(error["details"]["holder"]["who"]["name"].is_string(), "{error}");
    let selections = left.command(json!({ "type": "history", "conversation": conversation })).await.ok();
    let entries = selections["entries"].as_array().expect("entries");
    assert_eq!(entries.iter().filter(|entry| entry["entry"]["kind"] == "selection").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watermarks_reach_others_in_their_own_numbering_and_notes_leave_no_trace() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let (staff, guest) = (amira.attached(conversation).await, maria.attached().await);
    let said = staff.say(conversation, "hello").await.ok()["seq"].as_i64().expect("a number");
    guest.push("entry").await;
    guest.command(json!({ "type": "read", "conversation": conversation, "received": 1, "read": 1 })).await.ok();
    let receipt = staff.push("receipt").await;
    assert_eq!((&receipt["who"]["name"], &receipt["read"]), (&json!("Maria"), &json!(said)));
    let note = json!({ "type": "note", "conversation": conversation, "client_id": ClientId::generate(), "text": "x" });
    let noted = staff.command(note).await.ok()["seq"].as_i64().expect("a number");
    staff.command(json!({ "type": "read", "conversation": conversation, "read": noted })).await.ok();
    let receipt = guest.push("receipt").await;
    assert_eq!(receipt["read"], 1, "the note's reading is not told: {receipt}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_is_shown_to_others_and_never_to_the_typist() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let (staff, guest) = (amira.attached(conversation).await, maria.attached().await);
    guest.command(json!({ "type": "typing", "conversation": conversation, "active": true })).await.ok();
    let shown = staff.push("typing").await;
    assert_eq!(
        (&shown["who"]["name"], &shown["active"], &shown["expires_ms"]),
        (&json!("Maria"), &json!(true), &json!(6000))
    );
    guest.say(conversation, "done typing").await.ok();
    assert!(guest.pushes_so_far().await.iter().all(|push| push["type"] != "typing"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_live() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let amira = &tenancy.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let list = amira.connect(Codec::Json).await;
    list.command(json!({ "type": "subscribe", "topic": "inbox" })).await.ok();
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let guest = maria.attached().await;
    guest.say(conversation, "We took the direct one.").await.ok();
    loop {
        let row = list.push("inbox").await["conversation"].take();
        if row["last_entry"]["preview"] == "We took the direct one." {
            assert_eq!((&row["unread"], &row["online"]), (&json!(1), &json!(true)), "{row}");
            break;
        }
    }
    let listed = amira.get("/api/v1/conversations").await;
    assert_eq!(listed[0]["unread"], 1);
}
