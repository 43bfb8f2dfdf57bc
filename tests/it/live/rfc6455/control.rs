//! Sections 2 to 4: pings and pongs, reserved bits, reserved opcodes (RFC 6455 §5.2, §5.5).

use crate::live::client::{BINARY, CLOSE, PING, PONG, TEXT, frame};
use crate::live::rfc6455::script::{Case, FINAL, Heard, Step, broken, case, cut, message_pack, ping_text, told};

pub fn pings() -> Vec<Case> {
    let pong = |payload: &[u8]| Heard::Pong(payload.to_vec());
    let ping = |payload: &[u8]| frame(FINAL | PING, payload);
    let binary = [0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff];
    let full: Vec<u8> = (0..125).collect();
    let unasked = |payload: &[u8]| [frame(FINAL | PONG, payload), ping_text(1)].concat();
    let mut cases = cut("2.1", "a ping without a payload", &ping(b""), &[pong(b"")]);
    cases.extend(cut("2.2", "a ping with a payload", &ping(b"Hello, world!"), &[pong(b"Hello, world!")]));
    cases.extend(cut("2.3", "a ping with a payload that is no text", &ping(&binary), &[pong(&binary)]));
    cases.extend(cut("2.4", "a ping with 125 bytes", &ping(&full), &[pong(&full)]));
    cases.extend(cut("2.5", "a ping with 126 bytes", &ping(&[0xfe; 126]), &[broken()]));
    cases.extend([
        told("2.6", "a pong with 126 bytes", frame(FINAL | PONG, &[0xfe; 126]), broken()),
        told("2.7", "a pong nobody asked for", unasked(b""), Heard::Done(1)),
        told("2.8", "a pong nobody asked for, with a payload", unasked(b"unsolicited"), Heard::Done(1)),
        told("2.9", "a pong, then a ping", [frame(FINAL | PONG, b"a"), ping(b"b")].concat(), pong(b"b")),
    ]);
    let payloads: Vec<Vec<u8>> = (0..10).map(|n| format!("payload {n}").into_bytes()).collect();
    let ten: Vec<u8> = payloads.iter().flat_map(|payload| ping(payload)).collect();
    let pongs: Vec<Heard> = payloads.into_iter().map(Heard::Pong).collect();
    cases.extend(cut("2.10", "ten pings, ten pongs in their order", &ten, &pongs));
    cases.push(message_pack(told("2.12", "a ping on a binary session", ping(&binary), pong(&binary))));
    cases
}

pub fn reserved_bits() -> Vec<Case> {
    let with = |bits: u8, mut frame: Vec<u8>| {
        frame[0] |= bits << 4;
        frame
    };
    let mut cases = Vec::new();
    for bits in 1..=7 {
        let what = |kind: &str| format!("bits {bits:03b} on {kind}");
        let id = |row: u8| format!("3.{row}.{bits}");
        cases.extend(cut(&id(1), &what("a text"), &with(bits, ping_text(1)), &[broken()]));
        cases.push(after_a_message(id(2), what("a second text"), with(bits, ping_text(2))));
        cases.push(told(id(3), what("an empty text"), with(bits, frame(FINAL | TEXT, b"")), broken()));
        cases.push(told(id(4), what("a first fragment"), with(bits, frame(TEXT, b"{")), broken()));
        let rest = [frame(TEXT, b"{"), with(bits, frame(FINAL, b"}"))].concat();
        cases.push(told(id(5), what("a last fragment"), rest, broken()));
        cases.push(told(id(6), what("a ping"), with(bits, frame(FINAL | PING, b"ping")), broken()));
        cases.push(told(id(7), what("a pong"), with(bits, frame(FINAL | PONG, b"")), broken()));
        let close = with(bits, frame(FINAL | CLOSE, &1000_u16.to_be_bytes()));
        cases.push(told(id(8), what("a close"), close, broken()));
        let binary = with(bits, frame(FINAL | BINARY, b"\x82"));
        cases.push(message_pack(told(id(9), what("a binary"), binary, broken())));
    }
    cases
}

pub fn opcodes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (group, opcodes) in [(1, 0x3..=0x7_u8), (2, 0xb..=0xf)] {
        for (at, opcode) in opcodes.enumerate() {
            let what = |how: &str| format!("opcode {opcode:#x} {how}");
            let id = |row: u8| format!("4.{group}.{}.{row}", at + 1);
            cases.push(told(id(1), what("without a payload"), frame(FINAL | opcode, b""), broken()));
            cases.extend(cut(&id(2), &what("with a payload"), &frame(FINAL | opcode, b"reserved"), &[broken()]));
            cases.push(after_a_message(id(3), what("after a message"), frame(FINAL | opcode, b"")));
            cases.push(told(id(4), what("not final"), frame(opcode, b"a"), broken()));
            let inside = [frame(TEXT, b"{"), frame(FINAL | opcode, b"")].concat();
            cases.push(told(id(5), what("within a message"), inside, broken()));
        }
    }
    cases
}

/// The answer to the first message is waited for: an end may overtake what was asked just before it.
fn after_a_message(id: String, what: String, bytes: Vec<u8>) -> Case {
    let (before, heard) = (Step::Write(ping_text(1)), Step::Hear(Heard::Done(1)));
    case(id, what, vec![before, heard, Step::Write(bytes), Step::Hear(broken())])
}
