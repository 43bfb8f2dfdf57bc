//! One simulated life from its first moment until all is quiet: carries out a plan and looks every few milliseconds.
//!
//! One task holds everybody; nodes run beside it on the same thread, and time moves only when all of them wait. A run ends with
//! the first thing that is wrong, or when everything has converged.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::domain::room::{Committed, RoomKey};
use crate::hub::HubConfig;
use crate::hub::simulation::check::{Blocks, blocks};
use crate::hub::simulation::ledger::Ledger;
use crate::hub::simulation::network::{Meddler, Network};
use crate::hub::simulation::plan::{Act, HEALS_AT, Plan, Step, Trouble, mix};
use crate::hub::simulation::reader::Upshot;
use crate::hub::simulation::stage::{self, Client, Node, Phase, room};

/// How often the world is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How often nodes read who else is registered.
const REGISTER_EVERY: u64 = 3_000;
/// How long a node that says farewell has for what is under way.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// How long after healing what broke may still show: a node finds that it was deaf just before its next beacon comes back.
const AFTERMATH: u64 = 2_000;
/// How long it is watched that what has converged stays so; in one life of eight for as long as anything is remembered.
const LINGER: [u64; 2] = [1_000, 70_000];

/// What is different from the real thing, to see it caught.
#[derive(Clone, Default)]
pub struct Defect {
    pub config: HubConfig,
    /// Changes messages on their way.
    pub meddler: Option<Meddler>,
    /// Changes what a client hears; none: it does not.
    pub deafness: Option<fn(&serde_json::Value) -> bool>,
    /// What a node delivers that was never committed.
    pub invents: bool,
    /// Redactions are not carried out where the log is read.
    pub keeps_texts: bool,
}

/// How a life went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was wrong first; none: nothing.
    pub wrong: Option<String>,
    /// What everybody heard and when, if asked for.
    pub transcript: Vec<String>,
    /// How many entries were committed.
    pub entries: usize,
}

pub struct World {
    pub plan: Arc<Plan>,
    pub defect: Defect,
    pub start: Instant,
    pub ledger: Arc<Ledger>,
    pub nodes: Vec<Option<Node>>,
    pub clients: Vec<Client>,
    /// By room: since when nobody has come or gone.
    pub settled_since: Vec<Instant>,
    /// No message of the control or ephemeral lane is ever lost or late, and every node always reaches the log.
    pub is_fair: bool,
    pub has_bus_trouble: bool,
    /// By node: when it does not reach the log.
    pub blocks: Vec<Blocks>,
    pub network: Arc<Network>,
    /// By node: when another one takes the place of one that died.
    pub rises_at: Vec<Option<Instant>>,
    pub lives: u64,
    transcript: Option<Vec<String>>,
}

/// Plays a plan.
pub fn play(plan: &Plan, defect: &Defect, writes: bool) -> Outcome {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut carrier = JoinSet::new();
        let mut world = World::new(plan, defect, writes);
        carrier.spawn(Arc::clone(&world.network).carry());
        let wrong = world.live().await.err();
        let wrong = wrong.map(|wrong| format!("at {} ms: {wrong}", world.millis()));
        let rooms = (0..plan.rooms).map(|number| world.ledger.head(room(plan.seed, number)).seq as usize);
        let entries = rooms.sum();
        // Sessions and members hold each other until they leave.
        (0..plan.nodes).for_each(|node| world.kill(node));
        let mut transcript = world.transcript.take().unwrap_or_default();
        // In one moment the order of people in a map is chance.
        transcript.sort();
        Outcome { wrong, transcript, entries }
    })
}

impl World {
    fn new(plan: &Plan, defect: &Defect, writes: bool) -> Self {
        let (start, plan) = (Instant::now(), Arc::new(plan.clone()));
        let rooms: Vec<RoomKey> = (0..plan.rooms).map(|number| room(plan.seed, number)).collect();
        let mut world = Self {
            defect: defect.clone(),
            start,
            ledger: Ledger::new(&rooms, defect.keeps_texts),
            nodes: (0..plan.nodes).map(|_| None).collect(),
            clients: plan.clients.iter().map(|casting| Client::new(plan.seed, *casting)).collect(),
            settled_since: vec![start; plan.rooms],
            network: Network::new(Arc::clone(&plan), start, defect.meddler),
            is_fair: !plan.has_bus_trouble() && !plan.has_log_trouble(),
            has_bus_trouble: plan.has_bus_trouble(),
            blocks: (0..plan.nodes).map(|node| blocks(&plan, node, start)).collect(),
            rises_at: vec![None; plan.nodes],
            lives: 0,
            transcript: writes.then(Vec::new),
            plan,
        };
        (0..world.plan.nodes).for_each(|node| world.rise(node));
        world
    }

    pub fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Runs until all is quiet or something is wrong.
    async fn live(&mut self) -> Result<(), String> {
        self.register();
        for client in 0..self.clients.len() {
            self.enter(client, self.clients[client].casting.node);
        }
        let steps: Vec<Step> = self.plan.steps.clone();
        let mut steps = steps.into_iter().peekable();
        let is_patient = mix(&[self.plan.seed, 8]).is_multiple_of(8);
        let linger = Duration::from_millis(LINGER[usize::from(is_patient)]);
        let mut converged_at: Option<Instant> = None;
        loop {
            while let Some(step) = steps.next_if(|step| step.at <= self.millis()) {
                self.act(step.act);
            }
            self.keep_up();
            self.listen()?;
            self.check()?;
            if self.millis() >= HEALS_AT + AFTERMATH {
                match (self.is_converged()?, converged_at) {
                    (true, None) => converged_at = Some(Instant::now()),
                    (true, Some(since)) if since.elapsed() >= linger => return Ok(()),
                    (true, Some(_)) => {}
                    (false, None) => {}
                    (false, Some(_)) => return Err(self.difference("what had converged changed again")),
                }
            }
            let look = Instant::now() + LOOK;
            let next = steps.peek().map(|step| self.start + Duration::from_millis(step.at));
            sleep_until(next.map_or(look, |next| next.min(look))).await;
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Say { node, room, count, bytes } => self.say(node, room, count, bytes),
            Act::Redact { node, room, pick } if self.can_write(node) => {
                let key = stage::room(self.plan.seed, room);
                let redaction = self.ledger.redact(key, node, pick);
                self.deliver(node, redaction.into_iter().collect());
            }
            Act::Unsure { node, room, commits } if self.can_write(node) => {
                let key = stage::room(self.plan.seed, room);
                if commits {
                    self.ledger.say(key, node, 10);
                    self.ledger.forget_author(key);
                }
                self.nodes[node].iter().for_each(|node| drop(node.hub.pledge(key)));
            }
            Act::Leave { client } => self.leave(client),
            Act::Enter { client, node } => {
                self.leave(client);
                self.enter(client, node);
            }
            Act::Detach { client } => self.detach(client),
            Act::Stall { client, credit, millis } => {
                let client = &mut self.clients[client];
                client.tap.allow(Some(usize::try_from(credit).unwrap_or(0)));
                client.stalls_until = Some(Instant::now() + Duration::from_millis(millis));
            }
            Act::Typing { client, active } => self.type_or_not(client, active),
            Act::View { client, on } => self.view(client, on),
            Act::Crash { node, millis } => {
                // What it committed last it told nobody.
                let about_to_speak = mix(&[self.plan.seed, self.millis(), 9]).is_multiple_of(2);
                if about_to_speak && self.can_write(node) {
                    self.ledger.say(room(self.plan.seed, 0), node, 10);
                }
                self.rises_at[node] = Some(Instant::now() + Duration::from_millis(millis));
                self.kill(node);
            }
            Act::Stop { node, millis } => {
                self.rises_at[node] = Some(Instant::now() + LAST_WORDS + Duration::from_millis(millis));
                self.send_away(node);
                let now = Instant::now();
                self.nodes[node].iter_mut().for_each(|node| node.stops_at = Some(now + LAST_WORDS));
            }
            Act::Withhold { node, millis } => {
                if let Some(node) = &mut self.nodes[node] {
                    node.hub.withhold();
                    node.withholds_until = Some(Instant::now() + Duration::from_millis(millis));
                }
            }
            Act::Cut { .. } | Act::Storm { .. } | Act::Log { .. } => {}
            Act::Redact { .. } | Act::Unsure { .. } => {}
        }
    }

    fn can_write(&self, node: usize) -> bool {
        let is_there = self.nodes[node].as_ref().is_some_and(|node| node.stops_at.is_none());
        is_there && matches!(self.plan.trouble(node, self.millis()), None | Some(Trouble::Slow))
    }

    fn say(&mut self, node: usize, number: usize, count: u64, bytes: u64) {
        if !self.can_write(node) {
            return;
        }
        let key = room(self.plan.seed, number);
        let entries: Vec<Committed> = (0..count).map(|_| self.ledger.say(key, node, bytes)).collect();
        if self.defect.invents && count == 1 {
            let (mut entry, known) = (entries[0].clone(), self.ledger.head(key));
            (entry.seq, entry.guest_seq) = (known.seq + 1, Some(known.guest_seq + 1));
            self.deliver(node, vec![entry]);
        }
        let batch = if count <= 4 { 1 } else { entries.len() };
        entries.chunks(batch).for_each(|entries| self.deliver(node, entries.to_vec()));
    }

    /// Has a node deliver what it committed, in a moment.
    fn deliver(&mut self, number: usize, entries: Vec<Committed>) {
        let Some(first) = entries.first() else { return };
        let roll = mix(&[self.plan.seed, self.millis(), number as u64, first.seq as u64]);
        let after = Duration::from_millis(roll % 30);
        if let Some(node) = &mut self.nodes[number] {
            let hub = Arc::clone(&node.hub);
            node.tasks.spawn(async move {
                sleep(after).await;
                hub.deliver(entries).await;
            });
        }
    }

    /// What happens by itself: nodes come back, say their last word and learn who is registered; clients try again.
    fn keep_up(&mut self) {
        let now = Instant::now();
        for node in 0..self.nodes.len() {
            if self.nodes[node].as_ref().and_then(|node| node.stops_at).is_some_and(|at| at <= now) {
                self.stop(node);
            }
            if self.rises_at[node].is_some_and(|at| at <= now) && self.nodes[node].is_none() {
                self.rises_at[node] = None;
                self.rise(node);
                self.register();
            }
            if let Some(node) = &mut self.nodes[node]
                && node.withholds_until.is_some_and(|until| until <= now)
            {
                node.withholds_until = None;
                node.hub.resume();
            }
        }
        if self.millis() % REGISTER_EVERY < 100 {
            self.register();
        }
        for client in &mut self.clients {
            if client.stalls_until.is_some_and(|until| until <= now) {
                client.stalls_until = None;
                client.tap.allow(None);
                client.hears_since = now;
                // Their ends may have been dropped.
                client.reader.forget_typing();
            }
            client.refused();
        }
        let again = |client: &Client| matches!(client.phase, Phase::Waiting(at) if at <= now);
        let waiting: Vec<usize> = (0..self.clients.len()).filter(|client| again(&self.clients[*client])).collect();
        waiting.into_iter().for_each(|client| self.enter(client, self.clients[client].node));
    }

    /// Everybody reads what is in their sockets.
    fn listen(&mut self) -> Result<(), String> {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            client.flush();
            client.reader.is_catching_up = client.hears_since == Instant::now();
            for (at, message) in client.reader.messages(&client.tap) {
                if self.defect.deafness.is_some_and(|is_lost| is_lost(&message)) {
                    continue;
                }
                if let Some(transcript) = &mut self.transcript {
                    let millis = at.duration_since(self.start).as_millis();
                    transcript.push(format!("{millis:>6} {index} {message}"));
                }
                self.take_in(index, at, &message).map_err(|wrong| format!("client {index}: {wrong}"))?;
            }
        }
        Ok(())
    }

    fn take_in(&mut self, index: usize, at: Instant, message: &serde_json::Value) -> Result<(), String> {
        self.check_leave(index, at, message)?;
        let client = &mut self.clients[index];
        match client.reader.hear(&self.ledger, at, message)? {
            Upshot::Live => {
                client.phase = Phase::Live;
                client.present_since.get_or_insert(at);
                client.hears_since = Instant::now();
                self.settled_since[client.casting.room] = Instant::now();
            }
            // Said of an attachment that the one asked for replaces: its answer will come later and tell more.
            Upshot::Behind if matches!(client.phase, Phase::Attaching(_)) => {}
            // An answer that was on its way when the client let go is nothing to it.
            Upshot::Again | Upshot::Behind if !matches!(client.phase, Phase::Out) => {
                self.enter(index, self.clients[index].node)
            }
            Upshot::Paused if matches!(client.phase, Phase::Live) => client.phase = Phase::Paused,
            Upshot::Again | Upshot::Behind | Upshot::Paused | Upshot::Nothing => {}
        }
        Ok(())
    }
}
