//! Close codes: the range alone tells a client whether to come back (SPEC §2.4).

/// Why a socket was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CloseCode {
    /// Nothing more to say.
    Normal,
    /// RFC 6455 protocol error, or a fragmented message that took too long.
    Protocol,
    /// A text frame on a binary codec or the other way round.
    WrongType,
    /// Text that is not UTF-8.
    BadUtf8,
    /// A message over the limit.
    TooBig,
    /// The server's fault.
    Internal,
    /// The node restarts; an `advice` came before.
    Restart,
    /// Overloaded, or a dependency is down.
    TryAgainLater,
    /// The token expired; come back with a fresh one.
    TokenExpired,
    /// Nothing was heard for too long.
    HeartbeatLost,
    /// Far over the command rate.
    RateLimited,
    /// The socket took no byte for too long.
    TooSlow,
    /// Malformed commands, again and again.
    Malformed,
    /// No valid `hello` in time.
    Unauthenticated,
    /// Person, key or organization is no longer allowed in.
    Forbidden,
    /// The link expired or was revoked.
    LinkEnded,
    /// The person or device has opened too many newer sockets.
    TooManySockets,
}

impl CloseCode {
    /// Every code, in the order of the SPEC's table.
    pub const ALL: &'static [Self] = &[
        Self::Normal,
        Self::Protocol,
        Self::WrongType,
        Self::BadUtf8,
        Self::TooBig,
        Self::Internal,
        Self::Restart,
        Self::TryAgainLater,
        Self::TokenExpired,
        Self::HeartbeatLost,
        Self::RateLimited,
        Self::TooSlow,
        Self::Malformed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::LinkEnded,
        Self::TooManySockets,
    ];

    /// The number on the wire (RFC 6455 §7.4; 4000–4999 are Parlour's own).
    pub fn code(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::Protocol => 1002,
            Self::WrongType => 1003,
            Self::BadUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Internal => 1011,
            Self::Restart => 1012,
            Self::TryAgainLater => 1013,
            Self::TokenExpired => 4401,
            Self::HeartbeatLost => 4408,
            Self::RateLimited => 4429,
            Self::TooSlow => 4430,
            Self::Malformed => 4500,
            Self::Unauthenticated => 4501,
            Self::Forbidden => 4503,
            Self::LinkEnded => 4510,
            Self::TooManySockets => 4511,
        }
    }

    /// The reason sent beside the number.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Protocol => "protocol error",
            Self::WrongType => "wrong frame type for this sub-protocol",
            Self::BadUtf8 => "text is not UTF-8",
            Self::TooBig => "message too large",
            Self::Internal => "server fault, come back",
            Self::Restart => "restarting, come back",
            Self::TryAgainLater => "try again later",
            Self::TokenExpired => "token expired, come back with a fresh one",
            Self::HeartbeatLost => "heartbeat lost",
            Self::RateLimited => "too many commands",
            Self::TooSlow => "too slow",
            Self::Malformed => "malformed commands",
            Self::Unauthenticated => "not authenticated",
            Self::Forbidden => "no longer allowed",
            Self::LinkEnded => "the link has ended",
            Self::TooManySockets => "too many newer sockets",
        }
    }

    /// Whether a client should reconnect and resume, by the code's range.
    pub fn reconnect(code: u16) -> bool {
        matches!(code, 1001 | 1006 | 1011..=1013 | 4000..=4499)
    }
}
