//! Links, from outside: inert pages, claims and seats, the end at the instant, revocation, and rights that change live.

use parlour_protocol::codec::Codec;
use parlour_protocol::id::ClientId;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use parlour_testkit::actors::{Actor, Link};
use parlour_testkit::app::TestApp;
use parlour_testkit::socket::Answer;
use parlour_testkit::until::until;

async fn page(link: &Link, token: &str) -> (StatusCode, Value) {
    let headers = [("accept", "application/json")];
    link.endpoint.request_with(Method::GET, &format!("/s/{token}"), None, None, &headers).await
}

async fn listed(amira: &Actor, link: &Link) -> Value {
    let row = amira.get(&format!("/api/v1/conversations/{}/shares", link.conversation)).await;
    let shares = row.as_array().expect("shares");
    shares.iter().find(|share| share["id"] == link.id.as_str()).expect("the share").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_inert_and_an_open_and_a_claim_are_counted_apart() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({ "label": "Maria's phone" })).await;
    assert!(link.url.ends_with(&format!("/s/{}", link.token)));
    for _ in 0..5 {
        assert_eq!(page(&link, &link.token).await.0, StatusCode::OK);
    }
    let share = listed(&amira, &link).await;
    assert_eq!((&share["opens"], &share["access_count"], &share["status"]), (&json!(0), &json!(0), &json!("unopened")));
    assert!(!share.to_string().contains(&link.token), "the secret is in the 201 and nowhere else");

    let open = json!({ "token": link.token });
    let (status, _) = link.endpoint.request(Method::POST, "/api/v1/shares/open", None, Some(&open)).await;
    assert_eq!(status, StatusCode::OK);
    let bot = [("user-agent", "WhatsApp/2.23 preview")];
    link.endpoint.request_with(Method::POST, "/api/v1/shares/open", None, Some(&open), &bot).await;
    link.claim("Maria").await;
    let share = listed(&amira, &link).await;
    assert_eq!((&share["opens"], &share["access_count"], &share["status"]), (&json!(1), &json!(1), &json!("live")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_revoked_and_foreign_links_answer_alike_and_an_expired_one_shows_its_organization() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let (revoked, expired) = (amira.share(conversation, json!({})).await, amira.share(conversation, json!({})).await);
    amira.expect(Method::DELETE, &format!("/api/v1/shares/{}", revoked.id), None, StatusCode::OK).await;
    let mut unknown = revoked.token.clone();
    unknown.replace_range(20..21, if &unknown[20..21] == "A" { "B" } else { "A" });

    let strip = |mut body: Value| {
        body["error"]["request_id"].take();
        body
    };
    let of_revoked = page(&revoked, &revoked.token).await;
    let of_unknown = page(&revoked, &unknown).await;
    assert_eq!(of_revoked.0, StatusCode::NOT_FOUND);
    assert_eq!((of_revoked.0, strip(of_revoked.1)), (of_unknown.0, strip(of_unknown.1)));
    let (a, b) = (
        revoked.try_claim(json!({ "token": revoked.token })).await,
        revoked.try_claim(json!({ "token": unknown })).await,
    );
    assert_eq!((a.0, strip(a.1)), (b.0, strip(b.1)));

    app.arrange("update shares set expires_at = now() - interval '1 second' where revoked_at is null").await;
    let (status, body) = page(&expired, &expired.token).await;
    assert_eq!(status, StatusCode::GONE);
    assert!(body.to_string().contains("Lagon"), "{body}");
    assert_eq!(expired.try_claim(json!({ "token": expired.token })).await.0, StatusCode::GONE);
    // Counted after the answer, so that the time it takes tells nothing.
    until("the attempt is counted", async || (listed(&amira, &expired).await["blocked"] == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_count_devices_and_a_known_device_is_the_same_guest() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({ "seats": 2 })).await;
    let claims: Vec<_> =
        (0..6).map(|n| link.try_claim(json!({ "token": link.token, "name": format!("G{n}") }))).collect();
    let answers = futures_util::future::join_all(claims).await;
    let admitted: Vec<&Value> =
        answers.iter().filter(|(status, _)| status.is_success()).map(|(_, body)| body).collect();
    let full = answers.iter().filter(|(_, body)| body["error"]["code"] == "SEATS_FULL").count();
    assert_eq!((admitted.len(), full), (2, 4), "{answers:?}");

    let device_key = admitted[0]["data"]["device_key"].clone();
    let (status, again) = link.try_claim(json!({ "token": link.token, "device_key": device_key })).await;
    assert!(status.is_success(), "{again}");
    let who = async |token: &Value| {
        let actor = Actor { endpoint: link.endpoint.clone(), token: token.as_str().expect("a token").to_owned() };
        let socket = parlour_testkit::socket::Socket::open(&actor.endpoint.ws, Codec::Json).await.expect("a socket");
        socket.hello(&actor.token).await.ok()["principal"]["id"].clone()
    };
    assert_eq!(who(&admitted[0]["data"]["guest_token"]).await, who(&again["data"]["guest_token"]).await);
    let share = listed(&amira, &link).await;
    assert_eq!((&share["seats_used"], &share["seats"]), (&json!(2), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_closes_its_sessions_and_no_other_and_nothing_is_written_after_it() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let (mine, other) = (amira.share(conversation, json!({})).await, amira.share(conversation, json!({})).await);
    let (maria, tomas) = (mine.claim("Maria").await, other.claim("Tomás").await);
    let (ended, stays) = (maria.attached().await, tomas.attached().await);
    amira.expect(Method::DELETE, &format!("/api/v1/shares/{}", mine.id), None, StatusCode::OK).await;
    assert_eq!(ended.closed().await, 4510);
    stays.say(conversation, "still here").await.ok();
    let late = maria.actor.connect_refused().await;
    assert_eq!(late, 4510, "whoever comes back to it is told, too");
    assert_eq!(
        mine.try_claim(json!({ "token": mine.token, "device_key": maria.device_key })).await.0,
        StatusCode::NOT_FOUND
    );
    let events = amira.get(&format!("/api/v1/conversations/{conversation}/entries")).await.to_string();
    assert!(events.contains("\"revoked\"") && !events.contains(&mine.token));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_ends_at_the_instant_by_the_databases_clock() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({})).await;
    app.arrange("update shares set expires_at = now() + interval '2 seconds', version = version + 1").await;
    let guest = link.claim("Maria").await.attached().await;
    let began = std::time::Instant::now();
    assert_eq!(guest.closed().await, 4510);
    assert!(began.elapsed().as_millis() < 3_500, "{:?}", began.elapsed());

    let longer = amira.share(conversation, json!({})).await;
    let guest = longer.claim("Maria").await.attached().await;
    app.arrange("update shares set expires_at = now() where revoked_at is null and expires_at > now()").await;
    assert_eq!(guest.closed().await, 4510, "a moved end is noticed by the next sweep");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_change_live_and_bind_the_very_next_command() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({ "permissions": ["view"] })).await;
    let card = amira.card(conversation, "Flights").await;
    let guest = link.claim("Maria").await.attached().await;
    assert_eq!(guest.say(conversation, "may I?").await.code(), "FORBIDDEN");
    assert_eq!(guest.choose(conversation, &card, "a").await.code(), "FORBIDDEN");
    let path = format!("/api/v1/shares/{}", link.id);
    let wider = json!({ "permissions": ["respond", "select_options"] });
    amira.expect(Method::PATCH, &path, Some(wider), StatusCode::OK).await;
    let push = guest.push("permission").await;
    assert!(push["permissions"].as_array().expect("rights").contains(&json!("select")), "{push}");
    guest.say(conversation, "I may").await.ok();
    guest.choose(conversation, &card, "a").await.ok();
    amira.expect(Method::PATCH, &path, Some(json!({ "permissions": ["view"] })), StatusCode::OK).await;
    assert_eq!(guest.say(conversation, "no more").await.code(), "FORBIDDEN");
    assert!(guest.is_open(), "a change of permission is never a close");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_behind_the_servers_back_is_noticed_by_the_write_itself() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({})).await;
    let guest = link.claim("Maria").await.attached().await;
    guest.say(conversation, "before").await.ok();
    app.arrange("update shares set revoked_at = now(), version = version + 1").await;
    let answer = guest.say(conversation, "after").await;
    assert!(matches!(answer, Answer::Error(_) | Answer::Closed(4510)), "{answer:?}");
    let stored = amira.get(&format!("/api/v1/conversations/{conversation}/entries")).await.to_string();
    assert!(stored.contains("before") && !stored.contains("after"));
    until("the sweep closes the session", async || (!guest.is_open()).then_some(())).await;
    assert_eq!(guest.closed().await, 4510);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_creation_answers_without_the_secret() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let key = ClientId::generate().to_string();
    let path = format!("/api/v1/conversations/{conversation}/share");
    let create = async |body: Value| {
        let headers = [("Idempotency-Key", key.as_str())];
        amira.endpoint.request_with(Method::POST, &path, Some(&amira.token), Some(&body), &headers).await
    };
    let (status, first) = create(json!({ "expiry_hours": 24 })).await;
    assert_eq!(status, StatusCode::CREATED, "{first}");
    let (status, again) = create(json!({ "expiry_hours": 24 })).await;
    assert_eq!(status, StatusCode::OK, "{again}");
    assert_eq!(first["data"]["share"]["id"], again["data"]["share"]["id"]);
    assert!(again["data"].get("url").is_none_or(Value::is_null) && !again.to_string().contains("parlour_sh_"));
    let shares = amira.get(&format!("/api/v1/conversations/{conversation}/shares")).await;
    assert_eq!(shares.as_array().expect("shares").len(), 1);
    let (status, other) = create(json!({ "expiry_hours": 48 })).await;
    assert_eq!((status, &other["error"]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("IDEMPOTENCY_MISMATCH")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_link_may_be_is_checked() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let path = format!("/api/v1/conversations/{conversation}/share");
    for (body, status) in [
        (json!({ "expiry_hours": 0 }), 422),
        (json!({ "expiry_hours": 169 }), 422),
        (json!({ "expiry_hours": 168 }), 201),
        (json!({ "seats": 0 }), 422),
        (json!({ "seats": 26 }), 422),
        (json!({ "permissions": ["fly"] }), 422),
        (json!({ "secret": "x" }), 400),
        (json!({ "organization_id": "x" }), 400),
        (json!({}), 201),
    ] {
        amira.expect(Method::POST, &path, Some(body), StatusCode::from_u16(status).expect("a status")).await;
    }
}
