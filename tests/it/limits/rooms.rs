//! The limits of conversations: who may listen, what memory holds, how fast they grow, how large an entry and a page may be.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parlour::domain::draft::Draft;
use parlour::domain::policy::{Facts, Send, authorize};
use parlour::domain::principal::{Actor as Acting, Organization, Principal};
use parlour::domain::role::Role;
use parlour::domain::text::MessageText;
use parlour::hub::room::{TAIL_BYTES_MAX, TAIL_ENTRIES_MAX};
use parlour::store::Store;
use parlour::store::log::{CommitHook, Log, QUEUE_MAX};
use parlour::ws::WsConfig;
use parlour_protocol::card::Offer;
use parlour_protocol::codec::Codec;
use parlour_protocol::id::{ClientId, ConversationId, OrganizationId, PersonId};
use parlour_protocol::limits::{
    CARD_BYTES_MAX, LINK_ENTRIES_PER_MINUTE, PAGE_ENTRIES_MAX, ROOM_ENTRIES_PER_SECOND, ROOM_MEMBERS_DEFAULT,
    ROOMS_STAFF_MAX, TEXT_CHARS_MAX,
};
use parlour_testkit::app::TestApp;
use parlour_testkit::database::Database;
use parlour_testkit::socket::{Answer, Socket};
use parlour_testkit::until::until;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use crate::live::client::Client;
use crate::live::stage::Node;

/// What an entry weighs besides its text.
const ENTRY_BYTES: usize = 256;

/// Attaches; the answer to it.
async fn attach(client: &mut Client, node: &Node, since: Option<i64>) -> Value {
    let mut command = json!({ "id": 9, "type": "attach", "conversation": node.conversation() });
    if let Some(seq) = since {
        command["since"] = json!({ "epoch": 1, "seq": seq });
    }
    client.say(command).await;
    loop {
        let heard = client.heard().await;
        if heard["id"] == 9 {
            return heard;
        }
    }
}

#[tokio::test]
async fn two_hundred_may_listen_to_a_conversation() {
    let node = Node::start(WsConfig::default()).await;
    let mut listeners = Vec::new();
    for nth in 1..=ROOM_MEMBERS_DEFAULT {
        let mut client = Client::greeted(node.address, "staff").await;
        assert!(attach(&mut client, &node, None).await["ok"].is_object(), "{nth}");
        listeners.push(client);
    }
    let mut late = Client::greeted(node.address, "staff").await;
    let refused = attach(&mut late, &node, None).await;
    let details = json!({ "members": ROOM_MEMBERS_DEFAULT });
    assert_eq!((&refused["error"]["code"], &refused["error"]["details"]), (&json!("LIMIT"), &details));
    // Who listens may attach again, and is not counted twice.
    assert!(attach(&mut listeners[0], &node, None).await["ok"].is_object());
    assert_eq!(node.hub.counts().members, ROOM_MEMBERS_DEFAULT, "who was refused left nothing behind");
    drop(listeners.pop());
    until("one has left", async || (node.hub.counts().members < ROOM_MEMBERS_DEFAULT).then_some(())).await;
    assert!(attach(&mut late, &node, None).await["ok"].is_object());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_holds_so_many_rooms_and_no_more() {
    let app = TestApp::start_with(|config| config.hub.limits.rooms = 3).await;
    let amira = app.people.tenancy("lagon").await.admin;
    let socket = amira.connect(Codec::Json).await;
    let mut conversations = Vec::new();
    for _ in 0..4 {
        conversations.push(amira.conversation("Maria").await);
    }
    for conversation in &conversations[..3] {
        socket.attach(*conversation, None).await.ok();
    }
    // One that is there already may have more listeners.
    let other = amira.attached(conversations[0]).await;
    assert_eq!(socket.attach(conversations[3], None).await, Answer::Closed(1013));
    other.say(conversations[0], "still here").await.ok();
    assert_eq!(app.app.hub().counts().rooms, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_attach_to_a_hundred_conversations() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let socket = amira.connect(Codec::Json).await;
    let mut conversations = Vec::new();
    for _ in 0..=ROOMS_STAFF_MAX {
        conversations.push(amira.conversation("Maria").await);
    }
    for conversation in &conversations[..ROOMS_STAFF_MAX] {
        socket.attach(*conversation, None).await.ok();
    }
    let last = conversations[ROOMS_STAFF_MAX];
    let Answer::Error(refused) = socket.attach(last, None).await else { panic!("one too many") };
    assert_eq!((&refused["code"], &refused["details"]["rooms"]), (&json!("LIMIT"), &json!(ROOMS_STAFF_MAX)));
    socket.attach(conversations[0], None).await.ok();
    socket.command(json!({ "type": "detach", "conversation": conversations[1] })).await.ok();
    socket.attach(last, None).await.ok();
}

/// A guest comes back to a room in which, after one message, notes were written that it never sees. Whether the log was asked.
async fn is_read_from_the_log(message: &str, notes: &[String]) -> bool {
    let node = Node::start(WsConfig::default()).await;
    let mut listener = Client::greeted(node.address, "staff").await;
    attach(&mut listener, &node, None).await;
    node.hub.deliver(vec![node.log.commit(message, false)]).await;
    for note in notes {
        node.hub.deliver(vec![node.log.commit(note, true)]).await;
    }
    let mut guest = Client::greeted(node.address, "guest").await;
    let before = node.log.pages.load(Ordering::Relaxed);
    let page = attach(&mut guest, &node, Some(0)).await;
    assert_eq!(page["ok"]["entries"][0]["entry"]["body"]["text"], message, "from wherever, it is there");
    node.log.pages.load(Ordering::Relaxed) > before
}

#[tokio::test]
async fn memory_holds_256_entries_of_a_room() {
    for (entries, from_log) in [(TAIL_ENTRIES_MAX - 1, false), (TAIL_ENTRIES_MAX, false), (TAIL_ENTRIES_MAX + 1, true)]
    {
        let notes = vec!["note".to_owned(); entries - 1];
        assert_eq!(is_read_from_the_log("hello", &notes).await, from_log, "{entries}");
    }
}

#[tokio::test]
async fn memory_holds_256_kib_of_a_room() {
    let share = TAIL_BYTES_MAX / 32;
    let message = "m".repeat(share - ENTRY_BYTES);
    for (extra, from_log) in [(-1_isize, false), (0, false), (1, true)] {
        let mut notes = vec!["n".repeat(share - ENTRY_BYTES); 30];
        notes.push("n".repeat((share - ENTRY_BYTES).checked_add_signed(extra).unwrap()));
        assert_eq!(is_read_from_the_log(&message, &notes).await, from_log, "{extra}");
    }
}

/// Begins many messages at once, spread over sockets; how many were stored, how many refused, and the time it took.
async fn flood(sockets: &[Socket], conversation: ConversationId, each: u32) -> (u32, u32, Duration) {
    let began = Instant::now();
    let mut begun = Vec::new();
    for socket in sockets {
        for n in 0..each {
            let send = json!({ "type": "send", "conversation": conversation, "client_id": ClientId::generate(),
                               "text": format!("message {n}") });
            begun.push(socket.wait(socket.begin(send)));
        }
    }
    let (mut stored, mut refused) = (0, 0);
    for answer in join_all(begun).await {
        match answer {
            Answer::Ok(_) => stored += 1,
            Answer::Error(error) => {
                assert_eq!(error["code"], "RATE_LIMITED");
                assert!((1..=2_000).contains(&error["details"]["retry_after_ms"].as_u64().unwrap()), "{error}");
                assert_eq!(error["retryable"], true);
                refused += 1;
            }
            Answer::Closed(code) => panic!("closed with {code}"),
        }
    }
    (stored, refused, began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_posts_thirty_entries_a_minute() {
    let app = TestApp::limited().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({})).await;
    let devices = [link.claim("Maria").await.attached().await, link.claim("José").await.attached().await];
    let first = devices[0].say(conversation, "to be taken back").await.ok();
    let (stored, refused, took) = flood(&devices, conversation, 20).await;
    let max = LINK_ENTRIES_PER_MINUTE - 1;
    let back = took.as_secs_f64() / 2.0 + 1.0;
    assert!(stored >= max && f64::from(stored - max) <= back, "{stored} stored, {refused} refused in {took:?}");
    assert!(refused > 0 && devices.iter().all(Socket::is_open), "the sockets stay open");
    let redact = json!({ "type": "redact", "conversation": conversation, "client_id": ClientId::generate(),
                         "entry_id": first["entry_id"], "seq": first["seq"] });
    devices[0].command(redact).await.ok();
    let desk = amira.attached(conversation).await;
    desk.say(conversation, "staff are not concerned").await.ok();
    let other = amira.share(conversation, json!({})).await.claim("Ana").await.attached().await;
    other.say(conversation, "nor is another link").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_takes_fifty_entries_a_second() {
    let app = TestApp::limited().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let (conversation, other) = (amira.conversation("Maria").await, amira.conversation("José").await);
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(amira.attached(conversation).await);
    }
    let (stored, refused, took) = flood(&sockets, conversation, 28).await;
    let max = ROOM_ENTRIES_PER_SECOND;
    let back = took.as_secs_f64() * f64::from(max) + 1.0;
    assert!(stored >= max && f64::from(stored - max) <= back, "{stored} stored, {refused} refused in {took:?}");
    assert!(refused > 0 || took > Duration::from_secs(1), "{stored} stored in {took:?}");
    amira.connect(Codec::Json).await.say(other, "elsewhere nobody waits").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_has_8000_characters_of_any_width() {
    let app = TestApp::limited().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let path = format!("/api/v1/conversations/{conversation}/entries");
    for codec in [Codec::Json, Codec::MessagePack] {
        let socket = amira.connect(codec).await;
        for character in ["a", "é", "語", "🏝"] {
            for count in [TEXT_CHARS_MAX - 1, TEXT_CHARS_MAX, TEXT_CHARS_MAX + 1] {
                let text = character.repeat(count);
                let answer = socket.say(conversation, &text).await;
                let body = json!({ "kind": "message", "text": text });
                let (status, sent) = amira.endpoint.request(Method::POST, &path, Some(&amira.token), Some(&body)).await;
                if count > TEXT_CHARS_MAX {
                    assert_eq!((answer.code(), status), ("TOO_LARGE", StatusCode::PAYLOAD_TOO_LARGE), "{character}");
                    assert_eq!(sent["error"]["code"], "TOO_LARGE");
                } else {
                    answer.ok();
                    assert_eq!(status, StatusCode::CREATED, "{sent}");
                }
            }
        }
    }
}

/// A card of exactly so many bytes, as the server writes it.
fn card(bytes: usize) -> Value {
    let with = |last: usize| {
        let detail = |chars: usize| json!({ "label": "Day", "title": "On the island", "text": "x".repeat(chars) });
        let mut details: Vec<Value> = (0..31).map(|_| detail(975)).collect();
        details.push(detail(last));
        json!({ "kind": "choice", "title": "Two weeks", "options": [{ "id": "a", "label": "Yes" }],
                "details": details })
    };
    let written =
        |card: &Value| serde_json::to_vec(&serde_json::from_value::<Offer>(card.clone()).unwrap()).unwrap().len();
    let rest = bytes - written(&with(1));
    let card = with(1 + rest);
    assert_eq!(written(&card), bytes);
    card
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_has_at_most_32_kib_to_the_byte() {
    let app = TestApp::limited().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let path = format!("/api/v1/conversations/{}/cards", amira.conversation("Maria").await);
    for bytes in [CARD_BYTES_MAX - 1, CARD_BYTES_MAX, CARD_BYTES_MAX + 1] {
        let body = card(bytes);
        let (status, answer) = amira.endpoint.request(Method::POST, &path, Some(&amira.token), Some(&body)).await;
        let expected = if bytes > CARD_BYTES_MAX { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::CREATED };
        assert_eq!(status, expected, "{bytes}: {answer}");
        assert!(bytes <= CARD_BYTES_MAX || answer["error"]["code"] == "TOO_LARGE", "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attach_gives_two_hundred_entries_and_says_that_there_are_more() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let socket = amira.connect(Codec::Json).await;
    let (stored, ..) = flood(std::slice::from_ref(&socket), conversation, PAGE_ENTRIES_MAX + 1).await;
    assert_eq!(stored, PAGE_ENTRIES_MAX + 1);
    let head = socket.attach(conversation, None).await.ok()["position"]["seq"].as_i64().unwrap();
    let max = i64::from(PAGE_ENTRIES_MAX);
    for missed in [max - 1, max, max + 1] {
        // From the log by who was not there, and from memory by who was.
        let stranger = amira.connect(Codec::MessagePack).await;
        for socket in [&stranger, &socket] {
            let page = socket.attach(conversation, Some((1, head - missed))).await.ok();
            let given = page["entries"].as_array().unwrap().len() as i64;
            assert_eq!((given, &page["has_more"]), (missed.min(max), &json!(missed > max)));
        }
        let history = json!({ "type": "history", "conversation": conversation, "limit": missed });
        let answer = socket.command(history).await;
        if missed > max {
            assert_eq!(answer.code(), "INVALID");
        } else {
            assert_eq!(answer.ok()["entries"].as_array().unwrap().len() as i64, missed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_may_be_edited_for_a_quarter_of_an_hour() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let socket = amira.connect(Codec::Json).await;
    for (age, is_in_time) in [
        ("update entries set at = now() - interval '14 minutes 50 seconds' where kind = 'message'", true),
        ("update entries set at = now() - interval '15 minutes' where kind = 'message'", false),
    ] {
        let said = socket.say(conversation, "at nine").await.ok();
        app.arrange(age).await;
        let edit = json!({ "type": "edit", "conversation": conversation, "client_id": ClientId::generate(),
                           "entry_id": said["entry_id"], "seq": said["seq"], "text": "at ten" });
        match socket.command(edit).await {
            Answer::Ok(_) => assert!(is_in_time),
            Answer::Error(error) => assert_eq!((is_in_time, &error["details"]["reason"]), (false, &json!("too_old"))),
            Answer::Closed(code) => panic!("closed with {code}"),
        }
    }
}

/// A message that may be posted, as far as anybody can tell without the database.
fn draft() -> Draft {
    let organization =
        Organization { id: OrganizationId::generate(), name: "Lagon".to_owned(), active: true, version: 1 };
    let role = Role::find("dmc_admin").unwrap();
    let facts = Facts {
        organization: organization.id,
        conversation: ConversationId::generate(),
        user_id: None,
        assigned_to: None,
        watchers: vec![],
        access_version: 1,
    };
    let actor =
        Acting::Staff { person: PersonId::generate(), role, permissions: role.permissions(), session_version: 1 };
    let principal = Arc::new(Principal { organization, name: "Amira".to_owned(), version: 1, ends_at: None, actor });
    let grant = authorize::<Send>(&principal, &facts).unwrap();
    Draft::message(&grant, ClientId::generate(), MessageText::parse("hello".to_owned()).unwrap())
}

#[tokio::test]
async fn so_many_writes_may_wait() {
    let database = Database::fresh().await;
    let store = Store::new(&database.app_url, 2).unwrap();
    let hook: CommitHook = Arc::new(|_| Box::pin(async {}));
    let log = Log::start(&store, &hook, &TaskTracker::new());
    // Nothing is awaited, so nothing is taken.
    let waiting: Vec<_> = (0..QUEUE_MAX).map_while(|_| log.submit(draft()).ok()).collect();
    assert_eq!((waiting.len(), log.waiting()), (QUEUE_MAX, QUEUE_MAX));
    let refused = log.submit(draft()).unwrap_err();
    assert!(refused.to_string().contains("waiting"), "{refused}");
    join_all(waiting.into_iter().map(|submission| submission.verdict())).await;
    until("there are places again", async || (log.waiting() == 0).then_some(())).await;
    drop(log.submit(draft()).unwrap());
}
