//! Frames of the server as the clients of the rig read them: one flat type for replies and pushes, read straight from either
//! codec, because the clients share two cores with three servers.
//!
//! It ignores what it does not know, as SPEC §1 asks of a client. Nothing is judged here. Look next in `ledger.rs`.

use parlour_protocol::codec::Codec;
use parlour_protocol::entry::{Audience, Position, Who};
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{CardId, ClientId, EntryId};
use parlour_protocol::reply::{Member, PresenceState, Reset};
use serde::Deserialize;

/// A reply or a push.
#[derive(Debug, Default, Deserialize)]
pub struct Frame {
    /// Of a reply: the command's number.
    pub id: Option<u64>,
    /// Of a reply: done.
    pub ok: Option<Done>,
    /// Of a reply: refused.
    pub error: Option<ErrorBody>,
    /// Of a push: its word.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Of `entry` and `head`.
    pub epoch: Option<i64>,
    /// Of `entry` and `head`.
    pub seq: Option<i64>,
    /// Of `entry`.
    pub entry: Option<Entry>,
    /// Of signs.
    pub who: Option<Who>,
    /// Of `presence`.
    pub state: Option<PresenceState>,
    /// Of `presence`.
    #[serde(default)]
    pub viewing: bool,
    /// Of `typing`.
    pub active: Option<bool>,
    /// Of `advice`.
    pub retry_after_ms: Option<u64>,
}

/// What `ok` holds, of any command.
#[derive(Debug, Default, Deserialize)]
pub struct Done {
    /// What was stored.
    pub entry_id: Option<EntryId>,
    /// Its number in the author's view.
    pub seq: Option<i64>,
    /// Whether an earlier try had stored it.
    pub duplicate: Option<bool>,
    /// Of `hello`.
    pub principal: Option<Principal>,
    /// Of `attach`.
    pub resumed: Option<bool>,
    /// Of `attach`.
    pub reset: Option<Reset>,
    /// Of `attach`.
    pub position: Option<Position>,
    /// Of `attach` and `history`.
    pub entries: Option<Vec<Numbered>>,
    /// Of `attach` and `history`.
    pub has_more: Option<bool>,
    /// Of `history`.
    pub epoch: Option<i64>,
    /// Of `attach` and `presence`.
    pub members: Option<Vec<Member>>,
}

/// The caller, as told to itself.
#[derive(Debug, Deserialize)]
pub struct Principal {
    /// Equals `author.id` of the caller's entries.
    pub id: String,
}

/// An entry with its number.
#[derive(Debug, Deserialize)]
pub struct Numbered {
    /// Its number in the reader's view.
    pub seq: i64,
    /// The entry.
    pub entry: Entry,
}

/// An entry, as far as it is judged.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Its key.
    pub client_id: ClientId,
    /// Its kind.
    pub kind: String,
    /// What it says.
    pub body: Body,
    /// Who may read it.
    pub audience: Audience,
}

/// What an entry of any kind says.
#[derive(Debug, Default, Deserialize)]
pub struct Body {
    /// Of messages, notes and edits.
    pub text: Option<String>,
    /// Whether it was blanked.
    #[serde(default)]
    pub redacted: bool,
    /// Of edits and redactions: their target.
    pub entry_id: Option<EntryId>,
    /// Of cards and selections.
    pub card: Option<CardField>,
    /// Of selections: what was chosen.
    pub options: Option<Vec<String>>,
}

/// A card, whole in its own entry, by its id elsewhere.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum CardField {
    /// By its id.
    Id(CardId),
    /// Whole.
    Whole {
        /// Its id.
        id: CardId,
        /// Its title.
        title: String,
    },
}

/// An answer over HTTP.
#[derive(Debug, Deserialize)]
pub struct HttpAnswer<T> {
    /// Of a success.
    pub data: Option<T>,
    /// Of a refusal.
    pub error: Option<ErrorBody>,
}

/// Reads a frame.
///
/// # Errors
/// The decoder's sentence, when it is none.
pub fn read(codec: Codec, bytes: &[u8]) -> Result<Frame, String> {
    match codec {
        Codec::Json => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        Codec::MessagePack => {
            let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
            Frame::deserialize(&mut decoder).map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every message of the server that the contract shows is read alike from both codecs.
    #[test]
    fn every_push_and_reply_of_the_contract_is_read() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../protocol/vectors");
        let mut read_ones = 0;
        for file in std::fs::read_dir(directory).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            // Rows of a list have a conversation of their own; the rig's clients subscribe to none.
            if !(name.starts_with("push-") || name.starts_with("reply-")) {
                continue;
            }
            let vectors: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
            for vector in vectors.iter().filter(|vector| vector["valid"] == true) {
                for codec in Codec::ALL {
                    let bytes = codec.encode(&vector["json"]).unwrap();
                    read(codec, &bytes).unwrap_or_else(|error| panic!("{name} {codec:?}: {error}"));
                    read_ones += 1;
                }
            }
        }
        assert!(read_ones > 40, "{read_ones}");
    }

    #[test]
    fn an_entry_is_read_whole() {
        let text = r#"{"type":"entry","conversation":"01934a5e-0000-7000-8000-0000000000c0","epoch":1,"seq":3,"entry":{"id":
            "01934a5e-0000-7000-8000-0000000000e3","client_id":"01934a5e-0000-7000-8000-0000000001c3","kind":"message","body":
            {"text":"Yes"},"audience":"everyone","author":{"kind":"guest","id":"g","name":"M"},"at":"2026-11-21T12:00:03.000Z"}}"#;
        let frame = read(Codec::Json, text.as_bytes()).unwrap();
        assert_eq!((frame.seq, frame.epoch, frame.id), (Some(3), Some(1), None));
        let entry = frame.entry.unwrap();
        assert_eq!((entry.body.text.as_deref(), entry.audience), (Some("Yes"), Audience::Everyone));
    }
}
