//! The process around the services: what operators see of it, and what nobody may see in its logs.

use parlour_protocol::codec::Codec;
use reqwest::{Method, StatusCode};
use serde_json::json;

use parlour_testkit::database::{Database, durable_cluster};
use parlour_testkit::people::People;
use parlour_testkit::server::Server;
use parlour_testkit::socket::Socket;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_tells_how_it_is_and_logs_no_secret() {
    let (cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let server = Server::start(&database).await;
    let people = People::new(server.endpoint(), &database);
    let amira = people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let link = amira.share(conversation, json!({})).await;
    let headers = [("accept", "application/json")];
    link.endpoint.request_with(Method::GET, &format!("/s/{}", link.token), None, None, &headers).await;
    let maria = link.claim("Unmistakable Name").await;
    let socket = maria.attached().await;
    socket.say(conversation, "unmistakable body").await.ok();
    let in_url = format!("/api/v1/me?token={}", amira.token);
    assert_eq!(amira.endpoint.request(Method::GET, &in_url, None, None).await.0, StatusCode::BAD_REQUEST);
    let in_socket = format!("{}?token={}", amira.endpoint.ws, amira.token);
    assert!(Socket::open(&in_socket, Codec::Json).await.is_err());

    let text = |endpoint: parlour_testkit::actors::Endpoint, path: &'static str| async move {
        let answer = reqwest::get(format!("{}{path}", endpoint.http)).await.expect("an answer");
        (answer.status(), answer.text().await.expect("a body"))
    };
    assert_eq!(text(server.endpoint(), "/livez").await.0, StatusCode::OK);
    assert_eq!(text(server.endpoint(), "/readyz").await.0, StatusCode::OK);
    assert_eq!(text(server.endpoint(), "/metrics").await.0, StatusCode::NOT_FOUND, "metrics are for the operator");
    let (status, metrics) = text(server.admin(), "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for name in ["parlour_build_info", "parlour_sessions", "parlour_entries_committed_total", "parlour_append_seconds"]
    {
        assert!(metrics.contains(name), "{name} is missing in:\n{metrics}");
    }

    let logs = server.terminate().await;
    assert!(logs.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "JSON lines: {logs}");
    assert!(logs.contains("/s/[token]"), "{logs}");
    let secrets = [&link.token, &amira.token, &maria.actor.token, &maria.device_key];
    for secret in secrets.map(String::as_str).into_iter().chain(["unmistakable body", "Unmistakable Name"]) {
        assert!(!logs.contains(secret), "a secret, name or body was logged");
    }
    cluster.stop().await.expect("a clean stop");
    std::fs::remove_dir_all(data_dir).expect("the directory goes");
}
