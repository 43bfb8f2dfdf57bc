//! Server WebSocket frames, built once and shared: header and payload in one `Bytes` (RFC 6455 §5.2; a server never masks, so
//! the same bytes serve every member).
//!
//! A [`Turn`] is what one delivery gives to every member of a room: its entries are encoded at most once per view and codec,
//! when the first member needs them. Nothing here knows a socket; [`crate::hub::outbox`] sends what is built here.

use std::sync::OnceLock;

use bytes::Bytes;
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::entry::Content;
use parlour_protocol::id::EntryId;
use parlour_protocol::push::Push;
use serde::Serialize;

use crate::domain::principal::View;
use crate::domain::revision;
use crate::domain::room::{Committed, RoomKey};

const FINAL: u8 = 0x80;
const HEADER_BYTES_MAX: usize = 10;

/// The kinds of frames a server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A JSON message.
    Text = 0x1,
    /// A MessagePack message.
    Binary = 0x2,
    /// The end.
    Close = 0x8,
    /// Are you there?
    Ping = 0x9,
}

/// One frame.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + HEADER_BYTES_MAX);
    write_frame(&mut out, opcode, payload);
    out.into()
}

/// A message of the protocol as one frame.
pub fn message<T: Serialize>(codec: Codec, message: &T) -> Bytes {
    frame(opcode_of(codec), &encode(codec, message))
}

/// A close frame with its code and reason.
pub fn close(code: CloseCode) -> Bytes {
    close_with(code.code(), code.reason())
}

/// The answer to a peer's close frame: its own code, or none when it gave none.
pub fn close_echo(code: Option<u16>) -> Bytes {
    code.map_or_else(|| frame(Opcode::Close, &[]), |code| close_with(code, ""))
}

fn close_with(code: u16, reason: &str) -> Bytes {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    frame(Opcode::Close, &payload)
}

/// The end of the frame that byte number `at` of a run of whole frames belongs to; `at` itself when it is a boundary.
pub fn boundary(frames: &[u8], at: usize) -> usize {
    let mut end = 0;
    while end < at {
        end += frame_bytes(&frames[end..]);
    }
    end
}

/// How many frames a run of whole frames holds.
pub fn count(frames: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < frames.len() {
        at += frame_bytes(&frames[at..]);
        count += 1;
    }
    count
}

/// The size of the first frame, header included. The bytes are our own, so the header is whole and unmasked.
fn frame_bytes(frames: &[u8]) -> usize {
    match frames[1] {
        126 => 4 + usize::from(u16::from_be_bytes([frames[2], frames[3]])),
        127 => 10 + frames[2..10].iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)),
        short => 2 + usize::from(short),
    }
}

fn opcode_of(codec: Codec) -> Opcode {
    match codec {
        Codec::Json => Opcode::Text,
        Codec::MessagePack => Opcode::Binary,
    }
}

fn encode<T: Serialize>(codec: Codec, message: &T) -> Vec<u8> {
    codec.encode(message).expect("messages of the protocol crate are maps of plain values, which both codecs can write")
}

fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.push(FINAL | opcode as u8);
    match payload.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// What one delivery gives to every member: consecutive entries of the staff view.
#[derive(Debug)]
pub struct Turn {
    room: RoomKey,
    entries: Vec<Committed>,
    encoded: [OnceLock<Encoded>; 4],
}

impl Turn {
    /// A turn of consecutive entries of one room.
    pub fn new(room: RoomKey, entries: Vec<Committed>) -> Self {
        debug_assert!(entries.iter().all(|entry| entry.room == room), "a turn belongs to one room");
        debug_assert!(entries.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq), "a turn has no hole");
        Self { room, entries, encoded: Default::default() }
    }

    /// The room the turn belongs to.
    pub fn room(&self) -> RoomKey {
        self.room
    }

    /// How many entries the turn holds, all views counted.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the turn holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries whose texts are ended in it.
    pub fn redacted(&self) -> impl Iterator<Item = EntryId> {
        self.entries.iter().filter_map(|entry| match &entry.entry.content {
            Content::Redaction(redaction) => Some(redaction.entry_id),
            _ => None,
        })
    }

    /// The turn without the texts that were ended since; none when it holds none of them.
    pub fn without(&self, redacted: &[EntryId]) -> Option<Self> {
        let mut blanked: Option<Vec<Committed>> = None;
        for target in redacted {
            for (index, entry) in self.entries.iter().enumerate() {
                if revision::concerns(*target, &entry.entry) {
                    blanked.get_or_insert_with(|| self.entries.clone())[index].forget(*target);
                }
            }
        }
        blanked.map(|entries| Self::new(self.room, entries))
    }

    /// The turn as members of this view and codec hear it; encoded when first asked for.
    pub fn encoded(&self, view: View, codec: Codec) -> &Encoded {
        let slot = match (view, codec) {
            (View::Staff, Codec::Json) => 0,
            (View::Staff, Codec::MessagePack) => 1,
            (View::Guest, Codec::Json) => 2,
            (View::Guest, Codec::MessagePack) => 3,
        };
        self.encoded[slot].get_or_init(|| Encoded::new(&self.entries, view, codec))
    }
}

/// A turn in one view and codec: the frames of its entries, one after the other.
#[derive(Debug)]
pub struct Encoded {
    first: i64,
    frames: Bytes,
    ends: Vec<usize>,
}

impl Encoded {
    fn new(entries: &[Committed], view: View, codec: Codec) -> Self {
        let (mut first, mut frames, mut ends) = (0, Vec::new(), Vec::new());
        for entry in entries {
            let Some(seq) = entry.seq_in(view) else { continue };
            if ends.is_empty() {
                first = seq;
            }
            let (conversation, epoch) = (entry.room.conversation, entry.epoch);
            let push = Push::Entry { conversation, epoch, seq, entry: entry.entry.clone() };
            write_frame(&mut frames, opcode_of(codec), &encode(codec, &push));
            ends.push(frames.len());
        }
        Self { first, frames: frames.into(), ends }
    }

    /// The first and last number in the view; none when the view holds nothing of the turn.
    pub fn span(&self) -> Option<(i64, i64)> {
        (!self.ends.is_empty()).then(|| (self.first, self.first + self.ends.len() as i64 - 1))
    }

    /// The frames from a number on, which must be within the span, and how many they are.
    pub fn starting_at(&self, seq: i64) -> (Bytes, usize) {
        let skipped = usize::try_from(seq - self.first).unwrap_or(0);
        let start = if skipped == 0 { 0 } else { self.ends[skipped - 1] };
        (self.frames.slice(start..), self.ends.len() - skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::fixture::{committed, room_key};

    #[test]
    fn headers_have_the_three_sizes_of_the_rfc() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let frame = frame(Opcode::Binary, &vec![7; length]);
            assert_eq!(frame.len(), header + length);
            assert_eq!(frame_bytes(&frame), frame.len());
            assert_eq!(frame[0], 0x82);
        }
    }

    #[test]
    fn a_cut_inside_a_frame_is_moved_to_its_end() {
        let run = [frame(Opcode::Text, b"abc"), frame(Opcode::Text, &[b'x'; 300]), frame(Opcode::Text, b"")].concat();
        assert_eq!(count(&run), 3);
        assert_eq!([boundary(&run, 0), boundary(&run, 1), boundary(&run, 5), boundary(&run, 6)], [0, 5, 5, 309]);
        assert_eq!(boundary(&run, run.len()), run.len());
    }

    #[test]
    fn a_turn_is_encoded_once_per_view_and_codec() {
        let room = room_key();
        let turn =
            Turn::new(room, vec![committed(room, 4, Some(2)), committed(room, 5, None), committed(room, 6, Some(3))]);
        let staff = turn.encoded(View::Staff, Codec::Json).starting_at(4).0;
        assert_eq!(turn.encoded(View::Staff, Codec::Json).starting_at(4).0.as_ptr(), staff.as_ptr());
        assert_eq!(turn.encoded(View::Staff, Codec::Json).span(), Some((4, 6)));
        let guest = turn.encoded(View::Guest, Codec::MessagePack);
        assert_eq!(guest.span(), Some((2, 3)));
        let (suffix, frames) = guest.starting_at(3);
        assert_eq!((frames, count(&suffix)), (1, 1));
    }

    #[test]
    fn a_turn_of_notes_is_nothing_to_guests() {
        let room = room_key();
        let turn = Turn::new(room, vec![committed(room, 9, None)]);
        assert_eq!(turn.encoded(View::Guest, Codec::Json).span(), None);
    }
}
