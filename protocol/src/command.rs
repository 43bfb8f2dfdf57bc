//! Commands: everything a client may say on the socket (SPEC §2.1).
//!
//! To add one: a struct here with `Request` naming its reply, a variant of [`Command`], a row in SPEC.md, a vector, and the
//! arm in the server's `ws::dispatch`.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::entry::Position;
use crate::id::{CardId, ClientId, ConversationId, EntryId};
use crate::reply;

/// Ties a command to the reply it gets, so that a dispatcher cannot answer with another.
pub trait Request {
    /// What `ok` holds.
    type Ok: Serialize;
}

macro_rules! commands {
    ($( $(#[$doc:meta])* $name:ident = $word:literal -> $ok:ty { $( $(#[$field_doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $( $(#[$field_doc])* pub $field: $type, )*
            }

            impl Request for $name {
                type Ok = $ok;
            }
        )*

        /// A command of any kind.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "type")]
        pub enum Command {
            $( $(#[$doc])* #[serde(rename = $word)] $name($name), )*
        }

        impl Command {
            /// The words of all commands.
            pub const NAMES: &'static [&'static str] = &[$($word),*];

            /// The command's word.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $word),* }
            }

            /// What `ok` holds, by the command's word.
            #[cfg(feature = "schema")]
            pub(crate) fn reply_schemas(
                generator: &mut schemars::SchemaGenerator,
            ) -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($word, generator.subschema_for::<$ok>())),*]
            }
        }
    };
}

commands! {
    /// Authenticates the socket; always first, once.
    Hello = "hello" -> reply::Hello {
        /// Staff JWT, guest token or API key; none with a ticket.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// A ticket of `POST /api/v1/auth/ticket`; works once, within 30 s. None with a token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticket: Option<String>,
    }
    /// Renews the authentication in band.
    Refresh = "refresh" -> reply::Refreshed {
        /// A fresh staff token; guests send none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    }
    /// Goes live on a conversation, after reading what was missed.
    Attach = "attach" -> reply::Attached {
        /// Which conversation.
        conversation: ConversationId,
        /// Where the client stands; none asks for the newest entries.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "position")]
        since: Option<Position>,
    }
    /// Stops hearing a conversation.
    Detach = "detach" -> reply::Empty {
        /// Which conversation.
        conversation: ConversationId,
    }
    /// Subscribes to a topic beyond single conversations.
    Subscribe = "subscribe" -> reply::Empty {
        /// Which topic.
        topic: Topic,
    }
    /// Sends a message.
    Send = "send" -> reply::Appended {
        /// Which conversation.
        conversation: ConversationId,
        /// Idempotency key.
        client_id: ClientId,
        /// Plain text.
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::TEXT_CHARS_MAX)))]
        text: String,
    }
    /// Replaces the text of a message or note of one's own.
    Edit = "edit" -> reply::Appended {
        /// Which conversation.
        conversation: ConversationId,
        /// Idempotency key.
        client_id: ClientId,
        /// The message or note.
        entry_id: EntryId,
        /// Its number in the own view.
        seq: i64,
        /// The new text, whole.
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::TEXT_CHARS_MAX)))]
        text: String,
    }
    /// Blanks a message or note, with every text it ever had, for good.
    Redact = "redact" -> reply::Appended {
        /// Which conversation.
        conversation: ConversationId,
        /// Idempotency key.
        client_id: ClientId,
        /// The message or note.
        entry_id: EntryId,
        /// Its number in the own view.
        seq: i64,
    }
    /// Writes an internal note.
    Note = "note" -> reply::Appended {
        /// Which conversation.
        conversation: ConversationId,
        /// Idempotency key.
        client_id: ClientId,
        /// Plain text.
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = crate::limits::TEXT_CHARS_MAX)))]
        text: String,
    }
    /// Chooses on a card version.
    Select = "select" -> reply::Selected {
        /// Which conversation.
        conversation: ConversationId,
        /// Idempotency key.
        client_id: ClientId,
        /// Which card.
        card: CardId,
        /// The version the chooser saw.
        version: i32,
        /// Ids of the chosen options.
        #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 20)))]
        options: Vec<String>,
    }
    /// Shows or ends a typing sign.
    Typing = "typing" -> reply::Empty {
        /// Which conversation.
        conversation: ConversationId,
        /// Whether the person is typing.
        active: bool,
    }
    /// Tells what of a card was on the guest's screen, and for how long.
    Seen = "seen" -> reply::Empty {
        /// Which conversation.
        conversation: ConversationId,
        /// Which card.
        card: CardId,
        /// The version that was shown.
        version: i32,
        /// The options that were visible.
        options: Vec<OptionSeen>,
    }
    /// Asks who is present, and says whether the conversation is on this session's screen.
    Presence = "presence" -> reply::Members {
        /// Which conversation.
        conversation: ConversationId,
        /// Whether this session's person looks at it now; unchanged when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        viewing: Option<bool>,
    }
    /// Moves the own watermarks forward.
    Read = "read" -> reply::Watermarks {
        /// Which conversation.
        conversation: ConversationId,
        /// Everything up to here reached the device.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
        received: Option<i64>,
        /// Everything up to here was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
        read: Option<i64>,
    }
    /// Reads a page of the transcript without going live.
    History = "history" -> reply::Page {
        /// Which conversation.
        conversation: ConversationId,
        /// Entries below this number, newest last.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<i64>,
        /// Entries above this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<i64>,
        /// Entries on both sides of this number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        around: Option<i64>,
        /// 1–200, 50 by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::limits::PAGE_ENTRIES_MAX)))]
        limit: Option<u32>,
    }
    /// Proves the connection for clients that cannot see control frames.
    Ping = "ping" -> reply::Empty {}
}

/// A position is a map. Left alone, serde would also read `[1, 41]`, which SPEC §1 does not know.
fn position<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Position>, D::Error> {
    let map = Option::<Map<String, Value>>::deserialize(deserializer)?;
    map.map(|map| serde_json::from_value(Value::Object(map)).map_err(de::Error::custom)).transpose()
}

/// How long an option of a card was visible to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OptionSeen {
    /// The option.
    pub id: String,
    /// All the time it was visible on this device, so far. Counts up; an older total changes nothing.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = crate::limits::VISIBLE_MS_MAX)))]
    pub visible_ms: i64,
}

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The staff member's list of conversations.
    Inbox,
}

/// A command with the number its reply will carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Command"))]
pub struct Numbered {
    /// Chosen by the client, 0 … 2^53 − 1.
    #[cfg_attr(feature = "schema", schemars(range(max = crate::limits::INTEGER_MAX)))]
    pub id: u64,
    /// The command.
    #[serde(flatten)]
    pub command: Command,
}
