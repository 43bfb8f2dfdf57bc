//! Section 6: text is UTF-8, wherever it is cut, and nothing else is (RFC 6455 §8.1, RFC 3629).
//!
//! The text under test is the token of a second `hello`, which is refused under its number once it was understood. Failing
//! before the message is whole is allowed and not asked for.

use crate::live::client::{TEXT, frame};
use crate::live::rfc6455::script::{CONTINUATION, Case, FINAL, Heard, Step, case, cut, fragments, told};

const TOKEN: &[u8] = br#"{"id":1,"type":"hello","token":""#;

const GREETING: &str = "Hello-µ@ßöäüàá-UTF-8!!";

/// Characters at every edge of the encoding's four lengths, around the surrogates, and those that are none by name.
const VALID: &[(&str, &str)] = &[
    ("kosme", "κόσμε"),
    ("one byte, last", "\u{7f}"),
    ("two bytes, first", "\u{80}"),
    ("two bytes, last", "\u{7ff}"),
    ("three bytes, first", "\u{800}"),
    ("three bytes, last", "\u{ffff}"),
    ("four bytes, first", "\u{10000}"),
    ("the last of all", "\u{10ffff}"),
    ("before the surrogates", "\u{d7ff}"),
    ("after the surrogates", "\u{e000}"),
    ("replacement character", "\u{fffd}"),
    ("byte order mark", "\u{feff}"),
    ("not a character", "\u{fffe}"),
    ("not a character, arabic block", "\u{fdd0}\u{fdef}"),
    ("not a character, plane 1", "\u{1fffe}\u{1ffff}"),
    ("not a character, plane 16", "\u{10fffe}\u{10ffff}"),
    ("private use", "\u{e000}\u{f8ff}\u{f0000}"),
    ("combining and joined", "e\u{301}\u{200d}👩\u{200d}👧"),
];

/// Bytes that are no UTF-8: strays, cut off, too long for what they say, surrogates, beyond the last character.
const INVALID: &[(&str, &[u8])] = &[
    ("a surrogate in the middle", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"),
    ("beyond the last in the middle", b"\xce\xba\xe1\xbd\xb9\xf4\x90\x80\x80edited"),
    ("a stray continuation, first", b"\x80"),
    ("a stray continuation, last", b"\xbf"),
    ("strays", b"\x80\xbf\x80\xbf\x80\xbf"),
    ("a lonely start of two", b"\xc3 "),
    ("a lonely start of three", b"\xe1 "),
    ("a lonely start of four", b"\xf1 "),
    ("three bytes cut off", b"\xe1\xbd"),
    ("four bytes cut off after two", b"\xf1\xbd"),
    ("four bytes cut off after three", b"\xf1\xbd\xb9"),
    ("five bytes", b"\xf8\x88\x80\x80\x80"),
    ("six bytes", b"\xfc\x84\x80\x80\x80\x80"),
    ("0xfe", b"\xfe"),
    ("0xff", b"\xff"),
    ("0xfe 0xfe 0xff 0xff", b"\xfe\xfe\xff\xff"),
    ("a slash in two bytes", b"\xc0\xaf"),
    ("a slash in three bytes", b"\xe0\x80\xaf"),
    ("a slash in four bytes", b"\xf0\x80\x80\xaf"),
    ("the last overlong two", b"\xc1\xbf"),
    ("the last overlong three", b"\xe0\x9f\xbf"),
    ("the last overlong four", b"\xf0\x8f\xbf\xbf"),
    ("an overlong zero", b"\xc0\x80"),
    ("the first surrogate", b"\xed\xa0\x80"),
    ("the last surrogate", b"\xed\xbf\xbf"),
    ("a surrogate pair", b"\xed\xa0\x80\xed\xb0\x80"),
    ("after the last character", b"\xf4\x90\x80\x80"),
    ("a start that never is", b"\xf5\x80\x80\x80"),
];

pub fn cases() -> Vec<Case> {
    let empty = Heard::Refused(None);
    let three_empty = [frame(TEXT, b""), frame(CONTINUATION, b""), frame(FINAL, b"")].concat();
    let mut cases = vec![
        told("6.1.1", "a text without a byte", frame(FINAL | TEXT, b""), empty.clone()),
        told("6.1.2", "three fragments without a byte", three_empty, empty),
    ];
    for (at, (what, text)) in [("a greeting", GREETING)].iter().chain(VALID).enumerate() {
        cases.extend(in_all_cuts(&format!("6.2.{}", at + 1), what, text.as_bytes(), &Heard::Refused(Some(1))));
    }
    for (at, (what, bytes)) in INVALID.iter().enumerate() {
        cases.extend(in_all_cuts(&format!("6.3.{}", at + 1), what, bytes, &not_text()));
    }
    cases.extend(late());
    cases
}

fn not_text() -> Heard {
    Heard::Closed(Some(1007))
}

fn hello(token: &[u8]) -> Vec<u8> {
    [TOKEN, token, b"\"}"].concat()
}

/// In one frame, in writes of a byte, and in a fragment for every byte.
fn in_all_cuts(id: &str, what: &str, token: &[u8], heard: &Heard) -> Vec<Case> {
    let message = hello(token);
    let mut cases = cut(id, what, &frame(FINAL | TEXT, &message), std::slice::from_ref(heard));
    let fragments = fragments(TEXT, &message, 1).concat();
    cases.push(told(format!("{id}.4"), format!("{what}, a fragment for every byte"), fragments, heard.clone()));
    cases
}

/// What is wrong is told at the latest when the message is whole; what is cut within a character is not wrong yet.
fn late() -> Vec<Case> {
    let message = hello("κόσμε".as_bytes());
    let halves = |at: usize| [frame(TEXT, &message[..at]), frame(FINAL, &message[at..])].concat();
    let mut cases: Vec<Case> = (TOKEN.len()..TOKEN.len() + 11)
        .map(|at| told(format!("6.4.{at}"), "two fragments", halves(at), Heard::Refused(Some(1))))
        .collect();
    let broken = [frame(TEXT, &hello(b"\xed\xa0\x80")), frame(FINAL, b"")].concat();
    cases.push(told("6.4.1", "not text in the first of two fragments", broken, not_text()));
    let ends_early = [frame(TEXT, b"{\xce"), frame(FINAL, b"")].concat();
    cases.push(told("6.4.2", "a message that ends within a character", ends_early, not_text()));
    let spread = vec![
        Step::Write(frame(TEXT, &message[..TOKEN.len() + 1])),
        Step::Write(frame(CONTINUATION, b"")),
        Step::Write(frame(FINAL, &message[TOKEN.len() + 1..])),
        Step::Hear(Heard::Refused(Some(1))),
    ];
    cases.push(case("6.4.3", "an empty fragment within a character", spread));
    cases
}
