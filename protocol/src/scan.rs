//! A look over a message before it is decoded: depth, number of items, declared lengths and string sizes, without recursion
//! and without allocating what a length claims.
//!
//! Decoders recurse and trust lengths; nested or lying input would cost a stack or a gigabyte. The scan walks the bytes once
//! and refuses what breaks [`crate::limits`]. It does not check that the message is well-formed: the decoder does.

use crate::limits::{DEPTH_MAX, ITEMS_MAX, STRING_BYTES_MAX};

/// What a message breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Deeper than the limit.
    #[error("nested deeper than {DEPTH_MAX}")]
    Depth,
    /// More items than the limit.
    #[error("more than {ITEMS_MAX} items")]
    Items,
    /// A string over the limit.
    #[error("a string is longer than {STRING_BYTES_MAX} bytes")]
    String,
    /// A declared length reaches past the end, or an unused marker.
    #[error("not a message")]
    Truncated,
    /// MessagePack bytes after the value.
    #[error("bytes after the message")]
    Trailing,
}

/// Scans JSON.
///
/// # Errors
/// The first limit broken.
pub fn json(bytes: &[u8]) -> Result<(), Broken> {
    let (mut depth, mut items) = (0_usize, 0_usize);
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = json_string_end(bytes, at + 1)?,
            b'{' | b'[' => {
                depth += 1;
                items += 1;
                if depth > DEPTH_MAX {
                    return Err(Broken::Depth);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => items += 1,
            _ => {}
        }
        if items > ITEMS_MAX {
            return Err(Broken::Items);
        }
        at += 1;
    }
    Ok(())
}

fn json_string_end(bytes: &[u8], start: usize) -> Result<usize, Broken> {
    let mut at = start;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
        if at - start > STRING_BYTES_MAX {
            return Err(Broken::String);
        }
    }
    Ok(at)
}

/// Scans MessagePack (the msgpack specification of 2013: str, bin and ext families).
///
/// # Errors
/// The first limit broken.
pub fn message_pack(bytes: &[u8]) -> Result<(), Broken> {
    let mut scan = Scan { bytes, at: 0, items: 0 };
    let mut open: Vec<usize> = Vec::with_capacity(DEPTH_MAX);
    loop {
        match scan.value()? {
            0 => {}
            children => {
                if open.len() == DEPTH_MAX {
                    return Err(Broken::Depth);
                }
                open.push(children);
                continue;
            }
        }
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return if scan.at == bytes.len() { Ok(()) } else { Err(Broken::Trailing) };
        }
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    items: usize,
}

impl Scan<'_> {
    /// Steps over one marker with its payload; the number of values that belong to it.
    fn value(&mut self) -> Result<usize, Broken> {
        let marker = self.big_endian(1)?;
        match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Ok(0),
            0x80..=0x8f => self.children((marker & 0x0f) * 2),
            0x90..=0x9f => self.children(marker & 0x0f),
            0xa0..=0xbf => self.string(marker & 0x1f),
            0xc4 | 0xd9 => self.sized(1),
            0xc5 | 0xda => self.sized(2),
            0xc6 | 0xdb => self.sized(4),
            0xca | 0xce | 0xd2 => self.skip(4),
            0xcb | 0xcf | 0xd3 => self.skip(8),
            0xcc | 0xd0 => self.skip(1),
            0xcd | 0xd1 => self.skip(2),
            0xdc => self.big_endian(2).and_then(|n| self.children(n)),
            0xdd => self.big_endian(4).and_then(|n| self.children(n)),
            0xde => self.big_endian(2).and_then(|n| self.children(n * 2)),
            0xdf => self.big_endian(4).and_then(|n| self.children(n * 2)),
            // Extensions and the unused marker: no message of ours holds one.
            _ => Err(Broken::Truncated),
        }
    }

    fn children(&mut self, count: usize) -> Result<usize, Broken> {
        self.items += count;
        if self.items > ITEMS_MAX {
            return Err(Broken::Items);
        }
        if count > self.bytes.len() - self.at {
            return Err(Broken::Truncated);
        }
        Ok(count)
    }

    fn sized(&mut self, width: usize) -> Result<usize, Broken> {
        let length = self.big_endian(width)?;
        self.string(length)
    }

    fn string(&mut self, length: usize) -> Result<usize, Broken> {
        if length > STRING_BYTES_MAX {
            return Err(Broken::String);
        }
        self.skip(length)
    }

    fn skip(&mut self, length: usize) -> Result<usize, Broken> {
        if length > self.bytes.len() - self.at {
            return Err(Broken::Truncated);
        }
        self.at += length;
        Ok(0)
    }

    fn big_endian(&mut self, width: usize) -> Result<usize, Broken> {
        let end = self.at + width;
        let digits = self.bytes.get(self.at..end).ok_or(Broken::Truncated)?;
        self.at = end;
        Ok(digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)))
    }
}
