//! Tickets from outside: one socket, once, in time, for the page that asked.

use parlour_protocol::codec::Codec;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use parlour_testkit::actors::Actor;
use parlour_testkit::app::TestApp;
use parlour_testkit::socket::{Answer, Socket};

const PAGE: &str = "http://parlour.test";

async fn ticket(actor: &Actor, origin: Option<&str>) -> Value {
    let headers: Vec<(&str, &str)> = origin.map(|origin| ("origin", origin)).into_iter().collect();
    let path = "/api/v1/auth/ticket";
    let (status, mut answer) =
        actor.endpoint.request_with(Method::POST, path, Some(&actor.token), None, &headers).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["data"].take()
}

fn ticket_of_nobody() -> Value {
    json!({ "ticket": "" })
}

async fn hello(actor: &Actor, ticket: &Value) -> (Socket, Answer) {
    let socket = Socket::open(&actor.endpoint.ws, Codec::Json).await.expect("a socket");
    let answer = socket.command(json!({ "type": "hello", "ticket": ticket["ticket"] })).await;
    (socket, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_admits_whoever_asked_for_it_with_the_life_of_their_token() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let amira = &tenancy.admin;
    let conversation = amira.conversation("Maria Fernandes").await;
    let maria = amira.share(conversation, json!({})).await.claim("Maria").await;
    let service = app.people.service(tenancy.organization, &["conversations:*"]).await;
    for (actor, kind) in [(amira, "staff"), (&maria.actor, "guest"), (&service, "service")] {
        let made = ticket(actor, None).await;
        assert!(made["ticket"].as_str().expect("a ticket").starts_with("parlour_tk_"));
        assert_eq!(made["expires_in"], 30);
        let (socket, answer) = hello(actor, &made).await;
        let ok = answer.ok();
        assert_eq!(ok["principal"]["kind"], kind);
        let direct = actor.connect(Codec::Json).await;
        drop(direct);
        match kind {
            "service" => assert_eq!(ok["expires_in_ms"], Value::Null),
            _ => assert!((1..=900_000).contains(&ok["expires_in_ms"].as_u64().expect("a life")), "{ok}"),
        }
        socket.attach(conversation, None).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_sockets_with_one_ticket_one_is_admitted() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let made = ticket(&amira, None).await;
    let all = futures_util::future::join_all((0..100).map(|_| hello(&amira, &made))).await;
    let (admitted, refused): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, answer)| matches!(answer, Answer::Ok(_)));
    assert_eq!((admitted.len(), refused.len()), (1, 99));
    for (socket, answer) in refused {
        assert_eq!(answer.code(), "UNAUTHENTICATED");
        assert_eq!(socket.closed().await, 4501);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_made_up_or_foreign_ticket_admits_nobody() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let refused = async |ticket: &Value| {
        let (socket, answer) = hello(&amira, ticket).await;
        assert_eq!(answer.code(), "UNAUTHENTICATED");
        assert_eq!(socket.closed().await, 4501);
    };
    let late = ticket(&amira, None).await;
    app.arrange("update tickets set expires_at = now()").await;
    refused(&late).await;
    refused(&json!({ "ticket": "parlour_tk_made-up" })).await;
    refused(&json!({ "ticket": amira.token })).await;
    let (_, both) = {
        let socket = Socket::open(&amira.endpoint.ws, Codec::Json).await.expect("a socket");
        let made = ticket(&amira, None).await;
        let answer = socket.command(json!({ "type": "hello", "ticket": made["ticket"], "token": amira.token })).await;
        (socket, answer)
    };
    assert_eq!(both.code(), "UNAUTHENTICATED", "one or the other");

    // Asked for by a page, shown by a program: it is gone, too.
    let of_a_page = ticket(&amira, Some(PAGE)).await;
    refused(&of_a_page).await;
    refused(&of_a_page).await;

    // Whoever logged out everywhere meanwhile has no use for it.
    let older = ticket(&amira, None).await;
    app.arrange("update persons set session_version = session_version + 1").await;
    let (socket, answer) = hello(&amira, &older).await;
    assert_eq!((answer.code(), socket.closed().await), ("UNAUTHENTICATED", 4401), "with a fresh log-in, yes");
    let (_, answer) = hello(&amira, &ticket_of_nobody()).await;
    assert_eq!(answer.code(), "UNAUTHENTICATED");
    let stranger = Actor { token: "nothing".into(), ..amira.clone() };
    stranger.expect(Method::POST, "/api/v1/auth/ticket", None, StatusCode::UNAUTHORIZED).await;
}
