//! The bus of one process: nodes on one wire, without encoding and without loss. A single node is alone on its wire and is told
//! nothing but its own beacons; several are for tests and for trying things out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::bus::inbound::{Inbound, InboundSender, Received, pair};
use crate::bus::interest::{Interests, Subscription};
use crate::bus::message::Message;
use crate::bus::{Bus, Channel, Health};
use crate::domain::node::NodeId;

/// What the nodes of one process hang on.
#[derive(Debug, Default)]
pub struct Wire {
    nodes: Mutex<BTreeMap<NodeId, Listener>>,
}

#[derive(Debug)]
struct Listener {
    sender: InboundSender,
    interests: Arc<Interests>,
}

/// One node's end of a wire; dropped, the node hears nothing more.
#[derive(Debug)]
pub struct MemoryBus {
    node: NodeId,
    wire: Arc<Wire>,
    interests: Arc<Interests>,
}

impl MemoryBus {
    /// Joins a wire.
    pub fn join(wire: &Arc<Wire>, node: NodeId) -> (Self, Inbound) {
        let (sender, inbound) = pair();
        let interests = Arc::new(Interests::default());
        wire.locked().insert(node, Listener { sender, interests: Arc::clone(&interests) });
        (Self { node, wire: Arc::clone(wire), interests }, inbound)
    }

    /// A bus for a node without peers.
    pub fn alone(node: NodeId) -> (Self, Inbound) {
        Self::join(&Arc::default(), node)
    }
}

impl Bus for MemoryBus {
    fn publish(&self, channel: Channel, message: Message) {
        for (node, listener) in self.wire.locked().iter() {
            let is_for_it = *node != self.node || matches!(message, Message::Beacon(_));
            if is_for_it && listener.interests.hears(channel) {
                listener.sender.send(Received { by: self.node, channel, message: message.clone() });
            }
        }
    }

    fn subscribe(&self, channel: Channel) -> Subscription {
        let subscription = self.interests.subscribe(channel, Health::Up);
        // Carried out at once; what lingers is let go when the next one comes.
        for channel in self.interests.take_changes(Instant::now()).subscribe {
            self.interests.confirm(channel);
        }
        subscription
    }

    fn health(&self) -> Health {
        Health::Up
    }
}

impl Drop for MemoryBus {
    fn drop(&mut self) {
        self.wire.locked().remove(&self.node);
    }
}

impl Wire {
    /// State is whole between statements, so poison says nothing.
    fn locked(&self) -> MutexGuard<'_, BTreeMap<NodeId, Listener>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
