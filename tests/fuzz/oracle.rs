//! What a server hears of a stream of bytes, by RFC 6455 and SPEC §2 alone: slow, simple and all at once, so that it can be
//! believed. The real reader must hear the same, however the bytes are cut.

use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;

/// What is heard of a stream.
#[derive(Debug, PartialEq)]
pub struct Account {
    pub events: Vec<Event>,
    /// The pongs that are due, as bytes.
    pub answers: Vec<u8>,
    pub ending: Ending,
}

#[derive(Debug, PartialEq)]
pub enum Event {
    Message(Vec<u8>),
    /// A ping or a pong.
    Control,
}

/// How it stands at the end of the bytes.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Ending {
    /// Something has begun that is not whole.
    Incomplete,
    /// Nothing has.
    Between,
    Closing(Option<u16>),
    Broken(CloseCode),
}

/// Who listens.
pub struct Listener {
    pub codec: Codec,
    pub bytes_max: u64,
    /// The answer to a message beyond it.
    pub too_large: CloseCode,
}

struct Frame<'a> {
    first: u8,
    is_masked: bool,
    length: u64,
    /// In a longer form than it needs.
    is_overlong: bool,
    mask: [u8; 4],
    /// None when it is not there yet.
    payload: Option<&'a [u8]>,
}

impl Listener {
    pub fn hear(&self, mut bytes: &[u8]) -> Account {
        let mut account = Account { events: Vec::new(), answers: Vec::new(), ending: Ending::Between };
        let mut begun = None;
        while !bytes.is_empty() {
            let Some((frame, rest)) = frame(bytes) else { return Account { ending: Ending::Incomplete, ..account } };
            match self.take(&frame, &mut begun, &mut account.answers) {
                Ok(event) => account.events.extend(event),
                Err(ending) => return Account { ending, ..account },
            }
            bytes = rest;
        }
        if begun.is_some() {
            account.ending = Ending::Incomplete;
        }
        account
    }

    fn take(
        &self,
        frame: &Frame<'_>,
        begun: &mut Option<(u8, Vec<u8>)>,
        answers: &mut Vec<u8>,
    ) -> Result<Option<Event>, Ending> {
        let broken = |code| Err(Ending::Broken(code));
        let (is_final, opcode) = (frame.first & 0x80 != 0, frame.first & 0x0f);
        if frame.is_overlong || !matches!(opcode, 0x0..=0x2 | 0x8..=0xa) {
            return broken(CloseCode::Protocol);
        }
        if frame.length > self.bytes_max {
            return broken(self.too_large);
        }
        let Some(masked) = frame.payload else { return Err(Ending::Incomplete) };
        if !frame.is_masked || frame.first & 0x70 != 0 {
            return broken(CloseCode::Protocol);
        }
        let payload: Vec<u8> = masked.iter().zip(frame.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        if opcode >= 0x8 {
            if !is_final || payload.len() > 125 {
                return broken(CloseCode::Protocol);
            }
            if opcode == 0x8 {
                return Err(close(&payload));
            }
            if opcode == 0x9 {
                answers.extend([0x8a, payload.len() as u8]);
                answers.extend(payload);
            }
            return Ok(Some(Event::Control));
        }
        let (opcode, message) = match (opcode, begun.take()) {
            (0x0, Some((opcode, before))) => (opcode, [before, payload].concat()),
            (0x1 | 0x2, None) => (opcode, payload),
            _ => return broken(CloseCode::Protocol),
        };
        if message.len() as u64 > self.bytes_max {
            return broken(self.too_large);
        }
        let is_text = opcode == 0x1;
        if is_text && !may_be_text(&message, is_final) {
            return broken(CloseCode::BadUtf8);
        }
        if !is_final {
            *begun = Some((opcode, message));
            return Ok(None);
        }
        if is_text != (self.codec == Codec::Json) {
            return broken(CloseCode::WrongType);
        }
        Ok(Some(Event::Message(message)))
    }
}

/// The first frame and what follows its payload; none while its header is not whole.
fn frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (extended, least) = match second & 0x7f {
        126 => (2, 126),
        127 => (8, 1 << 16),
        _ => (0, 0),
    };
    let length = match bytes.get(2..2 + extended)? {
        [] => u64::from(second & 0x7f),
        long => long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let (is_masked, mut mask, mut at) = (second & 0x80 != 0, [0; 4], 2 + extended);
    if is_masked {
        mask.copy_from_slice(bytes.get(at..at + 4)?);
        at += 4;
    }
    let body = &bytes[at..];
    let end = usize::try_from(length).ok().filter(|end| *end <= body.len());
    let payload = end.map(|end| &body[..end]);
    Some((
        Frame { first, is_masked, length, is_overlong: length < least, mask, payload },
        end.map_or(&[], |end| &body[end..]),
    ))
}

fn close(payload: &[u8]) -> Ending {
    let (code, reason) = match payload {
        [] => return Ending::Closing(None),
        [_] => return Ending::Broken(CloseCode::Protocol),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if std::str::from_utf8(reason).is_err() {
        return Ending::Broken(CloseCode::BadUtf8);
    }
    let may_be_sent = matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999);
    Ending::Closing(Some(if may_be_sent { code } else { 1002 }))
}

/// A message that is not whole may end within a character.
fn may_be_text(message: &[u8], is_whole: bool) -> bool {
    match std::str::from_utf8(message) {
        Ok(_) => true,
        Err(error) => !is_whole && error.error_len().is_none(),
    }
}
