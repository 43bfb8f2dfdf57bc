//! Admission over HTTP: logging in, refreshing, logging out; keys; what a credential opens and when it stops to.

use axum::http::{StatusCode, header};
use parlour::domain::limits::LimitsProfile;
use serde_json::{Value, json};

use parlour_testkit::api::{Answer, Edge};
use parlour_testkit::seeder::PASSWORD;

async fn login(edge: &Edge, email: &str, password: &str) -> Answer {
    edge.post("/api/v1/auth/login").json(&json!({ "email": email, "password": password })).send().await
}

async fn refresh(edge: &Edge, token: &Value) -> Answer {
    edge.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_logs_in_and_is_told_who_they_are() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let email = edge.person(organization, "dmc_manager").await;
    let answer = login(&edge, &format!("  {} ", email.to_uppercase()), PASSWORD).await;
    let tokens = answer.data();
    assert_eq!(tokens["expires_in"], 900);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    let me = edge.get("/api/v1/me").bearer(tokens["access_token"].as_str().expect("a token")).send().await.data();
    assert_eq!((&me["user"]["email"], &me["role"]), (&json!(email), &json!("dmc_manager")));
    assert_eq!((&me["organization"]["slug"], &me["organization"]["role"]), (&json!("lagon"), &json!("dmc_manager")));
    assert!(me["permissions"].as_array().expect("a list").contains(&json!("shares:*")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_with_a_log_in_answers_alike() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let email = edge.person(organization, "dmc_staff").await;
    let unmapped = edge.person(organization, "night_owl").await;
    for (email, password) in [
        (email.as_str(), "wrong"),
        ("nobody@example.test", PASSWORD),
        (&unmapped, PASSWORD),
        (&email, ""),
        ("", ""),
        ("a\0b", PASSWORD),
    ] {
        let answer = login(&edge, email, password).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "UNAUTHENTICATED"), "{email}");
        assert!(!answer.text.contains("password") && answer.headers.contains_key(header::WWW_AUTHENTICATE));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_passwords_is_slowed_down() {
    let edge = Edge::with_limits(LimitsProfile::Standard).await;
    let organization = edge.organization("lagon").await;
    let email = edge.person(organization, "dmc_staff").await;
    for _ in 0..5 {
        assert_eq!(login(&edge, &email, "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let slowed = login(&edge, &email, PASSWORD).await;
    assert_eq!((slowed.code().as_str(), slowed.status.as_u16()), ("RATE_LIMITED", 429), "even the right one waits");
    let other = edge.person(organization, "dmc_staff").await;
    assert_eq!(login(&edge, &other, PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let email = edge.person(organization, "dmc_staff").await;
    let first = login(&edge, &email, PASSWORD).await.data()["refresh_token"].clone();
    let second = refresh(&edge, &first).await.data()["refresh_token"].clone();
    assert_ne!(first, second);
    assert_eq!(refresh(&edge, &first).await.code(), "UNAUTHENTICATED", "spent");
    let third = refresh(&edge, &second).await.data()["refresh_token"].clone();
    // At once it may have been a second tab; later it is a thief, or the owner after the thief.
    edge.arrange("update refresh_tokens set used_at = used_at - interval '11 seconds'").await;
    assert_eq!(refresh(&edge, &first).await.code(), "UNAUTHENTICATED", "spent long ago");
    assert_eq!(refresh(&edge, &third).await.code(), "UNAUTHENTICATED", "the family ended with it");
    for broken in [json!("parlour_rt_x"), json!(""), Value::Null] {
        assert_eq!(refresh(&edge, &broken).await.code(), "UNAUTHENTICATED");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_keeps_its_refresh_token_where_scripts_cannot_read_it() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let email = edge.person(organization, "dmc_staff").await;
    let body = json!({ "email": email, "password": PASSWORD, "refresh": "cookie" });
    let answer = edge.post("/api/v1/auth/login").json(&body).send().await;
    assert_eq!(answer.data()["refresh_token"], Value::Null);
    let cookie = answer.headers[header::SET_COOKIE].to_str().expect("text").to_owned();
    for attribute in ["Path=/api/v1/auth;", "HttpOnly", "SameSite=Strict", "Secure"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let me = edge.get("/api/v1/me").header("cookie", &cookie).send().await;
    assert_eq!(me.code(), "UNAUTHENTICATED", "a cookie admits nobody");
    let forged = edge.post("/api/v1/auth/refresh").header("cookie", &cookie).header("sec-fetch-site", "cross-site");
    assert_eq!(forged.send().await.code(), "UNAUTHENTICATED");
    let renewed = edge.post("/api/v1/auth/refresh").header("cookie", &cookie).send().await;
    assert_eq!(renewed.data()["refresh_token"], Value::Null);
    let renewed =
        renewed.headers[header::SET_COOKIE].to_str().expect("text").split(';').next().expect("a pair").to_owned();
    let out = edge.post("/api/v1/auth/logout").header("cookie", &renewed).send().await;
    assert_eq!(out.data(), Value::Null);
    assert!(out.headers[header::SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));
    let after = edge.post("/api/v1/auth/refresh").header("cookie", &renewed).send().await;
    assert_eq!(after.code(), "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_are_those_of_the_database_not_of_the_token() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let token = edge.staff(organization, "dmc_admin").await;
    let conversation = edge.conversation(&token).await;
    edge.arrange("update memberships set role = 'guide', version = version + 1").await;
    let refused = edge.post(&format!("/api/v1/conversations/{conversation}/share")).bearer(&token).send().await;
    assert_eq!(refused.code(), "NOT_FOUND", "a guide does not see conversations at all");
    edge.arrange("update memberships set role = 'dmc_admin', status = 'disabled', version = version + 1").await;
    assert_eq!(edge.get("/api/v1/me").bearer(&token).send().await.code(), "UNAUTHENTICATED");
    edge.arrange("update memberships set status = 'active'; update persons set session_version = 2").await;
    assert_eq!(edge.get("/api/v1/me").bearer(&token).send().await.code(), "UNAUTHENTICATED", "logged out everywhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_organization_reads_and_does_not_write() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let token = edge.staff(organization, "dmc_admin").await;
    let conversation = edge.conversation(&token).await;
    let (secret, _) = edge.share(&token, &conversation, &json!({})).await;
    edge.arrange("update organizations set status = 'suspended', version = version + 1").await;
    let path = format!("/api/v1/conversations/{conversation}/entries");
    assert_eq!(edge.get(&path).bearer(&token).send().await.status, StatusCode::OK);
    let body = json!({ "kind": "message", "text": "Hello" });
    let refused = edge.post(&path).bearer(&token).json(&body).send().await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "ORGANIZATION_SUSPENDED"));
    let made = edge.post("/api/v1/conversations").bearer(&token).json(&json!({ "title": "x" })).send().await;
    assert_eq!(made.code(), "ORGANIZATION_SUSPENDED");
    assert_eq!(edge.claim(&secret, &json!({})).await.code(), "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_does_what_its_key_allows_until_it_is_revoked() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let (key, secret) = edge.service(organization, &["conversations:*"]).await;
    let conversation = edge.conversation(&secret).await;
    let path = format!("/api/v1/conversations/{conversation}");
    let row = edge.get(&path).bearer(&secret).send().await.data();
    assert_eq!((&row["channel"], &row["user_id"]), (&json!("api"), &Value::Null));
    let entries = format!("{path}/entries");
    let note = edge.post(&entries).bearer(&secret).json(&json!({ "kind": "note", "text": "Fares fell" })).send().await;
    assert_eq!(note.status, StatusCode::CREATED);
    let refused = edge.post(&format!("{path}/share")).bearer(&secret).send().await;
    assert_eq!(refused.code(), "FORBIDDEN");
    assert_eq!(edge.get("/api/v1/me").bearer(&secret).send().await.code(), "FORBIDDEN");
    edge.revoke_key(organization, key).await;
    assert_eq!(edge.get(&path).bearer(&secret).send().await.code(), "UNAUTHENTICATED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restricted_staff_see_their_own_and_what_nobody_holds() {
    let edge = Edge::start().await;
    let organization = edge.organization("lagon").await;
    let admin = edge.staff(organization, "dmc_admin").await;
    let agent = edge.staff(organization, "dmc_staff").await;
    let (held, free) = (edge.conversation(&admin).await, edge.conversation(&admin).await);
    let mut database = edge.database.admin().await;
    sqlx::query("update conversations set assigned_to = user_id, access_version = 2 where id = $1::uuid")
        .bind(&held)
        .execute(&mut database)
        .await
        .expect("an assignment");
    let list = edge.get("/api/v1/conversations?sort=created_at&limit=10").bearer(&agent).send().await;
    let ids: Vec<Value> = list.data().as_array().expect("a list").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [json!(free)]);
    assert_eq!(list.json()["meta"], json!({ "page": 1, "limit": 10, "total": 1, "pages": 1 }));
    let path = format!("/api/v1/conversations/{held}");
    assert_eq!(edge.get(&path).bearer(&agent).send().await.code(), "NOT_FOUND");
    assert_eq!(edge.get(&path).bearer(&admin).send().await.status, StatusCode::OK);
}
