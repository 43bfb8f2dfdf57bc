//! Two organizations with the same shape: nothing of one reaches a member, guest or key of the other, by HTTP or socket.

use parlour_protocol::codec::Codec;
use parlour_protocol::id::{ClientId, ConversationId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use parlour_testkit::actors::{Actor, Guest, Link};
use parlour_testkit::app::TestApp;
use parlour_testkit::people::Tenancy;

/// Words that only one organization holds; seen on the other side, the wall has a hole.
const CANARY: &str = "canary-of-b";

struct Side {
    tenancy: Tenancy,
    conversation: ConversationId,
    link: Link,
    guest: Guest,
    service: Actor,
    card: String,
}

async fn side(app: &TestApp, slug: &str, words: &str) -> Side {
    let tenancy = app.people.tenancy(slug).await;
    let conversation = tenancy.admin.conversation(words).await;
    let link = tenancy.admin.share(conversation, json!({ "label": words })).await;
    let guest = link.claim(words).await;
    let service = app.people.service(tenancy.organization, &["conversations:*", "bookings:*", "shares:*"]).await;
    let card = tenancy.admin.card(conversation, words).await;
    Side { tenancy, conversation, link, guest, service, card }
}

/// Every route that names something, aimed at the other side.
fn probes(b: &Side) -> Vec<(Method, String, Option<Value>)> {
    let (conversation, share) = (b.conversation, &b.link.id);
    let of = |rest: &str| format!("/api/v1/conversations/{conversation}{rest}");
    vec![
        (Method::GET, of(""), None),
        (Method::GET, of("/entries"), None),
        (Method::POST, of("/entries"), Some(json!({ "kind": "message", "text": "into b" }))),
        (Method::POST, of("/entries"), Some(json!({ "kind": "note", "text": "into b" }))),
        (
            Method::POST,
            of("/cards"),
            Some(json!({ "kind": "choice", "title": "x", "options": [{ "id": "a", "label": "A" }] })),
        ),
        (Method::POST, of("/share"), Some(json!({}))),
        (Method::GET, of("/shares"), None),
        (Method::PATCH, format!("/api/v1/shares/{share}"), Some(json!({ "seats": 3 }))),
        (Method::DELETE, format!("/api/v1/shares/{share}"), None),
    ]
}

/// Every command that names something, aimed at the other side.
fn commands(b: &Side) -> Vec<Value> {
    let conversation = b.conversation;
    let key = ClientId::generate();
    vec![
        json!({ "type": "attach", "conversation": conversation }),
        json!({ "type": "attach", "conversation": conversation, "since": { "epoch": 1, "seq": 0 } }),
        json!({ "type": "history", "conversation": conversation }),
        json!({ "type": "send", "conversation": conversation, "client_id": key, "text": "into b" }),
        json!({ "type": "note", "conversation": conversation, "client_id": key, "text": "into b" }),
        json!({ "type": "select", "conversation": conversation, "client_id": key, "card": b.card, "version": 1, "options": ["a"] }),
        json!({ "type": "typing", "conversation": conversation, "active": true }),
        json!({ "type": "presence", "conversation": conversation }),
        json!({ "type": "read", "conversation": conversation, "read": 1 }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_guest_and_key_of_one_organization_find_nothing_of_another() {
    let app = TestApp::start().await;
    let a = side(&app, "tenant-a", "canary-of-a").await;
    let b = side(&app, "tenant-b", CANARY).await;
    let absent = ConversationId::generate();
    for actor in [&a.tenancy.admin, &a.service, &a.guest.actor] {
        for (method, path, body) in probes(&b) {
            let (status, foreign) =
                actor.endpoint.request(method.clone(), &path, Some(&actor.token), body.as_ref()).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {foreign}");
            let nowhere = path.replace(&b.conversation.to_string(), &absent.to_string());
            let (_, nothing) = actor.endpoint.request(method, &nowhere, Some(&actor.token), body.as_ref()).await;
            assert_eq!(foreign["error"]["message"], nothing["error"]["message"], "foreign and absent answer alike");
            assert!(!foreign.to_string().contains(CANARY));
        }
        let socket = actor.connect(Codec::Json).await;
        for command in commands(&b) {
            assert_eq!(socket.command(command.clone()).await.code(), "NOT_FOUND", "{command}");
        }
    }
    let list = a.tenancy.admin.get("/api/v1/conversations").await;
    assert_eq!(list.as_array().expect("rows").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_frame_of_one_organization_reaches_a_socket_of_another() {
    let app = TestApp::start().await;
    let a = side(&app, "tenant-a", "canary-of-a").await;
    let b = side(&app, "tenant-b", CANARY).await;
    let mut of_a = Vec::new();
    for actor in [&a.tenancy.admin, &a.service, &a.guest.actor] {
        let socket = actor.attached(a.conversation).await;
        if actor.token == a.tenancy.admin.token {
            socket.command(json!({ "type": "subscribe", "topic": "inbox" })).await.ok();
        }
        of_a.push(socket);
    }
    let (staff_b, guest_b) = (b.tenancy.admin.attached(b.conversation).await, b.guest.attached().await);
    for n in 0..50 {
        let typing = json!({ "type": "typing", "conversation": b.conversation, "active": n % 2 == 0 });
        guest_b.command(typing).await.ok();
        guest_b.say(b.conversation, &format!("{CANARY} {n}")).await.ok();
        staff_b.say(b.conversation, &format!("{CANARY} reply {n}")).await.ok();
    }
    // A last word of their own: everything before it has arrived by then.
    for socket in &of_a {
        let last = a.tenancy.admin.attached(a.conversation).await;
        last.say(a.conversation, "the end").await.ok();
        let mut heard = Vec::new();
        loop {
            let push = socket.next_push().await.expect("the socket is open");
            let is_last = push["entry"]["body"]["text"] == "the end";
            heard.push(push);
            if is_last {
                break;
            }
        }
        assert!(!heard.iter().any(|push| push.to_string().contains(CANARY)), "{heard:?}");
        assert!(!heard.iter().any(|push| push.to_string().contains(&b.conversation.to_string())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_reaches_its_own_conversation_only_and_no_staff_route() {
    let app = TestApp::start().await;
    let a = side(&app, "tenant-a", "canary-of-a").await;
    let other = a.tenancy.admin.conversation("another of the same organization").await;
    let guest = &a.guest.actor;
    guest.expect(Method::GET, &format!("/api/v1/conversations/{other}/entries"), None, StatusCode::NOT_FOUND).await;
    guest.expect(Method::GET, "/api/v1/conversations", None, StatusCode::FORBIDDEN).await;
    let path = format!("/api/v1/conversations/{}/shares", a.conversation);
    guest.expect(Method::GET, &path, None, StatusCode::FORBIDDEN).await;
    let note = json!({ "kind": "note", "text": "x" });
    let path = format!("/api/v1/conversations/{}/entries", a.conversation);
    guest.expect(Method::POST, &path, Some(note), StatusCode::FORBIDDEN).await;
    let socket = guest.connect(Codec::Json).await;
    assert_eq!(socket.attach(other, None).await.code(), "NOT_FOUND");
    assert_eq!(socket.command(json!({ "type": "subscribe", "topic": "inbox" })).await.code(), "FORBIDDEN");
    let view = guest.get(&format!("/api/v1/conversations/{}/entries", a.conversation)).await;
    assert!(view.as_array().expect("entries").iter().all(|entry| entry["entry"]["audience"] == "everyone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restricted_staff_see_their_own_and_the_claimable_only() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("tenant-a").await;
    let kevin = app.people.staff(tenancy.organization, "dmc_staff", "Kevin").await;
    let claimable = tenancy.admin.conversation("claimable").await;
    let taken = tenancy.admin.conversation("taken").await;
    app.arrange(
        "update conversations set assigned_to = user_id, access_version = access_version + 1 where title = 'taken'",
    )
    .await;
    let titles = |rows: &Value| -> Vec<String> {
        rows.as_array().expect("rows").iter().map(|row| row["title"].as_str().expect("a title").to_owned()).collect()
    };
    assert_eq!(titles(&kevin.get("/api/v1/conversations").await), ["claimable"]);
    let socket = kevin.connect(Codec::Json).await;
    assert_eq!(socket.attach(taken, None).await.code(), "NOT_FOUND");
    socket.attach(claimable, None).await.ok();
    kevin.expect(Method::GET, &format!("/api/v1/conversations/{taken}"), None, StatusCode::NOT_FOUND).await;
}
