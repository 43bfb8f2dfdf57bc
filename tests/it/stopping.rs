//! Stopping: what was begun is answered, everybody is asked to come back at a time of their own, and nobody new comes in.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::socket::{Answer, Socket};
use parlour_protocol::codec::Codec;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopping_server_answers_what_was_begun_and_asks_everybody_to_come_back() {
    let app = TestApp::start().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        sockets.push(amira.attached(conversation).await);
    }
    let begun: Vec<_> = (0..20)
        .map(|n| {
            let client_id = parlour_protocol::id::ClientId::generate();
            let text = format!("last words {n}");
            let send = json!({ "type": "send", "conversation": conversation, "client_id": client_id, "text": text });
            sockets[n % 5].begin(send)
        })
        .collect();
    let first = sockets[0].wait(begun.into_iter().next().expect("twenty were begun")).await;
    assert!(matches!(first, Answer::Ok(_)), "{first:?}");
    let url = amira.endpoint.ws.clone();
    app.app.shutdown().await;
    for socket in &sockets {
        let advice = socket.push("advice").await;
        assert!(advice["retry_after_ms"].as_u64().is_some_and(|ms| ms <= 20_000), "{advice}");
        assert_eq!(socket.closed().await, 1012);
    }
    assert!(Socket::open(&url, Codec::Json).await.is_err(), "nobody new");
}
