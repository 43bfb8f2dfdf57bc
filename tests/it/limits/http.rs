//! The limits of HTTP: sizes and times of requests, how many a key may make, what a link may be.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlour::domain::limits::LimitsProfile;
use parlour::listener::ListenerConfig;
use parlour::ws::WsConfig;
use parlour_protocol::limits::{KEY_REQUESTS_BURST, KEY_REQUESTS_PER_SECOND};
use parlour_testkit::api::Edge;
use parlour_testkit::app::TestApp;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::advance;

use crate::live::client::{Client, request};
use crate::live::stage::Node;

async fn node() -> Node {
    Node::start(WsConfig::default()).await
}

/// The status line of what an upgrade with these header lines is answered.
async fn status(address: SocketAddr, more: &str) -> String {
    let mut client = Client::open(address, None).await;
    client.try_write(request(address, more).as_bytes()).await;
    let head = client.head().await;
    head.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_head_has_at_most_16_kib() {
    let node = node().await;
    let max = ListenerConfig::default().head_bytes_max;
    assert_eq!(max, 16 * 1024);
    let rest = request(node.address, "X-Pad: \r\n").len();
    for bytes in [max - 1, max, max + 1] {
        let status = status(node.address, &format!("X-Pad: {}\r\n", "a".repeat(bytes - rest))).await;
        assert_eq!(status.contains(" 101 "), bytes <= max, "{bytes}: {status}");
        assert_eq!(status.contains(" 431 "), bytes > max, "{bytes}: {status}");
    }
}

#[tokio::test]
async fn a_request_has_at_most_64_headers() {
    let node = node().await;
    let max = ListenerConfig::default().headers_max;
    let own = request(node.address, "").lines().filter(|line| line.contains(": ")).count();
    for headers in [max - 1, max, max + 1] {
        let more: String = (own..headers).map(|n| format!("X-{n}: 1\r\n")).collect();
        let status = status(node.address, &more).await;
        assert_eq!(status.contains(" 101 "), headers <= max, "{headers}: {status}");
        assert_eq!(status.contains(" 431 "), headers > max, "{headers}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_has_at_most_2_kib() {
    let app = TestApp::limited().await;
    for bytes in [2_047, 2_048, 2_049] {
        let path = format!("/livez?x={}", "a".repeat(bytes - "/livez?x=".len()));
        let (status, body) = app.people.endpoint.request(Method::GET, &path, None, None).await;
        if bytes > 2_048 {
            assert_eq!((status, &body["error"]["code"]), (StatusCode::URI_TOO_LONG, &json!("TOO_LARGE")));
        } else {
            assert_eq!(status, StatusCode::OK, "{bytes}: {body}");
        }
    }
}

#[tokio::test]
async fn a_head_may_take_ten_seconds_and_so_may_the_next_one() {
    let node = node().await;
    let whole = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut client = Client::open(node.address, None).await;
    client.write(&whole.as_bytes()[..20]).await;
    // The clock begins when the server has met the connection, which an answer to another one says.
    status(node.address, "").await;
    tokio::time::pause();
    advance(Duration::from_millis(9_900)).await;
    client.write(&whole.as_bytes()[20..]).await;
    assert!(client.head().await.starts_with("HTTP/1.1 404 "));
    advance(Duration::from_millis(9_900)).await;
    client.write(whole.as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 404 "), "an idle connection is kept as long");
    let idle = tokio::time::Instant::now();
    assert!(client.frame().await.is_none(), "closed");
    let took = idle.elapsed();
    assert!((Duration::from_millis(9_500)..Duration::from_millis(11_000)).contains(&took), "{took:?}");
    tokio::time::resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_ends_with_the_request() {
    let patience = Duration::from_millis(1_500);
    let app = TestApp::start_with(|config| config.http.request_timeout = patience).await;
    let amira = app.people.tenancy("lagon").await.admin;
    let body = r#"{"title":"slowly"}"#;
    let address = amira.endpoint.http.trim_start_matches("http://").to_owned();
    let head = format!(
        "POST /api/v1/conversations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        amira.token,
        body.len()
    );
    for (is_late, expected) in [(false, "HTTP/1.1 201 "), (true, "HTTP/1.1 503 ")] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let began = Instant::now();
        stream.write_all(head.as_bytes()).await.unwrap();
        for byte in body.bytes() {
            if !is_late || began.elapsed() < patience / 2 {
                stream.write_all(&[byte]).await.unwrap();
            }
            tokio::time::sleep(if is_late { patience / 12 } else { Duration::from_millis(5) }).await;
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(expected), "{answer}");
        assert!(!is_late || began.elapsed() >= patience, "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_has_at_most_256_kib_to_the_byte() {
    let app = TestApp::limited().await;
    let amira = app.people.tenancy("lagon").await.admin;
    for bytes in [256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1] {
        let body = r#"{"title":"x"}"#.to_owned() + &" ".repeat(bytes - 13);
        let request = reqwest::Client::new().post(format!("{}/api/v1/conversations", amira.endpoint.http));
        let request = request.bearer_auth(&amira.token).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        let expected = if bytes > 256 * 1024 { 413 } else { 201 };
        assert_eq!((status, text.contains("TOO_LARGE")), (expected, expected == 413), "{bytes}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_a_hundred_requests_at_once() {
    let edge = Edge::with_limits(LimitsProfile::Standard).await;
    let organization = edge.organization("lagon").await;
    let (_, key) = edge.service(organization, &["conversations:*"]).await;
    let (_, other) = edge.service(organization, &["conversations:*"]).await;
    let ask = |key: &str| {
        let call = edge.get("/api/v1/me").bearer(key);
        async move { call.send().await }
    };
    let began = Instant::now();
    let answers = futures_util::future::join_all((0..400).map(|_| ask(&key))).await;
    let back = began.elapsed().as_secs_f64() * f64::from(KEY_REQUESTS_PER_SECOND);
    let fine = answers.iter().filter(|answer| answer.status != 429).count();
    assert!(fine >= KEY_REQUESTS_BURST as usize, "{fine}");
    assert!((fine as f64) < f64::from(KEY_REQUESTS_BURST) + back + 1.0, "{fine}, although {back} came back");
    for refused in answers.iter().filter(|answer| answer.status == 429) {
        assert_eq!((refused.code().as_str(), &refused.headers["retry-after"]), ("RATE_LIMITED", &"1".parse().unwrap()));
    }
    assert_ne!(ask(&other).await.status, 429, "another key is not concerned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_lives_one_hour_to_thirty_days_and_admits_up_to_25_devices() {
    let edge = Edge::with_limits(LimitsProfile::Standard).await;
    let organization = edge.organization("lagon").await;
    edge.arrange("update organizations set share_hours_max = 720").await;
    let token = edge.staff(organization, "dmc_admin").await;
    let conversation = edge.conversation(&token).await;
    let path = format!("/api/v1/conversations/{conversation}/share");
    for (field, values) in [
        ("expiry_hours", [(0, 422), (1, 201), (2, 201), (719, 201), (720, 201), (721, 422)]),
        ("seats", [(0, 422), (1, 201), (2, 201), (24, 201), (25, 201), (26, 422)]),
    ] {
        for (value, status) in values {
            let answer = edge.post(&path).bearer(&token).json(&json!({ field: value })).send().await;
            assert_eq!(answer.status.as_u16(), status, "{field} {value}: {}", answer.text);
        }
    }
}
