//! Inbound: where a node's bus leaves what it hears, in bounded lanes. What does not fit is dropped and, where it matters, doubt
//! is raised: whoever listens must then compare with the log.
//!
//! Entries of one conversation always take the same lane, so their order is kept. An implementation of [`crate::bus::Bus`] holds
//! the [`InboundSender`]; the hub listens.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use crate::bus::Channel;
use crate::bus::message::{Lane, Message};
use crate::domain::node::NodeId;

/// Lanes of entries; conversations are spread over them.
const DURABLE_LANES: usize = 2;
/// Messages waiting in one lane of entries. A message holds a batch of entries at most.
const DURABLE_MAX: usize = 4_096;
/// Messages waiting in the lane of rights and beacons.
const CONTROL_MAX: usize = 1_024;
/// Messages waiting in the lane of what may be lost.
const EPHEMERAL_MAX: usize = 1_024;

/// A message of another node, or a beacon of our own.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// By which node.
    pub by: NodeId,
    /// Where.
    pub channel: Channel,
    /// What.
    pub message: Message,
}

/// The end at which a node hears.
#[derive(Debug)]
pub struct Inbound {
    /// Entries, by conversation.
    pub durable: Vec<mpsc::Receiver<Received>>,
    /// Rights and beacons.
    pub control: mpsc::Receiver<Received>,
    /// What may be lost.
    pub ephemeral: mpsc::Receiver<Received>,
    doubt: Arc<Notify>,
}

/// The end at which an implementation leaves what it heard. Never waits.
#[derive(Clone, Debug)]
pub struct InboundSender {
    durable: Vec<mpsc::Sender<Received>>,
    control: mpsc::Sender<Received>,
    ephemeral: mpsc::Sender<Received>,
    doubt: Arc<Notify>,
}

/// Both ends.
pub fn pair() -> (InboundSender, Inbound) {
    let (mut senders, mut durable) = (Vec::new(), Vec::new());
    for _ in 0..DURABLE_LANES {
        let (sender, lane) = mpsc::channel(DURABLE_MAX);
        senders.push(sender);
        durable.push(lane);
    }
    let (control_sender, control) = mpsc::channel(CONTROL_MAX);
    let (ephemeral_sender, ephemeral) = mpsc::channel(EPHEMERAL_MAX);
    let doubt = Arc::new(Notify::new());
    let sender = InboundSender {
        durable: senders,
        control: control_sender,
        ephemeral: ephemeral_sender,
        doubt: Arc::clone(&doubt),
    };
    (sender, Inbound { durable, control, ephemeral, doubt })
}

/// Tells when something may not have been heard.
#[derive(Clone, Debug)]
pub struct Doubt(Arc<Notify>);

impl Doubt {
    /// Waits until something may not have been heard; several occasions are one. For one caller; cancel-safe.
    pub async fn raised(&self) {
        self.0.notified().await;
    }
}

impl Inbound {
    /// What tells of doubt.
    pub fn doubt(&self) -> Doubt {
        Doubt(Arc::clone(&self.doubt))
    }
}

impl InboundSender {
    /// Leaves what was heard. Where the lane is full it is dropped, and doubt raised if that matters.
    pub fn send(&self, said: Received) {
        let lane = said.message.lane();
        let full = match lane {
            Lane::Durable => self.durable[self.lane_of(said.channel)].try_send(said).is_err(),
            Lane::Control => self.control.try_send(said).is_err(),
            Lane::Ephemeral => self.ephemeral.try_send(said).is_err(),
        };
        if full {
            self.lost(lane);
        }
    }

    /// Something was not heard, or cannot be sure to have been.
    pub fn doubt(&self) {
        self.doubt.notify_one();
    }

    fn lost(&self, lane: Lane) {
        match lane {
            Lane::Durable | Lane::Control => self.doubt(),
            Lane::Ephemeral => {}
        }
        metrics::counter!("parlour_bus_dropped_total", "reason" => "full").increment(1);
    }

    fn lane_of(&self, channel: Channel) -> usize {
        let number = match channel {
            // The low bits of a UUID version 7 are random.
            Channel::Conversation(room) => room.conversation.0.as_u128(),
            Channel::Organization(organization) => organization.0.as_u128(),
            Channel::Nodes => 0,
        };
        usize::try_from(number % self.durable.len() as u128).unwrap_or(0)
    }
}
