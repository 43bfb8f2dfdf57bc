//! Races: a card is offered, everybody in the room chooses at once, from different nodes, and now and then somebody comes late.
//!
//! Who may win is the server's to say and a checker's to check. Look next in `writer.rs`, which sends the choices.

use std::sync::Arc;
use std::time::Duration;

use parlour_testkit::party::Dice;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};

use crate::history::{Act, OpId, Room};
use crate::workload::pusher::offer;
use crate::workload::stage::{Phase, Player, SharedStage};
use crate::workload::writer::Order;

/// What can be chosen.
const OPTIONS: [char; 4] = ['a', 'b', 'c', 'd'];
/// Between two races.
const GAP: Duration = Duration::from_millis(150);
/// How long a race is waited for; after that the next one begins all the same.
const RACE_MAX: Duration = Duration::from_secs(15);

/// Offers cards to those who choose, one after another, until nothing new is to be begun.
pub async fn races(stage: SharedStage, host: Arc<Player>, room: Room, choosers: Vec<UnboundedSender<Order>>) {
    let mut dice = Dice(stage.recorder().seed() ^ 0x00c4_01ce ^ u64::from(room.0));
    stage.until(Phase::Acting).await;
    while stage.phase() == Phase::Acting {
        let Some((op, card)) = offer(&stage, &host, room, &OPTIONS, &mut dice).await else { continue };
        let pick = |dice: &mut Dice| OPTIONS[usize::try_from(dice.roll(OPTIONS.len() as u64)).unwrap_or(0)];
        for chooser in &choosers {
            // A chooser that is gone has nothing to choose any more.
            let _ = chooser.send(Order::Choose(op, card, pick(&mut dice)));
        }
        let decided = Instant::now() + RACE_MAX;
        while choices(&stage, op) < choosers.len() && Instant::now() < decided && stage.phase() == Phase::Acting {
            sleep(Duration::from_millis(20)).await;
        }
        if dice.roll(3) == 0 {
            let late = usize::try_from(dice.roll(choosers.len() as u64)).unwrap_or(0);
            let _ = choosers[late].send(Order::Choose(op, card, pick(&mut dice)));
        }
        sleep(GAP).await;
    }
}

/// How many choices on a card have their answer. Looks at the newest operations only: a race is short.
fn choices(stage: &SharedStage, card: OpId) -> usize {
    stage.recorder().with(|history| {
        let since = usize::try_from(card.0).unwrap_or(0);
        let is_choice = |act: &Act| matches!(act, Act::Select(target, _) if *target == card);
        history.ops[since..].iter().filter(|op| is_choice(&op.act) && op.completed.is_some()).count()
    })
}
