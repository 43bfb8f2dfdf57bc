//! The two codecs: JSON in text frames, MessagePack in binary frames. One decoder of commands for both.
//!
//! Decoding is defensive: size, depth and lengths are checked by [`crate::scan`] before anything is allocated, then the
//! message is read into a generic value, so that both codecs accept exactly the same commands. Ids and times are strings in
//! both. Never add a field that only one codec can carry.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::command::{Command, Numbered};
use crate::error::{ErrorBody, ErrorCode};
use crate::limits::INTEGER_MAX;
use crate::scan;

/// Longest part of a decoder's sentence that goes back to the caller.
const MESSAGE_CHARS_MAX: usize = 200;

/// How a session writes its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// JSON (RFC 8259) in text frames.
    Json,
    /// MessagePack in binary frames, maps keyed by field name.
    MessagePack,
}

/// A command that could not be read, under its number if that much could be.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeError {
    /// The command's number.
    pub id: Option<u64>,
    /// Always `MALFORMED`.
    pub error: ErrorBody,
}

impl Codec {
    /// Both codecs.
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];

    /// The WebSocket sub-protocol (RFC 6455 §1.9).
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "parlour.v1+json",
            Self::MessagePack => "parlour.v1+msgpack",
        }
    }

    /// The codec a sub-protocol names.
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.subprotocol() == name)
    }

    /// Writes a message.
    ///
    /// # Errors
    /// Only if the value's own serialisation fails, which the types of this crate never do.
    pub fn encode<T: Serialize>(self, message: &T) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::Json => serde_json::to_vec(message).map_err(|error| EncodeError(error.to_string())),
            Self::MessagePack => {
                let mut bytes = Vec::with_capacity(256);
                let mut serializer = rmp_serde::Serializer::new(&mut bytes).with_struct_map().with_human_readable();
                message.serialize(&mut serializer).map_err(|error| EncodeError(error.to_string()))?;
                Ok(bytes)
            }
        }
    }

    /// Reads a command.
    ///
    /// # Errors
    /// `MALFORMED` when the bytes are no message, break a limit of [`crate::limits`], or name an unknown command or field. An
    /// unknown or missing field is named in `details.field`. Of a key that is given twice, the last counts.
    pub fn decode_command(self, bytes: &[u8]) -> Result<Numbered, DecodeError> {
        let mut message = self.decode_map(bytes).map_err(|error| DecodeError { id: None, error })?;
        let id = take_id(&mut message).map_err(|error| DecodeError { id: None, error })?;
        let command = read_command(message).map_err(|error| DecodeError { id: Some(id), error })?;
        Ok(Numbered { id, command })
    }

    /// Reads any message of the server, for clients and tests.
    ///
    /// # Errors
    /// `MALFORMED` when the bytes are not such a message.
    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, ErrorBody> {
        let value = self.decode_value(bytes)?;
        serde_json::from_value(value).map_err(|error| malformed(&error.to_string()))
    }

    /// Reads bytes into a generic value without any check of size: for messages of a server one trusts.
    ///
    /// # Errors
    /// `MALFORMED` when the bytes are no message of this codec.
    pub fn decode_value(self, bytes: &[u8]) -> Result<Value, ErrorBody> {
        match self {
            Self::Json => serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string())),
            Self::MessagePack => rmp_serde::from_slice(bytes).map_err(|error| malformed(&error.to_string())),
        }
    }

    fn decode_map(self, bytes: &[u8]) -> Result<Map<String, Value>, ErrorBody> {
        match self {
            Self::Json => scan::json(bytes),
            Self::MessagePack => scan::message_pack(bytes),
        }
        .map_err(|broken| malformed(&broken.to_string()))?;
        match self.decode_value(bytes)? {
            Value::Object(map) => Ok(map),
            _ => Err(malformed("a message is a map")),
        }
    }
}

/// A value that cannot be written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot encode: {0}")]
pub struct EncodeError(String);

fn take_id(message: &mut Map<String, Value>) -> Result<u64, ErrorBody> {
    message
        .remove("id")
        .as_ref()
        .and_then(Value::as_u64)
        .filter(|id| *id <= INTEGER_MAX)
        .ok_or_else(|| malformed("`id` must be an integer from 0 to 2^53 - 1").with("field", "id"))
}

fn read_command(message: Map<String, Value>) -> Result<Command, ErrorBody> {
    let name = message.get("type").and_then(Value::as_str).unwrap_or_default();
    if !Command::NAMES.contains(&name) {
        return Err(malformed("unknown command").with("field", "type"));
    }
    serde_json::from_value(Value::Object(message)).map_err(|error| {
        let text = error.to_string();
        let body = malformed(&text);
        match named_field(&text) {
            Some(field) => body.with("field", field.chars().take(MESSAGE_CHARS_MAX).collect::<String>()),
            None => body,
        }
    })
}

/// The field that is missing or unknown. Other errors quote values, which are no field's name.
fn named_field(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("missing field `").or_else(|| text.strip_prefix("unknown field `"))?;
    rest.split('`').next()
}

/// Names and values in a decoder's sentence are the caller's: never answer with more than a line of them.
fn malformed(message: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::Malformed, message.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}
