//! Last tries: one message in every room at every node, each of which must be acknowledged in time.
//!
//! They are operations like all others, so they are in the final readings, too. Look next in `attendance.rs`.

use parlour_protocol::command::{Command, Send};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::history::{Act, Node, Probe, Room};
use crate::workload::Workload;
use crate::workload::ledger::Say;
use crate::workload::stage::{Player, SharedStage};
use crate::workload::wire::{Ended, PATIENCE};
use crate::workload::words::Length;

/// Tries every room at every node.
pub async fn probe(workload: &Workload) {
    let mut tasks = JoinSet::new();
    for number in 0..workload.stage().endpoints.len() {
        let node = workload.stage().node(number);
        let rooms: Vec<_> =
            workload.witnesses().iter().map(|witnesses| (witnesses.room, witnesses.staff.clone())).collect();
        let stage = workload.stage().clone();
        tasks.spawn(async move {
            for (room, player) in rooms {
                try_room(&stage, &player, room, node).await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    }
}

async fn try_room(stage: &SharedStage, player: &Player, room: Room, node: Node) {
    let recorder = stage.recorder();
    let (op, text) = stage.ledger.invoke(player.person, room, Act::Send, Say::Text(Length::Usual));
    let began = recorder.now();
    let said = timeout(PATIENCE, async {
        loop {
            match say(stage, player, room, node, op, &text).await {
                Ok(()) => return,
                // Within the time it may be repeated like any other.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
            stage.ledger.tried(op);
        }
    });
    let took = said.await.is_ok().then(|| recorder.now() - began);
    recorder.with(|history| history.probes.push(Probe { room, node, took }));
}

async fn say(
    stage: &SharedStage,
    player: &Player,
    room: Room,
    node: Node,
    op: crate::history::OpId,
    text: &str,
) -> Result<(), Ended> {
    let mut wire = player.open(stage, stage.at(node), None).await?;
    let (conversation, client_id) = (stage.conversation(room), stage.ledger.key(op));
    let id = wire.send(Command::Send(Send { conversation, client_id, text: text.to_owned() })).await?;
    let done = wire.reply(id, |_| {}).await?;
    if let (Some(entry), Some(seq), Some(duplicate)) = (done.entry_id, done.seq, done.duplicate) {
        stage.ledger.done(op, entry, seq, duplicate, node);
    }
    Ok(())
}
