//! The HTTP edge itself: headers on every reply, refusals in the envelope, limits of bodies and URLs, idempotency.

use axum::http::{Method, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use parlour_testkit::api::Edge;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reply_carries_the_headers_that_protect_it() {
    let edge = Edge::start().await;
    for path in [
        "/livez",
        "/readyz",
        "/",
        "/console",
        "/console/x/y",
        "/s/x",
        "/docs",
        "/openapi.json",
        "/api/v1/me",
        "/nowhere",
        "/assets/none.js",
    ] {
        let answer = edge.get(path).send().await;
        for (name, value) in [
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-site"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(answer.headers.contains_key("x-request-id") && answer.headers.contains_key(header::CACHE_CONTROL));
    }
    let page = edge.get("/s/x").send().await;
    assert_eq!(
        (&page.headers["x-robots-tag"], page.status),
        (&"noindex".parse().expect("text"), StatusCode::NOT_FOUND)
    );
    assert_eq!(edge.get("/").send().await.headers[header::LOCATION], "/console");
    assert_eq!(edge.get("/console").send().await.status, StatusCode::OK);
    assert_eq!(edge.get("/readyz").send().await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_come_in_the_envelope_with_the_callers_own_request_id() {
    let edge = Edge::start().await;
    for (call, status) in [
        (edge.get("/api/v1/nowhere"), 404),
        (edge.call(Method::PUT, "/api/v1/me"), 405),
        (edge.call(Method::TRACE, "/"), 405),
        (edge.get("/api/v1/me"), 401),
        (edge.get("/api/v1/me?token=x"), 400),
        (edge.get(&format!("/{}", "x".repeat(3_000))), 414),
        (edge.post("/api/v1/auth/login").body("{}"), 415),
        (edge.post("/api/v1/auth/login").header("content-type", "application/json").body("{"), 400),
        (edge.post("/api/v1/auth/login"), 400),
        (edge.post("/api/v1/auth/login").json(&json!({ "email": "x".repeat(300_000) })), 413),
    ] {
        let answer = call.header("x-request-id", "mine-7").send().await;
        assert_eq!(answer.status, status, "{}", answer.text);
        let body = answer.json();
        assert_eq!((&body["success"], &body["error"]["request_id"]), (&json!(false), &json!("mine-7")));
        assert_eq!(answer.headers["x-request-id"], "mine-7");
        assert!(body["error"]["details"].is_object() && body["error"]["message"].is_string());
    }
    let in_url = edge.get("/s/x?next=parlour_sk_secret").send().await;
    assert_eq!(in_url.code(), "TOKEN_IN_URL");
    assert!(!in_url.text.contains("parlour_sk_secret"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_and_parameters_are_refused_by_name() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let token = edge.staff(organization, "owner").await;
    let conversation = edge.conversation(&token).await;
    let path = format!("/api/v1/conversations/{conversation}/entries");
    for extra in ["organization_id", "role", "audience", "seq", "author"] {
        let cards = format!("/api/v1/conversations/{conversation}/cards");
        // What an entry may hold is known once its kind is.
        let message = json!({ "kind": "message", extra: 1 });
        for (path, body) in
            [("/api/v1/conversations", json!({ extra: 1 })), (&path, message), (&cards, json!({ extra: 1 }))]
        {
            let answer = edge.post(path).bearer(&token).json(&body).send().await;
            assert_eq!((answer.status.as_u16(), &answer.json()["error"]["details"]["field"]), (400, &json!(extra)));
        }
    }
    let query = edge.get(&format!("{path}?organization=x")).bearer(&token).send().await;
    assert_eq!(query.json()["error"]["details"]["field"], "organization");
    let both = edge.get(&format!("{path}?before=1&after=2")).bearer(&token).send().await;
    assert_eq!(both.code(), "INVALID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_key_gives_the_first_result_again() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let token = edge.staff(organization, "owner").await;
    let key = Uuid::now_v7().to_string();
    let post = async |path: &str, body: serde_json::Value| {
        edge.post(path).bearer(&token).header("idempotency-key", &key).json(&body).send().await
    };
    let made = post("/api/v1/conversations", json!({ "title": "Maldives" })).await;
    let again = post("/api/v1/conversations", json!({ "title": "Maldives" })).await;
    assert_eq!((made.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!(made.data()["id"], again.data()["id"]);
    assert_eq!(post("/api/v1/conversations", json!({ "title": "Seychelles" })).await.code(), "IDEMPOTENCY_MISMATCH");

    let base = format!("/api/v1/conversations/{}", made.data()["id"].as_str().expect("an id"));
    let entries = format!("{base}/entries");
    let sent = post(&entries, json!({ "kind": "message", "text": "Hello" })).await;
    let again = post(&entries, json!({ "kind": "message", "text": "Hello" })).await;
    assert_eq!((sent.status.as_u16(), again.status.as_u16()), (201, 200));
    assert_eq!((&again.data()["duplicate"], &again.data()["seq"]), (&json!(true), &sent.data()["seq"]));
    assert_eq!(post(&entries, json!({ "kind": "message", "text": "Bye" })).await.code(), "IDEMPOTENCY_MISMATCH");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_offered_and_its_values_are_checked() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let token = edge.staff(organization, "owner").await;
    let path = format!("/api/v1/conversations/{}/cards", edge.conversation(&token).await);
    let options = json!([{ "id": "a", "label": "Direct", "price": { "amount": 128_400, "currency": "EUR" } }]);
    let body = json!({ "kind": "choice", "title": "Your flights", "options": options });
    let offered = edge.post(&path).bearer(&token).json(&body).send().await;
    assert_eq!(offered.status, StatusCode::CREATED, "{}", offered.text);
    assert_eq!((&offered.data()["card"]["version"], &offered.data()["card"]["state"]), (&json!(1), &json!("open")));
    for (field, value) in [("kind", json!("quiz")), ("title", json!("")), ("options", json!([]))] {
        let mut broken = body.clone();
        broken[field] = value;
        let refused = edge.post(&path).bearer(&token).json(&broken).send().await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error"]["details"]["fields"][0]["path"]),
            (422, &json!(field))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_are_paged_in_the_readers_numbering() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let token = edge.staff(organization, "owner").await;
    let path = format!("/api/v1/conversations/{}/entries", edge.conversation(&token).await);
    for n in 0..5 {
        let body = json!({ "kind": "message", "text": format!("message {n}") });
        edge.post(&path).bearer(&token).json(&body).send().await.data();
    }
    let page = edge.get(&format!("{path}?after=2&limit=2")).bearer(&token).send().await;
    let seqs: Vec<i64> = page.data().as_array().expect("a list").iter().filter_map(|one| one["seq"].as_i64()).collect();
    assert_eq!(seqs, [3, 4]);
    assert_eq!((&page.json()["meta"]["head"], &page.json()["meta"]["has_more"]), (&json!(5), &json!(true)));
    assert_eq!(edge.get(&format!("{path}?limit=201")).bearer(&token).send().await.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_find_their_scripts_and_styles() {
    let edge = Edge::start().await;
    for page in ["/console", "/s/x"] {
        let html = edge.get(page).send().await.text;
        assert!(!html.contains("<!--parlour-"), "{page} was filled in");
        // A headless build refers to none.
        for asset in html.split('"').filter(|word| word.starts_with("/assets/")) {
            let answer = edge.get(asset).send().await;
            assert_eq!(answer.status, StatusCode::OK, "{asset}");
            assert_eq!(answer.headers[header::CACHE_CONTROL], "max-age=31536000, immutable", "{asset}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_served_to_anybody_and_kept_by_caches() {
    let edge = Edge::start().await;
    let page = edge.get("/docs").send().await;
    let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
    assert!(policy.contains("script-src 'self'; style-src 'self'") && !policy.contains("unsafe"));
    let own = page.text.split('"').filter(|word| word.starts_with('/') && !word.starts_with("//"));
    let documents = ["/openapi.json", "/asyncapi.yaml", "/schema/socket.json", "/schema/errors.json", "/docs/parts.js"];
    for path in own.chain(documents) {
        let answer = edge.get(path).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "public, no-cache", "{path}");
        let etag = answer.headers[header::ETAG].to_str().expect("text");
        let again = edge.get(path).header("if-none-match", etag).send().await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
    }
    assert_eq!(edge.get("/openapi.json").send().await.json()["openapi"], "3.1.1");
}
