//! Tries beside a writer's socket, over HTTP at another node: the same operation at the same time, again after its answer, and
//! its key with another text.
//!
//! Each is one task with a bounded number of tries. What they find goes into the ledger, which knows what contradicts what.
//! Look next in `ledger.rs`.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::id::{ConversationId, EntryId};
use parlour_testkit::party::Dice;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::history::{Act, Node, OpId};
use crate::workload::stage::{Player, SharedStage, Stage};
use crate::workload::web::{Failed, entries_path};
use crate::workload::words::otherwise;

/// One in so many messages is tried at two nodes at once.
const AT_ONCE: u64 = 200;
/// One in so many is repeated although it was answered.
const AGAIN: u64 = 200;
/// The key of one in so many is tried with another text.
const OTHERWISE: u64 = 300;

/// What a stored entry is answered with.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Stored {
    /// The entry.
    pub entry_id: EntryId,
    /// Its number in the author's view.
    pub seq: i64,
    /// Whether an earlier try had stored it.
    pub duplicate: bool,
}

/// The body of a message or note over HTTP; none for other acts.
fn body(act: &Act, text: &str) -> Option<Value> {
    match act {
        Act::Send => Some(json!({ "kind": "message", "text": text })),
        Act::Note => Some(json!({ "kind": "note", "text": text })),
        _ => None,
    }
}

/// Sends an operation that is about to be sent, now, at another node.
pub fn maybe_at_once(
    stage: &SharedStage,
    player: &Arc<Player>,
    conversation: ConversationId,
    op: OpId,
    (act, text): (&Act, &str),
    dice: &mut Dice,
) {
    if dice.roll(AT_ONCE) != 0 {
        return;
    }
    let Some(body) = body(act, text) else { return };
    let (stage, player, turn) = (Arc::clone(stage), Arc::clone(player), dice.roll(3));
    stage.ledger.tried(op);
    Arc::clone(&stage).twins.spawn(async move {
        let node = stage.node(usize::try_from(turn).unwrap_or(0));
        note(&stage, op, node, post(&stage, &player, conversation, op, &body, node).await.as_ref());
    });
}

/// Repeats an answered message, or tries its key with another text.
pub fn maybe_again(
    stage: &SharedStage,
    player: &Arc<Player>,
    conversation: ConversationId,
    op: OpId,
    text: &str,
    dice: &mut Dice,
) {
    let roll = dice.roll(AGAIN * OTHERWISE);
    let (is_again, is_otherwise) = (roll.is_multiple_of(AGAIN), roll % OTHERWISE == 1);
    if !is_again && !is_otherwise {
        return;
    }
    let text = if is_again { text.to_owned() } else { otherwise(text) };
    let body = json!({ "kind": "message", "text": text });
    let (stage, player, turn) = (Arc::clone(stage), Arc::clone(player), dice.roll(3));
    stage.ledger.tried(op);
    Arc::clone(&stage).twins.spawn(async move {
        for attempt in 0..4 {
            let node = stage.node(usize::try_from(turn).unwrap_or(0) + attempt);
            let answer = post(&stage, &player, conversation, op, &body, node).await;
            let is_settled = answer.is_ok() || answer.as_ref().is_err_and(|failed| failed.for_good().is_some());
            if is_again {
                note(&stage, op, node, answer.as_ref());
            } else if is_settled {
                judge_mismatch(&stage, op, &answer);
            }
            if is_settled {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
}

/// One try over HTTP, of somebody who may not.
pub async fn once(
    stage: &SharedStage,
    player: &Arc<Player>,
    conversation: ConversationId,
    op: OpId,
    text: &str,
    turn: usize,
) {
    let node = stage.node(turn);
    let answer = post(stage, player, conversation, op, &json!({ "kind": "message", "text": text }), node).await;
    match &answer {
        Ok(stored) => stage.ledger.done(op, stored.entry_id, stored.seq, stored.duplicate, node),
        Err(failed) => {
            if let Some(code) = failed.for_good() {
                stage.ledger.refused(op, code, node);
            } else if !failed.is_doubtful() {
                // Tried once, and definitely not stored.
                stage.ledger.refused(op, "UNAVAILABLE", node);
            }
        }
    }
}

async fn post(
    stage: &Stage,
    player: &Player,
    conversation: ConversationId,
    op: OpId,
    body: &Value,
    node: Node,
) -> Result<Stored, Failed> {
    let (path, token, key) = (entries_path(conversation), player.token(), stage.ledger.key(op));
    stage.web.post_as(stage.at(node), &path, &token, body, key).await
}

fn note(stage: &Stage, op: OpId, node: Node, answer: Result<&Stored, &Failed>) {
    match answer {
        Ok(stored) => stage.ledger.done(op, stored.entry_id, stored.seq, stored.duplicate, node),
        Err(failed) => {
            // The token may have run out meanwhile, which says nothing about the message.
            let about_content = |code: &&str| !matches!(*code, "UNAUTHENTICATED" | "FORBIDDEN");
            if let Some(code) = failed.for_good().filter(about_content) {
                stage.ledger.refused(op, code, node);
            }
        }
    }
}

fn judge_mismatch(stage: &Stage, op: OpId, answer: &Result<Stored, Failed>) {
    let is_as_promised = match answer {
        Ok(_) => false,
        Err(failed) => {
            matches!(failed.for_good(), None | Some("IDEMPOTENCY_MISMATCH" | "UNAUTHENTICATED" | "FORBIDDEN"))
        }
    };
    if !is_as_promised {
        stage.ledger.violated("a key with another text", format!("operation {}: {answer:?}", op.0));
    }
}
