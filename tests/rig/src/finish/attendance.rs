//! Who the nodes say is in each room, against the sockets that are really attached.
//!
//! Asked again until all agree, or the time in which they must is over: the last answer is the one that is noted. Look next in
//! `readings.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use parlour_protocol::command::{Command, Presence};
use parlour_protocol::reply::PresenceState;
use tokio::time::{Instant, sleep};

use crate::history::{Attendance, Node, Room};
use crate::workload::Workload;
use crate::workload::stage::{Player, Stage};
use crate::workload::wire::{Ended, Wire};

/// Within 10 s a person who left is gone, within 15 s those of a node that died (SPEC §10), and then some for a busy machine.
const CONVERGE_MAX: Duration = Duration::from_secs(18);

/// Takes the attendance of every room at every node.
pub async fn take(workload: &Workload) {
    let deadline = Instant::now() + CONVERGE_MAX;
    loop {
        let taken = take_once(workload).await;
        let is_true = |attendance: &Attendance| {
            let online = |(_, state): &(&String, &String)| state.as_str() == "online";
            let told: BTreeSet<_> = attendance.told.iter().filter(online).map(|(who, _)| who).collect();
            told == attendance.real.iter().collect() && attendance.told.values().all(|state| state != "unknown")
        };
        if taken.iter().all(is_true) || Instant::now() > deadline {
            return workload.stage().recorder().with(|history| history.attendances = taken);
        }
        sleep(Duration::from_millis(400)).await;
    }
}

async fn take_once(workload: &Workload) -> Vec<Attendance> {
    let stage = workload.stage();
    let mut taken = Vec::new();
    for number in 0..stage.endpoints.len() {
        let node = stage.node(number);
        let mut wires: Vec<(crate::history::Tenant, Wire)> = Vec::new();
        for witnesses in workload.witnesses() {
            let tenant = witnesses.staff.tenant;
            if !wires.iter().any(|(of, _)| *of == tenant)
                && let Ok(wire) = open(stage, &witnesses.staff, node).await
            {
                wires.push((tenant, wire));
            }
            let wire = wires.iter_mut().find(|(of, _)| *of == tenant);
            let told = match wire {
                Some((_, wire)) => ask(stage, wire, witnesses.room).await.unwrap_or_default(),
                None => BTreeMap::new(),
            };
            taken.push(Attendance { node, room: witnesses.room, told, real: real(workload, witnesses.room) });
        }
    }
    taken
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
