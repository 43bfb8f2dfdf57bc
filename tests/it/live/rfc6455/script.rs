//! How a case is written and run: what is sent, what is heard, and that the socket lives on unless it was to close.
//!
//! Frames are built by hand, so that they can be wrong. No case knows how the server is made.

use std::time::Duration;

use parlour_protocol::codec::Codec;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::live::client::{BINARY, CLOSE, Client, Frame, PING, PONG, TEXT, frame, header, request};
use crate::live::stage::Node;

pub const FINAL: u8 = 0x80;
pub const CONTINUATION: u8 = 0x0;

/// The command that shows at the end of a case that the socket still works.
const FAREWELL: u64 = 9_999;
/// Longer than the server waits for the rest of a message.
const PATIENCE: Duration = Duration::from_secs(20);

/// One row of the tables.
pub struct Case {
    /// As in the Autobahn list, or near what it extends.
    pub id: String,
    pub what: String,
    pub codec: Codec,
    pub steps: Vec<Step>,
}

pub enum Step {
    /// Bytes in one write.
    Write(Vec<u8>),
    /// Bytes in writes of so many.
    Chop(Vec<u8>, usize),
    /// What must come next.
    Hear(Heard),
}

/// What the server says, as far as a case can tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A pong with this payload.
    Pong(Vec<u8>),
    /// The reply to a command that was carried out.
    Done(u64),
    /// A refusal, under the command's number if that could be read.
    Refused(Option<u64>),
    /// A close frame with this code, then the end of the stream.
    Closed(Option<u16>),
    /// Something after the close frame.
    AfterClose,
    /// The end of the stream without a close frame.
    Gone,
    /// Nothing, for longer than anything may take.
    Silence,
}

pub fn case(id: impl Into<String>, what: impl Into<String>, steps: Vec<Step>) -> Case {
    Case { id: id.into(), what: what.into(), codec: Codec::Json, steps }
}

pub fn message_pack(case: Case) -> Case {
    Case { codec: Codec::MessagePack, ..case }
}

/// One write, and what comes of it.
pub fn told(id: impl Into<String>, what: impl Into<String>, bytes: Vec<u8>, heard: Heard) -> Case {
    case(id, what, vec![Step::Write(bytes), Step::Hear(heard)])
}

/// The same three times over: in one write, byte by byte, and in sevens.
pub fn cut(id: &str, what: &str, bytes: &[u8], heard: &[Heard]) -> Vec<Case> {
    let then = || heard.iter().cloned().map(Step::Hear);
    [bytes.len().max(1), 1, 7]
        .iter()
        .enumerate()
        .map(|(at, size)| {
            let steps = std::iter::once(Step::Chop(bytes.to_vec(), *size)).chain(then()).collect();
            case(format!("{id}.{}", at + 1), format!("{what}, in writes of {size}"), steps)
        })
        .collect()
}

/// A broken rule of framing.
pub fn broken() -> Heard {
    Heard::Closed(Some(1002))
}

/// A command that is always carried out.
pub fn ping_command(id: u64) -> Vec<u8> {
    json!({ "id": id, "type": "ping" }).to_string().into_bytes()
}

/// The same as a whole text frame.
pub fn ping_text(id: u64) -> Vec<u8> {
    frame(FINAL | TEXT, &ping_command(id))
}

/// The header of a frame with a 16-bit length, whether it needs it or not.
pub fn with_16_bits(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short payload");
    masked([vec![first, 0x80 | 126], length.to_be_bytes().to_vec()].concat(), payload)
}

/// The header of a frame with a 64-bit length, whether it needs it or not.
pub fn with_64_bits(first: u8, payload: &[u8]) -> Vec<u8> {
    masked([vec![first, 0x80 | 127], (payload.len() as u64).to_be_bytes().to_vec()].concat(), payload)
}

/// The header of a frame that claims a length, and nothing of it.
pub fn claim(first: u8, length: u64) -> Vec<u8> {
    masked(header(first, length, 0x80), &[])
}

fn masked(header: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    let mask = [0x5a, 0x00, 0xff, 0xa5];
    let body = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    header.into_iter().chain(mask).chain(body).collect()
}

/// A message in fragments of at most `size` bytes.
pub fn fragments(opcode: u8, message: &[u8], size: usize) -> Vec<Vec<u8>> {
    let last = message.len().div_ceil(size).max(1) - 1;
    let part = |at: usize| message.get(at * size..message.len().min((at + 1) * size)).unwrap_or_default();
    let first = |at: usize| if at == 0 { opcode } else { CONTINUATION } | if at == last { FINAL } else { 0 };
    (0..=last).map(|at| frame(first(at), part(at))).collect()
}

/// Runs a case. The error says what was heard instead.
pub async fn run(node: &Node, case: &Case) -> Result<(), String> {
    let mut client = greeted(node, case.codec).await;
    let mut ends = false;
    for step in &case.steps {
        match step {
            Step::Write(bytes) => client.try_write(bytes).await,
            Step::Chop(bytes, size) => {
                for piece in bytes.chunks(*size) {
                    client.try_write(piece).await;
                }
            }
            Step::Hear(expected) => {
                ends |= matches!(expected, Heard::Closed(_));
                expect(&mut client, case.codec, expected).await?;
            }
        }
    }
    if ends {
        return Ok(());
    }
    let farewell = case.codec.encode(&json!({ "id": FAREWELL, "type": "ping" })).expect("plain JSON");
    client.try_write(&frame(FINAL | opcode(case.codec), &farewell)).await;
    expect(&mut client, case.codec, &Heard::Done(FAREWELL)).await
}

async fn expect(client: &mut Client, codec: Codec, expected: &Heard) -> Result<(), String> {
    let heard = timeout(PATIENCE, hear(client, codec)).await.unwrap_or(Heard::Silence);
    if heard == *expected { Ok(()) } else { Err(format!("heard {heard:?} instead of {expected:?}")) }
}

async fn hear(client: &mut Client, codec: Codec) -> Heard {
    loop {
        let Some(frame) = client.frame().await else { return Heard::Gone };
        match frame.opcode {
            PING => {}
            PONG => return Heard::Pong(frame.payload.to_vec()),
            CLOSE => {
                let code = frame.payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                return if client.frame().await.is_none() { Heard::Closed(code) } else { Heard::AfterClose };
            }
            _ => return reply(codec, &frame),
        }
    }
}

fn reply(codec: Codec, frame: &Frame) -> Heard {
    assert_eq!(frame.opcode, opcode(codec), "a reply comes in the session's kind of frame");
    let reply = codec.decode_value(&frame.payload).expect("a reply can be read");
    match (reply["id"].as_u64(), &reply["ok"]) {
        (Some(id), Value::Object(_)) => Heard::Done(id),
        (id, _) => Heard::Refused(id),
    }
}

fn opcode(codec: Codec) -> u8 {
    match codec {
        Codec::Json => TEXT,
        Codec::MessagePack => BINARY,
    }
}

async fn greeted(node: &Node, codec: Codec) -> Client {
    let mut client = Client::open(node.address, None).await;
    let protocol = format!("Sec-WebSocket-Protocol: {}\r\n", codec.subprotocol());
    client.write(request(node.address, &protocol).as_bytes()).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let hello = codec.encode(&json!({ "id": 0, "type": "hello", "token": "staff" })).expect("plain JSON");
    client.write(&frame(FINAL | opcode(codec), &hello)).await;
    expect(&mut client, codec, &Heard::Done(0)).await.expect("welcome");
    client
}
