//! The frame reader under bytes of strangers, cut anywhere: it hears what [`crate::oracle`] hears, answers every ping with its own
//! payload, hands on no message beyond the limit, and knows whether something is incomplete.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parlour::hub::outbox::{Outbox, Sink};
use parlour::ws::reader::{Heard, Reader, Source};
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::limits::{HELLO_BYTES_MAX, MESSAGE_BYTES_MAX};

use crate::oracle::{Account, Ending, Event, Listener};
use crate::run::{MESSAGE, Target, behaviour};
use crate::vectors;

const DICTIONARY: &[&[u8]] = &[
    b"\x81\x80\0\0\0\0",
    b"\x82\x80\0\0\0\0",
    b"\x01\x81\0\0\0\0a",
    b"\x02\x81\0\0\0\0a",
    b"\x00\x80\0\0\0\0",
    b"\x80\x80\0\0\0\0",
    b"\x00\x81\0\0\0\0b",
    b"\x80\x81\0\0\0\0b",
    b"\x89\x80\0\0\0\0",
    b"\x89\x84\0\0\0\0ping",
    b"\x89\x84\x01\x02\x03\x04ping",
    b"\x8a\x80\0\0\0\0",
    b"\x88\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xe8",
    b"\x88\x82\0\0\0\0\x03\xed",
    b"\x88\x85\0\0\0\0\x0f\xa0\xce\xba\xff",
    b"\x88\x81\0\0\0\0\x03",
    b"\x81\x02{}",
    b"\x81\xfe\x00\x7e\0\0\0\0",
    b"\x81\xfe\x00\x7d\0\0\0\0",
    b"\x81\xff\0\0\0\0\0\x01\0\0\0\0\0\0",
    b"\x81\xfe\x10\x01\0\0\0\0",
    b"\xc1\x80\0\0\0\0",
    b"\x83\x80\0\0\0\0",
    b"\x8b\x80\0\0\0\0",
    b"\x01\x81\0\0\0\0\xce",
    b"\x80\x81\0\0\0\0\xba",
    b"\x81\x82\0\0\0\0\xed\xa0",
];

/// The first byte of an input: codec, whether the socket has said hello; the second: how the rest is cut.
const MODE_BYTES: usize = 2;

#[test]
fn frames() {
    Target { name: "frames", examples: examples(), dictionary: DICTIONARY, bytes_max: MESSAGE }.run(check);
}

fn examples() -> Vec<Vec<u8>> {
    let mut examples = Vec::new();
    for (mode, codec) in [(2, Codec::Json), (3, Codec::MessagePack), (0, Codec::Json), (1, Codec::MessagePack)] {
        let (opcode, messages) = (1 + (mode & 1), vectors::wire("command-", codec));
        for (at, message) in messages.iter().enumerate().filter(|(at, _)| mode >= 2 || at % 8 == 0) {
            let half = message.len() / 2;
            let whole = frame(0x80 | opcode, message);
            let halves =
                [frame(opcode, &message[..half]), frame(0x89, b"ping"), frame(0x80, &message[half..])].concat();
            let frames = if at % 3 == 0 { halves } else { whole };
            examples.push([&[mode, at as u8][..], &frames, &frame(0x88, &1000_u16.to_be_bytes())].concat());
        }
    }
    for (mode, length) in [(0, HELLO_BYTES_MAX), (0, HELLO_BYTES_MAX + 1), (2, 65_535), (2, MESSAGE_BYTES_MAX)] {
        examples.push([&[mode, 200][..], &frame(0x81, &vec![b' '; length]), &frame(0x01, b"")].concat());
    }
    examples
}

/// Under a mask of zeros, so that damage to the payload is damage to the message.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => frame.extend([&[0x80 | 126][..], &(length as u16).to_be_bytes()].concat()),
        length => frame.extend([&[0x80 | 127][..], &(length as u64).to_be_bytes()].concat()),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn check(input: &[u8]) -> u64 {
    let Some((mode, stream)) = input.split_at_checked(MODE_BYTES) else { return 0 };
    let codec = Codec::ALL[usize::from(mode[0] & 1)];
    let is_admitted = mode[0] & 2 != 0;
    let (bytes_max, too_large) = match is_admitted {
        true => (MESSAGE_BYTES_MAX as u64, CloseCode::TooBig),
        false => (HELLO_BYTES_MAX as u64, CloseCode::Unauthenticated),
    };
    let expected = Listener { codec, bytes_max, too_large }.hear(stream);
    let early = stream.len().min(usize::from(mode[1]) * 8);
    for (early, piece) in [(0, stream.len()), (0, 1 + usize::from(mode[1])), (early, 1)] {
        // Byte by byte takes long, and a long one is not more cut than a short one.
        if piece > 1 || stream.len() <= 2_048 {
            let ear = Ear { codec, is_admitted, stream, early, piece };
            assert_eq!(ear.hear(), expected, "in pieces of {piece}, {early} bytes early");
        }
    }
    let kinds = expected.events.iter().take(12).map(|event| match event {
        Event::Message(message) => message.len().checked_ilog2().unwrap_or(0) + 1,
        Event::Control => 0,
    });
    behaviour((mode[0] & 3, kinds.collect::<Vec<_>>(), expected.ending))
}

/// The real reader, and how it is fed.
struct Ear<'a> {
    codec: Codec,
    is_admitted: bool,
    stream: &'a [u8],
    /// Bytes that come with the handshake.
    early: usize,
    piece: usize,
}

impl Ear<'_> {
    fn hear(&self) -> Account {
        let (early, late) = self.stream.split_at(self.early);
        let pieces: VecDeque<Vec<u8>> = late.chunks(self.piece.max(1)).map(<[u8]>::to_vec).collect();
        // Before each piece there is nothing, once.
        let mut turns = 1 + pieces.len();
        let source = Arc::new(Pieces(Mutex::new((pieces, true))));
        let said = Arc::new(Said::default());
        let outbox = Arc::new(Outbox::new(Arc::clone(&said) as _));
        let mut reader = Reader::new(self.codec, source, outbox, Bytes::copy_from_slice(early));
        if self.is_admitted {
            reader.admit();
        }
        let mut events = Vec::new();
        let ending = loop {
            match reader.hear() {
                Heard::Message(message) => events.push(Event::Message(message.to_vec())),
                Heard::Control => events.push(Event::Control),
                Heard::Nothing if turns > 0 => turns -= 1,
                Heard::Nothing if reader.incomplete_since().is_some() => break Ending::Incomplete,
                Heard::Nothing => break Ending::Between,
                Heard::Closing(code) => break Ending::Closing(code),
                Heard::Broken(code) => break Ending::Broken(code),
                Heard::Gone => panic!("the stream has not ended"),
            }
        };
        let answers = std::mem::take(&mut *said.0.lock().unwrap());
        Account { events, answers, ending }
    }
}

/// A stream in pieces, which never ends.
struct Pieces(Mutex<(VecDeque<Vec<u8>>, bool)>);

impl Source for Pieces {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap();
        let (pieces, pauses) = &mut *state;
        let Some(piece) = pieces.front_mut().filter(|_| !*pauses) else {
            *pauses = false;
            return Err(ErrorKind::WouldBlock.into());
        };
        let count = piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            pieces.pop_front();
            *pauses = true;
        }
        Ok(count)
    }
}

/// What the reader wanted said: pongs, and nothing else.
#[derive(Default)]
struct Said(Mutex<Vec<u8>>);

impl Sink for Said {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
}
