//! Across nodes: what this node tells its peers ([`telling`]), what it makes of what they say ([`hearing`]), and whether they can
//! be heard at all ([`peers`]). All of it hints ([`crate::bus`]).
//!
//! Entries of peers take the same way as our own, through [`crate::hub::sequence`], which minds neither order nor repetition;
//! a beacon ([`beacon`]) that knows more than a room sends it to the log ([`crate::hub::repair`]). Nothing here may wait for a
//! peer, and nothing that peers say is believed where it decides a right: changed rights are read again from the database.

pub mod beacon;
#[cfg(test)]
mod breaks;
pub mod changed;
mod hearing;
pub mod peers;
mod telling;
pub mod tenants;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use crate::bus::Health;
use crate::domain::node::NodeId;
use crate::hub::Hub;
use crate::hub::across::peers::Turn;
use crate::hub::presence::Change;

impl Hub {
    /// Who else is registered, and how long ago each was alive by the database's clock.
    pub fn registered(&self, nodes: &[(NodeId, Duration)]) {
        let others: Vec<_> = nodes.iter().copied().filter(|(node, _)| *node != self.node).collect();
        self.peers.registered(&others, Instant::now());
    }

    /// What this node is known by among its peers.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Whether peers can neither be told nor heard: their entries are found in the log, seconds later.
    pub fn is_cut_off(&self) -> bool {
        self.bus.health() == Health::Down || self.peers.is_deaf(Instant::now())
    }

    /// Looks who can be heard, and tells members whose friends are out of sight.
    pub(in crate::hub) fn look_around(&self) {
        let now = Instant::now();
        // One line tells of one trouble: a bus that is down says so itself, and while we are deaf every peer is unheard.
        let is_told = self.bus.health() == Health::Down;
        for turn in self.peers.turns(now) {
            match turn {
                Turn::Deaf if !is_told => {
                    tracing::warn!(
                        "our own beacons do not come back: what other nodes do is read from the log, a little later"
                    );
                }
                Turn::Hearing => tracing::info!("our own beacons come back again"),
                Turn::Deaf => {}
                Turn::Heard(node) => {
                    self.tell_all(self.presence.set_heard(node, true));
                    // Its silence may have been longer than its beacons repeat: who came and left meanwhile is not known.
                    self.ask_all();
                }
                Turn::Unheard(node) => {
                    if !is_told && !self.peers.is_deaf(now) {
                        tracing::warn!(node.id = %node, "node {node} cannot be heard; whoever it holds is shown as unknown");
                    }
                    self.tell_all(self.presence.set_heard(node, false));
                }
                Turn::Gone(node) => {
                    tracing::warn!(node.id = %node, "node {node} is gone");
                    self.gone(node);
                }
            }
        }
    }

    /// A peer is gone with everybody it alone held.
    pub(in crate::hub) fn gone(&self, node: NodeId) {
        self.tell_all(self.presence.forget(node));
    }

    /// Tells members what has changed around them.
    fn tell_all(&self, changes: Vec<Change>) {
        changes.iter().for_each(|change| self.tell_change(change));
    }
}
