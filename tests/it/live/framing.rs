//! The rules of the wire, byte by byte: what is legal is understood however it is cut, and what is not is answered with the
//! close code that says so.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use parlour::listener::{self, ListenerConfig, Stopping};
use parlour::ws::WsConfig;
use parlour_protocol::id::{ClientId, PersonId};
use parlour_protocol::limits::{HELLO_BYTES_MAX, MESSAGE_BYTES_MAX};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::live::client::{BINARY, CLOSE, Client, PING, PONG, TEXT, frame, header, request};
use crate::live::stage::Node;
use parlour_testkit::until::until;

const FINAL: u8 = 0x80;

async fn node() -> Node {
    Node::start(WsConfig::default()).await
}

/// The masked header of a text frame that claims a length, and nothing of it.
fn claim(length: u64) -> Vec<u8> {
    [header(FINAL | TEXT, length, 0x80), vec![1, 2, 3, 4]].concat()
}

fn ping(id: u64) -> Vec<u8> {
    json!({ "id": id, "type": "ping" }).to_string().into_bytes()
}

#[tokio::test]
async fn a_message_in_fragments_with_a_ping_between_is_understood() {
    let node = node().await;
    let mut client = Client::greeted(node.address, "staff").await;
    let message = ping(7);
    let (first, rest) = message.split_at(5);
    let (second, third) = rest.split_at(3);
    let mut bytes = frame(TEXT, first);
    bytes.extend(frame(FINAL | PING, b"still there?"));
    bytes.extend(frame(0, second));
    bytes.extend(frame(FINAL, third));
    // One byte at a time is legal, too.
    for byte in bytes {
        client.write(&[byte]).await;
    }
    let pong = client.frame().await.unwrap();
    assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &b"still there?"[..]));
    assert_eq!(client.heard().await, json!({ "id": 7, "ok": {} }));
}

#[tokio::test]
async fn broken_frames_close_with_the_code_that_says_so() {
    let node = Node::unlimited().await;
    let unmasked = [header(FINAL | TEXT, 2, 0), b"{}".to_vec()].concat();
    let mut reserved = frame(FINAL | TEXT, b"{}");
    reserved[0] |= 0x40;
    let nested = [frame(TEXT, b"{"), frame(FINAL | TEXT, b"}")].concat();
    let whole = vec![b' '; MESSAGE_BYTES_MAX / 2 + 1];
    let too_much = [frame(TEXT, &whole), frame(FINAL, &whole)].concat();
    for (what, bytes, code) in [
        ("an unmasked frame", unmasked, 1002),
        ("a reserved bit", reserved, 1002),
        ("an unknown opcode", frame(FINAL | 0x3, b"{}"), 1002),
        ("a continuation of nothing", frame(FINAL, b"{}"), 1002),
        ("a message within a message", nested, 1002),
        ("a ping in fragments", frame(PING, b"a"), 1002),
        ("a ping over 125 bytes", frame(FINAL | PING, &[0; 126]), 1002),
        ("text that is not UTF-8", frame(FINAL | TEXT, &[b'"', 0xff, 0xfe, b'"']), 1007),
        ("a binary frame on JSON", frame(FINAL | BINARY, b"{}"), 1003),
        ("one byte too many", claim(MESSAGE_BYTES_MAX as u64 + 1), 1009),
        ("a length from the moon", claim(1 << 62), 1009),
        ("too much in fragments", too_much, 1009),
    ] {
        let mut client = Client::greeted(node.address, "staff").await;
        client.try_write(&bytes).await;
        assert_eq!(client.closed_with().await, code, "{what}");
    }
    assert_eq!(node.hub.counts().sessions, 0, "every session has left");
}

#[tokio::test]
async fn the_first_message_must_be_a_small_valid_hello() {
    let node = node().await;
    let mut large = json!({ "id": 1, "type": "hello", "token": "staff" }).to_string().into_bytes();
    large.resize(HELLO_BYTES_MAX, b' ');
    let mut client = Client::connect(node.address, None).await;
    client.write(&frame(FINAL | TEXT, &large)).await;
    assert_eq!(client.heard().await["ok"]["principal"]["kind"], "staff");

    large.push(b' ');
    let wrong_token = json!({ "id": 4, "type": "hello", "token": "nobody" }).to_string().into_bytes();
    for (bytes, error) in [
        (large, Value::Null),
        (wrong_token, "UNAUTHENTICATED".into()),
        (ping(4), "UNAUTHENTICATED".into()),
        (b"[1]".to_vec(), "MALFORMED".into()),
    ] {
        let mut client = Client::connect(node.address, None).await;
        client.write(&frame(FINAL | TEXT, &bytes)).await;
        if error != Value::Null {
            assert_eq!(client.heard().await["error"]["code"], error);
        }
        assert_eq!(client.closed_with().await, 4501);
    }
}

#[tokio::test]
async fn a_hello_that_comes_with_the_handshake_is_not_lost() {
    let node = node().await;
    let mut client = Client::open(node.address, None).await;
    let mut bytes = request(node.address, "Sec-WebSocket-Protocol: parlour.v1+json\r\n").into_bytes();
    let hello = json!({ "id": 1, "type": "hello", "token": "staff" }).to_string();
    bytes.extend(frame(FINAL | TEXT, hello.as_bytes()));
    client.write(&bytes).await;
    assert!(client.head().await.contains("sec-websocket-protocol: parlour.v1+json"));
    assert_eq!(client.heard().await["id"], 1);
}

#[tokio::test]
async fn what_may_not_upgrade_is_told_in_the_envelope() {
    let node = node().await;
    let (plain, address) = (request(node.address, ""), node.address);
    for (request, status, code) in [
        (plain.replace("/ws ", "/ws?token=secret "), 400, "TOKEN_IN_URL"),
        (request(address, "Origin: https://evil.example\r\n"), 403, "FORBIDDEN"),
        (request(address, "Sec-WebSocket-Protocol: soap\r\n"), 400, "MALFORMED"),
        (plain.replace("Version: 13", "Version: 8"), 400, "MALFORMED"),
        (plain.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), 400, "MALFORMED"),
        (plain.replace("Upgrade: websocket", "Upgrade: h2c"), 400, "MALFORMED"),
    ] {
        let mut client = Client::open(address, None).await;
        client.write(request.as_bytes()).await;
        let head = client.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let body: Value = serde_json::from_slice(&client.rest(&head).await).unwrap();
        assert_eq!((&body["success"], &body["error"]["code"]), (&false.into(), &code.into()));
        assert!(!body.to_string().contains("secret"));
    }
    let same_host = format!("Origin: http://{address}\r\n");
    let mut client = Client::open(address, None).await;
    client.write(request(address, &same_host).as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code_and_nothing_more() {
    let node = node().await;
    let mut client = Client::greeted(node.address, "staff").await;
    client.write(&frame(FINAL | CLOSE, &1000_u16.to_be_bytes())).await;
    client.try_write(&frame(FINAL | TEXT, &ping(1))).await;
    assert_eq!(client.closed_with().await, 1000);
}

#[tokio::test]
async fn malformed_commands_are_answered_and_the_third_closes() {
    let node = node().await;
    let mut client = Client::greeted(node.address, "staff").await;
    for (message, id) in
        [("{", Value::Null), (r#"{"id":5,"type":"sing"}"#, 5.into()), (r#"{"id":6,"type":"ping","x":1}"#, 6.into())]
    {
        client.write(&frame(FINAL | TEXT, message.as_bytes())).await;
        let answer = client.heard().await;
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&id, &"MALFORMED".into()));
    }
    assert_eq!(client.closed_with().await, 4500);
}

#[tokio::test]
async fn too_many_commands_are_refused_then_end_the_socket() {
    let node = node().await;
    let mut client = Client::greeted(node.address, "staff").await;
    let mut burst = Vec::new();
    for id in 1..=60 {
        burst.extend(frame(FINAL | TEXT, &ping(id)));
    }
    client.try_write(&burst).await;
    let (mut fine, mut refused) = (0, 0);
    let code = loop {
        let frame = client.frame().await.expect("a close frame");
        if frame.opcode == CLOSE {
            break u16::from_be_bytes([frame.payload[0], frame.payload[1]]);
        }
        let answer: Value = serde_json::from_slice(&frame.payload).unwrap();
        if answer["ok"].is_object() {
            fine += 1;
        } else {
            assert_eq!(answer["error"]["code"], "RATE_LIMITED");
            assert!(answer["error"]["details"]["retry_after_ms"].as_u64().unwrap() > 0);
            refused += 1;
        }
    };
    assert_eq!((code, refused), (4429, 3));
    assert!(fine >= 30 - 3, "what the burst allows is carried out, but for what the end overtook: {fine}");
}

#[tokio::test]
async fn commands_take_effect_in_the_order_sent_although_commits_overlap() {
    let node = Node::unlimited().await;
    let mut client = Client::greeted(node.address, "staff").await;
    let conversation = node.conversation();
    client.say(json!({ "id": 1, "type": "attach", "conversation": conversation })).await;
    assert_eq!(client.heard().await["id"], 1);
    let mut bytes = Vec::new();
    for id in 2..102_u64 {
        let text = if id == 50 { "refuse".to_owned() } else { format!("{id}") };
        let send = json!({ "id": id, "type": "send", "conversation": conversation, "client_id": ClientId::generate(), "text": text });
        bytes.extend(frame(FINAL | TEXT, send.to_string().as_bytes()));
    }
    bytes.extend(frame(
        FINAL | TEXT,
        json!({ "id": 200, "type": "history", "conversation": conversation, "limit": 200 }).to_string().as_bytes(),
    ));
    client.write(&bytes).await;
    let (mut seqs, mut entries) = (Vec::new(), Vec::new());
    let page = loop {
        let heard = client.heard().await;
        match heard["id"].as_u64() {
            Some(200) => break heard,
            Some(50) => assert_eq!(heard["error"]["code"], "FORBIDDEN"),
            Some(id) => seqs.push((id, heard["ok"]["seq"].as_i64().unwrap())),
            None => entries.push(heard["seq"].as_i64().unwrap()),
        }
    };
    seqs.sort_unstable();
    assert!(seqs.windows(2).all(|pair| pair[0].1 < pair[1].1), "{seqs:?}");
    assert_eq!(page["ok"]["entries"].as_array().unwrap().len(), 99, "what came after sees what came before");
    assert!(entries.windows(2).all(|pair| pair[0] + 1 == pair[1]));
}

#[tokio::test]
async fn a_panic_ends_one_socket_and_not_the_node() {
    let node = node().await;
    let mut witness = Client::greeted(node.address, "guest").await;
    witness.say(json!({ "id": 1, "type": "attach", "conversation": node.conversation() })).await;
    assert_eq!(witness.heard().await["id"], 1);
    let mut client = Client::greeted(node.address, "staff").await;
    let send = json!({ "id": 1, "type": "send", "conversation": node.conversation(), "client_id": ClientId::generate(), "text": "panic" });
    client.say(send).await;
    assert_eq!(client.closed_with().await, 1011);
    node.say("still here").await;
    assert_eq!(witness.heard().await["entry"]["body"]["text"], "still here");
    assert_eq!(node.hub.counts().sessions, 1);
}

#[tokio::test]
async fn credentials_end_when_they_end() {
    let node = node().await;
    assert_eq!(Client::greeted(node.address, "brief").await.closed_with().await, 4401);
    assert_eq!(Client::greeted(node.address, "ending").await.closed_with().await, 4510);
    let person = PersonId::generate();
    let mut client = Client::greeted(node.address, &format!("staff:{person}")).await;
    for (id, token, expected) in
        [(1, format!("staff:{person}"), Value::Null), (2, "staff".to_owned(), "FORBIDDEN".into())]
    {
        client.say(json!({ "id": id, "type": "refresh", "token": token })).await;
        let answer = client.heard().await;
        assert_eq!(answer["error"]["code"], expected, "{answer}");
    }
}

#[tokio::test]
async fn a_draining_node_answers_what_was_begun_and_says_when_to_come_back() {
    let node = node().await;
    let mut client = Client::greeted(node.address, "staff").await;
    let silent = Client::connect(node.address, None).await;
    let stopping = node.stopping.clone();
    let stopped = tokio::spawn(async move { stopping.stop(Duration::from_secs(10)).await });
    let advice = client.heard().await;
    assert_eq!(advice["type"], "advice");
    assert!(advice["retry_after_ms"].as_u64().unwrap() < 20_000);
    assert_eq!(client.closed_with().await, 1012);
    let mut silent = silent;
    assert_eq!(silent.closed_with().await, 1012);
    drop((client, silent));
    stopped.await.unwrap();
}

#[tokio::test]
async fn who_comes_too_fast_is_asked_to_come_back_at_a_time_of_its_own() {
    let node = Node::start(WsConfig { upgrades_per_second: NonZeroU32::MIN, ..WsConfig::default() }).await;
    let first = Client::connect(node.address, None).await;
    let mut moments = HashSet::new();
    // A busy machine may take a second over them, so one may be let in between.
    for _ in 0..12 {
        let mut client = Client::open(node.address, None).await;
        client.write(request(node.address, "").as_bytes()).await;
        let head = client.head().await;
        if head.starts_with("HTTP/1.1 101 ") {
            continue;
        }
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        let body: Value = serde_json::from_slice(&client.rest(&head).await).unwrap();
        let moment = body["error"]["details"]["retry_after_ms"].as_u64().unwrap();
        assert!((1_000..4_000).contains(&moment), "{body}");
        assert!(head.to_ascii_lowercase().contains(&format!("retry-after: {}\r\n", moment.div_ceil(1_000))), "{head}");
        moments.insert(moment);
    }
    assert!(moments.len() > 5, "{moments:?}");
    drop(first);
    until("a second has passed", async || {
        let mut client = Client::open(node.address, None).await;
        client.write(request(node.address, "").as_bytes()).await;
        client.head().await.starts_with("HTTP/1.1 101 ").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stranger_may_ping_only_so_often() {
    let node = Node::start(WsConfig::default()).await;
    let mut client = Client::connect(node.address, None).await;
    let began = std::time::Instant::now();
    client.try_write(&frame(FINAL | PING, b"hello?").repeat(200)).await;
    assert_eq!(client.closed_with().await, 4501);
    assert!(began.elapsed() < Duration::from_secs(4), "not only when the time for a hello is over");
}

#[tokio::test]
async fn a_message_that_never_ends_closes_after_ten_seconds() {
    let node = node().await;
    for unfinished in [frame(TEXT, b"{"), claim(100)] {
        let mut client = Client::greeted(node.address, "staff").await;
        client.write(&unfinished).await;
        client.write(&frame(FINAL | PONG, b"")[..1]).await;
        // From here on time passes as soon as nobody has anything to do.
        tokio::time::pause();
        assert_eq!(client.closed_with().await, 1002);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn silence_is_asked_about_and_then_believed() {
    let node = node().await;
    let mut client = Client::greeted(node.address, "staff").await;
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    assert_eq!(client.frame().await.unwrap().opcode, PING);
    assert!(start.elapsed() >= Duration::from_secs(24));
    assert_eq!(client.closed_with().await, 4408);
    assert!(start.elapsed() >= Duration::from_secs(34));
}

#[tokio::test]
async fn who_does_not_say_hello_is_closed_after_five_seconds() {
    let node = node().await;
    let mut client = Client::connect(node.address, None).await;
    client.write(&frame(FINAL | PING, b"")).await;
    assert_eq!(client.frame().await.unwrap().opcode, PONG);
    tokio::time::pause();
    assert_eq!(client.closed_with().await, 4501);
}

#[tokio::test]
async fn a_socket_that_takes_nothing_is_given_up() {
    let node = Node::start(WsConfig { stall_max: Duration::from_millis(200), ..WsConfig::default() }).await;
    let mut client = Client::connect(node.address, Some(4 * 1024)).await;
    client.say(json!({ "id": 0, "type": "hello", "token": "staff" })).await;
    client.heard().await;
    client.say(json!({ "id": 1, "type": "attach", "conversation": node.conversation() })).await;
    client.heard().await;
    let session = node.hub.sessions().remove(0);
    let text = "x".repeat(8_000);
    while session.outbox().backlog().blocked_since.is_none() {
        node.say(&text).await;
    }
    while !node.hub.sessions().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(client);
}

#[tokio::test]
async fn beyond_the_cap_a_connection_is_told_and_closed() {
    let config = ListenerConfig { connections_max: 2, ..ListenerConfig::default() };
    let node = Node::start_with(WsConfig::default(), config).await;
    let first = Client::greeted(node.address, "staff").await;
    let _second = Client::greeted(node.address, "staff").await;
    let mut third = Client::open(node.address, None).await;
    assert!(third.head().await.starts_with("HTTP/1.1 503 "));
    drop(first);
    while node.hub.counts().sessions > 1 {
        tokio::task::yield_now().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_asks_and_never_reads_the_answer_does_not_keep_its_place() {
    let large = async || vec![b'x'; 64 * 1024 * 1024];
    let router = Router::new().route("/large", get(large)).route("/small", get(async || "here"));
    let config =
        ListenerConfig { connections_max: 1, stall_max: Duration::from_millis(500), ..ListenerConfig::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(listener::serve(listener, router, config, Stopping::default()));
    let asked = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the request");
        stream
    };
    let unread = asked("/large").await;
    unread.readable().await.expect("the answer began");
    until("the place is free again", async || {
        let mut answer = String::new();
        // Without a place it may be cut before it has read why.
        let _ = asked("/small").await.read_to_string(&mut answer).await;
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
    drop(unread);
}
