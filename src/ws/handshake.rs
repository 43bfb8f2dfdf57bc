//! The first message: `hello`, in time and small, or the socket closes with 4501 (SPEC §2).

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::command::{self, Command};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::limits::{HEARTBEAT_MS, HELLO_TIMEOUT_MS, Limits};
use parlour_protocol::reply::{self, OrganizationRef, Outcome, PrincipalInfo, Reply};
use tokio::time::{Instant, timeout};

use crate::commands::failure::Reason;
use crate::domain::principal::{Actor, Principal};
use crate::hub::frame;
use crate::hub::session::Session;
use crate::ws::Gate;
use crate::ws::desk::Authenticated;
use crate::ws::throttle::Throttle;
use crate::ws::wire::{Event, Wire};

/// A credential that takes longer to check is not checked.
const AUTHENTICATE_TIMEOUT: Duration = Duration::from_secs(5);

/// A socket that said a valid `hello`.
pub(super) struct Greeted {
    /// Its session, open in the hub.
    pub session: Arc<Session>,
    /// When its credential ends.
    pub expires_at: Option<Instant>,
}

/// Hears the first message and opens the session; none when the socket is over.
pub(super) async fn greet(gate: &Gate, wire: &mut Wire, codec: Codec, origin: Option<String>) -> Option<Greeted> {
    let (id, hello) = hear_hello(wire, codec, &Throttle::new(gate.config.limits)).await?;
    let authenticating = match (hello.token, hello.ticket) {
        (Some(token), None) => gate.desk.authenticate(token),
        (None, Some(ticket)) => gate.desk.redeem(ticket, origin),
        _ => {
            let error = ErrorBody::new(ErrorCode::Unauthenticated, "hello brings a token or a ticket");
            refuse(wire, codec, Some(id), error, CloseCode::Unauthenticated);
            return None;
        }
    };
    let authenticated = timeout(AUTHENTICATE_TIMEOUT, authenticating).await;
    let answer = authenticated.unwrap_or_else(|_| {
        Err(ErrorBody::new(ErrorCode::Unavailable, "the credential cannot be checked now").with("retry_after_ms", 1000))
    });
    match answer {
        Ok(authenticated) => {
            wire.reader().admit();
            Some(welcome(gate, wire, codec, id, authenticated))
        }
        Err(error) => {
            let code = close_code(&error);
            refuse(wire, codec, Some(id), error, code);
            None
        }
    }
}

async fn hear_hello(wire: &mut Wire, codec: Codec, throttle: &Throttle) -> Option<(u64, command::Hello)> {
    let deadline = Instant::now() + Duration::from_millis(HELLO_TIMEOUT_MS);
    let message = loop {
        match wire.next(true, deadline).await {
            Event::Message(message) => break message,
            // Every ping is owed a pong, which may have to wait: strangers get only so many.
            Event::Control if Instant::now() < deadline && throttle.control_frame() => {}
            Event::Outbox if Instant::now() < deadline => {}
            Event::Control | Event::Outbox | Event::Deadline => {
                wire.close(CloseCode::Unauthenticated);
                return None;
            }
            Event::Over => return None,
        }
    };
    match codec.decode_command(&message) {
        Ok(numbered) => match numbered.command {
            Command::Hello(hello) => Some((numbered.id, hello)),
            _ => {
                let error = ErrorBody::new(ErrorCode::Unauthenticated, "the first message must be hello");
                refuse(wire, codec, Some(numbered.id), error, CloseCode::Unauthenticated);
                None
            }
        },
        Err(refused) => {
            refuse(wire, codec, refused.id, refused.error, CloseCode::Unauthenticated);
            None
        }
    }
}

fn welcome(gate: &Gate, wire: &Wire, codec: Codec, id: u64, authenticated: Authenticated) -> Greeted {
    let Authenticated { principal, expires_in } = authenticated;
    let session = gate.hub.open(Arc::clone(&principal), codec, Arc::clone(wire.outbox()));
    let hello = reply::Hello {
        session: session.id(),
        principal: introduce(&principal),
        heartbeat_ms: HEARTBEAT_MS,
        expires_in_ms: expires_in.map(millis),
        limits: Limits::v1(session.rooms_max()),
    };
    session.reply(&Reply { id: Some(id), outcome: Outcome::Ok(hello) });
    Greeted { session, expires_at: expires_in.map(|life| Instant::now() + life) }
}

fn refuse(wire: &Wire, codec: Codec, id: Option<u64>, error: ErrorBody, code: CloseCode) {
    let reply: Reply<reply::Empty> = Reply { id, outcome: Outcome::Error(error) };
    wire.outbox().control(frame::message(codec, &reply));
    wire.close(code);
}

/// How a refused `hello` ends the socket.
fn close_code(error: &ErrorBody) -> CloseCode {
    match error.code {
        ErrorCode::Unauthenticated => match Reason::of(error) {
            Some(Reason::Expired) => CloseCode::TokenExpired,
            Some(Reason::LinkEnded) => CloseCode::LinkEnded,
            None => CloseCode::Unauthenticated,
        },
        ErrorCode::Unavailable | ErrorCode::OutcomeUnknown | ErrorCode::Internal => CloseCode::TryAgainLater,
        ErrorCode::RateLimited | ErrorCode::Limit => CloseCode::RateLimited,
        ErrorCode::Gone => CloseCode::LinkEnded,
        ErrorCode::Forbidden | ErrorCode::OrganizationSuspended => CloseCode::Forbidden,
        ErrorCode::Malformed
        | ErrorCode::TokenInUrl
        | ErrorCode::NotFound
        | ErrorCode::Conflict
        | ErrorCode::SeatsFull
        | ErrorCode::TooLarge
        | ErrorCode::Invalid
        | ErrorCode::IdempotencyMismatch => CloseCode::Unauthenticated,
    }
}

fn introduce(principal: &Principal) -> PrincipalInfo {
    let who = principal.who();
    let (role, conversation, permissions) = match &principal.actor {
        Actor::Staff { role, .. } => (Some(role.key.to_owned()), None, None),
        Actor::Guest { conversation, permissions, .. } => (None, Some(*conversation), Some(permissions.clone())),
        Actor::Service { .. } => (None, None, None),
    };
    let organization = OrganizationRef { id: principal.organization.id, name: principal.organization.name.clone() };
    PrincipalInfo { kind: who.kind, id: who.id, name: who.name, organization, role, conversation, permissions }
}

/// A duration as the socket writes it.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
