//! Edits and redactions from outside: who may, until when, who hears of it, and that after a redaction nobody finds the text.

use parlour_protocol::codec::Codec;
use parlour_protocol::id::{ClientId, ConversationId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};

use parlour_testkit::actors::{Actor, Guest};
use parlour_testkit::app::TestApp;
use parlour_testkit::socket::{Answer, Socket};
use parlour_testkit::until::until;

struct Stage {
    app: TestApp,
    amira: Actor,
    conversation: ConversationId,
    maria: Guest,
    staff: Socket,
    guest: Socket,
}

async fn stage() -> Stage {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let (staff, guest) = (amira.attached(conversation).await, maria.attached().await);
    Stage { app, amira, conversation, maria, staff, guest }
}

/// A command about an entry, as whoever wrote or heard it names it.
fn about(kind: &str, conversation: ConversationId, entry: &Value, text: Option<&str>) -> Value {
    let mut command = json!({ "type": kind, "conversation": conversation, "client_id": ClientId::generate(),
                              "entry_id": entry["entry_id"], "seq": entry["seq"] });
    if let Some(text) = text {
        command["text"] = json!(text);
    }
    command
}

fn reason(answer: &Answer) -> &str {
    match answer {
        Answer::Error(error) => error["details"]["reason"].as_str().unwrap_or_default(),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The next entry push of a kind.
async fn pushed(socket: &Socket, kind: &str) -> Value {
    loop {
        let push = socket.push("entry").await;
        if push["entry"]["kind"] == kind {
            return push;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_reaches_everybody_who_saw_its_target_and_nobody_else() {
    let Stage { staff, guest, conversation, .. } = stage().await;
    let said = guest.say(conversation, "We are tree.").await.ok();
    let edited = guest.command(about("edit", conversation, &said, Some("We are three."))).await.ok();
    assert_eq!((&edited["seq"], &edited["duplicate"]), (&json!(2), &json!(false)));
    for socket in [&staff, &guest] {
        let push = pushed(socket, "edit").await;
        assert_eq!(push["entry"]["body"], json!({ "entry_id": said["entry_id"], "text": "We are three." }));
        assert_eq!(push["entry"]["audience"], "everyone");
    }

    let note = json!({ "type": "note", "conversation": conversation, "client_id": ClientId::generate(), "text": "margin 9 %" });
    let note = staff.command(note).await.ok();
    staff.command(about("edit", conversation, &note, Some("margin 8 %"))).await.ok();
    staff.command(about("redact", conversation, &note, None)).await.ok();
    staff.say(conversation, "Noted.").await.ok();
    let next = guest.push("entry").await;
    assert_eq!((&next["seq"], &next["entry"]["body"]["text"]), (&json!(3), &json!("Noted.")), "notes leave no trace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_redaction_the_text_is_nowhere() {
    let Stage { app, amira, maria, staff, guest, conversation } = stage().await;
    let said = guest.say(conversation, "my passport is canary-1").await.ok();
    guest.command(about("edit", conversation, &said, Some("my passport is canary-2"))).await.ok();
    let heard = pushed(&staff, "message").await;
    let seen = json!({ "entry_id": heard["entry"]["id"], "seq": heard["seq"] });
    let gone = staff.command(about("redact", conversation, &seen, None)).await.ok();
    assert_eq!(gone["duplicate"], false);
    let told = pushed(&guest, "redaction").await;
    assert_eq!(told["entry"]["body"]["entry_id"], said["entry_id"]);

    // Every way to read: a fresh attach, a resume from memory and from the log, history, HTTP, the list, the rows themselves.
    let epoch = heard["epoch"].as_i64().expect("an epoch");
    let mut read = Vec::new();
    for (actor, who) in [(&amira, "staff"), (&maria.actor, "guest")] {
        for since in [None, Some((epoch, 0)), Some((epoch, 1))] {
            let socket = actor.connect(Codec::MessagePack).await;
            read.push((who, socket.attach(conversation, since).await.ok()));
            read.push((who, socket.command(json!({ "type": "history", "conversation": conversation })).await.ok()));
        }
        let path = format!("/api/v1/conversations/{conversation}/entries?after=0");
        read.push((who, actor.get(&path).await));
    }
    read.push(("staff", amira.get("/api/v1/conversations").await));
    for (who, answer) in &read {
        assert!(!answer.to_string().contains("canary"), "{who}: {answer}");
    }
    let page = &read[0].1["entries"];
    let bodies: Vec<&Value> = page.as_array().expect("entries").iter().map(|entry| &entry["entry"]["body"]).collect();
    assert!(bodies.contains(&&json!({ "text": "", "redacted": true })), "{page}");
    let rows = sqlx::query("select count(*) from entries where body::text like '%canary%'")
        .fetch_one(&mut app.database.admin().await)
        .await
        .expect("a count");
    assert_eq!(rows.get::<i64, _>(0), 0, "no row holds it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_too_late_is_refused_for_good_and_a_repeat_of_what_was_in_time_is_not() {
    let Stage { app, staff, guest, conversation, .. } = stage().await;
    let said = guest.say(conversation, "At nine?").await.ok();
    let in_time = about("edit", conversation, &said, Some("At ten?"));
    let first = guest.command(in_time.clone()).await.ok();
    app.arrange("update entries set at = at - interval '16 minutes'").await;
    let late = about("edit", conversation, &said, Some("At eleven?"));
    for _ in 0..2 {
        let refused = guest.command(late.clone()).await;
        assert_eq!((refused.code(), reason(&refused)), ("CONFLICT", "too_old"));
    }
    let again = guest.command(in_time.clone()).await.ok();
    assert_eq!((&again["entry_id"], &again["duplicate"]), (&first["entry_id"], &json!(true)));

    let redaction = about("redact", conversation, &said, None);
    guest.command(redaction.clone()).await.ok();
    assert_eq!(guest.command(redaction).await.ok()["duplicate"], true);
    let heard = pushed(&staff, "message").await;
    let seen = json!({ "entry_id": heard["entry"]["id"], "seq": heard["seq"] });
    let second = staff.command(about("redact", conversation, &seen, None)).await;
    assert_eq!((second.code(), reason(&second)), ("CONFLICT", "redacted"));
    let resurrection = guest.command(about("edit", conversation, &said, Some("canary"))).await;
    assert_eq!((resurrection.code(), reason(&resurrection)), ("CONFLICT", "redacted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_author_edits_and_only_who_may_redacts_others() {
    let Stage { app, amira, maria, staff, guest, conversation } = stage().await;
    let by_staff = staff.say(conversation, "Welcome.").await.ok();
    let by_guest = guest.say(conversation, "Thanks.").await.ok();
    let as_heard = async |socket: &Socket, text: &str| loop {
        let push = socket.push("entry").await;
        if push["entry"]["body"]["text"] == text {
            return json!({ "entry_id": push["entry"]["id"], "seq": push["seq"] });
        }
    };
    let (at_guest, at_staff) = (as_heard(&guest, "Welcome.").await, as_heard(&staff, "Thanks.").await);
    assert_eq!(guest.command(about("edit", conversation, &at_guest, Some("x"))).await.code(), "FORBIDDEN");
    assert_eq!(guest.command(about("redact", conversation, &at_guest, None)).await.code(), "FORBIDDEN");
    assert_eq!(staff.command(about("edit", conversation, &at_staff, Some("x"))).await.code(), "FORBIDDEN");

    let organization = app.people.tenancy("savane").await;
    let stranger = organization.admin.connect(Codec::Json).await;
    assert_eq!(stranger.command(about("redact", conversation, &by_staff, None)).await.code(), "NOT_FOUND");

    // An agent writes, and redacts own words, but not a colleague's; the link's `view` alone changes nothing.
    let tenancy = amira.get("/api/v1/me").await["organization"]["id"].as_str().expect("an id").parse().expect("a UUID");
    let agent = app.people.staff(tenancy, "dmc_staff", "Ben").await.attached(conversation).await;
    let heard = agent.command(json!({ "type": "history", "conversation": conversation })).await.ok();
    let first =
        &heard["entries"].as_array().expect("entries").iter().find(|one| one["entry"]["body"]["text"] == "Welcome.");
    let first = first.expect("the message");
    let colleague = json!({ "entry_id": first["entry"]["id"], "seq": first["seq"] });
    assert_eq!(agent.command(about("redact", conversation, &colleague, None)).await.code(), "FORBIDDEN");
    let own = agent.say(conversation, "Ben here.").await.ok();
    agent.command(about("redact", conversation, &own, None)).await.ok();
    let view = amira.share(conversation, json!({ "permissions": ["view"] })).await.claim("Eve").await.attached().await;
    assert_eq!(view.command(about("redact", conversation, &by_guest, None)).await.code(), "FORBIDDEN");

    // Names that fit nothing: another number, another entry, an entry of another kind, one of the other view.
    let mut wrong = by_guest.clone();
    wrong["seq"] = json!(by_guest["seq"].as_i64().expect("a number") - 1);
    assert_eq!(guest.command(about("edit", conversation, &wrong, Some("x"))).await.code(), "NOT_FOUND");
    wrong["seq"] = json!(i64::MAX);
    assert_eq!(guest.command(about("edit", conversation, &wrong, Some("x"))).await.code(), "NOT_FOUND");
    wrong["seq"] = json!(i64::MIN);
    assert_eq!(guest.command(about("edit", conversation, &wrong, Some("x"))).await.code(), "NOT_FOUND");
    let edit = guest.command(about("edit", conversation, &by_guest, Some("Thank you."))).await.ok();
    assert_eq!(guest.command(about("edit", conversation, &edit, Some("x"))).await.code(), "INVALID");
    assert_eq!(guest.command(about("redact", conversation, &edit, None)).await.code(), "INVALID");
    drop(maria);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_an_edit_and_a_redaction_are_entries_like_others_and_the_list_shows_the_text_of_now() {
    let Stage { amira, conversation, .. } = stage().await;
    let path = format!("/api/v1/conversations/{conversation}/entries");
    let said = amira.post(&path, json!({ "kind": "message", "text": "one" })).await;
    let (id, seq) = (&said["entry_id"], &said["seq"]);
    let edited = amira.post(&path, json!({ "kind": "edit", "entry_id": id, "seq": seq, "text": "two" })).await;
    assert_eq!(edited["duplicate"], false);
    let preview = async || amira.get("/api/v1/conversations").await[0]["last_entry"].take();
    let line = preview().await;
    assert_eq!((&line["kind"], &line["preview"]), (&json!("message"), &json!("two")));
    amira.post(&path, json!({ "kind": "redaction", "entry_id": id, "seq": seq })).await;
    let line = preview().await;
    assert_eq!((&line["kind"], &line["preview"]), (&json!("message"), &json!("")));
    let row = amira.get("/api/v1/conversations").await[0].take();
    assert_eq!(row["unread"], 0);
    let empty = json!({ "kind": "edit", "entry_id": id, "seq": seq, "text": "" });
    amira.expect(Method::POST, &path, Some(empty), StatusCode::UNPROCESSABLE_ENTITY).await;
    let unknown = json!({ "kind": "poke" });
    amira.expect(Method::POST, &path, Some(unknown), StatusCode::BAD_REQUEST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_edit_and_a_redaction_at_once_no_text_survives() {
    let Stage { app, amira, staff, guest, conversation, .. } = stage().await;
    for round in 0..20 {
        let said = guest.say(conversation, "short-lived").await.ok();
        let heard = loop {
            let push = pushed(&staff, "message").await;
            if push["entry"]["id"] == said["entry_id"] {
                break json!({ "entry_id": push["entry"]["id"], "seq": push["seq"] });
            }
        };
        let edits =
            (0..4).map(|n| guest.command(about("edit", conversation, &said, Some(&format!("canary {round}.{n}")))));
        let (edits, redacted) = tokio::join!(
            futures_util::future::join_all(edits.collect::<Vec<_>>()),
            staff.command(about("redact", conversation, &heard, None))
        );
        redacted.ok();
        for edit in edits {
            assert!(matches!(edit, Answer::Ok(_)) || reason(&edit) == "redacted", "{edit:?}");
        }
    }
    let rows =
        sqlx::query("select count(*) from entries where body::text like '%canary%' or body::text like '%short%'")
            .fetch_one(&mut app.database.admin().await)
            .await
            .expect("a count");
    assert_eq!(rows.get::<i64, _>(0), 0);
    let read = amira.get(&format!("/api/v1/conversations/{conversation}/entries?after=0&limit=200")).await;
    assert!(!read.to_string().contains("canary"), "{read}");
}

/// Since when somebody waits for the facts that rights are decided on; none while nobody does.
async fn waiting_since(connection: &mut PgConnection) -> Option<String> {
    sqlx::query_scalar(
        "select xact_start::text from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
            and query like '%watchers, access_version%'",
    )
    .fetch_optional(connection)
    .await
    .expect("the activity")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_redact_is_not_refused_because_the_database_was_slow() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let link = amira.share(conversation, json!({})).await;
    let guest = link.claim("Maria").await.attached().await;
    let said = guest.say(conversation, "Hello.").await.ok();
    let read = amira.get(&format!("/api/v1/conversations/{conversation}/entries")).await;
    let heard = read.as_array().expect("entries").iter().find(|one| one["entry"]["id"] == said["entry_id"]);
    let seq = &heard.expect("the message")["seq"];
    // Nothing is remembered of the conversation once the rights of somebody in it were read again.
    let path = format!("/api/v1/shares/{}", link.id);
    amira.expect(Method::PATCH, &path, Some(json!({ "permissions": ["view"] })), StatusCode::OK).await;

    let (mut locker, mut watcher) = (app.database.admin().await, app.database.admin().await);
    sqlx::raw_sql("begin; lock table conversations in access exclusive mode")
        .execute(&mut locker)
        .await
        .expect("a lock");
    let body = json!({ "kind": "redaction", "entry_id": said["entry_id"], "seq": seq });
    let path = format!("/api/v1/conversations/{conversation}/entries");
    let asking = amira.endpoint.request(Method::POST, &path, Some(&amira.token), Some(&body));
    let second_look = async {
        let first = until("the facts are asked for", async || waiting_since(&mut watcher).await).await;
        loop {
            if waiting_since(&mut watcher).await.is_some_and(|since| since != first) {
                return sqlx::raw_sql("rollback").execute(&mut locker).await.expect("the end of the lock");
            }
        }
    };
    tokio::pin!(asking);
    let (status, answer) = tokio::select! {
        answer = &mut asking => answer,
        _ = second_look => asking.await,
    };
    assert_eq!(
        (status, &answer["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("UNAVAILABLE")),
        "{answer}"
    );
}
