//! What one simulated client is told, held against the truth as it comes.
//!
//! Its claims are those of GUARANTEES by number: dense and one order (I2), resume (I4), no phantom (I6), redaction (I8), the
//! audience wall (I12), one leave (I14), typing ends (I15). What is late is the world's to see.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::Mutex;
use std::time::Duration;

use parlour_protocol::codec::Codec;
use serde_json::Value;
use tokio::time::Instant;

use crate::domain::principal::View;
use crate::domain::room::RoomKey;
use crate::hub::outbox::Sink;
use crate::hub::simulation::ledger::{Ledger, SECRET};
use crate::hub::{frame, locked};

/// How long a typing sign may stand without renewal, with a little for the moment of looking.
const TYPING_MAX: Duration = Duration::from_millis(6_100);

/// A socket that takes everything, or so many bytes more.
#[derive(Default)]
pub struct Tap {
    credit: Mutex<Option<usize>>,
    taken: Mutex<Vec<(Instant, Vec<u8>)>>,
}

impl Tap {
    /// From now on takes so many bytes, or everything.
    pub fn allow(&self, credit: Option<usize>) {
        *locked(&self.credit) = credit;
    }

    fn take(&self) -> Vec<(Instant, Vec<u8>)> {
        std::mem::take(&mut *locked(&self.taken))
    }
}

impl Sink for Tap {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut credit = locked(&self.credit);
        let count = credit.unwrap_or(usize::MAX).min(bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        *credit = credit.map(|credit| credit - count);
        locked(&self.taken).push((Instant::now(), bytes[..count].to_vec()));
        Ok(count)
    }
}

/// What a client is to do about what it heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upshot {
    /// Nothing.
    Nothing,
    /// The attach was answered: it is live.
    Live,
    /// There is more to read: it attaches again.
    Again,
    /// Its entries ended until it attaches again.
    Behind,
    /// Entries are withheld until the next `head`.
    Paused,
}

/// How somebody is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub state: String,
    pub viewing: bool,
}

/// What a client has been told.
pub struct Reader {
    pub room: RoomKey,
    pub view: View,
    pub codec: Codec,
    /// Where it stands; none before its first page.
    pub position: Option<i64>,
    /// Who is there.
    pub people: BTreeMap<String, Shown>,
    /// When the attach that is under way began.
    pub attach_began: Instant,
    /// What comes now was stuck in a slow socket: signs may be old, merged or missing.
    pub is_catching_up: bool,
    typing: BTreeMap<String, Instant>,
    rest: Vec<u8>,
}

impl Reader {
    pub fn new(room: RoomKey, view: View, codec: Codec) -> Self {
        Self {
            room,
            view,
            codec,
            position: None,
            people: BTreeMap::new(),
            attach_began: Instant::now(),
            is_catching_up: false,
            typing: BTreeMap::new(),
            rest: Vec::new(),
        }
    }

    /// A new socket: what was cut off is over.
    pub fn reconnect(&mut self) {
        self.rest.clear();
        self.typing.clear();
    }

    /// Typing signs may be dropped from now on, and are the client's own to end.
    pub fn forget_typing(&mut self) {
        self.typing.clear();
    }

    /// The messages that the socket has taken.
    pub fn messages(&mut self, tap: &Tap) -> Vec<(Instant, Value)> {
        let mut heard = Vec::new();
        for (at, bytes) in tap.take() {
            self.rest.extend(bytes);
            while let Some(end) = whole(&self.rest) {
                let frame: Vec<u8> = self.rest.drain(..end).collect();
                let header = match frame[1] {
                    126 => 4,
                    127 => 10,
                    _ => 2,
                };
                if frame[0] & 0x0f < 8 {
                    heard.push((at, self.codec.decode_value(&frame[header..]).expect("a whole message")));
                }
            }
        }
        heard
    }

    /// Takes a message in.
    pub fn hear(&mut self, ledger: &Ledger, at: Instant, message: &Value) -> Result<Upshot, String> {
        if self.view == View::Guest {
            self.check_wall(ledger, message)?;
        }
        match message["type"].as_str() {
            Some("entry") => {
                if self.position.is_none() {
                    return Err(format!("I4 an entry before the first page: {message}"));
                }
                self.entry(ledger, message["seq"].as_i64().unwrap_or(0), &message["entry"], false)?;
                Ok(Upshot::Nothing)
            }
            Some("head") => Ok(Upshot::Behind),
            Some("paused") => Ok(Upshot::Paused),
            Some("presence") => self.presence(message),
            Some("typing") => {
                let who = person(&message["who"]);
                match message["active"] == true && !self.is_catching_up {
                    true => drop(self.typing.insert(who, at)),
                    false => drop(self.typing.remove(&who)),
                }
                Ok(Upshot::Nothing)
            }
            Some(_) => Ok(Upshot::Nothing),
            None => self.answer(ledger, &message["ok"]),
        }
    }

    fn answer(&mut self, ledger: &Ledger, page: &Value) -> Result<Upshot, String> {
        self.typing.clear();
        if page.get("reset").is_some() {
            // The log of a world never goes back.
            return Err(format!("I4 a reset without a reason: {page}"));
        }
        let entries = page["entries"].as_array().ok_or_else(|| format!("I4 no page: {page}"))?;
        for numbered in entries {
            self.entry(ledger, numbered["seq"].as_i64().unwrap_or(0), &numbered["entry"], true)?;
        }
        let position = page["position"]["seq"].as_i64();
        if self.position.is_some() && self.position != position {
            return Err(format!("I4 the position {position:?} is not where the entries end: {:?}", self.position));
        }
        self.position = position;
        if page["has_more"] == true {
            return Ok(Upshot::Again);
        }
        let members = page["members"].as_array().into_iter().flatten();
        self.people = members.map(|member| (person(&member["who"]), shown(member))).collect();
        Ok(Upshot::Live)
    }

    fn entry(&mut self, ledger: &Ledger, seq: i64, entry: &Value, in_answer: bool) -> Result<(), String> {
        if self.position.is_some_and(|position| position + 1 != seq) {
            return Err(format!("I2/I4 number {seq} after {:?}", self.position));
        }
        let Some(line) = ledger.line(self.room, self.view, seq) else {
            return Err(format!("I6 number {seq} is not in the log: {entry}"));
        };
        let truth = serde_json::to_value(&line.committed.entry).expect("an entry is JSON");
        if entry["id"] != truth["id"] || entry["audience"] != truth["audience"] || entry["kind"] != truth["kind"] {
            return Err(format!("I2 number {seq} is another entry: {entry}"));
        }
        let is_blank = entry["body"]["redacted"] == true;
        match line.ended {
            None if entry["body"] != truth["body"] => {
                return Err(format!("I6 number {seq} says something else: {entry}"));
            }
            Some(ended) if in_answer && ended < self.attach_began && !is_blank => {
                return Err(format!("I8 the text of number {seq} was redacted before it was asked for"));
            }
            _ => {}
        }
        self.position = Some(seq);
        Ok(())
    }

    fn presence(&mut self, message: &Value) -> Result<Upshot, String> {
        let (who, shown) = (person(&message["who"]), shown(message));
        let before = match shown.state.as_str() {
            "offline" => self.people.remove(&who),
            _ => self.people.insert(who.clone(), shown.clone()),
        };
        if before.is_none() && shown.state == "offline" && !self.is_catching_up {
            return Err(format!("I14 {who} leaves twice"));
        }
        Ok(Upshot::Nothing)
    }

    /// No trace of what only staff may read.
    fn check_wall(&self, ledger: &Ledger, message: &Value) -> Result<(), String> {
        if message.to_string().contains(SECRET) {
            return Err(format!("I12 a guest reads what is for staff: {message}"));
        }
        let head = ledger.head(self.room).guest_seq;
        let numbers = [&message["seq"], &message["ok"]["position"]["seq"]];
        if numbers.into_iter().filter_map(Value::as_i64).any(|number| number > head) {
            return Err(format!(
                "I12 a guest is told a number that is none of its view, which ends at {head}: {message}"
            ));
        }
        if message["viewing"] == true {
            return Err(format!("I12 a guest learns who looks: {message}"));
        }
        Ok(())
    }

    /// What should be over by now.
    pub fn check_typing(&self, now: Instant) -> Result<(), String> {
        match self.typing.iter().find(|(_, since)| now > **since + TYPING_MAX) {
            Some((who, _)) => Err(format!("I15 {who} is still shown typing after six seconds")),
            None => Ok(()),
        }
    }
}

/// Where the first frame ends, if all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let header = match bytes.get(1)? {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    if bytes.len() < header {
        return None;
    }
    let end = frame::boundary(bytes, 1);
    (end <= bytes.len()).then_some(end)
}

/// What somebody is told apart by.
pub fn person(who: &Value) -> String {
    format!("{} {}", who["kind"].as_str().unwrap_or_default(), who["id"].as_str().unwrap_or_default())
}

fn shown(value: &Value) -> Shown {
    let state = value["state"].as_str().unwrap_or_default().to_owned();
    Shown { state, viewing: value["viewing"] == true }
}
