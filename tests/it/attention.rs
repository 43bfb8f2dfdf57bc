//! What people look at, from outside: who views a conversation, for staff alone, and what guests have seen of a card.

use parlour_protocol::id::ConversationId;
use serde_json::{Value, json};

use parlour_testkit::app::TestApp;
use parlour_testkit::nodes::Nodes;
use parlour_testkit::socket::{Answer, Socket};

async fn look(socket: &Socket, conversation: ConversationId, viewing: bool) -> Value {
    socket.command(json!({ "type": "presence", "conversation": conversation, "viewing": viewing })).await.ok()
}

/// The next presence push about somebody.
async fn presence_of(socket: &Socket, name: &str) -> Value {
    loop {
        let push = socket.push("presence").await;
        if push["who"]["name"] == name {
            return push;
        }
    }
}

fn viewing(members: &Value, name: &str) -> bool {
    let members = members["members"].as_array().expect("members");
    let member = members.iter().find(|member| member["who"]["name"] == name).expect("the member");
    member["viewing"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_see_who_else_looks_at_a_conversation_and_guests_do_not() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria Fernandes").await;
    let ben = app.people.staff(tenancy.organization, "dmc_manager", "Ben").await;
    let maria = tenancy.admin.share(conversation, json!({})).await.claim("Maria").await;
    let (amira, ben_socket) = (tenancy.admin.attached(conversation).await, ben.attached(conversation).await);
    let guest = maria.attached().await;
    presence_of(&amira, "Maria").await;

    look(&ben_socket, conversation, true).await;
    let push = presence_of(&amira, "Ben").await;
    let push = if push["viewing"] == true { push } else { presence_of(&amira, "Ben").await };
    assert_eq!((&push["state"], &push["viewing"]), (&json!("online"), &json!(true)));
    assert!(viewing(&look(&amira, conversation, true).await, "Ben"));
    let late = tenancy.admin.connect(parlour_protocol::codec::Codec::Json).await;
    assert!(viewing(&late.attach(conversation, None).await.ok(), "Ben"), "told to whoever attaches");

    // A second window that closes changes nothing; the one that looks does.
    let window = ben.attached(conversation).await;
    drop(window);
    look(&ben_socket, conversation, false).await;
    let push = presence_of(&amira, "Ben").await;
    assert_eq!((&push["state"], &push["viewing"]), (&json!("online"), &Value::Null));
    look(&ben_socket, conversation, true).await;
    assert_eq!(presence_of(&amira, "Ben").await["viewing"], true);
    drop(ben_socket);
    assert_eq!(presence_of(&amira, "Ben").await["viewing"], Value::Null, "who left does not look");

    // The guest heard people come and go, and nothing about looking.
    let told = look(&guest, conversation, true).await;
    assert!(!told.to_string().contains("viewing"), "{told}");
    assert_eq!(presence_of(&amira, "Maria").await["viewing"], true, "staff see that the client looks");
    amira.say(conversation, "the end").await.ok();
    loop {
        let push = guest.next_push().await.expect("the socket is open");
        assert!(!push.to_string().contains("viewing"), "{push}");
        if push["type"] == "entry" && push["entry"]["body"]["text"] == "the end" {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_counts_only_where_one_is_attached() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria Fernandes").await;
    let amira = tenancy.admin.attached(conversation).await;
    let ben = app.people.staff(tenancy.organization, "dmc_manager", "Ben").await;
    let elsewhere = ben.connect(parlour_protocol::codec::Codec::Json).await;
    look(&elsewhere, conversation, true).await;
    let members = amira.command(json!({ "type": "presence", "conversation": conversation })).await.ok();
    assert!(!members.to_string().contains("Ben"), "{members}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guest_has_seen_is_told_to_staff_alone_and_only_grows() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let card = amira.card(conversation, "Flights").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let (staff, guest) = (amira.attached(conversation).await, maria.attached().await);
    let other = amira.share(conversation, json!({})).await.claim("Paulo").await.attached().await;
    let report = |options: Value| json!({ "type": "seen", "conversation": conversation, "card": card, "version": 1, "options": options });
    guest.command(report(json!([{ "id": "a", "visible_ms": 1200 }]))).await.ok();
    let push = staff.push("seen").await;
    assert_eq!(push["seen"]["who"]["name"], "Maria");
    assert_eq!((&push["seen"]["card"], &push["seen"]["version"]), (&json!(card), &json!(1)));
    assert_eq!(push["seen"]["options"], json!([{ "id": "a", "visible_ms": 1200 }]));

    // A late, smaller total is no news; more of another option is, and says everything.
    guest.command(report(json!([{ "id": "a", "visible_ms": 800 }]))).await.ok();
    guest.command(report(json!([{ "id": "a", "visible_ms": 1000 }, { "id": "b", "visible_ms": 5000 }]))).await.ok();
    let push = staff.push("seen").await;
    let all = json!([{ "id": "a", "visible_ms": 1200 }, { "id": "b", "visible_ms": 5000 }]);
    assert_eq!(push["seen"]["options"], all);
    let fresh = amira.connect(parlour_protocol::codec::Codec::MessagePack).await;
    let attached = fresh.attach(conversation, None).await.ok();
    assert_eq!(attached["seen"][0]["options"], all);
    assert_eq!(attached["seen"].as_array().map(Vec::len), Some(1));
    let of_guest = other.attach(conversation, None).await.ok();
    assert_eq!(of_guest["seen"], Value::Null, "another guest is told nothing");

    for (options, code) in [
        (json!([]), "INVALID"),
        (json!([{ "id": "z", "visible_ms": 1 }]), "INVALID"),
        (json!([{ "id": "a", "visible_ms": -1 }]), "INVALID"),
        (json!([{ "id": "a", "visible_ms": 86_400_001 }]), "INVALID"),
        (json!([{ "id": "a", "visible_ms": 1, "price": 5 }]), "MALFORMED"),
    ] {
        assert_eq!(guest.command(report(options.clone())).await.code(), code, "{options}");
    }
    let mut wrong = report(json!([{ "id": "a", "visible_ms": 1 }]));
    wrong["version"] = json!(2);
    assert_eq!(guest.command(wrong.clone()).await.code(), "INVALID");
    (wrong["version"], wrong["card"]) = (json!(1), json!(ConversationId::generate()));
    assert_eq!(guest.command(wrong).await.code(), "NOT_FOUND");
    assert_eq!(staff.command(report(json!([{ "id": "a", "visible_ms": 1 }]))).await.code(), "FORBIDDEN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_reports_at_once_the_second_tells_the_first_along() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let card = amira.card(conversation, "Flights").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let staff = amira.attached(conversation).await;
    // Two tabs of one browser are one guest.
    let (one, other) = (maria.attached().await, maria.attached().await);
    for round in 1..=40 {
        let report = |option: &str| {
            json!({ "type": "seen", "conversation": conversation, "card": card, "version": 1,
                    "options": [{ "id": option, "visible_ms": round }] })
        };
        let (a, b) = tokio::join!(one.command(report("a")), other.command(report("b")));
        a.ok();
        b.ok();
        let all = json!([{ "id": "a", "visible_ms": round }, { "id": "b", "visible_ms": round }]);
        while staff.push("seen").await["seen"]["options"] != all {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_counts_only_for_whoever_may_make_it_now() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let card = amira.card(conversation, "Flights").await;
    // Sooner than anything reads the rights of open sockets again.
    for ended in [
        "update shares set revoked_at = now(), version = version + 1",
        "update organizations set status = 'suspended', version = version + 1",
    ] {
        let guest = amira.share(conversation, json!({})).await.claim("Maria").await.attached().await;
        app.arrange(ended).await;
        let report = json!({ "type": "seen", "conversation": conversation, "card": card, "version": 1,
                             "options": [{ "id": "a", "visible_ms": 700 }] });
        match guest.command(report).await {
            Answer::Error(error) => assert_eq!(error["code"], "NOT_FOUND", "{ended}"),
            other => assert_eq!(other, Answer::Closed(4510), "{ended}"),
        }
    }
    let attached = amira.connect(parlour_protocol::codec::Codec::Json).await.attach(conversation, None).await.ok();
    assert_eq!(attached["seen"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_and_seeing_cross_nodes() {
    let nodes = Nodes::start(2).await;
    let tenancy = nodes.people().tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria Fernandes").await;
    let card = tenancy.admin.card(conversation, "Flights").await;
    let mut maria = tenancy.admin.share(conversation, json!({})).await.claim("Maria").await;
    maria.actor.endpoint = nodes.at(1).clone();
    let staff = tenancy.admin.attached(conversation).await;
    let guest = maria.attached().await;
    look(&guest, conversation, true).await;
    while presence_of(&staff, "Maria").await["viewing"] != true {}
    guest
        .command(json!({ "type": "seen", "conversation": conversation, "card": card, "version": 1,
                         "options": [{ "id": "a", "visible_ms": 700 }] }))
        .await
        .ok();
    assert_eq!(staff.push("seen").await["seen"]["options"][0]["visible_ms"], 700);
    drop(guest);
    while presence_of(&staff, "Maria").await["viewing"] == true {}
    nodes.stop().await;
}
