//! Section 5: messages in fragments, with and without something between them (RFC 6455 §5.4).

use crate::live::client::{BINARY, CLOSE, PING, PONG, TEXT, frame};
use crate::live::rfc6455::framing::padded_binary;
use crate::live::rfc6455::script::{
    CONTINUATION, Case, FINAL, Heard, Step, broken, case, cut, fragments, message_pack, ping_command, ping_text, told,
};

pub fn cases() -> Vec<Case> {
    let mut cases = cut("5.1", "a ping in two fragments", &in_two(PING, b"fragment"), &[broken()]);
    cases.extend(cut("5.2", "a pong in two fragments", &in_two(PONG, b"fragment"), &[broken()]));
    cases.push(told("5.2.4", "a close in two fragments", in_two(CLOSE, &1000_u16.to_be_bytes()), broken()));
    cases.extend(cut("5.3", "a text in two fragments", &in_two(TEXT, &ping_command(1)), &[Heard::Done(1)]));
    cases.extend(with_something_between());
    cases.extend(continuations_of_nothing());
    cases.extend(messages_within_messages());
    cases.extend(many());
    cases
}

fn in_two(opcode: u8, message: &[u8]) -> Vec<u8> {
    fragments(opcode, message, message.len().div_ceil(2)).concat()
}

fn with_something_between() -> Vec<Case> {
    let halves = fragments(TEXT, &ping_command(1), 12);
    let with = |between: Vec<u8>| [halves[0].clone(), between, halves[1].clone()].concat();
    let pong = |payload: &[u8]| Heard::Pong(payload.to_vec());
    let ping = frame(FINAL | PING, b"ping");
    let mut cases = cut("5.6", "a ping between two fragments", &with(ping.clone()), &[pong(b"ping"), Heard::Done(1)]);
    let pings = [ping.clone(), frame(FINAL | PING, b"again")].concat();
    cases.extend(cut("5.7", "two pings between", &with(pings), &[pong(b"ping"), pong(b"again"), Heard::Done(1)]));
    cases.push(told("5.8.1", "a pong between", with(frame(FINAL | PONG, b"pong")), Heard::Done(1)));
    let close = frame(FINAL | CLOSE, &1000_u16.to_be_bytes());
    cases.push(told("5.8.2", "a close between", with(close), Heard::Closed(Some(1000))));
    // The pong does not wait for the rest of the message.
    let steps = vec![
        Step::Write(halves[0].clone()),
        Step::Write(ping),
        Step::Hear(pong(b"ping")),
        Step::Write(halves[1].clone()),
        Step::Hear(Heard::Done(1)),
    ];
    cases.push(case("5.8.3", "a ping answered before the message is whole", steps));
    cases
}

fn continuations_of_nothing() -> Vec<Case> {
    let stray = |first: u8| [frame(first, b"non-continuation payload"), ping_text(1)].concat();
    let mut cases = cut("5.9", "a final continuation of nothing", &stray(FINAL | CONTINUATION), &[broken()]);
    cases.extend(cut("5.12", "a continuation of nothing", &stray(CONTINUATION), &[broken()]));
    cases.push(told("5.14", "an empty continuation of nothing", frame(FINAL, b""), broken()));
    for (id, first) in [("5.15", CONTINUATION), ("5.16", FINAL | CONTINUATION)] {
        let steps = vec![
            Step::Write(in_two(TEXT, &ping_command(1))),
            Step::Hear(Heard::Done(1)),
            Step::Write(stray(first)),
            Step::Hear(broken()),
        ];
        cases.push(case(id, "a continuation after the last fragment", steps));
    }
    cases
}

fn messages_within_messages() -> Vec<Case> {
    let nested = |second: Vec<u8>| [frame(TEXT, b"{"), second].concat();
    let mut cases = cut("5.18", "a text within a text", &nested(ping_text(1)), &[broken()]);
    cases.push(told("5.18.4", "a first fragment within a text", nested(frame(TEXT, b"}")), broken()));
    cases.push(told("5.18.5", "a binary within a text", nested(frame(FINAL | BINARY, b"}")), broken()));
    let after_ping = nested([frame(FINAL | PING, b""), ping_text(1)].concat());
    let steps = vec![Step::Write(after_ping), Step::Hear(Heard::Pong(vec![])), Step::Hear(broken())];
    cases.push(case("5.18.6", "a text within a text, after a ping", steps));
    cases
}

fn many() -> Vec<Case> {
    let command = ping_command(1);
    let singles = fragments(TEXT, &command, 1);
    let mut cases = cut("5.19", "a fragment for every byte", &singles.concat(), &[Heard::Done(1)]);
    let ping = frame(FINAL | PING, b"?");
    let pinged: Vec<u8> = singles.iter().flat_map(|fragment| [fragment.clone(), ping.clone()].concat()).collect();
    // The last ping comes after the message, whose reply may overtake or follow its pong.
    let pinged = &pinged[..pinged.len() - ping.len()];
    let mut heard = vec![Heard::Pong(b"?".to_vec()); singles.len() - 1];
    heard.push(Heard::Done(1));
    cases.extend(cut("5.20", "a fragment for every byte, a ping after each", pinged, &heard));
    let empty = frame(CONTINUATION, b"");
    let padded = [frame(TEXT, b""), empty.repeat(20), frame(CONTINUATION, &command), empty, frame(FINAL, b"")].concat();
    cases.push(told("5.21", "fragments without a byte", padded, Heard::Done(1)));
    let binary = fragments(BINARY, &padded_binary(300), 64).concat();
    cases.push(message_pack(told("5.23", "a binary in fragments", binary, Heard::Refused(Some(1)))));
    cases
}
