//! What happens in one simulated life: who is there, who does what when, and what breaks. All of it follows from one number.
//!
//! A plan holds steps at fixed times, and every chance in the world is drawn from the seed and from what it is about, never from
//! a running generator: so a step can be left out and all others stay as they were, which is what makes a failure shrink.

use std::fmt;

use crate::bus::message::Lane;

/// Until when a plan does anything, in milliseconds: then everything heals.
pub const HEALS_AT: u64 = 24_000;
/// When the first step comes: the nodes know each other.
const BEGINS_AT: u64 = 2_000;
/// Steps are at odd moments, so that none coincides with a node's own ticks only by design of the test.
const GRAIN: u64 = 7;

/// Mixes numbers into one that looks like chance (the finalizer of `splitmix64`, for each).
pub fn mix(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |sum, part| {
        let mut mixed = (sum ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Draws one after the other; only for making a plan.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 += 1;
        mix(&[self.0]) % end.max(1)
    }

    fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// A client: one session at a time, in one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Casting {
    pub room: usize,
    pub is_guest: bool,
    /// Clients of one number and view are one person.
    pub person: usize,
    pub node: usize,
}

/// What is wrong with a node's way to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Slow,
    Down,
    Hung,
}

/// One thing that happens. `millis` is for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Entries are committed through a node, and delivered a moment later unless it dies first.
    Say {
        node: usize,
        room: usize,
        count: u64,
        bytes: u64,
    },
    /// One entry that may be redacted is.
    Redact {
        node: usize,
        room: usize,
        pick: u64,
    },
    /// A commit whose outcome its node never learns, or a doubt about none.
    Unsure {
        node: usize,
        room: usize,
        commits: bool,
    },
    /// A client closes its socket, with whatever is in it.
    Leave {
        client: usize,
    },
    /// A client opens a socket, or another one, and attaches from where it stands.
    Enter {
        client: usize,
        node: usize,
    },
    Detach {
        client: usize,
    },
    Stall {
        client: usize,
        credit: u64,
        millis: u64,
    },
    Typing {
        client: usize,
        active: bool,
    },
    View {
        client: usize,
        on: bool,
    },
    /// `kill -9`, and a new node in its place.
    Crash {
        node: usize,
        millis: u64,
    },
    /// A farewell, then the same.
    Stop {
        node: usize,
        millis: u64,
    },
    /// Nothing said by one is heard by the other.
    Cut {
        from: usize,
        to: usize,
        millis: u64,
    },
    /// Messages of a lane are lost, repeated (percent) or late.
    Storm {
        lane: Lane,
        loss: u64,
        repeat: u64,
        delay: u64,
        millis: u64,
    },
    Log {
        node: usize,
        trouble: Trouble,
        millis: u64,
    },
    /// A node that cannot confirm rights withholds entries.
    Withhold {
        node: usize,
        millis: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// In milliseconds since the beginning.
    pub at: u64,
    pub act: Act,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub nodes: usize,
    pub rooms: usize,
    pub clients: Vec<Casting>,
    /// In the order of their times.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice(mix(&[seed]));
        let nodes = dice.index(3) + 2;
        let rooms = dice.index(3) + 1;
        let clients = (0..dice.between(3, 7)).map(|n| casting(&mut dice, n as usize, nodes, rooms)).collect();
        let mut plan = Self { seed, nodes, rooms, clients, steps: Vec::new() };
        // Not everything breaks in every life: what is promised in fair weather is more than in any weather.
        let families: Vec<u64> = (0..8).filter(|_| dice.one_in(3)).collect();
        for _ in 0..dice.between(10, 45) {
            let at = dice.between(BEGINS_AT, HEALS_AT - 4_000) / GRAIN * GRAIN;
            let family = families.get(dice.index(families.len())).filter(|_| dice.one_in(3));
            let act = match family {
                None => plan.deed(&mut dice),
                Some(family) => plan.mishap(&mut dice, *family, HEALS_AT - at),
            };
            plan.steps.push(Step { at, act });
        }
        plan.steps.sort_by_key(|step| step.at);
        plan
    }

    fn deed(&self, dice: &mut Dice) -> Act {
        let (node, room) = (dice.index(self.nodes), dice.index(self.rooms));
        let client = dice.index(self.clients.len());
        match dice.below(16) {
            0..=5 => Act::Say { node, room, count: dice.between(1, 4), bytes: 10 },
            6 => Act::Say { node, room, count: dice.between(5, 60), bytes: 10 },
            7 => Act::Redact { node, room, pick: dice.below(1_000) },
            8 => Act::Leave { client },
            9..=10 => Act::Enter { client, node },
            11 => Act::Detach { client },
            12..=13 => Act::Typing { client, active: !dice.one_in(4) },
            14 => Act::View { client, on: !dice.one_in(3) },
            _ => Act::Say { node, room, count: 1, bytes: 10 },
        }
    }

    fn mishap(&self, dice: &mut Dice, family: u64, left: u64) -> Act {
        let (node, room) = (dice.index(self.nodes), dice.index(self.rooms));
        let client = dice.index(self.clients.len());
        let millis = dice.between(200, 7_000).min(left);
        match family {
            0 => storm(dice, &[Lane::Durable], millis),
            1 => storm(dice, &[Lane::Durable, Lane::Control, Lane::Ephemeral], millis),
            2 => Act::Cut { from: node, to: dice.index(self.nodes), millis: dice.between(500, 14_000).min(left) },
            3 if dice.one_in(3) => Act::Stop { node, millis },
            3 => Act::Crash { node, millis },
            4 => {
                let trouble = [Trouble::Slow, Trouble::Down, Trouble::Hung][dice.index(3)];
                Act::Log { node, trouble, millis }
            }
            5 => Act::Unsure { node, room, commits: !dice.one_in(4) },
            6 if dice.one_in(2) => Act::Say { node, room, count: dice.between(10, 40), bytes: 12_000 },
            6 => Act::Stall { client, credit: dice.below(400), millis },
            _ => Act::Withhold { node, millis },
        }
    }

    /// Whether signs and beacons may be lost or late at some time.
    pub fn has_bus_trouble(&self) -> bool {
        self.any(|act| match act {
            Act::Cut { .. } => true,
            Act::Storm { lane, .. } => *lane != Lane::Durable,
            _ => false,
        })
    }

    /// Whether the log cannot be read, or rights not confirmed, at some time.
    pub fn has_log_trouble(&self) -> bool {
        self.any(|act| matches!(act, Act::Log { .. } | Act::Withhold { .. }))
    }

    /// Whether a step is of this kind.
    pub fn any(&self, is_it: impl Fn(&Act) -> bool) -> bool {
        self.steps.iter().any(|step| is_it(&step.act))
    }

    /// What is wrong with a node's way to the log at a time.
    pub fn trouble(&self, node: usize, at: u64) -> Option<Trouble> {
        self.steps.iter().find_map(|step| match step.act {
            Act::Log { node: its, trouble, millis } if its == node && step.is_on(at, millis) => Some(trouble),
            _ => None,
        })
    }
}

impl Step {
    /// Whether something that began with this step and lasts for so long is on.
    pub fn is_on(&self, at: u64, millis: u64) -> bool {
        self.at <= at && at < self.at + millis
    }
}

fn casting(dice: &mut Dice, number: usize, nodes: usize, rooms: usize) -> Casting {
    let (room, is_guest, node) = (dice.index(rooms), dice.one_in(2), dice.index(nodes));
    // Now and then a second window of somebody who is there.
    let person = if number > 0 && dice.one_in(5) { dice.index(number) } else { number };
    Casting { room, is_guest, person, node }
}

fn storm(dice: &mut Dice, lanes: &[Lane], millis: u64) -> Act {
    let lane = lanes[dice.index(lanes.len())];
    let delay = if dice.one_in(2) { 0 } else { dice.between(1, 900) };
    Act::Storm { lane, loss: [0, 30, 70, 100][dice.index(4)], repeat: [0, 30][dice.index(2)], delay, millis }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} nodes, {} rooms", self.nodes, self.rooms)?;
        for (index, client) in self.clients.iter().enumerate() {
            let Casting { room, is_guest, person, node } = client;
            let kind = if *is_guest { "guest" } else { "staff" };
            writeln!(f, "  client {index}: {kind} {person} in room {room}, first at node {node}")?;
        }
        for step in &self.steps {
            writeln!(f, "  {:>6} ms  {:?}", step.at, step.act)?;
        }
        write!(f, "  {HEALS_AT:>6} ms  everything heals")
    }
}
