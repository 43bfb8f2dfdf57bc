//! Whatever is done over HTTP until it is settled: a service's messages, and cards.
//!
//! Repeats under the same key at the next node. Ends when the operation has its answer, or the run is over. Look next in
//! `choices.rs`.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::id::{CardId, ConversationId, EntryId};
use parlour_testkit::party::Dice;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::history::{Act, OpId, Room};
use crate::workload::ledger::Say;
use crate::workload::stage::{Phase, Player, SharedStage};
use crate::workload::web::entries_path;
use crate::workload::words::Length;

/// What a stored entry is answered with; a card with its id.
#[derive(Debug, Deserialize)]
struct Stored {
    entry_id: EntryId,
    seq: i64,
    duplicate: bool,
    card: Option<Made>,
}

#[derive(Debug, Deserialize)]
struct Made {
    id: CardId,
}

/// Pushes a service's messages, one after another, until nothing new is to be begun.
pub async fn push(stage: SharedStage, player: Arc<Player>, room: Room, writers: u64, lane: u64) {
    let path = entries_path(stage.conversation(room));
    let mut dice = Dice(stage.recorder().seed() ^ (u64::from(player.person.0) << 24) ^ lane);
    stage.until(Phase::Acting).await;
    let mut due = Instant::now();
    while stage.phase() == Phase::Acting {
        let (op, text) = stage.ledger.invoke(player.person, room, Act::Push, Say::Text(Length::Usual));
        let body = json!({ "kind": "message", "text": text });
        settle(&stage, &player, op, &path, &body, &mut dice).await;
        due = (due + stage.gap(writers)).max(Instant::now() - Duration::from_millis(500));
        sleep_until(due).await;
    }
}

/// Offers a card; its operation and its id, unless the run ended first.
pub async fn offer(
    stage: &SharedStage,
    player: &Arc<Player>,
    room: Room,
    options: &[char],
    dice: &mut Dice,
) -> Option<(OpId, CardId)> {
    let conversation: ConversationId = stage.conversation(room);
    let (op, title) = stage.ledger.invoke(player.person, room, Act::Card, Say::Text(Length::Title));
    let options: Vec<Value> =
        options.iter().map(|option| json!({ "id": option.to_string(), "label": format!("Room {option}") })).collect();
    let body = json!({ "kind": "choice", "title": title, "options": options });
    settle(stage, player, op, &format!("/api/v1/conversations/{conversation}/cards"), &body, dice).await;
    Some((op, stage.ledger.card(op)?))
}

/// Tries until the operation has its answer.
async fn settle(stage: &SharedStage, player: &Arc<Player>, op: OpId, path: &str, body: &Value, dice: &mut Dice) {
    let (key, mut tries, mut is_doubtful) = (stage.ledger.key(op), 0_u32, false);
    while stage.phase() != Phase::Over {
        let node = stage.node(usize::try_from(dice.roll(3)).unwrap_or(0));
        if tries > 0 {
            stage.ledger.tried(op);
        }
        tries += 1;
        let token = player.token();
        let answer = stage.web.ask::<Stored>(stage.at(node), Method::POST, path, Some(&token), Some(body), Some(key));
        match answer.await {
            Ok(stored) => {
                if let Some(card) = stored.card {
                    stage.ledger.made_card(op, card.id);
                }
                return stage.ledger.done(op, stored.entry_id, stored.seq, stored.duplicate, node);
            }
            Err(failed) => match failed.for_good() {
                Some("UNAUTHENTICATED") if !stage.is_ending(player.person) => player.renew(stage, stage.at(node)).await,
                Some("UNAUTHENTICATED" | "FORBIDDEN") if is_doubtful => return,
                Some(code) => return stage.ledger.refused(op, code, node),
                None => is_doubtful |= failed.is_doubtful(),
            },
        }
        sleep(Duration::from_millis(dice.roll(40 << tries.min(5)) + 10)).await;
    }
}
