//! Fan-out at scale: 31,008 messages to 100 members, of whom 20 stop reading. The 80 miss nothing and hear everything in
//! order; the 20 cost bounded memory, are told the head, and resume completely once they read again.

use std::collections::HashSet;
use std::sync::Arc;

use parlour_protocol::limits::OUTBOX_BYTES_MAX;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::live::client::{Client, Frame, TEXT};
use crate::live::stage::Node;

const MESSAGES: i64 = 31_008;
const TURN: i64 = 96;
const READERS: usize = 80;
const GUESTS: usize = 8;
const STALLED: usize = 20;
/// What the stalled ones hear before they stop reading.
const STALL_AFTER: i64 = TURN * 260;
/// Turns that may be under way at once, so that no reader falls behind by more than its outbox holds.
const WINDOW: usize = 2;

/// Attaches at the beginning and hears that it is live.
async fn attached(node: &Node, token: &str, receive_buffer: Option<u32>) -> Client {
    let mut client = Client::connect(node.address, receive_buffer).await;
    client.say(json!({ "id": 0, "type": "hello", "token": token })).await;
    assert!(client.heard().await["ok"]["session"].is_string());
    client.say(json!({ "id": 1, "type": "attach", "conversation": node.conversation() })).await;
    loop {
        let heard = client.heard().await;
        if heard["id"] == 1 {
            assert_eq!(heard["ok"]["has_more"], false, "{heard}");
            return client;
        }
    }
}

/// The number of an entry push, read where it must stand; none for other frames.
fn entry_seq(frame: &Frame) -> Option<i64> {
    const BEFORE: usize =
        br#"{"type":"entry","conversation":"00000000-0000-0000-0000-000000000000","epoch":1,"seq":"#.len();
    if frame.opcode != TEXT || !frame.payload.starts_with(br#"{"type":"entry""#) {
        return None;
    }
    Some(number(&frame.payload[BEFORE..]))
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().take_while(|digit| digit.is_ascii_digit()).fold(0, |n, digit| n * 10 + i64::from(digit - b'0'))
}

/// Hears every entry of its view up to `last`, in order; lets the speaker go on at the end of each turn of the staff view.
async fn hear_all(mut client: Client, last: i64, per_turn: i64, done: Arc<Semaphore>) -> Client {
    let mut next = 1;
    while next <= last {
        let frame = client.frame().await.expect("the connection lives");
        if let Some(seq) = entry_seq(&frame) {
            assert_eq!(seq, next, "no hole, no repeat, no disorder");
            next += 1;
            if seq % per_turn == 0 {
                done.add_permits(1);
            }
        }
    }
    client
}

/// Reads what was left, is told the head, and attaches again until it has everything.
async fn resume(mut client: Client, conversation: String, last: i64) -> Client {
    let mut next = STALL_AFTER + 1;
    let head = loop {
        let frame = client.frame().await.expect("a stalled reader is not closed");
        match entry_seq(&frame) {
            Some(seq) => {
                assert_eq!(seq, next);
                next += 1;
            }
            None if frame.payload.starts_with(br#"{"type":"head""#) => {
                break serde_json::from_slice::<serde_json::Value>(&frame.payload).unwrap();
            }
            None => assert!(!frame.payload.starts_with(br#"{"id""#), "nothing was asked"),
        }
    };
    assert!(next < last, "the kernel cannot have held everything");
    assert_eq!(head["seq"], last);
    loop {
        let since = json!({ "epoch": 1, "seq": next - 1 });
        client.say(json!({ "id": 2, "type": "attach", "conversation": conversation, "since": since })).await;
        let page = loop {
            let frame = client.frame().await.expect("the connection lives");
            if frame.payload.starts_with(br#"{"id":2"#) {
                break frame.payload;
            }
            assert!(
                entry_seq(&frame).is_none() && !frame.payload.starts_with(br#"{"type":"head""#),
                "once, then silence"
            );
        };
        let mark = br#"{"seq":"#;
        for at in memchr(&page, mark) {
            assert_eq!(number(&page[at + mark.len()..]), next);
            next += 1;
        }
        if memchr(&page, br#""has_more":false"#).next().is_some() {
            assert_eq!(next - 1, last);
            return client;
        }
    }
}

/// Where a pattern begins.
fn memchr<'a>(bytes: &'a [u8], pattern: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let starts = bytes.iter().enumerate().filter(move |(_, byte)| **byte == pattern[0]).map(|(at, _)| at);
    starts.filter(move |at| bytes[*at..].starts_with(pattern))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eighty_readers_miss_nothing_while_twenty_stall_and_resume() {
    let node = Node::unlimited().await;
    let done = Arc::new(Semaphore::new((READERS + STALLED) * WINDOW));
    let mut readers = Vec::new();
    // Every fourth entry is a note: 72 of a turn's 96 are in the guest view.
    for n in 0..READERS {
        let (token, last, per_turn) =
            if n < GUESTS { ("guest", MESSAGES / 4 * 3, TURN / 4 * 3) } else { ("staff", MESSAGES, TURN) };
        let client = attached(&node, token, None).await;
        readers.push(tokio::spawn(hear_all(client, last, per_turn, Arc::clone(&done))));
    }
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let client = attached(&node, "staff", Some(16 * 1024)).await;
        stalled.push(tokio::spawn(hear_all(client, STALL_AFTER, TURN, Arc::clone(&done))));
    }

    for turn in 0..MESSAGES / TURN {
        let listeners = if turn < STALL_AFTER / TURN { READERS + STALLED } else { READERS };
        done.acquire_many(listeners as u32).await.unwrap().forget();
        let turn = (0..TURN).map(|n| node.log.commit("Shall we?", n % 4 == 3)).collect();
        node.hub.deliver(turn).await;
    }
    let (mut everybody, mut resumed) = (Vec::new(), Vec::new());
    for reader in readers {
        everybody.push(reader.await.unwrap());
    }
    assert_eq!(node.hub.counts().members, READERS + STALLED);
    let sessions = node.hub.sessions();
    let blocked = sessions.iter().filter(|session| session.outbox().backlog().blocked_since.is_some()).count();
    assert_eq!(blocked, STALLED, "exactly the stalled ones have something waiting");
    assert!(sessions.iter().all(|session| session.outbox().backlog().replies_bytes < OUTBOX_BYTES_MAX));

    for client in stalled {
        let client = client.await.expect("it heard everything until it stopped reading");
        resumed.push(tokio::spawn(resume(client, node.conversation(), MESSAGES)));
    }
    for client in resumed {
        everybody.push(client.await.unwrap());
    }
    let last = node.say("See you there").await;
    let mut numbers = HashSet::new();
    for client in &mut everybody {
        let seq = loop {
            if let Some(seq) = entry_seq(&client.frame().await.expect("the connection lives")) {
                break seq;
            }
        };
        numbers.insert(seq);
    }
    assert_eq!(numbers, HashSet::from([last.seq, last.guest_seq.unwrap()]));
}
