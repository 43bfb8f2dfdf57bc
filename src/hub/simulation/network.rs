//! The wire of a simulated world: it loses, repeats, delays and reorders by plan, each way of each link for itself.
//!
//! A message's fate follows from the seed and from what it is, not from how many were sent before: in which order nodes walk
//! their maps is chance that no seed governs, and must change nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::bus::inbound::{Inbound, InboundSender, Received, pair};
use crate::bus::interest::{Interests, Subscription};
use crate::bus::message::{Lane, Message, Sign};
use crate::bus::{Bus, Channel, Health};
use crate::domain::node::NodeId;
use crate::hub::locked;
use crate::hub::simulation::plan::{Act, Plan, mix};

/// Changes a message on its way, as a planted defect.
pub type Meddler = fn(&mut Message);

/// What the nodes of a world hang on.
pub struct Network {
    plan: Arc<Plan>,
    start: Instant,
    meddler: Option<Meddler>,
    state: Mutex<State>,
    sent: Notify,
}

#[derive(Default)]
struct State {
    ears: BTreeMap<NodeId, Ear>,
    flying: BTreeMap<(Instant, u64, u64), (NodeId, Received)>,
    sent: u64,
}

#[derive(Clone)]
struct Ear {
    index: usize,
    sender: InboundSender,
    interests: Arc<Interests>,
}

/// One node's end; hung up, it says and hears nothing more.
pub struct Phone {
    node: NodeId,
    index: usize,
    network: Arc<Network>,
    interests: Arc<Interests>,
    sender: InboundSender,
}

impl Network {
    pub fn new(plan: Arc<Plan>, start: Instant, meddler: Option<Meddler>) -> Arc<Self> {
        Arc::new(Self { plan, start, meddler, state: Mutex::default(), sent: Notify::new() })
    }

    /// Gives a node an end.
    pub fn join(self: &Arc<Self>, node: NodeId, index: usize) -> (Phone, Inbound) {
        let (sender, inbound) = pair();
        let interests = Arc::<Interests>::default();
        let ear = Ear { index, sender: sender.clone(), interests: Arc::clone(&interests) };
        locked(&self.state).ears.insert(node, ear);
        (Phone { node, index, network: Arc::clone(self), interests, sender }, inbound)
    }

    /// Takes a node off: what it said is still on its way.
    pub fn hang_up(&self, node: NodeId) {
        locked(&self.state).ears.remove(&node);
    }

    /// Carries messages until dropped.
    pub async fn carry(self: Arc<Self>) {
        loop {
            let next = self.hand_over();
            match next {
                Some(when) => tokio::select! { biased; () = self.sent.notified() => {}, () = sleep_until(when) => {} },
                None => self.sent.notified().await,
            }
        }
    }

    /// Hands over what has arrived; when the next one will.
    fn hand_over(&self) -> Option<Instant> {
        loop {
            let mut state = locked(&self.state);
            let (key, _) = state.flying.first_key_value()?;
            if key.0 > Instant::now() {
                return Some(key.0);
            }
            let Some((_, (to, received))) = state.flying.pop_first() else { continue };
            let ear = state.ears.get(&to).cloned();
            drop(state);
            if let Some(ear) = ear
                && ear.interests.hears(received.channel)
            {
                ear.sender.send(received);
            }
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn send(&self, by: &Phone, channel: Channel, mut message: Message) {
        if let Some(meddler) = self.meddler {
            meddler(&mut message);
        }
        let mut state = locked(&self.state);
        if !state.ears.contains_key(&by.node) {
            return;
        }
        let (now, about) = (self.millis(), content(channel, &message));
        let ears: Vec<(NodeId, usize)> = state.ears.iter().map(|(node, ear)| (*node, ear.index)).collect();
        for (node, index) in ears {
            if node == by.node && !matches!(message, Message::Beacon(_)) {
                continue;
            }
            let base = 1 + mix(&[self.plan.seed, by.index as u64, index as u64]) % 4;
            for late in self.fate(now, (by.index, index), message.lane(), about) {
                let when = Instant::now() + Duration::from_millis(base + late);
                state.sent += 1;
                let key = (when, place(channel), state.sent);
                let received = Received { by: by.node, channel, message: message.clone() };
                state.flying.insert(key, (node, received));
            }
        }
        drop(state);
        self.sent.notify_one();
    }

    /// By how much each copy that arrives is late.
    fn fate(&self, now: u64, (from, to): (usize, usize), lane: Lane, about: u64) -> Vec<u64> {
        let mut copies = vec![0];
        for (number, step) in self.plan.steps.iter().enumerate() {
            let roll = |what: u64| mix(&[self.plan.seed, number as u64, now, from as u64, to as u64, about, what]);
            match step.act {
                Act::Cut { from: its, to: others, millis }
                    if step.is_on(now, millis) && (its, others) == (from, to) =>
                {
                    copies.clear();
                }
                Act::Storm { lane: its, loss, repeat, delay, millis } if its == lane && step.is_on(now, millis) => {
                    if roll(1) % 100 < loss {
                        copies.clear();
                    } else if roll(2) % 100 < repeat {
                        copies.push(roll(3) % 300);
                    }
                    copies.iter_mut().for_each(|late| *late += if delay > 0 { roll(4) % delay } else { 0 });
                }
                _ => {}
            }
        }
        copies
    }
}

impl Bus for Phone {
    fn publish(&self, channel: Channel, message: Message) {
        self.network.send(self, channel, message);
    }

    fn subscribe(&self, channel: Channel) -> Subscription {
        let subscription = self.interests.subscribe(channel, Health::Up);
        for channel in self.interests.take_changes(Instant::now()).subscribe {
            let roll = mix(&[self.network.plan.seed, self.network.millis(), self.index as u64, place(channel)]);
            // Mostly at once, sometimes later than anybody waits for it. Between the two several would wait for a conversation's
            // channel together, and in which order they are woken is chance that no seed governs.
            let afters =
                if matches!(channel, Channel::Conversation(_)) { [0, 0, 0, 0, 600] } else { [0, 3, 3, 40, 400] };
            let after = afters[usize::try_from(roll % 5).unwrap_or(0)];
            let (interests, sender) = (Arc::clone(&self.interests), self.sender.clone());
            let confirm = move || {
                if interests.confirm(channel) {
                    sender.doubt();
                }
            };
            if after == 0 {
                confirm();
                continue;
            }
            tokio::spawn(async move {
                sleep(Duration::from_millis(after)).await;
                confirm();
            });
        }
        subscription
    }

    fn health(&self) -> Health {
        Health::Up
    }
}

fn place(channel: Channel) -> u64 {
    match channel {
        Channel::Conversation(room) => room.conversation.0.as_u64_pair().1,
        Channel::Organization(organization) => organization.0.as_u64_pair().1,
        Channel::Nodes => 0,
    }
}

/// What a message is about, in a number that does not depend on the order in which somebody listed things.
fn content(channel: Channel, message: &Message) -> u64 {
    let about = match message {
        Message::Entries(entries) => {
            let first = entries.first().map_or(0, |entry| entry.seq);
            mix(&[1, first as u64, entries.len() as u64])
        }
        Message::Rights(_) => 2,
        Message::Beacon(beacon) => mix(&[3, beacon.number]),
        Message::Farewell => 4,
        Message::Rows(_) => 5,
        Message::Asks(organization) => mix(&[6, place(Channel::Organization(*organization))]),
        Message::Presence(presence) => {
            let rooms = presence.rooms.iter().map(|held| mix(&[held.conversation.0.as_u64_pair().1, held.number]));
            mix(&[7, u64::from(presence.complete.is_some()), rooms.fold(0, u64::wrapping_add)])
        }
        Message::Sign(Sign::Typing { active, .. }) => mix(&[8, u64::from(*active)]),
        Message::Sign(_) => 9,
    };
    mix(&[place(channel), about])
}
