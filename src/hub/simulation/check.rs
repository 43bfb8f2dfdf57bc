//! What the world as a whole must look like: nobody waits too long for an entry (I5), whoever is shown is there (I14), whoever
//! wants to be live becomes so (C11), and in the end everything is as if nothing had happened.
//!
//! Each bound is that of GUARANTEES; what was in the way is subtracted, never the time it took to make up for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::domain::principal::View;
use crate::hub::simulation::plan::{Act, HEALS_AT, Plan, Trouble};
use crate::hub::simulation::reader::{self, Shown};
use crate::hub::simulation::stage::{Client, Phase};
use crate::hub::simulation::world::World;

/// The moment of looking, and the way of what is late.
const MOMENT: Duration = Duration::from_millis(200);
/// Bounded staleness while beacons are heard.
const LATE_AT_MOST: Duration = Duration::from_secs(2);
/// The same whatever the bus does.
const LATE_AT_WORST: Duration = Duration::from_secs(5);
/// A read that hangs is given up after this; until then the log is not back.
const READ_TIMEOUT: u64 = 2_000;

/// When a node does not reach the log, or gives out nothing: from when until when.
pub type Blocks = Vec<(Instant, Instant)>;

/// The blocks that a plan has for a node.
pub fn blocks(plan: &Plan, number: usize, start: Instant) -> Blocks {
    let blocks = plan.steps.iter().filter_map(|step| {
        let millis = match step.act {
            Act::Log { node, trouble: Trouble::Hung | Trouble::Slow, millis } if node == number => {
                millis + READ_TIMEOUT
            }
            Act::Log { node, millis, .. } | Act::Withhold { node, millis } if node == number => millis,
            _ => return None,
        };
        let from = start + Duration::from_millis(step.at);
        Some((from, from + Duration::from_millis(millis)))
    });
    blocks.collect()
}

/// How long an attach may take where nothing is in its way.
const ATTACHED_WITHIN: Duration = Duration::from_secs(5);
/// How long presence may be wrong.
const CONVERGED_WITHIN: Duration = Duration::from_secs(15);
/// The same when news of it were lost: everybody is asked once a minute.
const CONVERGED_AT_WORST: u64 = 65_000;

impl World {
    /// What must hold at every moment.
    pub fn check(&mut self) -> Result<(), String> {
        let now = Instant::now();
        let looks_around = self.is_fair && self.millis() % 1_000 < 100;
        for index in 0..self.clients.len() {
            self.check_able(index, now)?;
            let client = &self.clients[index];
            if !client.is_live() {
                continue;
            }
            client.reader.check_typing(now).map_err(|wrong| format!("client {index}: {wrong}"))?;
            self.check_lateness(index, now)?;
            let since = self.settled_since[client.casting.room].max(client.hears_since);
            if looks_around && now > since + CONVERGED_WITHIN + MOMENT && !self.shows_truth(client) {
                return Err(self.difference("I14 who is there is not known after 15 s"));
            }
        }
        Ok(())
    }

    /// Nobody who wants to be live is kept out for long.
    fn check_able(&mut self, index: usize, now: Instant) -> Result<(), String> {
        let client = &self.clients[index];
        let wants = client.may_be_present() && !client.is_live() && client.stalls_until.is_none();
        if !wants || self.way_is_free_since(client.node, now).is_none() {
            self.clients[index].able_since = now;
        } else if now > client.able_since + ATTACHED_WITHIN {
            return Err(format!("C11 client {index} wants to be live and is not: {client:?}"));
        }
        Ok(())
    }

    /// The next entry of a reader must not be late.
    fn check_lateness(&self, index: usize, now: Instant) -> Result<(), String> {
        let client = &self.clients[index];
        let position = client.reader.position.unwrap_or(0);
        let Some(line) = self.ledger.line(client.reader.room, client.reader.view, position + 1) else { return Ok(()) };
        let Some(free_since) = self.way_is_free_since(client.node, now) else { return Ok(()) };
        let mut since = line.at.max(client.hears_since).max(free_since);
        let author = self.nodes[line.by].as_ref().filter(|author| author.up_since <= line.at);
        if line.is_unsure && author.is_some() {
            let Some(author_since) = self.way_is_free_since(line.by, now) else { return Ok(()) };
            since = since.max(author_since);
        }
        let is_announced = author.is_some_and(|author| author.stops_at.is_none()) && !line.is_unsure;
        let bound = match is_announced && !self.has_bus_trouble {
            true => LATE_AT_MOST,
            false => LATE_AT_WORST,
        };
        if now > since + bound + MOMENT {
            return Err(format!(
                "I5 client {index} misses number {} for more than {bound:?}: {client:?}",
                position + 1
            ));
        }
        Ok(())
    }

    /// Since when a node reaches the log and gives out entries; none while it does not.
    fn way_is_free_since(&self, number: usize, now: Instant) -> Option<Instant> {
        let node = self.nodes[number].as_ref().filter(|node| node.withholds_until.is_none())?;
        let blocks = self.blocks[number].iter().filter(|(from, _)| *from <= now).map(|(_, until)| *until);
        let since = blocks.fold(node.up_since, Instant::max);
        (since <= now).then_some(since)
    }

    /// In fair weather nobody is said to have left who did not.
    pub fn check_leave(&self, index: usize, at: Instant, message: &Value) -> Result<(), String> {
        if !self.is_fair || message["type"] != "presence" || message["state"] != "offline" {
            return Ok(());
        }
        let (who, room) = (reader::person(&message["who"]), self.clients[index].casting.room);
        let is_there = |client: &Client| {
            client.casting.room == room
                && client.who() == who
                && matches!(client.phase, Phase::Live)
                && client.present_since.is_some_and(|since| since + Duration::from_secs(1) < at)
        };
        match self.clients.iter().find(|client| is_there(client)) {
            Some(there) => Err(format!("I14 {who} is said to have left and has not: {there:?}")),
            None => Ok(()),
        }
    }

    /// Whether everybody has everything and sees everybody; wrong when that takes too long.
    pub fn is_converged(&self) -> Result<bool, String> {
        let is_live = |client: &Client| !client.may_be_present() || client.is_live();
        let has_all = |client: &Client| {
            client.reader.position == Some(self.ledger.head(client.reader.room).seq_in(client.reader.view))
        };
        let live = || self.clients.iter().filter(|client| client.is_live());
        let is_quiet = self.nodes.iter().all(Option::is_some)
            && self.clients.iter().all(is_live)
            && live().all(has_all)
            && live().all(|client| self.shows_truth(client));
        let patience = if self.is_fair { 22_000 } else { CONVERGED_AT_WORST };
        match is_quiet || self.millis() < HEALS_AT + patience {
            true => Ok(is_quiet),
            false => Err(self.difference("I14 the end is not as if nothing had happened")),
        }
    }

    fn shows_truth(&self, client: &Client) -> bool {
        client.reader.people == self.truth(client)
    }

    /// Who is there, as a client should see it.
    fn truth(&self, beholder: &Client) -> BTreeMap<String, Shown> {
        let mut people: BTreeMap<String, Shown> = BTreeMap::new();
        let there = self.clients.iter().filter(|client| client.casting.room == beholder.casting.room);
        for client in there.filter(|client| client.may_be_present()) {
            let viewing = client.is_viewing && beholder.reader.view == View::Staff;
            let shown =
                people.entry(client.who().to_owned()).or_insert(Shown { state: "online".to_owned(), viewing: false });
            shown.viewing |= viewing;
        }
        people
    }

    /// What is not as it should be, for a human.
    pub fn difference(&self, what: &str) -> String {
        let mut told = what.to_owned();
        for (index, client) in self.clients.iter().enumerate() {
            told.push_str(&format!("\n    client {index}: {client:?}"));
            if client.is_live() && !self.shows_truth(client) {
                told.push_str(&format!(
                    "\n      sees  {:?}\n      truth {:?}",
                    client.reader.people,
                    self.truth(client)
                ));
            }
        }
        told
    }
}
