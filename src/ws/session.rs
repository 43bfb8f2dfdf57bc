//! The session loop: one task per socket that reads commands, has them carried out in order, keeps the deadlines of the wire
//! and writes what others left waiting. Entries normally pass it by: whoever delivers them writes to the socket itself.
//!
//! It never decides what a command may do ([`crate::ws::dispatch`]), and it never outlives its socket: whichever way it ends,
//! even by a panic, the hub is told.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::limits::{FRAGMENTED_MS_MAX, HEARTBEAT_DEAD_MS, HEARTBEAT_MS, MALFORMED_STRIKES_MAX};
use parlour_protocol::push::Push;
use parlour_protocol::reply::{Empty, Outcome, Reply};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::domain::principal::Actor;
use crate::hub::frame::{Opcode, frame};
use crate::hub::outbox::{Phase, REPLIES_BYTES_MAX};
use crate::hub::session::Session;
use crate::hub::{Hub, locked};
use crate::ws::dispatch::Caller;
use crate::ws::handshake::{Greeted, greet, millis};
use crate::ws::pipeline::{Job, Pipeline};
use crate::ws::throttle::{Pace, Place, Throttle};
use crate::ws::wire::{Event, Wire};
use crate::ws::{Gate, own_moment};

/// How long what was begun may take to be answered when the node drains.
const DRAIN_ANSWERS: Duration = Duration::from_secs(5);

/// What the handshake left to know.
pub(super) struct Handshake {
    /// What was agreed on.
    pub codec: Codec,
    /// Where the page that connects comes from; none when it is no page.
    pub origin: Option<String>,
    /// The place it has among those that have not said hello.
    pub place: Place,
}

/// Serves a socket from its first message to its last.
pub(super) async fn serve(gate: Arc<Gate>, caller: Handshake, stream: TcpStream, early: Bytes) {
    let mut wire = Wire::new(caller.codec, stream, early);
    if AssertUnwindSafe(attend(&gate, caller, &mut wire)).catch_unwind().await.is_err() {
        tracing::error!("the task of a socket panicked; only that socket ends");
        wire.close(CloseCode::Internal);
    }
    wire.finish().await;
}

async fn attend(gate: &Gate, Handshake { codec, origin, place }: Handshake, wire: &mut Wire) {
    // Both branches are cancel-safe: a socket that is asked to leave before its hello has nothing to lose.
    let greeted = tokio::select! {
        greeted = greet(gate, wire, codec, origin) => greeted,
        () = gate.drain.cancelled() => None,
    };
    drop(place);
    match greeted {
        Some(greeted) => live(gate, wire, &greeted).await,
        // A refused hello has said so already, and after its close frame nothing follows.
        None => wire.close(CloseCode::Restart),
    }
}

/// Tells the hub when the session is over, however it ends.
struct Leaving<'a> {
    hub: &'a Hub,
    session: &'a Arc<Session>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.hub.leave(self.session);
    }
}

async fn live(gate: &Gate, wire: &mut Wire, greeted: &Greeted) {
    let session = &greeted.session;
    let _leaving = Leaving { hub: &gate.hub, session };
    let caller = Caller { gate, session, expires_at: Mutex::new(greeted.expires_at) };
    let mut pipeline = Pipeline::new(&caller);
    let mut rules = Rules::new(gate);
    let mut has_listened = true;
    loop {
        session.announce_stale();
        let backlog = wire.outbox().backlog();
        let reads = pipeline.has_room() && backlog.replies_bytes <= REPLIES_BYTES_MAX;
        if !(reads && has_listened) {
            wire.reader().forgive_silence();
        }
        has_listened = reads;
        let deadline = rules.keep(wire, &caller, &mut pipeline);
        if wire.outbox().backlog().phase != Phase::Open {
            return;
        }
        // Every branch is cancel-safe: the wire and the pipeline keep what they have begun.
        tokio::select! {
            () = gate.drain.cancelled() => return drain(gate, wire, session, &mut pipeline).await,
            () = pipeline.progress() => {}
            event = wire.next(reads, deadline) => match event {
                Event::Message(message) => rules.hear(session, &mut pipeline, &message),
                Event::Control => rules.control_frame(session),
                Event::Outbox | Event::Deadline => {}
                Event::Over => return,
            },
        }
        // A socket that always has something to say must let others speak.
        tokio::task::coop::consume_budget().await;
    }
}

/// Answers what was begun, then asks the client to come back later, each at a time of its own.
async fn drain(gate: &Gate, wire: &mut Wire, session: &Arc<Session>, pipeline: &mut Pipeline<'_>) {
    let until = Instant::now() + DRAIN_ANSWERS;
    while !pipeline.is_idle() && Instant::now() < until {
        // Both branches are cancel-safe, as in `live`.
        tokio::select! {
            () = pipeline.progress() => {}
            _ = wire.next(false, until) => {}
        }
    }
    session.push(&Push::Advice { retry_after_ms: own_moment(gate.config.drain_spread) });
    session.close(CloseCode::Restart);
}

/// The rules of the wire for one session: rates, strikes and deadlines.
struct Rules {
    throttle: Throttle,
    malformed: u32,
    ping_at: Instant,
    stall_max: Duration,
}

impl Rules {
    fn new(gate: &Gate) -> Self {
        Self {
            throttle: Throttle::new(gate.config.limits),
            malformed: 0,
            ping_at: Instant::now() + Duration::from_millis(HEARTBEAT_MS),
            stall_max: gate.config.stall_max,
        }
    }

    /// Does what is due and closes what is overdue; when to look again.
    fn keep(&mut self, wire: &mut Wire, caller: &Caller<'_>, pipeline: &mut Pipeline<'_>) -> Instant {
        let now = Instant::now();
        let backlog = wire.outbox().backlog();
        let ends = |since: Option<Instant>, allowed: Duration| since.map(|since| since + allowed);
        let silent = wire.reader().heard_at() + Duration::from_millis(HEARTBEAT_DEAD_MS);
        let incomplete = ends(wire.reader().incomplete_since(), Duration::from_millis(FRAGMENTED_MS_MAX));
        let stalled = ends(backlog.blocked_since, self.stall_max);
        for (at, code) in
            [(Some(silent), CloseCode::HeartbeatLost), (incomplete, CloseCode::Protocol), (stalled, CloseCode::TooSlow)]
        {
            if at.is_some_and(|at| at <= now) {
                wire.close(code);
            }
        }
        if self.ping_at <= now {
            self.ping_at = now + Duration::from_millis(HEARTBEAT_MS);
            // Whatever waits proves as much, once it is taken.
            if !backlog.waiting {
                wire.outbox().control(frame(Opcode::Ping, &[]));
            }
        }
        let expires = expire(caller, pipeline, now);
        [Some(silent), incomplete, stalled, expires].into_iter().flatten().fold(self.ping_at, Instant::min)
    }

    /// Takes a message: into the pipeline, or answers why not.
    fn hear(&mut self, session: &Session, pipeline: &mut Pipeline<'_>, message: &Bytes) {
        let refuse = |id, error| {
            let reply: Reply<Empty> = Reply { id, outcome: Outcome::Error(error) };
            session.reply(&reply);
        };
        let numbered = match session.codec().decode_command(message) {
            Ok(numbered) => numbered,
            Err(refused) => {
                refuse(refused.id, refused.error);
                self.malformed += 1;
                if self.malformed >= MALFORMED_STRIKES_MAX {
                    session.close(CloseCode::Malformed);
                }
                return;
            }
        };
        let too_fast = |retry_after: Duration| {
            ErrorBody::new(ErrorCode::RateLimited, "too many commands; slow down")
                .with("retry_after_ms", millis(retry_after).max(1))
        };
        match self.throttle.command(Instant::now()) {
            Pace::Fine => pipeline.push(Job::Command(numbered)),
            Pace::Over { retry_after } => refuse(Some(numbered.id), too_fast(retry_after)),
            Pace::FarOver => {
                refuse(Some(numbered.id), too_fast(Duration::from_secs(1)));
                session.close(CloseCode::RateLimited);
            }
        }
    }

    fn control_frame(&self, session: &Session) {
        if !self.throttle.control_frame() {
            session.close(CloseCode::RateLimited);
        }
    }
}

/// Ends an authentication that has run out; when it will, otherwise. A guest's link is looked at first.
fn expire(caller: &Caller<'_>, pipeline: &mut Pipeline<'_>, now: Instant) -> Option<Instant> {
    let mut expires_at = locked(&caller.expires_at);
    if expires_at.is_some_and(|at| at <= now) {
        *expires_at = None;
        match caller.session.principal().actor {
            Actor::Guest { .. } => pipeline.push(Job::Recheck),
            Actor::Staff { .. } | Actor::Service { .. } => caller.session.close(CloseCode::TokenExpired),
        }
    }
    *expires_at
}
