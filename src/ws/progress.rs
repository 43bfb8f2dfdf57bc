//! How far an incoming message has come: since when a frame or a fragmented message is incomplete.
//!
//! The frame decoder does not tell, and a client that dribbles a message must not hold a socket for ever. This watches the
//! headers (RFC 6455 §5.2) of the bytes that pass by. Whether they are legal is the decoder's to say, but for one rule that it
//! does not know: a length has the shortest form there is for it.

use tokio::time::Instant;

const FINAL: u8 = 0x80;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const HEADER_BYTES_MAX: usize = 14;

/// A length in a longer form than it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlong {
    /// How many of the bytes are before it: so many the decoder may have without knowing the length.
    pub sound: usize,
}

/// The progress of one socket's incoming message.
#[derive(Debug, Default)]
pub struct Progress {
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    payload_left: u64,
    /// Frames of the message came, its last one did not.
    is_fragmented: bool,
    since: Option<Instant>,
}

impl Progress {
    /// Since when something is incomplete; none when nothing is.
    pub fn incomplete_since(&self) -> Option<Instant> {
        self.since
    }

    /// Nothing was read until now: what is incomplete counts from here.
    pub fn forgive(&mut self, now: Instant) {
        if let Some(since) = &mut self.since {
            *since = now;
        }
    }

    /// Takes note of bytes that passed.
    ///
    /// # Errors
    /// When a length among them is too long a form; nothing may pass any more.
    pub fn passed(&mut self, bytes: &[u8], now: Instant) -> Result<(), Overlong> {
        let mut at = 0;
        while at < bytes.len() {
            self.since.get_or_insert(now);
            if self.payload_left == 0 {
                self.header[self.header_bytes] = bytes[at];
                self.header_bytes += 1;
                if self.header_bytes < self.header_length() {
                    at += 1;
                    continue;
                }
                self.payload_left = self.payload_length();
                if self.payload_left < self.shortest_of_its_form() {
                    return Err(Overlong { sound: at });
                }
                at += 1;
            }
            let taken = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len() - at);
            self.payload_left -= taken as u64;
            at += taken;
            if self.payload_left == 0 {
                self.end_of_frame();
            }
        }
        Ok(())
    }

    fn end_of_frame(&mut self) {
        let first = self.header[0];
        if first & CONTROL == 0 {
            self.is_fragmented = first & FINAL == 0;
        }
        self.header_bytes = 0;
        if !self.is_fragmented {
            self.since = None;
        }
    }

    /// How long this header is, as far as its first two bytes are known.
    fn header_length(&self) -> usize {
        if self.header_bytes < 2 {
            return 2;
        }
        let extended = match self.header[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & MASKED == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    /// The smallest length that may be written in the form of this header.
    fn shortest_of_its_form(&self) -> u64 {
        match self.header[1] & !MASKED {
            126 => 126,
            127 => 1 << 16,
            _ => 0,
        }
    }

    fn payload_length(&self) -> u64 {
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |length, byte| (length << 8) | u64::from(*byte));
        match self.header[1] & !MASKED {
            126 => big_endian(&self.header[2..4]),
            127 => big_endian(&self.header[2..10]),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(first: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match payload {
            0..=125 => frame.push(MASKED | payload as u8),
            _ => {
                frame.push(MASKED | 126);
                frame.extend_from_slice(&(payload as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[1, 2, 3, 4]);
        frame.extend(std::iter::repeat_n(0x55, payload));
        frame
    }

    #[test]
    fn while_nothing_is_read_nothing_is_late() {
        let (mut progress, start) = (Progress::default(), Instant::now());
        progress.forgive(start);
        assert_eq!(progress.incomplete_since(), None);
        progress.passed(&frame(FINAL | 0x1, 20)[..9], start).unwrap();
        let later = start + std::time::Duration::from_secs(30);
        progress.forgive(later);
        assert_eq!(progress.incomplete_since(), Some(later));
    }

    #[test]
    fn what_comes_before_an_overlong_length_may_still_be_read() {
        let (good, start) = (frame(FINAL | 0x1, 20), Instant::now());
        for overlong in [
            &[FINAL | 0x1, MASKED | 126, 0, 125, 1, 2, 3, 4][..],
            &[FINAL | 0x1, 126, 0, 0],
            &[FINAL | 0x1, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ] {
            let bytes = [&good, overlong, &[0; 9]].concat();
            let sound = good.len() + overlong.len() - 1;
            assert_eq!(Progress::default().passed(&bytes, start), Err(Overlong { sound }));
            let mut progress = Progress::default();
            assert_eq!(progress.passed(&bytes[..sound], start), Ok(()));
            assert_eq!(progress.passed(&bytes[sound..], start), Err(Overlong { sound: 0 }));
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_a_message_is_incomplete_until_its_last_byte(
            payloads in proptest::collection::vec(0_usize..300, 1..5), cut in 1_usize..40, ping in any::<bool>(),
        ) {
            let mut bytes = Vec::new();
            for (index, payload) in payloads.iter().enumerate() {
                let opcode = if index == 0 { 0x1 } else { 0x0 };
                let last = if index + 1 == payloads.len() { FINAL } else { 0 };
                if ping && index > 0 {
                    bytes.extend(frame(FINAL | 0x9, 5));
                }
                bytes.extend(frame(opcode | last, *payload));
            }
            let (mut progress, start) = (Progress::default(), Instant::now());
            let (all_but_last, last) = bytes.split_at(bytes.len() - 1);
            for piece in all_but_last.chunks(cut) {
                prop_assert_eq!(progress.passed(piece, start), Ok(()));
                prop_assert_eq!(progress.incomplete_since(), Some(start));
            }
            prop_assert_eq!(progress.passed(last, start), Ok(()));
            prop_assert_eq!(progress.incomplete_since(), None);
        }
    }
}
