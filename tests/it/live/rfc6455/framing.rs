//! Section 1: payloads of every length there is a form for, in text and binary; masking and the form of lengths (RFC 6455 §5.2,
//! §5.3).

use parlour_protocol::limits::MESSAGE_BYTES_MAX;

use crate::live::client::{BINARY, CLOSE, PING, TEXT, frame, header};
use crate::live::rfc6455::script::{
    Case, FINAL, Heard, Step, broken, case, claim, cut, message_pack, ping_command, ping_text, told, with_16_bits,
    with_64_bits,
};

/// Around every step from one form of length to the next, up to what a message may have.
const LENGTHS: [usize; 7] = [0, 125, 126, 127, 128, 65_535, MESSAGE_BYTES_MAX];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, length) in LENGTHS.into_iter().enumerate() {
        let heard = |id| if length == 0 { Heard::Refused(None) } else { id };
        let (text, binary) = (padded_text(length), padded_binary(length));
        let what = format!("a message of {length} bytes");
        cases.push(told(format!("1.1.{}", at + 1), &what, frame(FINAL | TEXT, &text), heard(Heard::Done(1))));
        let binary = frame(FINAL | BINARY, &binary);
        cases.push(message_pack(told(format!("1.2.{}", at + 1), &what, binary, heard(Heard::Refused(Some(1))))));
    }
    let largest = frame(FINAL | TEXT, &padded_text(MESSAGE_BYTES_MAX));
    let steps = vec![Step::Chop(largest, 997), Step::Hear(Heard::Done(1))];
    cases.push(case("1.1.8", "the largest message in writes of 997 bytes", steps));
    let largest = frame(FINAL | BINARY, &padded_binary(MESSAGE_BYTES_MAX));
    let steps = vec![Step::Chop(largest, 997), Step::Hear(Heard::Refused(Some(1)))];
    cases.push(message_pack(case("1.2.8", "the largest message in writes of 997 bytes", steps)));
    cases.extend(masking());
    cases.extend(forms_of_lengths());
    cases
}

fn masking() -> Vec<Case> {
    let unmasked = |first: u8, payload: &[u8]| [header(first, payload.len() as u64, 0), payload.to_vec()].concat();
    let under = |mask: [u8; 4]| {
        let message = ping_command(1);
        let body = message.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let bytes = header(FINAL | TEXT, message.len() as u64, 0x80).into_iter().chain(mask).chain(body);
        bytes.collect::<Vec<u8>>()
    };
    let mut cases = cut("1.3.1", "an unmasked text", &unmasked(FINAL | TEXT, &ping_command(1)), &[broken()]);
    cases.extend([
        told("1.3.2", "an unmasked empty text", unmasked(FINAL | TEXT, b""), broken()),
        told("1.3.3", "an unmasked ping", unmasked(FINAL | PING, b"ping"), broken()),
        told("1.3.4", "an unmasked close", unmasked(FINAL | CLOSE, &1000_u16.to_be_bytes()), broken()),
        told("1.3.5", "an unmasked first fragment", unmasked(TEXT, b"{"), broken()),
        told("1.3.6", "a mask of zeros", under([0; 4]), Heard::Done(1)),
        told("1.3.7", "a mask of ones", under([0xff; 4]), Heard::Done(1)),
        message_pack(told("1.3.8", "an unmasked binary", unmasked(FINAL | BINARY, &padded_binary(125)), broken())),
    ]);
    cases
}

/// §5.2: "the minimal number of bytes MUST be used to encode the length", and the most significant bit of a long one is 0.
fn forms_of_lengths() -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, length) in [22, 125].into_iter().enumerate() {
        let text = padded_text(length);
        let what = format!("a length of {length} in a longer form than it needs");
        cases.extend(cut(&format!("1.4.{}", 2 * at + 1), &what, &with_16_bits(FINAL | TEXT, &text), &[broken()]));
        cases.extend(cut(&format!("1.4.{}", 2 * at + 2), &what, &with_64_bits(FINAL | TEXT, &text), &[broken()]));
    }
    for (at, length) in [126, 65_535].into_iter().enumerate() {
        let bytes = with_64_bits(FINAL | TEXT, &padded_text(length));
        cases.push(told(format!("1.4.{}", 5 + at), format!("a length of {length} in 64 bits"), bytes, broken()));
    }
    cases.extend([
        told("1.4.7", "a ping whose length has 16 bits", with_16_bits(FINAL | PING, b"ping"), broken()),
        told("1.4.8", "an empty text whose length has 64 bits", with_64_bits(FINAL | TEXT, b""), broken()),
        case(
            "1.4.9",
            "such a length after a good message",
            vec![
                Step::Write(ping_text(1)),
                Step::Hear(Heard::Done(1)),
                Step::Write(with_16_bits(FINAL | TEXT, &ping_command(2))),
                Step::Hear(broken()),
            ],
        ),
        told("1.4.10", "exactly 16 bits", with_16_bits(FINAL | TEXT, &padded_text(126)), Heard::Done(1)),
        told("1.4.11", "exactly 64 bits", with_64_bits(FINAL | TEXT, &padded_text(MESSAGE_BYTES_MAX)), Heard::Done(1)),
    ]);
    for (at, length) in [MESSAGE_BYTES_MAX as u64 + 1, 1 << 32, 1 << 62, 1 << 63, u64::MAX].into_iter().enumerate() {
        let too_big = Heard::Closed(Some(1009));
        cases.extend(cut(
            &format!("1.4.{}", 12 + at),
            &format!("a claim of {length} bytes"),
            &claim(FINAL | TEXT, length),
            &[too_big],
        ));
    }
    cases
}

/// The command `ping`, number 1, with blanks after it; nothing where it does not fit.
pub fn padded_text(length: usize) -> Vec<u8> {
    let mut message = ping_command(1);
    message.resize(length, b' ');
    message
}

/// A second `hello`, number 1, which is refused: its token fills the message, given again and again as far as one string may
/// not be longer. Nothing where it does not fit.
pub fn padded_binary(length: usize) -> Vec<u8> {
    const PIECE: usize = 30_000;
    const HEAD: usize = 16;
    const TOKEN: usize = 11;
    if length == 0 {
        return Vec::new();
    }
    let count = (length - HEAD).div_ceil(PIECE + TOKEN);
    let mut left = length - HEAD - count * TOKEN;
    let mut message = vec![0x82 + count as u8];
    message.extend(b"\xa2id\x01\xa4type\xa5hello");
    for _ in 0..count {
        let piece = left.min(PIECE);
        left -= piece;
        message.extend(b"\xa5token\xdb");
        message.extend((piece as u32).to_be_bytes());
        message.extend(std::iter::repeat_n(b'x', piece));
    }
    assert_eq!(message.len(), length);
    message
}
