//! The limits of sockets: sizes and times of what comes, how many wait, how many are one person's, how fast they may ask.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlour::domain::limits::LimitsProfile;
use parlour::ws::WsConfig;
use parlour::ws::throttle::{Place, Waiting};
use parlour_protocol::codec::Codec;
use parlour_protocol::id::ClientId;
use parlour_protocol::limits::{
    COMMANDS_BURST, DEPTH_MAX, HELLO_BYTES_MAX, ITEMS_MAX, MESSAGE_BYTES_MAX, SOCKETS_DEVICE_MAX, SOCKETS_PERSON_MAX,
    STRING_BYTES_MAX,
};
use parlour_testkit::actors::Actor;
use parlour_testkit::app::TestApp;
use parlour_testkit::socket::Socket;
use parlour_testkit::until::until;
use serde_json::{Value, json};
use tokio::time::advance;

use crate::live::client::{CLOSE, Client, PING, PONG, TEXT, frame, request};
use crate::live::stage::Node;

const FINAL: u8 = 0x80;
/// Just before ten seconds.
const NEARLY_TEN: Duration = Duration::from_millis(9_900);

async fn node() -> Node {
    Node::start(WsConfig::default()).await
}

fn ping(id: u64) -> Vec<u8> {
    json!({ "id": id, "type": "ping" }).to_string().into_bytes()
}

fn padded(mut message: Vec<u8>, bytes: usize) -> Vec<u8> {
    message.resize(bytes, b' ');
    message
}

#[tokio::test]
async fn a_message_has_at_most_64_kib_in_one_frame_or_in_two() {
    let node = node().await;
    for bytes in [MESSAGE_BYTES_MAX - 1, MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX + 1] {
        let message = padded(ping(3), bytes);
        let (first, second) = message.split_at(bytes / 2);
        let in_two = [frame(TEXT, first), frame(FINAL, second)].concat();
        for sent in [frame(FINAL | TEXT, &message), in_two] {
            let mut client = Client::greeted(node.address, "staff").await;
            client.try_write(&sent).await;
            if bytes > MESSAGE_BYTES_MAX {
                assert_eq!(client.closed_with().await, 1009);
            } else {
                assert_eq!(client.heard().await, json!({ "id": 3, "ok": {} }), "{bytes}");
            }
        }
    }
}

#[tokio::test]
async fn a_message_may_take_ten_seconds() {
    let node = node().await;
    let message = ping(4);
    let (first, second) = message.split_at(9);
    let mut client = Client::greeted(node.address, "staff").await;
    client.write(&frame(TEXT, first)).await;
    client.write(&frame(FINAL | PING, b"")).await;
    assert_eq!(client.frame().await.unwrap().opcode, PONG, "the first half was read");
    tokio::time::pause();
    advance(NEARLY_TEN).await;
    client.write(&frame(FINAL, second)).await;
    assert_eq!(client.heard().await["id"], 4);
    tokio::time::resume();
}

#[tokio::test]
async fn a_hello_has_at_most_4_kib_and_five_seconds() {
    let node = node().await;
    let hello = || json!({ "id": 1, "type": "hello", "token": "staff" }).to_string().into_bytes();
    for bytes in [HELLO_BYTES_MAX - 1, HELLO_BYTES_MAX, HELLO_BYTES_MAX + 1] {
        let mut client = Client::connect(node.address, None).await;
        client.write(&frame(FINAL | TEXT, &padded(hello(), bytes))).await;
        if bytes > HELLO_BYTES_MAX {
            assert_eq!(client.closed_with().await, 4501);
        } else {
            assert_eq!(client.heard().await["ok"]["principal"]["kind"], "staff");
        }
    }
    let mut late = Client::connect(node.address, None).await;
    late.write(&frame(FINAL | PING, b"")).await;
    assert_eq!(late.frame().await.unwrap().opcode, PONG);
    tokio::time::pause();
    advance(Duration::from_millis(4_900)).await;
    late.write(&frame(FINAL | TEXT, &hello())).await;
    assert_eq!(late.heard().await["ok"]["principal"]["kind"], "staff");
    tokio::time::resume();
}

/// Asks for a socket; the connection, and the answer's head.
async fn asked(node: &Node) -> (Client, String) {
    let mut client = Client::open(node.address, None).await;
    client.write(request(node.address, "").as_bytes()).await;
    let head = client.head().await;
    (client, head)
}

#[tokio::test]
async fn of_one_address_64_sockets_may_wait() {
    let node = node().await;
    let mut waiting = VecDeque::new();
    for nth in 1..=64 {
        let (client, head) = asked(&node).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{nth}: {head}");
        waiting.push_back(client);
    }
    let (_, refused) = asked(&node).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: "), "{refused}");
    // Whoever says hello makes room: people of one office are not counted.
    let mut first = waiting.pop_front().unwrap();
    first.say(json!({ "id": 0, "type": "hello", "token": "staff" })).await;
    first.heard().await;
    let (_again, head) = asked(&node).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[test]
fn of_a_node_2000_sockets_may_wait() {
    let waiting = Arc::new(Waiting::new(LimitsProfile::Standard));
    let address = |nth: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + nth / 64));
    let places: Vec<Place> = (0..2_000).map_while(|nth| waiting.take(address(nth))).collect();
    assert_eq!(places.len(), 2_000);
    assert!(waiting.take(address(999_999)).is_none());
    drop(places);
    assert!(waiting.take(address(999_999)).is_some());
}

/// Opens one socket more than a holder may have; the oldest must go and nobody else.
async fn one_too_many(actor: &Actor, max: usize) {
    let mut sockets = Vec::new();
    for _ in 0..max {
        sockets.push(actor.connect(Codec::Json).await);
    }
    for socket in &sockets {
        socket.command(json!({ "type": "ping" })).await.ok();
    }
    for _ in 0..2 {
        sockets.push(actor.connect(Codec::MessagePack).await);
        assert_eq!(sockets.remove(0).closed().await, 4511);
        for socket in &sockets {
            socket.command(json!({ "type": "ping" })).await.ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_member_of_staff_the_eleventh_socket_ends_the_first() {
    let app = TestApp::limited().await;
    let tenancy = app.people.tenancy("lagon").await;
    let colleague = app.people.staff(tenancy.organization, "dmc_staff", "Bela").await;
    let bela = colleague.connect(Codec::Json).await;
    one_too_many(&tenancy.admin, SOCKETS_PERSON_MAX).await;
    assert!(bela.is_open(), "somebody else is not concerned");
    until("one has left", async || (app.app.hub().counts().sessions <= SOCKETS_PERSON_MAX).then_some(())).await;
    let next = tenancy.admin.connect(Codec::Json).await;
    next.command(json!({ "type": "ping" })).await.ok();
    let service = app.people.service(tenancy.organization, &["conversations:*"]).await;
    let mut many = Vec::new();
    for _ in 0..=SOCKETS_PERSON_MAX {
        many.push(service.connect(Codec::Json).await);
    }
    assert!(many.iter().all(Socket::is_open), "a system has as many as its node takes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_device_the_fourth_socket_ends_the_first() {
    let app = TestApp::limited().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let link = amira.share(amira.conversation("Maria").await, json!({})).await;
    let (phone, laptop) = (link.claim("Maria").await, link.claim("Maria").await);
    let other = laptop.attached().await;
    one_too_many(&phone.actor, SOCKETS_DEVICE_MAX).await;
    assert!(other.is_open(), "another device of the link is not concerned");
}

/// Sends so many frames at once; the replies or pongs that came, how many were refused, the close code if it came to that,
/// and how long it took. It is over when the last, a ping with a word of its own, is answered.
async fn burst(client: &mut Client, one: impl Fn(u64) -> Vec<u8>, count: u64) -> (usize, usize, Option<u16>, Duration) {
    let began = Instant::now();
    let mut bytes: Vec<u8> = (1..=count).flat_map(one).collect();
    bytes.extend(frame(FINAL | PING, b"the last"));
    client.try_write(&bytes).await;
    let (mut fine, mut refused) = (0, 0);
    loop {
        let frame = client.frame().await.unwrap();
        match frame.opcode {
            CLOSE => {
                let code = u16::from_be_bytes([frame.payload[0], frame.payload[1]]);
                return (fine, refused, Some(code), began.elapsed());
            }
            PONG if &frame.payload[..] == b"the last" && fine + refused >= count as usize => {
                return (fine, refused, None, began.elapsed());
            }
            PONG if &frame.payload[..] == b"the last" => {}
            PONG => fine += 1,
            _ => {
                let answer: Value = serde_json::from_slice(&frame.payload).unwrap();
                match answer["error"]["code"].as_str() {
                    None => fine += 1,
                    Some(code) => {
                        assert_eq!(code, "RATE_LIMITED");
                        assert!(answer["error"]["details"]["retry_after_ms"].as_u64().unwrap() > 0);
                        refused += 1;
                    }
                }
                if fine + refused == count as usize {
                    return (fine, refused, None, began.elapsed());
                }
            }
        }
    }
}

#[tokio::test]
async fn thirty_commands_pass_at_once() {
    let node = node().await;
    let command = |id: u64| frame(FINAL | TEXT, &ping(id));
    let max = u64::from(COMMANDS_BURST);
    for count in [max - 1, max, max + 1, max + 2] {
        let mut client = Client::greeted(node.address, "staff").await;
        let (fine, refused, code, took) = burst(&mut client, command, count).await;
        assert_eq!((fine + refused, code), (count as usize, None));
        // Ten come back in each second that passes meanwhile.
        let over = (count.saturating_sub(max)) as usize;
        assert!(refused <= over && (refused == over || took > Duration::from_millis(90)), "{refused} of {over}");
    }
}

#[tokio::test]
async fn thirty_pings_pass_at_once_and_a_flood_does_not() {
    let node = node().await;
    let pings = |_| frame(FINAL | PING, b"here");
    let mut client = Client::greeted(node.address, "staff").await;
    // The one that ends the burst counts, too.
    let (fine, _, code, _) = burst(&mut client, pings, u64::from(COMMANDS_BURST) - 1).await;
    assert_eq!((fine, code), (COMMANDS_BURST as usize - 1, None));
    let mut client = Client::greeted(node.address, "staff").await;
    let (.., code, _) = burst(&mut client, pings, 300).await;
    assert_eq!(code, Some(4429));
}

/// The code of the error a command gets, also when it was not understood far enough to know which command it was.
async fn code_of(socket: &Socket, command: Value) -> (String, String) {
    let answer = socket.begin(command);
    let error = tokio::select! {
        // First: after it the socket may close, and nothing is answered any more.
        biased;
        push = socket.next_push() => push.unwrap()["error"].take(),
        answer = answer => answer.unwrap()["error"].take(),
    };
    let word = |name: &str| error[name].as_str().unwrap_or("ok").to_owned();
    (word("code"), word("message"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_strings_and_depth_of_a_command_are_limited_in_both_codecs() {
    let app = TestApp::limited().await;
    let amira = app.people.tenancy("lagon").await.admin;
    let conversation = amira.conversation("Maria").await;
    let select = |more: Value| {
        let mut command = json!({ "type": "select", "conversation": conversation, "client_id": ClientId::generate(),
                                  "card": conversation, "version": 1 });
        command.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        command
    };
    for codec in [Codec::Json, Codec::MessagePack] {
        for extra in [-1, 0, 1] {
            let socket = amira.connect(codec).await;
            let (sized, is_over) = (|max: usize| max.checked_add_signed(extra).unwrap(), extra > 0);
            // The command has seven fields beside the elements, and is a map itself.
            let items = vec![json!("a"); sized(ITEMS_MAX - 7)];
            let string = "a".repeat(sized(STRING_BYTES_MAX));
            let deep = (0..sized(DEPTH_MAX - 1)).fold(json!(1), |inner, _| json!([inner]));
            for (command, words) in [
                (select(json!({ "options": items })), "items"),
                (select(json!({ "options": [string] })), "string"),
                (json!({ "type": "ping", "x": deep }), "deeper"),
            ] {
                let (code, message) = code_of(&socket, command).await;
                assert_eq!(message.contains(words), is_over, "{codec:?} {words} {extra}: {code} {message}");
                assert!(!is_over || code == "MALFORMED", "{code}");
            }
        }
    }
}
