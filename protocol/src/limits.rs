//! Every limit a client can meet, in one place: the server enforces these numbers and `hello` announces the useful ones.
//!
//! Units are last in each name. A change here is a change of the contract (SPEC §9).

use serde::{Deserialize, Serialize};

/// Largest WebSocket message and frame; beyond it the socket closes with 1009.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Largest first message of a socket that has not said `hello` yet.
pub const HELLO_BYTES_MAX: usize = 4 * 1024;
/// Time to the first message.
pub const HELLO_TIMEOUT_MS: u64 = 5_000;
/// Longest text of a message or note, in Unicode code points.
pub const TEXT_CHARS_MAX: usize = 8_000;
/// Largest card, as JSON.
pub const CARD_BYTES_MAX: usize = 32 * 1024;
/// Nesting allowed in a message.
pub const DEPTH_MAX: usize = 32;
/// Arrays' elements and maps' entries allowed in a message, together.
pub const ITEMS_MAX: usize = 2_000;
/// Longest string in a message, in bytes.
pub const STRING_BYTES_MAX: usize = 32 * 1024;
/// Malformed messages after which a socket closes with 4500.
pub const MALFORMED_STRIKES_MAX: u32 = 3;
/// Entries in one page of a transcript.
pub const PAGE_ENTRIES_MAX: u32 = 200;
/// Entries in a page when the caller names no limit.
pub const PAGE_ENTRIES_DEFAULT: u32 = 50;
/// Bytes of entries in one page of a transcript.
pub const PAGE_BYTES_MAX: usize = 128 * 1024;
/// Server ping period.
pub const HEARTBEAT_MS: u64 = 25_000;
/// Silence after which a socket is dead (close 4408).
pub const HEARTBEAT_DEAD_MS: u64 = 35_000;
/// Time to complete a fragmented message (close 1002).
pub const FRAGMENTED_MS_MAX: u64 = 10_000;
/// Commands per second a socket may send, sustained.
pub const COMMANDS_PER_SECOND: u32 = 10;
/// Commands a socket may send in one burst.
pub const COMMANDS_BURST: u32 = 30;
/// Time in which the author may edit a message or note.
pub const EDIT_WINDOW_MS: u64 = 15 * 60 * 1_000;
/// Longest time an option may claim to have been visible.
pub const VISIBLE_MS_MAX: i64 = 24 * 60 * 60 * 1_000;
/// Life of a ticket, which works once.
pub const TICKET_LIFE_MS: u64 = 30_000;
/// Life of a typing sign without renewal.
pub const TYPING_EXPIRES_MS: u64 = 6_000;
/// Conversations a staff or service socket may be attached to.
pub const ROOMS_STAFF_MAX: usize = 100;
/// Conversations a client on a link may be attached to: the link's own.
pub const ROOMS_GUEST_MAX: usize = 1;
/// Sockets of one member of staff at one node; beyond it the oldest closes with 4511.
pub const SOCKETS_PERSON_MAX: usize = 10;
/// Sockets of one device of a link at one node; beyond it the oldest closes with 4511.
pub const SOCKETS_DEVICE_MAX: usize = 3;
/// Attachments to one conversation at one node, unless its operator sets another number.
pub const ROOM_MEMBERS_DEFAULT: usize = 200;
/// The most an operator can set.
pub const ROOM_MEMBERS_MAX: usize = 10_000;
/// Conversations a node holds in memory; who attaches to one more is closed with 1013.
pub const ROOMS_NODE_MAX: usize = 50_000;
/// Entries by everybody on one link, in any minute.
pub const LINK_ENTRIES_PER_MINUTE: u32 = 30;
/// Entries of one conversation, in any second.
pub const ROOM_ENTRIES_PER_SECOND: u32 = 50;
/// Requests of one API key over HTTP, sustained.
pub const KEY_REQUESTS_PER_SECOND: u32 = 50;
/// Requests of one API key over HTTP, in one burst.
pub const KEY_REQUESTS_BURST: u32 = 100;
/// Unsent durable bytes a socket may hold before it is resynced.
pub const OUTBOX_BYTES_MAX: usize = 256 * 1024;
/// Unsent durable frames a socket may hold before it is resynced.
pub const OUTBOX_FRAMES_MAX: usize = 512;
/// Largest integer every JSON implementation keeps exact; the bound of command ids.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The limits announced in the reply to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// Largest message, in bytes.
    pub message_bytes: usize,
    /// Longest text of a message or note, in Unicode code points.
    pub text_chars: usize,
    /// Commands per second, sustained.
    pub commands_per_second: u32,
    /// Commands in one burst.
    pub commands_burst: u32,
    /// Entries in one page of a transcript.
    pub page_entries: u32,
    /// Conversations this socket may attach to at once.
    pub rooms: usize,
}

impl Limits {
    /// The limits of version 1 for a socket that may attach to `rooms` conversations.
    pub fn v1(rooms: usize) -> Self {
        Self {
            message_bytes: MESSAGE_BYTES_MAX,
            text_chars: TEXT_CHARS_MAX,
            commands_per_second: COMMANDS_PER_SECOND,
            commands_burst: COMMANDS_BURST,
            page_entries: PAGE_ENTRIES_MAX,
            rooms,
        }
    }
}
