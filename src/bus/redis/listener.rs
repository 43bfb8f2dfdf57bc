//! What one connection pushes: read where it arrives and left in the lanes of [`crate::bus::inbound`], so that nothing lies in between.
//!
//! The library calls this while it reads the socket: it never waits. What it has to say about the connection itself goes to the
//! subscriber.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use redis::aio::{AsyncPushSender, SendError};
use redis::{PushInfo, PushKind, Value};
use tokio::sync::mpsc;

use crate::bus::envelope::{Refused, decode};
use crate::bus::inbound::InboundSender;
use crate::domain::node::NodeId;

/// Why a subscriber's connections are given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// One was closed.
    Closed,
    /// One was silent for too long.
    Silent,
    /// A channel is served elsewhere now.
    Moved,
    /// Redis refused something.
    Refused(String),
}

/// Who listens to one connection.
#[derive(Debug)]
pub struct Listener {
    intake: Arc<Intake>,
    losses: mpsc::Sender<Loss>,
    /// Whether something arrived since it was last asked.
    stirs: AtomicBool,
    /// Channels that we asked not to hear any more, and that were not yet confirmed.
    farewells: AtomicUsize,
}

/// Where everything heard goes, whatever the connection.
#[derive(Debug)]
pub struct Intake {
    node: NodeId,
    sender: InboundSender,
    heard: metrics::Counter,
    refused: [metrics::Counter; REFUSED.len()],
}

/// What is counted when it is refused. Our own messages are none of it: they are expected.
const REFUSED: [Refused; 3] = [Refused::Unknown, Refused::Malformed, Refused::Mismatch];

impl Loss {
    /// For the log.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Closed => "the connection was closed",
            Self::Silent => "no answer for too long",
            Self::Moved => "channels moved to another server",
            Self::Refused(why) => why,
        }
    }
}

impl Intake {
    /// Of a node.
    pub fn new(node: NodeId, sender: InboundSender) -> Self {
        let dropped = |why: Refused| metrics::counter!("parlour_bus_dropped_total", "reason" => why.as_str());
        let heard = metrics::counter!("parlour_bus_heard_total");
        Self { node, sender, heard, refused: REFUSED.map(dropped) }
    }

    /// Something may not have been heard.
    pub fn doubt(&self) {
        self.sender.doubt();
    }

    fn hear(&self, channel: &[u8], bytes: &[u8]) {
        match decode(self.node, channel, bytes) {
            Ok(said) => {
                self.heard.increment(1);
                self.sender.send(said);
            }
            Err(why) => {
                if let Some(at) = REFUSED.iter().position(|refused| *refused == why) {
                    self.refused[at].increment(1);
                }
            }
        }
    }
}

impl Listener {
    /// For one connection.
    pub fn new(intake: Arc<Intake>, losses: mpsc::Sender<Loss>) -> Self {
        Self { intake, losses, stirs: AtomicBool::new(false), farewells: AtomicUsize::new(0) }
    }

    /// Whether something arrived since the last time.
    pub fn stirred(&self) -> bool {
        self.stirs.swap(false, Ordering::Relaxed)
    }

    /// So many channels are about to be given up.
    pub fn expect_farewells(&self, count: usize) {
        self.farewells.fetch_add(count, Ordering::Relaxed);
    }

    fn expects_farewell(&self) -> bool {
        self.farewells.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1)).is_ok()
    }

    /// The first reason counts: a full queue has one already.
    fn lost(&self, loss: Loss) {
        let _ = self.losses.try_send(loss);
    }
}

impl AsyncPushSender for Listener {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        self.stirs.store(true, Ordering::Relaxed);
        match (push.kind, push.data.as_slice()) {
            (PushKind::Message | PushKind::SMessage, [Value::BulkString(channel), Value::BulkString(bytes)]) => {
                self.intake.hear(channel, bytes);
            }
            // Redis itself lets go of a channel whose slot it gave away.
            (PushKind::SUnsubscribe | PushKind::Unsubscribe, _) if !self.expects_farewell() => self.lost(Loss::Moved),
            (PushKind::Disconnection, _) => self.lost(Loss::Closed),
            _ => {}
        }
        Ok(())
    }
}
