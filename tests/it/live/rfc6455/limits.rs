//! Sections 9 and 10: large messages in every cut, many small ones, and what the server's own limits and sub-protocols add.
//! Scaled down: a message has at most 64 KiB here, where Autobahn goes to 16 MiB.

use parlour_protocol::limits::MESSAGE_BYTES_MAX;

use crate::live::client::{BINARY, Client, TEXT, frame, request};
use crate::live::rfc6455::framing::{padded_binary, padded_text};
use crate::live::rfc6455::script::{
    CONTINUATION, Case, FINAL, Heard, Step, case, claim, fragments, message_pack, ping_command, ping_text, told,
};
use crate::live::stage::Node;

pub fn cases() -> Vec<Case> {
    let (text, binary) = (padded_text(MESSAGE_BYTES_MAX), padded_binary(MESSAGE_BYTES_MAX));
    let (done, refused) = (|| Heard::Done(1), || Heard::Refused(Some(1)));
    let mut cases = Vec::new();
    for (at, size) in [64, 256, 1024, 4096, 16_384, 65_536].into_iter().enumerate() {
        let what = format!("the largest message in fragments of {size}");
        let whole = fragments(TEXT, &text, size).concat();
        cases.push(told(format!("9.3.{}", at + 1), &what, whole, done()));
        let whole = fragments(BINARY, &binary, size).concat();
        cases.push(message_pack(told(format!("9.4.{}", at + 1), &what, whole, refused())));
    }
    for (at, size) in [64, 128, 256, 512, 1024, 2048].into_iter().enumerate() {
        let what = format!("the largest message in writes of {size}");
        let steps = vec![Step::Chop(frame(FINAL | TEXT, &text), size), Step::Hear(done())];
        cases.push(case(format!("9.5.{}", at + 1), &what, steps));
        let steps = vec![Step::Chop(frame(FINAL | BINARY, &binary), size), Step::Hear(refused())];
        cases.push(message_pack(case(format!("9.6.{}", at + 1), &what, steps)));
    }
    for (at, length) in [22, 64, 256, 1024, 4096].into_iter().enumerate() {
        cases.push(many(&format!("9.7.{}", at + 1), length));
    }
    cases.extend(over());
    cases
}

/// Commands one after the other, each waited for.
fn many(id: &str, length: usize) -> Case {
    const COUNT: u64 = 200;
    let steps = (1..=COUNT).flat_map(|id| {
        let mut message = ping_command(id);
        message.resize(length.max(message.len()), b' ');
        [Step::Write(frame(FINAL | TEXT, &message)), Step::Hear(Heard::Done(id))]
    });
    case(id, format!("{COUNT} messages of {length} bytes"), steps.collect())
}

fn over() -> Vec<Case> {
    let too_big = || Heard::Closed(Some(1009));
    let one_more = padded_text(MESSAGE_BYTES_MAX + 1);
    let mut cases = vec![
        told("9.9.1", "one byte too many", claim(FINAL | TEXT, MESSAGE_BYTES_MAX as u64 + 1), too_big()),
        told("9.9.2", "one byte too many in fragments of 4,096", fragments(TEXT, &one_more, 4096).concat(), too_big()),
        told("9.9.3", "one byte too many in fragments of 1", fragments(TEXT, &one_more, 1).concat(), too_big()),
        told("9.9.4", "a large last fragment", [frame(TEXT, b"{"), frame(FINAL, &one_more[1..])].concat(), too_big()),
    ];
    let binary = fragments(BINARY, &padded_binary(MESSAGE_BYTES_MAX + 1), 4096).concat();
    cases.push(message_pack(told("9.9.5", "one byte too many in binary fragments", binary, too_big())));
    let empty = [frame(TEXT, b""), frame(CONTINUATION, b"").repeat(5_000), frame(FINAL, &ping_command(1))].concat();
    cases.push(told("9.9.6", "5,000 fragments without a byte", empty, Heard::Done(1)));
    cases
}

pub fn miscellaneous() -> Vec<Case> {
    let wrong = || Heard::Closed(Some(1003));
    let text = padded_text(MESSAGE_BYTES_MAX);
    let burst: Vec<u8> = (1..=20).flat_map(ping_text).collect();
    let steps = std::iter::once(Step::Write(burst)).chain((1..=20).map(|id| Step::Hear(Heard::Done(id))));
    let in_two = |opcode: u8| fragments(opcode, b"{}", 1).concat();
    vec![
        told(
            "10.1.1",
            "the largest message in fragments of 1,300",
            fragments(TEXT, &text, 1300).concat(),
            Heard::Done(1),
        ),
        case("10.2.1", "twenty messages in one write, answered in their order", steps.collect()),
        told("10.3.1", "a binary on a JSON session", frame(FINAL | BINARY, &ping_command(1)), wrong()),
        told("10.3.2", "a binary in fragments on a JSON session", in_two(BINARY), wrong()),
        told("10.3.3", "an empty binary on a JSON session", frame(FINAL | BINARY, b""), wrong()),
        message_pack(told("10.3.4", "a text on a MessagePack session", ping_text(1), wrong())),
        message_pack(told("10.3.5", "a text in fragments on a MessagePack session", in_two(TEXT), wrong())),
        // It is no text in the first place, which is found out first.
        message_pack(told(
            "10.3.6",
            "a text that is none there",
            frame(FINAL | TEXT, b"\xff"),
            Heard::Closed(Some(1007)),
        )),
    ]
}

#[tokio::test]
async fn sections_12_and_13_have_no_cases_as_compression_is_never_agreed_to() {
    let node = Node::unlimited().await;
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover",
        "x-webkit-deflate-frame",
        "permessage-bzip2, permessage-deflate",
    ] {
        let mut client = Client::open(node.address, None).await;
        let more = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        client.write(request(node.address, &more).as_bytes()).await;
        let head = client.head().await.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 ") && !head.contains("sec-websocket-extensions"), "{head}");
    }
}
