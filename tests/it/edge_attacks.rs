//! The HTTP edge under attack: numbers at their ends, odd JSON, invisible names, other sites' forms, one credential in the
//! place of another. Every test was a defect or a suspicion once.
//!
//! Who may do what on which route is `matrix`'s; headers and envelopes are `edge`'s.

use axum::http::{Method, header};
use parlour::domain::limits::LimitsProfile;
use parlour_protocol::id::OrganizationId;
use serde_json::{Value, json};
use uuid::Uuid;

use parlour_testkit::api::{Answer, Edge};
use parlour_testkit::seeder::PASSWORD;

struct Scene {
    edge: Edge,
    organization: OrganizationId,
    token: String,
    conversation: String,
}

impl Scene {
    async fn open() -> Self {
        let edge = Edge::start().await;
        let organization = edge.organization("lagon").await;
        let token = edge.staff(organization, "owner").await;
        let conversation = edge.conversation(&token).await;
        Self { edge, organization, token, conversation }
    }

    fn of(&self, rest: &str) -> String {
        format!("/api/v1/conversations/{}{rest}", self.conversation)
    }

    async fn get(&self, path: &str) -> Answer {
        self.edge.get(path).bearer(&self.token).send().await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.edge.post(path).bearer(&self.token).json(body).send().await
    }

    async fn post_text(&self, path: &str, body: &str) -> Answer {
        let call = self.edge.post(path).bearer(&self.token).header("content-type", "application/json");
        call.body(body.to_owned()).send().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transcript_is_asked_for_at_any_number_without_a_fault() {
    let scene = Scene::open().await;
    scene.post(&scene.of("/entries"), &json!({ "kind": "message", "text": "one" })).await.data();
    for side in ["before", "after", "around"] {
        for seq in [i64::MIN, -1, 0, 1, 2, i64::MAX] {
            for limit in [1, 200] {
                let answer = scene.get(&scene.of(&format!("/entries?{side}={seq}&limit={limit}"))).await;
                assert_eq!(answer.status, 200, "{side}={seq}: {}", answer.text);
                let holds_it = match side {
                    "before" => seq > 1,
                    "after" => seq < 1,
                    _ => seq <= 1 || limit > 1,
                };
                assert_eq!(
                    answer.data().as_array().expect("a list").len(),
                    usize::from(holds_it),
                    "{side}={seq} {limit}"
                );
            }
        }
    }
    for (query, status) in [
        ("limit=0", 422),
        ("limit=201", 422),
        ("limit=-1", 400),
        ("limit=4294967296", 400),
        ("limit=1&limit=2", 400),
        ("before=9223372036854775808", 400),
        ("before=x", 400),
        ("before=", 400),
    ] {
        let answer = scene.get(&scene.of(&format!("/entries?{query}"))).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_bounded_searched_literally_and_counted_even_past_its_end() {
    let scene = Scene::open().await;
    for title in ["100% Maldives", "a_b", "back\\slash"] {
        scene.post("/api/v1/conversations", &json!({ "title": title })).await.data();
    }
    for (query, titles) in
        [("q=%25", 1), ("q=_", 1), ("q=%5C", 1), ("q=%20", 4), ("q=maldives", 2), ("q=%27%3B--", 0), ("q=a%25b", 0)]
    {
        let found = scene.get(&format!("/api/v1/conversations?{query}")).await;
        assert_eq!(found.data().as_array().expect("rows").len(), titles, "{query}");
    }
    let past = scene.get("/api/v1/conversations?page=3&limit=2").await;
    assert_eq!(past.data(), json!([]));
    assert_eq!(past.json()["meta"], json!({ "page": 3, "limit": 2, "total": 4, "pages": 2 }));
    for (query, status) in [
        ("page=0", 422),
        ("page=201&limit=50", 200),
        ("page=202&limit=50", 422),
        ("page=4294967295&limit=200", 422),
        ("page=4294967296", 400),
        ("page=-1", 400),
        ("limit=0", 422),
        ("limit=201", 422),
        ("sort=title", 422),
        ("stage=Quoted", 422),
        ("q=%00", 422),
        ("q=%FF", 400),
        ("organization_id=x", 400),
    ] {
        let answer = scene.get(&format!("/api/v1/conversations?{query}")).await;
        // The stock decoder replaces what is no UTF-8; a search for it finds nothing.
        let wanted = if query == "q=%FF" { 200 } else { status };
        assert_eq!(answer.status, wanted, "{query}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_read_no_conversation_is_listed_none() {
    let scene = Scene::open().await;
    let (_, key) = scene.edge.service(scene.organization, &["conversations:read:assigned"]).await;
    assert_eq!(scene.edge.get(&scene.of("")).bearer(&key).send().await.code(), "NOT_FOUND");
    let list = scene.edge.get("/api/v1/conversations").bearer(&key).send().await;
    assert_eq!((list.data(), &list.json()["meta"]["total"]), (json!([]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_read_as_the_protocol_says() {
    let scene = Scene::open().await;
    let twice = scene.post_text("/api/v1/conversations", r#"{"title":"first","title":"last"}"#).await;
    assert_eq!(twice.data()["title"], "last", "of a key given twice the last counts");
    let absent = scene.post_text("/api/v1/conversations", r#"{"title":"x","stage":null,"channel":null}"#).await;
    assert_eq!(absent.status, 201, "null is absent: {}", absent.text);
    let email = scene.edge.person(scene.organization, "support").await;
    let body = json!({ "email": email, "password": PASSWORD, "refresh": null });
    let login = scene.edge.post("/api/v1/auth/login").json(&body).send().await;
    assert!(login.data()["refresh_token"].is_string(), "null is absent here, too");
    let options = json!([{ "id": "a", "label": "A", "facts": null, "price": null, "route": null }]);
    let body = json!({ "kind": "choice", "title": "x", "options": options, "details": null, "note": null });
    assert_eq!(scene.post(&scene.of("/cards"), &body).await.status, 201);

    let deep = format!("{{\"title\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        r#"{"title":1}"#,
        r#"{"title":"x""#,
        r#"{"title":"\ud800"}"#,
        r#"{"title":"x"} {"title":"y"}"#,
        r#"["title"]"#,
        "null",
        "1",
        "\u{feff}{\"title\":\"x\"}",
        &deep,
    ] {
        let answer = scene.post_text("/api/v1/conversations", body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "MALFORMED"),
            "{}",
            &body[..body.len().min(40)]
        );
    }
    for body in [r#"{"expiry_hours":"48"}"#, r#"{"seats":5.5}"#, r#"{"seats":1e400}"#, r#"{"permissions":"view"}"#] {
        assert_eq!(scene.post_text(&scene.of("/share"), body).await.code(), "MALFORMED", "{body}");
    }
    assert_eq!(scene.get(&scene.of("/shares")).await.data(), json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_json_as_it_is() {
    let scene = Scene::open().await;
    let gzip = scene.edge.post("/api/v1/conversations").bearer(&scene.token).header("content-encoding", "gzip");
    assert_eq!(gzip.json(&json!({ "title": "x" })).send().await.status, 415);
    let form = scene.edge.post(&scene.of("/share")).bearer(&scene.token);
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("seats=1");
    assert_eq!(form.send().await.status, 415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_invisible_and_nothing_hides_control_characters() {
    let scene = Scene::open().await;
    for blank in ["\u{200b}", "\u{200d}\u{200c}", "\u{3164}", "\u{ad}", "\u{2800} \u{fe0f}", "\u{202e}"] {
        let title = scene.post("/api/v1/conversations", &json!({ "title": blank })).await;
        assert_eq!(title.status, 422, "a title {blank:?}");
        let message = scene.post(&scene.of("/entries"), &json!({ "kind": "message", "text": blank })).await;
        assert_eq!(message.status, 422, "a message {blank:?}");
        let options = json!([{ "id": "a", "label": blank }]);
        let card =
            scene.post(&scene.of("/cards"), &json!({ "kind": "choice", "title": "x", "options": options })).await;
        assert_eq!(card.json()["error"]["details"]["fields"][0]["path"], "options[0].label", "{blank:?}");
    }
    for hidden in ["a\u{1b}[31m", "a\u{7}", "a\u{9b}b"] {
        let card = json!({ "kind": "choice", "title": hidden, "options": [{ "id": "a", "label": "A" }] });
        assert_eq!(scene.post(&scene.of("/cards"), &card).await.status, 422, "a card {hidden:?}");
    }
    let (secret, _) = scene.edge.share(&scene.token, &scene.conversation, &json!({ "label": "\u{200d}" })).await;
    for blank in ["\u{200d}", "\u{3164}\u{115f}", "\u{ad}\u{34f}", "\u{301}"] {
        let name = scene.edge.claim(&secret, &json!({ "name": blank })).await.data()["name"].clone();
        assert!(name.as_str().expect("a name").starts_with("Guest"), "{blank:?}: {name:?}");
    }
    let long = scene.edge.claim(&secret, &json!({ "name": "x".repeat(61) })).await;
    assert_eq!(long.status, 422);
    let labels = scene.get(&scene.of("/shares")).await.data();
    assert_eq!(labels[0]["label"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_cannot_be_decoded_is_a_page_that_is_not_there() {
    let scene = Scene::open().await;
    let odd = scene.edge.get("/s/%ff%fe").send().await;
    let unknown = scene.edge.get("/s/x").send().await;
    assert_eq!((odd.status, odd.text), (unknown.status, unknown.text));
    for path in ["/api/v1/conversations/%ff", "/api/v1/conversations/%00", "/api/v1/conversations/..%2f..", "/s/%00"] {
        let answer = scene.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_site_cannot_log_a_browser_out() {
    let scene = Scene::open().await;
    let email = scene.edge.person(scene.organization, "support").await;
    let body = json!({ "email": email, "password": PASSWORD, "refresh": "cookie" });
    let login = scene.edge.post("/api/v1/auth/login").json(&body).send().await;
    let cookie =
        login.headers[header::SET_COOKIE].to_str().expect("text").split(';').next().expect("a pair").to_owned();
    for site in ["cross-site", "same-site"] {
        // A form of another site: SameSite keeps the cookie away, and its answer must not clear it either.
        let out = scene.edge.post("/api/v1/auth/logout").header("sec-fetch-site", site).send().await;
        assert!(!out.headers.contains_key(header::SET_COOKIE), "{site}");
        let with = scene.edge.post("/api/v1/auth/logout").header("sec-fetch-site", site).header("cookie", &cookie);
        let with = with.send().await;
        assert!(!with.headers.contains_key(header::SET_COOKIE) && with.status == 401, "{site}");
    }
    let own = scene.edge.post("/api/v1/auth/refresh").header("sec-fetch-site", "same-origin").header("cookie", &cookie);
    assert_eq!(own.send().await.status, 200, "still logged in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cap_on_live_links_holds_when_an_expired_one_comes_back() {
    let scene = Scene::open().await;
    let (_, first) = scene.edge.share(&scene.token, &scene.conversation, &json!({})).await;
    scene.edge.arrange("update shares set expires_at = now(), version = version + 1").await;
    for _ in 0..20 {
        scene.edge.share(&scene.token, &scene.conversation, &json!({})).await;
    }
    let ends =
        parlour_protocol::time::Timestamp(time::OffsetDateTime::now_utc() + time::Duration::hours(2)).to_string();
    let path = format!("/api/v1/shares/{}", first["id"].as_str().expect("an id"));
    let patch = async |body: Value| scene.edge.call(Method::PATCH, &path).bearer(&scene.token).json(&body).send().await;
    let revived = patch(json!({ "expires_at": ends })).await;
    assert_eq!((revived.status.as_u16(), revived.code().as_str()), (429, "LIMIT"));
    assert_eq!(patch(json!({ "seats": 3 })).await.data()["status"], "expired", "other changes pass");
    scene.edge.arrange("update shares set revoked_at = now() where expires_at > now()").await;
    assert_eq!(patch(json!({ "expires_at": ends })).await.data()["status"], "unopened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_credential_is_never_taken_for_another() {
    let scene = Scene::open().await;
    let email = scene.edge.person(scene.organization, "owner").await;
    let body = json!({ "email": email, "password": PASSWORD });
    let tokens = scene.edge.post("/api/v1/auth/login").json(&body).send().await.data();
    let (_, key) = scene.edge.service(scene.organization, &["*"]).await;
    let (secret, _) = scene.edge.share(&scene.token, &scene.conversation, &json!({})).await;
    let claimed = scene.edge.claim(&secret, &json!({})).await.data();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let (access, refresh) = (text(&tokens["access_token"]), text(&tokens["refresh_token"]));
    let (guest, device) = (text(&claimed["guest_token"]), text(&claimed["device_key"]));

    for (name, wrong) in [("refresh", &refresh), ("share", &secret), ("device", &device)] {
        let answer = scene.edge.get("/api/v1/me").bearer(wrong).send().await;
        assert_eq!(answer.code(), "UNAUTHENTICATED", "{name} as bearer");
    }
    for (name, wrong) in
        [("access", &access), ("guest", &guest), ("key", &key), ("share", &secret), ("device", &device)]
    {
        let body = json!({ "refresh_token": wrong });
        let answer = scene.edge.post("/api/v1/auth/refresh").json(&body).send().await;
        assert_eq!(answer.code(), "UNAUTHENTICATED", "{name} as refresh token");
        scene.edge.post("/api/v1/auth/logout").json(&body).send().await.data();
    }
    for (name, wrong) in
        [("access", &access), ("guest", &guest), ("key", &key), ("refresh", &refresh), ("device", &device)]
    {
        let claim = scene.edge.claim(wrong, &json!({})).await;
        let open = scene.edge.post("/api/v1/shares/open").json(&json!({ "token": wrong })).send().await;
        assert_eq!((claim.code().as_str(), open.code().as_str()), ("NOT_FOUND", "NOT_FOUND"), "{name} as a link");
    }
    let basic = scene.edge.get("/api/v1/me").header("authorization", &format!("Basic {access}")).send().await;
    let unsigned = access.rsplit_once('.').expect("a JWT").0.to_owned() + ".";
    let none = scene.edge.get("/api/v1/me").bearer(&unsigned).send().await;
    assert_eq!((basic.code().as_str(), none.code().as_str()), ("UNAUTHENTICATED", "UNAUTHENTICATED"));
    let query = scene.edge.get(&format!("/api/v1/me?access_token={access}")).send().await;
    assert_eq!(query.code(), "TOKEN_IN_URL");
    // Nothing of the above ended anything.
    assert_eq!(scene.edge.get("/api/v1/me").bearer(&access).send().await.status, 200);
    assert_eq!(scene.edge.get(&scene.of("/entries")).bearer(&guest).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_belongs_to_its_author_and_to_one_content() {
    let scene = Scene::open().await;
    let other = scene.edge.staff(scene.organization, "owner").await;
    let key = Uuid::now_v7().to_string();
    let post = async |token: &str, path: &str, body: Value| {
        scene.edge.post(path).bearer(token).header("idempotency-key", &key).json(&body).send().await
    };
    let entries = scene.of("/entries");
    let message = json!({ "kind": "message", "text": "Hello" });
    let mine = post(&scene.token, &entries, message.clone()).await;
    let theirs = post(&other, &entries, message.clone()).await;
    assert_eq!((mine.status.as_u16(), theirs.status.as_u16()), (201, 201));
    assert_ne!(mine.data()["entry_id"], theirs.data()["entry_id"]);
    // The same key on another route of the same conversation is another content.
    let note = post(&scene.token, &entries, json!({ "kind": "note", "text": "Hello" })).await;
    let card = json!({ "kind": "choice", "title": "Hello", "options": [{ "id": "a", "label": "A" }] });
    let card = post(&scene.token, &scene.of("/cards"), card).await;
    let share = post(&scene.token, &scene.of("/share"), json!({})).await;
    for answer in [note, card, share] {
        assert_eq!(answer.code(), "IDEMPOTENCY_MISMATCH");
    }
    let one = post(&scene.token, "/api/v1/conversations", json!({ "title": "x" })).await.data()["id"].clone();
    let two = post(&other, "/api/v1/conversations", json!({ "title": "x" })).await.data()["id"].clone();
    assert_ne!(one, two);
    for broken in ["", "x", "' or 1=1 --"] {
        let call = scene.edge.post(&entries).bearer(&scene.token).header("idempotency-key", broken).json(&message);
        assert_eq!(call.send().await.code(), "MALFORMED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_slowed_down_under_every_spelling_and_every_claimed_address() {
    let edge = Edge::with_limits(LimitsProfile::Standard).await;
    let organization = edge.organization("lagon").await;
    let email = edge.person(organization, "dmc_staff").await;
    let guess = async |email: &str, from: &str, forwarded: &str| {
        let body = json!({ "email": email, "password": "wrong" });
        let call = edge.post("/api/v1/auth/login").from(from).header("x-forwarded-for", forwarded).json(&body);
        call.send().await.status.as_u16()
    };
    let upper = email.to_uppercase();
    for (n, spelled) in
        [&email, &upper, &format!(" {email}"), &format!("{email}\t"), &format!("\u{a0}{upper} ")].iter().enumerate()
    {
        assert_eq!(guess(spelled, &format!("198.51.100.{n}"), "").await, 401, "{spelled:?}");
    }
    assert_eq!(guess(&upper, "198.51.100.99", "").await, 429, "one person under five spellings");
    // From an address that is no trusted proxy, the header says nothing.
    for n in 0..10 {
        assert_eq!(guess(&format!("{n}@x.test"), "203.0.113.9", &format!("192.0.2.{n}")).await, 401);
    }
    assert_eq!(guess("11@x.test", "203.0.113.9", "192.0.2.99").await, 429);
    // Behind a trusted proxy, only the hop it saw itself counts.
    for n in 0..10 {
        assert_eq!(guess(&format!("{n}@y.test"), "10.0.0.1", &format!("192.0.2.{n}, 203.0.113.77")).await, 401);
    }
    assert_eq!(guess("11@y.test", "10.0.0.1", "192.0.2.99, 203.0.113.77").await, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_organization_calls_itself_stays_text_on_its_page() {
    let scene = Scene::open().await;
    let (secret, _) = scene.edge.share(&scene.token, &scene.conversation, &json!({})).await;
    scene
        .edge
        .arrange(
            "update organizations set name = '</title></script><img src=x onerror=alert(1)><!--parlour-state-->',
                    contact_email = '\"><script>alert(2)</script>', logo = 'javascript:alert(3)'",
        )
        .await;
    let page = scene.edge.get(&format!("/s/{secret}")).send().await;
    assert_eq!(page.status, 200);
    for foreign in ["<img", "<script>alert", "</title></script>", "<!--parlour"] {
        assert!(!page.text.contains(foreign), "{foreign}");
    }
    let facts = page.text.split("id=\"parlour-state\">").nth(1).and_then(|rest| rest.split("</script>").next());
    let facts: Value = serde_json::from_str(facts.expect("the facts")).expect("JSON");
    assert_eq!(facts["organization"]["contact_email"], "\"><script>alert(2)</script>");
    assert!(!page.text.contains(&secret), "the secret is in the path and nowhere else");
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
}
