//! Who comes and goes in a simulated world: nodes that start, die or say farewell, clients that enter, leave and look.
//!
//! Only what happens; when it does is [`crate::hub::simulation::plan`]'s, what must follow [`crate::hub::simulation::check`]'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::node::NodeId;
use crate::domain::policy;
use crate::hub::simulation::ledger::Way;
use crate::hub::simulation::plan::mix;
use crate::hub::simulation::stage::{Node, Phase, name};
use crate::hub::simulation::world::World;

impl World {
    /// Nodes read who is there, where their way to the log is free.
    pub fn register(&self) {
        let there = self.nodes.iter().flatten().map(|node| (node.id, Duration::ZERO));
        let there: Vec<(NodeId, Duration)> = there.collect();
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(node) = node
                && self.plan.trouble(number, self.millis()).is_none()
            {
                node.hub.registered(&there);
            }
        }
    }

    pub fn rise(&mut self, number: usize) {
        self.lives += 1;
        let id = NodeId(name(self.plan.seed, "node", self.lives));
        let way =
            Way { ledger: Arc::clone(&self.ledger), plan: Arc::clone(&self.plan), start: self.start, node: number };
        self.nodes[number] = Some(Node::start(&self.network, way, id, self.defect.config));
    }

    /// Ends a node without a word.
    pub fn kill(&mut self, number: usize) {
        if let Some(node) = &mut self.nodes[number] {
            self.network.hang_up(node.id);
            node.tasks.abort_all();
        }
        self.send_away(number);
        self.nodes[number] = None;
    }

    /// Ends a node with its farewell.
    pub fn stop(&mut self, number: usize) {
        if let Some(node) = &mut self.nodes[number] {
            node.tasks.abort_all();
            node.hub.say_farewell();
        }
        self.kill(number);
    }

    /// A node's clients lose their sockets, and will look for another node.
    pub fn send_away(&mut self, number: usize) {
        let Some(hub) = self.nodes[number].as_ref().map(|node| Arc::clone(&node.hub)) else { return };
        let now = Instant::now();
        for (index, client) in self.clients.iter_mut().enumerate() {
            if client.node == number && client.session.is_some() {
                let was_in = client.may_be_present();
                client.disconnect(&hub);
                if was_in {
                    let pause =
                        200 + mix(&[self.plan.seed, self.start.elapsed().as_millis() as u64, index as u64]) % 3_000;
                    client.phase = Phase::Waiting(now + Duration::from_millis(pause));
                }
            }
        }
        // It may have held somebody who left a while ago, whom others learn of by its death.
        self.settled_since.fill(now);
    }

    /// A client attaches at a node, or at the next one that is there.
    pub fn enter(&mut self, index: usize, node: usize) {
        let count = self.nodes.len();
        let is_open = |node: &usize| self.nodes[*node].as_ref().is_some_and(|node| node.stops_at.is_none());
        let found = (node..node + count).map(|node| node % count).find(is_open);
        let client = &mut self.clients[index];
        let Some(number) = found else {
            client.phase = Phase::Waiting(Instant::now() + Duration::from_millis(500));
            return;
        };
        let Some(node) = &mut self.nodes[number] else { return };
        if client.session.is_none() {
            client.connect(number, &node.hub);
        }
        client.able_since = Instant::now();
        self.settled_since[client.casting.room] = Instant::now();
        client.attach(node);
    }

    pub fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let Some(node) = &self.nodes[client.node] {
            client.disconnect(&node.hub);
        }
        client.phase = Phase::Out;
        self.settled_since[client.casting.room] = Instant::now();
    }

    pub fn detach(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if let (Some(node), Some(session), Phase::Live) = (&self.nodes[client.node], &client.session, &client.phase) {
            node.hub.detach(session, client.reader.room);
            client.phase = Phase::Out;
            client.present_since = None;
            client.is_viewing = false;
            client.reader.forget_typing();
            self.settled_since[client.casting.room] = Instant::now();
        }
    }

    pub fn type_or_not(&mut self, index: usize, active: bool) {
        let client = &self.clients[index];
        if let (Some(node), Some(session), Phase::Live) = (&self.nodes[client.node], &client.session, &client.phase)
            && let Ok(grant) = policy::authorize(&session.principal(), &client.facts())
        {
            node.hub.typing(session, &grant, active);
        }
    }

    pub fn view(&mut self, index: usize, on: bool) {
        let client = &mut self.clients[index];
        if let (Some(node), Some(session), Phase::Live) = (&self.nodes[client.node], &client.session, &client.phase)
            && let Ok(grant) = policy::authorize(&session.principal(), &client.facts())
        {
            node.hub.view(session, &grant, on);
            client.is_viewing = on;
            self.settled_since[client.casting.room] = Instant::now();
        }
    }
}
