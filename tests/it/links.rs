//! Links from end to end over HTTP: made, claimed, counted, changed, ended; and what they never give away.

use std::collections::HashSet;

use axum::http::{Method, header};
use parlour::auth::random;
use parlour::domain::limits::LimitsProfile;
use parlour::domain::secret::SecretKind;
use serde_json::{Value, json};
use uuid::Uuid;

use parlour_testkit::api::Edge;
use parlour_testkit::until::until;

/// A made-up secret that passes the checksum.
fn unknown_secret() -> String {
    random::secret(SecretKind::Share).expect("randomness").expose().to_owned()
}

struct Scene {
    edge: Edge,
    token: String,
    conversation: String,
}

impl Scene {
    async fn open() -> Self {
        let edge = Edge::start().await;
        let organization = edge.organization("lagon").await;
        let token = edge.staff(organization, "dmc_admin").await;
        let conversation = edge.conversation(&token).await;
        Self { edge, token, conversation }
    }

    async fn share(&self, body: &Value) -> (String, Value) {
        self.edge.share(&self.token, &self.conversation, body).await
    }

    async fn row(&self, share: &Value) -> Value {
        self.edge.share_row(&self.token, share).await
    }

    async fn patch(&self, share: &Value, body: &Value) -> parlour_testkit::api::Answer {
        let path = format!("/api/v1/shares/{}", share["id"].as_str().expect("an id"));
        self.edge.call(Method::PATCH, &path).bearer(&self.token).json(body).send().await
    }

    async fn revoke(&self, share: &Value) -> parlour_testkit::api::Answer {
        let path = format!("/api/v1/shares/{}", share["id"].as_str().expect("an id"));
        self.edge.call(Method::DELETE, &path).bearer(&self.token).send().await
    }

    /// The actions of the share entries in the log, in order.
    async fn actions(&self) -> Vec<String> {
        let path = format!("/api/v1/conversations/{}/entries", self.conversation);
        let entries = self.edge.get(&path).bearer(&self.token).send().await.data();
        let entries = entries.as_array().expect("a list").clone();
        let shares = entries.iter().filter(|numbered| numbered["entry"]["kind"] == "share");
        shares.map(|one| one["entry"]["body"]["action"].as_str().expect("an action").to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_made_with_an_empty_body_lives_two_days_and_lets_people_in() {
    let scene = Scene::open().await;
    let path = format!("/api/v1/conversations/{}/share", scene.conversation);
    let made = scene.edge.post(&path).bearer(&scene.token).send().await;
    assert_eq!(made.status, 201, "{}", made.text);
    let data = made.data();
    let secret = data["session_token"].as_str().expect("a secret");
    assert_eq!(data["url"], format!("https://chat.example.test/s/{secret}"));
    assert_eq!(data["share"]["permissions"], json!(["view", "respond"]));
    assert_eq!((&data["share"]["status"], &data["share"]["seats"]), (&json!("unopened"), &json!(5)));

    let claimed = scene.edge.claim(secret, &json!({ "name": "  Maria \u{202e}Rossi " })).await.data();
    assert_eq!(claimed["name"], "Maria Rossi");
    assert_eq!(claimed["conversation_id"], scene.conversation);
    assert_eq!(claimed["organization"]["name"], "Lagon & Savane");
    let guest = claimed["guest_token"].as_str().expect("a token");
    let path = format!("/api/v1/conversations/{}/entries", scene.conversation);
    let body = json!({ "kind": "message", "text": "Hello" });
    let sent = scene.edge.post(&path).bearer(guest).json(&body).send().await;
    assert_eq!((sent.status.as_u16(), &sent.data()["seq"]), (201, &json!(1)), "the first entry of the guest view");
    let note = scene.edge.post(&path).bearer(guest).json(&json!({ "kind": "note", "text": "x" })).send().await;
    assert_eq!(note.code(), "FORBIDDEN");

    let row = scene.row(&data["share"]).await;
    assert_eq!((&row["access_count"], &row["seats_used"], &row["status"]), (&json!(1), &json!(1), &json!("live")));
    assert_eq!(scene.actions().await, ["created", "claimed"]);
    assert!(
        !scene.edge.get(&path).bearer(guest).send().await.text.contains("\"share\""),
        "guests see no share entries"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_creation_gives_the_same_share_without_its_secret() {
    let scene = Scene::open().await;
    let path = format!("/api/v1/conversations/{}/share", scene.conversation);
    let key = Uuid::now_v7().to_string();
    let make = async |body: Value| {
        scene.edge.post(&path).bearer(&scene.token).header("idempotency-key", &key).json(&body).send().await
    };
    let first = make(json!({ "label": "Maria" })).await;
    let again = make(json!({ "label": "Maria" })).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(first.data()["share"]["id"], again.data()["share"]["id"]);
    assert!(again.data().get("url").is_none() && again.data().get("session_token").is_none());
    assert_eq!(make(json!({ "label": "Other" })).await.code(), "IDEMPOTENCY_MISMATCH");
    let odd = scene.edge.post(&path).bearer(&scene.token).header("idempotency-key", "seven").send().await;
    assert_eq!(
        (odd.code().as_str(), &odd.json()["error"]["details"]["field"]),
        ("MALFORMED", &json!("Idempotency-Key"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_outside_the_rules_are_refused_by_name() {
    let scene = Scene::open().await;
    let path = format!("/api/v1/conversations/{}/share", scene.conversation);
    for (body, status, field) in [
        (json!({ "expiry_hours": 0 }), 422, "expiry_hours"),
        (json!({ "expiry_hours": 169 }), 422, "expiry_hours"),
        (json!({ "permissions": ["admin"] }), 422, "permissions"),
        (json!({ "seats": 26 }), 422, "seats"),
        (json!({ "label": "x".repeat(121) }), 422, "label"),
    ] {
        let answer = scene.edge.post(&path).bearer(&scene.token).json(&body).send().await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert_eq!(answer.json()["error"]["details"]["fields"][0]["path"], field);
    }
    for extra in ["organization_id", "role", "digest", "created_by", "id"] {
        let answer = scene.edge.post(&path).bearer(&scene.token).json(&json!({ extra: "x" })).send().await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["details"]["field"]), (400, &json!(extra)));
    }
    assert_eq!(scene.actions().await, [""; 0], "nothing was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats_cannot_be_overdrawn_by_devices_that_come_at_once() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({ "seats": 3 })).await;
    let nothing = json!({});
    let claims = (0..8).map(|_| scene.edge.claim(&secret, &nothing));
    let answers = futures_util::future::join_all(claims).await;
    let admitted: Vec<Value> = answers.iter().filter(|answer| answer.status == 200).map(|one| one.data()).collect();
    assert_eq!(admitted.len(), 3);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.code() == "SEATS_FULL"));
    let names: HashSet<&str> = admitted.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, HashSet::from(["Guest", "Guest 2", "Guest 3"]));
    let row = scene.row(&share).await;
    assert_eq!((&row["seats_used"], &row["access_count"], &row["blocked"]), (&json!(3), &json!(3), &json!(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_comes_back_as_the_same_guest_on_the_same_seat() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({ "seats": 1 })).await;
    let first = scene.edge.claim(&secret, &json!({})).await.data();
    let device = first["device_key"].clone();
    let again = scene.edge.claim(&secret, &json!({ "device_key": device, "name": "Maria" })).await.data();
    assert_eq!((&again["device_key"], &again["name"]), (&device, &json!("Maria")));
    assert_eq!(scene.edge.claim(&secret, &json!({})).await.code(), "SEATS_FULL");
    let foreign = random::secret(SecretKind::Device).expect("randomness");
    let unknown = json!({ "device_key": foreign.expose() });
    assert_eq!(scene.edge.claim(&secret, &unknown).await.code(), "SEATS_FULL");
    assert_eq!(scene.row(&share).await["seats_used"], 1);
    assert_eq!(scene.actions().await, ["created", "claimed"], "coming back is no arrival");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_was_lost_finds_the_seat_it_took_under_its_key() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({ "seats": 1 })).await;
    let key = Uuid::now_v7().to_string();
    let claim = async |key: &str, secret: &str| {
        let body = json!({ "token": secret, "name": "Paulo" });
        scene.edge.post("/api/v1/shares/claim").header("idempotency-key", key).json(&body).send().await
    };
    let (lost, found) = (claim(&key, &secret).await.data(), claim(&key, &secret).await.data());
    assert_eq!(lost["device_key"], found["device_key"]);
    assert_eq!(scene.edge.claim(&secret, &json!({ "device_key": lost["device_key"] })).await.data()["name"], "Paulo");
    assert_eq!(claim(&Uuid::now_v7().to_string(), &secret).await.code(), "SEATS_FULL");
    assert_eq!(claim("no key", &secret).await.code(), "MALFORMED");
    let (other, _) = scene.share(&json!({})).await;
    assert_ne!(claim(&key, &other).await.data()["device_key"], lost["device_key"], "a key is of one link");
    assert_eq!(scene.row(&share).await["seats_used"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_revoked_and_broken_links_answer_alike() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({})).await;
    assert_eq!(scene.revoke(&share).await.data()["status"], "revoked");
    let mut claims = HashSet::new();
    let mut pages = HashSet::new();
    for token in [secret.clone(), unknown_secret(), "parlour_sh_x".into(), "x".into()] {
        let claim = scene.edge.claim(&token, &json!({})).await;
        let mut body = claim.json();
        body["error"]["request_id"] = Value::Null;
        claims.insert((claim.status, body.to_string()));
        let page = scene.edge.get(&format!("/s/{token}")).send().await;
        pages.insert((page.status, page.text));
        let json = scene.edge.get(&format!("/s/{token}")).header("accept", "application/json").send().await;
        assert_eq!(json.code(), "NOT_FOUND");
    }
    assert_eq!((claims.len(), pages.len()), (1, 1), "{claims:?}");
    until("the refused claim is counted", async || (scene.row(&share).await["blocked"] == json!(1)).then_some(()))
        .await;
    assert_eq!(scene.revoke(&share).await.data()["status"], "revoked", "again is the same");
    assert_eq!(scene.patch(&share, &json!({ "seats": 2 })).await.code(), "CONFLICT");
    assert_eq!(scene.actions().await, ["created", "revoked"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_link_shows_whose_it_was_and_lets_nobody_in() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({})).await;
    let guest = scene.edge.claim(&secret, &json!({})).await.data()["guest_token"].as_str().expect("one").to_owned();
    scene.edge.arrange("update shares set expires_at = now(), version = version + 1").await;
    let refused = scene.edge.claim(&secret, &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (410, "GONE"));
    assert_eq!(refused.json()["error"]["details"]["organization"]["name"], "Lagon & Savane");
    let page = scene.edge.get(&format!("/s/{secret}")).send().await;
    assert_eq!(page.status, 410);
    assert!(page.text.contains(r#""state":"expired""#) && page.text.contains("hello@lagon.example"));
    let path = format!("/api/v1/conversations/{}/entries", scene.conversation);
    assert_eq!(scene.edge.get(&path).bearer(&guest).send().await.code(), "UNAUTHENTICATED");
    assert_eq!(scene.row(&share).await["status"], "expired");
    // Staff may move the end of an expired link ahead again.
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::hours(24);
    let ends = parlour_protocol::time::Timestamp(tomorrow).to_string();
    assert_eq!(scene.patch(&share, &json!({ "expires_at": ends })).await.data()["status"], "live");
    assert_eq!(scene.edge.get(&path).bearer(&guest).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_permissions_is_felt_at_once() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({})).await;
    let guest = scene.edge.claim(&secret, &json!({})).await.data()["guest_token"].as_str().expect("one").to_owned();
    let changed = scene.patch(&share, &json!({ "permissions": ["select_options"], "seats": 7 })).await.data();
    assert_eq!((&changed["permissions"], &changed["seats"]), (&json!(["view", "select_options"]), &json!(7)));
    let path = format!("/api/v1/conversations/{}/entries", scene.conversation);
    let body = json!({ "kind": "message", "text": "Hello" });
    assert_eq!(scene.edge.post(&path).bearer(&guest).json(&body).send().await.code(), "FORBIDDEN");
    for (body, field) in [
        (json!({ "expires_at": "2020-01-01T00:00:00.000Z" }), "expires_at"),
        (json!({ "expires_at": "2099-01-01T00:00:00.000Z" }), "expires_at"),
        (json!({ "seats": 0 }), "seats"),
    ] {
        let refused = scene.patch(&share, &body).await;
        assert_eq!(refused.json()["error"]["details"]["fields"][0]["path"], field, "{}", refused.text);
    }
    assert_eq!(scene.actions().await, ["created", "claimed", "changed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_at_a_link_changes_nothing() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({})).await;
    let before = scene.row(&share).await;
    for agent in ["WhatsApp/2.23", "facebookexternalhit/1.1", "Mozilla/5.0"] {
        for method in [Method::GET, Method::HEAD] {
            let page = scene.edge.call(method, &format!("/s/{secret}")).header("user-agent", agent).send().await;
            assert_eq!(page.status, 200);
        }
    }
    let facts = scene.edge.get(&format!("/s/{secret}")).header("accept", "application/json").send().await;
    assert!(!facts.text.contains("Maldives") && !facts.text.contains("Amira"), "names nobody: {}", facts.text);
    assert_eq!(facts.data()["claim_url"], "https://chat.example.test/api/v1/shares/claim");
    assert_eq!(facts.data()["organization"]["brand"]["color"], "#0f766e");
    assert_eq!(scene.row(&share).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_counts_unless_by_staff_or_a_program_that_only_looks() {
    let scene = Scene::open().await;
    let (secret, share) = scene.share(&json!({})).await;
    let body = json!({ "token": secret });
    let open = || scene.edge.post("/api/v1/shares/open").json(&body);
    assert_eq!(open().header("user-agent", "Slackbot-LinkExpanding 1.0").send().await.data(), json!({}));
    assert_eq!(open().bearer(&scene.token).send().await.data(), json!({}));
    assert_eq!(scene.row(&share).await["opens"], 0);
    open().header("user-agent", "Mozilla/5.0 (iPhone)").send().await.data();
    let row = scene.row(&share).await;
    assert_eq!((&row["opens"], &row["access_count"], &row["status"]), (&json!(1), &json!(0), &json!("live")));
    let unknown = scene.edge.post("/api/v1/shares/open").json(&json!({ "token": unknown_secret() })).send().await;
    assert_eq!(unknown.code(), "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_another_organization_are_absent() {
    let scene = Scene::open().await;
    let (_, share) = scene.share(&json!({})).await;
    let other = scene.edge.organization("other").await;
    let stranger = scene.edge.staff(other, "owner").await;
    let path = format!("/api/v1/shares/{}", share["id"].as_str().expect("an id"));
    let list = format!("/api/v1/conversations/{}/shares", scene.conversation);
    for call in [
        scene.edge.call(Method::PATCH, &path).json(&json!({ "seats": 1 })),
        scene.edge.call(Method::DELETE, &path),
        scene.edge.get(&list),
        scene.edge.post(&list.replace("/shares", "/share")),
        scene.edge.call(Method::DELETE, &format!("/api/v1/shares/{}", Uuid::now_v7())),
        scene.edge.call(Method::DELETE, "/api/v1/shares/not-an-id"),
    ] {
        assert_eq!(call.bearer(&stranger).send().await.code(), "NOT_FOUND");
    }
    let support = scene.edge.organization("support").await;
    let reader = scene.edge.staff(support, "support").await;
    let own = scene.edge.staff(support, "owner").await;
    let theirs = scene.edge.conversation(&own).await;
    let refused = scene.edge.post(&format!("/api/v1/conversations/{theirs}/share")).bearer(&reader).send().await;
    assert_eq!(refused.code(), "FORBIDDEN", "own organization, not own right");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_has_at_most_twenty_live_links() {
    let scene = Scene::open().await;
    for _ in 0..20 {
        scene.share(&json!({})).await;
    }
    let path = format!("/api/v1/conversations/{}/share", scene.conversation);
    assert_eq!(scene.edge.post(&path).bearer(&scene.token).send().await.code(), "LIMIT");
    assert_eq!(scene.actions().await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_links_is_slowed_down_per_address() {
    let edge = Edge::with_limits(LimitsProfile::Standard).await;
    for _ in 0..10 {
        let page = edge.get(&format!("/s/{}", unknown_secret())).from("203.0.113.7").send().await;
        assert_eq!(page.status, 404);
    }
    let slowed = edge.claim(&unknown_secret(), &json!({})).await;
    assert_eq!(slowed.status, 404, "another address is not concerned");
    let body = json!({ "token": unknown_secret() });
    let slowed = edge.post("/api/v1/shares/claim").from("203.0.113.7").json(&body).send().await;
    assert_eq!((slowed.status.as_u16(), slowed.code().as_str()), (429, "RATE_LIMITED"));
    assert!(slowed.headers.contains_key(header::RETRY_AFTER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_holds_no_usable_secret() {
    let scene = Scene::open().await;
    let (secret, _) = scene.share(&json!({})).await;
    let claimed = scene.edge.claim(&secret, &json!({})).await.data();
    let mut admin = scene.edge.database.admin().await;
    let dump: String = sqlx::query_scalar(
        "select string_agg(t::text, ' ') from (select s::text as t from shares s union all select g::text from guests g
           union all select e::text from entries e union all select p::text from persons p
           union all select r::text from refresh_tokens r) all_rows",
    )
    .fetch_one(&mut admin)
    .await
    .expect("a dump");
    for secret in [secret.as_str(), claimed["device_key"].as_str().expect("a key"), "correct horse", "parlour_rt_"] {
        assert!(!dump.contains(secret));
    }
}
