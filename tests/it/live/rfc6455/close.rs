//! Section 7: the end of a socket, from the peer's side (RFC 6455 §5.5.1, §7.4). A close is answered with its own code, one that
//! may not be on the wire with 1002, and nothing is heard after it.

use parlour_protocol::limits::MESSAGE_BYTES_MAX;

use crate::live::client::{BINARY, CLOSE, PING, TEXT, frame};
use crate::live::rfc6455::framing::padded_text;
use crate::live::rfc6455::script::{
    CONTINUATION, Case, FINAL, Heard, Step, broken, case, cut, message_pack, ping_command, ping_text, told,
};

const VALID: [u16; 15] = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999];

/// 1014 (a gateway's) is registered since 2016, after the Autobahn list; the decoder does not know it and takes it for one of
/// these. It ends the socket either way.
const INVALID: [u16; 17] =
    [0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 32_768, 65_535];

pub fn cases() -> Vec<Case> {
    let mut cases = after_the_end();
    cases.extend(payloads());
    for (at, code) in VALID.into_iter().enumerate() {
        let id = format!("7.7.{}", at + 1);
        cases.push(told(id, format!("the valid code {code}"), close(code, b""), Heard::Closed(Some(code))));
    }
    for (at, code) in INVALID.into_iter().enumerate() {
        cases.push(told(format!("7.9.{}", at + 1), format!("the code {code}"), close(code, b""), broken()));
        let id = format!("7.9.{}.2", at + 1);
        cases.push(told(id, format!("the code {code} with a reason"), close(code, b"because"), broken()));
    }
    cases
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FINAL | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

fn after_the_end() -> Vec<Case> {
    let normal = || Heard::Closed(Some(1000));
    let followed = |bytes: Vec<u8>| [close(1000, b""), bytes].concat();
    let first = vec![
        Step::Write(ping_text(1)),
        Step::Hear(Heard::Done(1)),
        Step::Write(close(1000, b"")),
        Step::Hear(normal()),
    ];
    let mut cases = vec![
        case("7.1.1", "a message, then a close", first),
        told("7.1.2", "two closes", followed(close(1000, b"")), normal()),
        told("7.1.3", "a ping after the close", followed(frame(FINAL | PING, b"late")), normal()),
        told("7.1.4", "a text after the close", followed(ping_text(1)), normal()),
        told("7.1.4.2", "rubbish after the close", followed(b"\xff\xff\xff\xff".to_vec()), normal()),
    ];
    let within = [frame(TEXT, &ping_command(1)[..5]), close(1000, b""), frame(CONTINUATION, b"")].concat();
    cases.extend(cut("7.1.5", "a close within a message", &within, &[normal()]));
    let large = frame(FINAL | TEXT, &padded_text(MESSAGE_BYTES_MAX));
    let steps = vec![
        Step::Write(large),
        Step::Hear(Heard::Done(1)),
        Step::Chop(close(1000, b"Hello, world!"), 1),
        Step::Hear(normal()),
    ];
    cases.push(case("7.1.6", "the largest message, then a close", steps));
    cases.push(message_pack(told("7.1.7", "a close on a binary session", close(1000, b""), normal())));
    let half = [frame(BINARY, b"\x82"), close(4000, b"")].concat();
    cases.push(message_pack(told("7.1.8", "a close within a binary", half, Heard::Closed(Some(4000)))));
    cases
}

fn payloads() -> Vec<Case> {
    let normal = || Heard::Closed(Some(1000));
    let mut cases = cut("7.3.1", "a close without a payload", &frame(FINAL | CLOSE, b""), &[Heard::Closed(None)]);
    cases.extend(cut("7.3.2", "half a code", &frame(FINAL | CLOSE, b"\x03"), &[broken()]));
    cases.extend(cut("7.3.3", "a code alone", &close(1000, b""), &[normal()]));
    cases.extend(cut("7.3.4", "a code and a reason", &close(1000, b"Hello, world!"), &[normal()]));
    cases.push(told("7.3.5", "a reason of 123 bytes", close(1000, &[b'*'; 123]), normal()));
    cases.push(told("7.3.6", "a reason of 124 bytes", close(1000, &[b'*'; 124]), broken()));
    let not_text = || Heard::Closed(Some(1007));
    cases.extend(cut("7.5.1", "a reason that is no UTF-8", &close(1000, b"\xce\xba\xed\xa0\x80edited"), &[not_text()]));
    cases.push(told("7.5.2", "a reason cut within a character", close(1000, b"\xce\xba\xe1\xbd"), not_text()));
    cases.push(told("7.5.3", "a reason beyond ASCII", close(1000, "κόσμε".as_bytes()), normal()));
    cases
}
