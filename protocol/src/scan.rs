//! A look over a message before it is decoded: depth, number of items, declared lengths and string sizes, without recursion
//! and without allocating what a length claims.
//!
//! Decoders recurse and trust lengths; nested or lying input would cost a stack or a gigabyte. The scan walks the bytes once
//! and refuses what breaks [`crate::limits`]. It does not check that the message is well-formed: the decoder does. Both codecs
//! count alike, so that a message is within the limits in both or in neither: an array's element and a map's entry are one
//! item each, and a string is as long as its decoded UTF-8.

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
    /// NaN or an infinity.
    #[error("a number is not finite")]
    NotFinite,
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
    // Whether a container was just opened: its first item has no comma before it.
    let mut opened = false;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        if opened && !space {
            items += usize::from(!matches!(byte, b'}' | b']'));
            opened = false;
        }
        match byte {
            b'"' => at = json_string_end(bytes, at + 1)?,
            b'{' | b'[' => {
                depth += 1;
                opened = true;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => items += 1,
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(Broken::Depth);
        }
        if items > ITEMS_MAX {
            return Err(Broken::Items);
        }
        at += 1;
    }
    Ok(())
}

/// Where the string that starts at `at` has its closing quote, or the end of the bytes.
fn json_string_end(bytes: &[u8], mut at: usize) -> Result<usize, Broken> {
    let mut length = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        let (written, decoded) = if bytes[at] == b'\\' { json_escape(&bytes[at..]) } else { (1, 1) };
        at += written;
        length += decoded;
        if length > STRING_BYTES_MAX {
            return Err(Broken::String);
        }
    }
    Ok(at)
}

/// How many bytes an escape takes in the message, and how many as UTF-8.
fn json_escape(bytes: &[u8]) -> (usize, usize) {
    if bytes.get(1) != Some(&b'u') {
        return (2, 1);
    }
    let digits = bytes.get(2..6).and_then(|digits| std::str::from_utf8(digits).ok());
    let decoded = match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
        Some(0..=0x7f) => 1,
        // A surrogate is half of a character of four bytes.
        Some(0x80..=0x7ff | 0xd800..=0xdfff) => 2,
        Some(_) => 3,
        // No escape at all; the decoder refuses it. Only the quote after it must not be stepped over.
        None => return (2, 1),
    };
    (6, decoded)
}

/// Scans MessagePack (the msgpack specification of 2013: str, bin and ext families).
///
/// # Errors
/// The first limit broken.
pub fn message_pack(bytes: &[u8]) -> Result<(), Broken> {
    let mut scan = Scan { bytes, at: 0, items: 0 };
    let mut open: Vec<usize> = Vec::with_capacity(DEPTH_MAX);
    loop {
        if let Some(children) = scan.value()? {
            if open.len() == DEPTH_MAX {
                return Err(Broken::Depth);
            }
            if children > 0 {
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
    /// Steps over one marker with its payload. An array or a map answers how many values belong to it.
    fn value(&mut self) -> Result<Option<usize>, Broken> {
        let marker = self.big_endian(1)?;
        match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Ok(None),
            0x80..=0x8f => self.container(marker & 0x0f, 2),
            0x90..=0x9f => self.container(marker & 0x0f, 1),
            0xa0..=0xbf => self.string(marker & 0x1f),
            0xc4 | 0xd9 => self.sized(1),
            0xc5 | 0xda => self.sized(2),
            0xc6 | 0xdb => self.sized(4),
            0xca => self.float(4, 0x7f80),
            0xcb => self.float(8, 0x7ff0),
            0xcc | 0xd0 => self.skip(1),
            0xcd | 0xd1 => self.skip(2),
            0xce | 0xd2 => self.skip(4),
            0xcf | 0xd3 => self.skip(8),
            0xdc => self.big_endian(2).and_then(|n| self.container(n, 1)),
            0xdd => self.big_endian(4).and_then(|n| self.container(n, 1)),
            0xde => self.big_endian(2).and_then(|n| self.container(n, 2)),
            0xdf => self.big_endian(4).and_then(|n| self.container(n, 2)),
            // Extensions and the unused marker: no message of ours holds one.
            _ => Err(Broken::Truncated),
        }
    }

    /// An array has one value per item, a map two.
    fn container(&mut self, items: usize, values_per_item: usize) -> Result<Option<usize>, Broken> {
        self.items = self.items.saturating_add(items);
        if self.items > ITEMS_MAX {
            return Err(Broken::Items);
        }
        let values = items * values_per_item;
        if values > self.bytes.len() - self.at {
            return Err(Broken::Truncated);
        }
        Ok(Some(values))
    }

    fn sized(&mut self, width: usize) -> Result<Option<usize>, Broken> {
        let length = self.big_endian(width)?;
        self.string(length)
    }

    fn string(&mut self, length: usize) -> Result<Option<usize>, Broken> {
        if length > STRING_BYTES_MAX {
            return Err(Broken::String);
        }
        self.skip(length)
    }

    /// NaN and the infinities have every bit of the exponent set; the decoder would read them as null. JSON cannot write them.
    fn float(&mut self, width: usize, exponent: usize) -> Result<Option<usize>, Broken> {
        let head = self.big_endian(2)?;
        if head & exponent == exponent {
            return Err(Broken::NotFinite);
        }
        self.skip(width - 2)
    }

    fn skip(&mut self, length: usize) -> Result<Option<usize>, Broken> {
        if length > self.bytes.len() - self.at {
            return Err(Broken::Truncated);
        }
        self.at += length;
        Ok(None)
    }

    fn big_endian(&mut self, width: usize) -> Result<usize, Broken> {
        let end = self.at + width;
        let digits = self.bytes.get(self.at..end).ok_or(Broken::Truncated)?;
        self.at = end;
        Ok(digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)))
    }
}
