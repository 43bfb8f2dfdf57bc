//! What is kept for a socket that does not take it: so many bytes, so many frames, for so long.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parlour::hub::frame::{Opcode, frame};
use parlour::hub::outbox::{AttachmentId, Outbox, Sent, Sink};
use parlour::ws::WsConfig;
use parlour_protocol::limits::{OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX};
use serde_json::json;
use tokio::time::{Instant, advance, sleep};

use crate::live::client::Client;
use crate::live::stage::Node;

/// A socket that takes nothing.
struct Stalled;

impl Sink for Stalled {
    fn try_write(&self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

/// Gives an outbox these frames one by one; what became of the last.
fn given(frames: impl IntoIterator<Item = Bytes>) -> (Sent, usize) {
    let outbox = Outbox::new(Arc::new(Stalled));
    let sent = frames.into_iter().map(|frame| outbox.durable(AttachmentId(1), frame, 1)).last().unwrap();
    (sent, outbox.unsent_bytes())
}

#[test]
fn a_socket_is_kept_256_kib_of_entries_to_the_byte() {
    let of = |bytes: usize| frame(Opcode::Text, &vec![b'x'; bytes - 4]);
    let quarter = OUTBOX_BYTES_MAX / 4;
    for (last, expected, kept) in [
        (quarter - 1, Sent::Accepted, OUTBOX_BYTES_MAX - 1),
        (quarter, Sent::Accepted, OUTBOX_BYTES_MAX),
        (quarter + 1, Sent::Dropped, 0),
    ] {
        // 65,535 bytes of payload are the most that four bytes of header announce.
        let frames = [of(quarter), of(quarter), of(quarter), of(last)];
        assert_eq!(frames.iter().map(Bytes::len).sum::<usize>(), 3 * quarter + last);
        assert_eq!(given(frames), (expected, kept), "{last}");
    }
}

#[test]
fn a_socket_is_kept_512_entries() {
    let small = frame(Opcode::Text, b"x");
    for count in [OUTBOX_FRAMES_MAX - 1, OUTBOX_FRAMES_MAX, OUTBOX_FRAMES_MAX + 1] {
        let is_fine = count <= OUTBOX_FRAMES_MAX;
        let expected = if is_fine { (Sent::Accepted, count * small.len()) } else { (Sent::Dropped, 0) };
        assert_eq!(given(vec![small.clone(); count]), expected, "{count}");
    }
}

#[tokio::test]
async fn a_socket_may_take_nothing_for_thirty_seconds() {
    let node = Node::start(WsConfig::default()).await;
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
    let blocked_since = session.outbox().backlog().blocked_since.unwrap();
    tokio::time::pause();
    advance(blocked_since + Duration::from_millis(29_900) - Instant::now()).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(node.hub.counts().sessions, 1);
    while node.hub.counts().sessions > 0 {
        sleep(Duration::from_millis(10)).await;
    }
    let took = blocked_since.elapsed();
    assert!((Duration::from_secs(30)..Duration::from_secs(33)).contains(&took), "{took:?}");
    tokio::time::resume();
    drop(client);
}
