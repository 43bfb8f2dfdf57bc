//! Who the nodes say is in each room, against the sockets that are really attached.
//!
//! Asked again until all agree, or the time in which they must is over: the last answer is the one that is noted. Look next in
//! `readings.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use parlour_protocol::command::{Command, Presence};
use parlour_protocol::reply::PresenceState;
use tokio::time::{Instant, sleep};

use crate::history::{Attendance, Node, Room};
use crate::workload::Workload;
use crate::workload::stage::{Player, Stage};
use crate::workload::wire::{Ended, Wire};

/// Within 10 s a person who left is gone, within 15 s those of a node that died (SPEC §10), and then some for a busy machine.
const CONVERGE_MAX: Duration = Duration::from_secs(18);

/// Sockets at one node, one of each tenant. They stay: the first socket of a tenant at a node is answered with what that node knows
/// alone, and by the time its peers have told the rest, a new one in every round would be the first again.
struct Desk<'w> {
    node: Node,
    wires: Vec<(&'w Player, Option<Wire>)>,
}

/// Takes the attendance of every room at every node.
pub async fn take(workload: &Workload) {
    let stage = workload.stage();
    let deadline = Instant::now() + CONVERGE_MAX;
    let mut desks: Vec<_> = (0..stage.endpoints.len()).map(|number| Desk::new(workload, stage.node(number))).collect();
    loop {
        let taken = join_all(desks.iter_mut().map(|desk| desk.take(workload))).await.concat();
        let is_true = |attendance: &Attendance| {
            let online = |(_, state): &(&String, &String)| state.as_str() == "online";
            let told: BTreeSet<_> = attendance.told.iter().filter(online).map(|(who, _)| who).collect();
            told == attendance.real.iter().collect() && attendance.told.values().all(|state| state != "unknown")
        };
        if taken.iter().all(is_true) || Instant::now() > deadline {
            return stage.recorder().with(|history| history.attendances = taken);
        }
        sleep(Duration::from_millis(400)).await;
    }
}

impl<'w> Desk<'w> {
    fn new(workload: &'w Workload, node: Node) -> Self {
        let mut wires = Vec::<(&Player, Option<Wire>)>::new();
        for player in workload.witnesses().iter().map(|witnesses| &*witnesses.staff) {
            if wires.iter().all(|(other, _)| other.tenant != player.tenant) {
                wires.push((player, None));
            }
        }
        Self { node, wires }
    }

    /// As the node tells it. A node that does not answer names nobody.
    async fn take(&mut self, workload: &Workload) -> Vec<Attendance> {
        let stage = workload.stage();
        for (player, wire) in self.wires.iter_mut().filter(|(_, wire)| wire.is_none()) {
            *wire = open(stage, player, self.node).await.ok();
        }
        let mut taken = Vec::new();
        for witnesses in workload.witnesses() {
            let (staff, mut told) = (&witnesses.staff, BTreeMap::new());
            let slot = self.wires.iter_mut().find(|(player, _)| player.tenant == staff.tenant).map(|(_, wire)| wire);
            if let Some(slot) = slot
                && let Some(wire) = slot
            {
                match ask(stage, wire, witnesses.room).await {
                    Ok(members) => told = members,
                    // Whoever did not answer once is not waited for again in this round.
                    Err(_) => *slot = None,
                }
            }
            taken.push(Attendance {
                node: self.node,
                room: witnesses.room,
                told,
                real: real(workload, witnesses.room),
            });
        }
        taken
    }
}

async fn open(stage: &Stage, player: &Player, node: Node) -> Result<Wire, Ended> {
    let endpoint = &stage.direct[usize::from(node.0)];
    match player.open(stage, endpoint, None).await {
        Ok(wire) => Ok(wire),
        // With a fresh token, if that was it.
        Err(_) => player.open(stage, endpoint, None).await,
    }
}

/// `who.id` and state of everybody a node names.
async fn ask(stage: &Stage, wire: &mut Wire, room: Room) -> Result<BTreeMap<String, String>, Ended> {
    let conversation = stage.conversation(room);
    let id = wire.send(Command::Presence(Presence { conversation, viewing: None })).await?;
    let members = wire.reply(id, |_| {}).await?.members.unwrap_or_default();
    let word = |state| match state {
        PresenceState::Online => "online",
        PresenceState::Offline => "offline",
        PresenceState::Unknown => "unknown",
    };
    Ok(members.into_iter().map(|member| (member.who.id, word(member.state).to_owned())).collect())
}

/// Those whose sockets are attached, each once.
fn real(workload: &Workload, room: Room) -> Vec<String> {
    let seats = workload.seats();
    let here = seats.iter().filter(|seat| seat.room == room && seat.door.is_attached.load(Ordering::Relaxed));
    let ids: BTreeSet<_> = here.map(|seat| seat.player.id.clone()).collect();
    ids.into_iter().collect()
}
