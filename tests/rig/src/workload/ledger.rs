//! The ledger: what was tried, what came of it, and whether what is given to readers is what was said.
//!
//! An operation is noted before its first try, as unknown, and again at its first answer for good. A later answer that says
//! otherwise is noted as a leak: two truths about one key. Nothing here sends anything. Look next in `writer.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use parlour_protocol::entry::Audience;
use parlour_protocol::id::{CardId, EntryId};

use crate::history::{
    Act, Event, Given, History, Leak, Nanos, Node, Op, OpId, Outcome, Person, Reader, Recorder, Room, Seen,
};
use crate::workload::frame::{CardField, Entry, Numbered};
use crate::workload::words::{Length, text};

/// What an operation is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// A text of this length with the tenant's canary.
    Text(Length),
    /// A text with the canary of its staff.
    StaffText,
    /// Nothing.
    Nothing,
}

/// The ledger of a run.
#[derive(Debug)]
pub struct Ledger {
    /// Where it is written.
    pub recorder: Recorder,
    seed: u64,
    acked: AtomicU64,
    /// The card that an operation made.
    cards: Mutex<HashMap<OpId, CardId>>,
}

impl Ledger {
    /// An empty one.
    pub fn new(recorder: Recorder) -> Self {
        let seed = recorder.seed();
        Self { recorder, seed, acked: AtomicU64::new(0), cards: Mutex::default() }
    }

    /// How many operations were acknowledged.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// The key of an operation.
    pub fn key(&self, op: OpId) -> parlour_protocol::id::ClientId {
        op.key(self.seed)
    }

    /// Notes that somebody is about to try something; its number and its text.
    pub fn invoke(&self, person: Person, room: Room, act: Act, say: Say) -> (OpId, String) {
        let invoked = self.recorder.now();
        self.recorder.with(|history| {
            let id = OpId(history.ops.len() as u64);
            let tenant = &history.cast.tenants[history.cast.rooms[room.0 as usize].tenant.0 as usize];
            let text = match say {
                Say::Text(length) => text(&tenant.canary, id, length),
                Say::StaffText => text(&format!("{} {}", tenant.canary, tenant.staff_canary), id, Length::Usual),
                Say::Nothing => String::new(),
            };
            history.ops.push(Op {
                id,
                person,
                room,
                act,
                text: text.clone(),
                invoked,
                completed: None,
                outcome: Outcome::Unknown,
                tries: 1,
                node: Node(0),
            });
            (id, text)
        })
    }

    /// Notes another try.
    pub fn tried(&self, op: OpId) {
        self.recorder.with(|history| history.ops[op.0 as usize].tries += 1);
    }

    /// Notes that an operation was stored.
    pub fn done(&self, op: OpId, entry: EntryId, seq: i64, duplicate: bool, node: Node) {
        let at = self.recorder.now();
        let is_first = self.recorder.with(|history| {
            let noted = &mut history.ops[op.0 as usize];
            let other = match &noted.outcome {
                Outcome::Unknown => {
                    noted.outcome = Outcome::Ok { entry, seq, duplicate };
                    (noted.completed, noted.node) = (Some(at), node);
                    return true;
                }
                // Tried twice at once while the right to do it ended: refused there, stored here.
                Outcome::Refused(code)
                    if noted.tries > 1 && matches!(code.as_str(), "FORBIDDEN" | "UNAUTHENTICATED") =>
                {
                    noted.outcome = Outcome::Ok { entry, seq, duplicate };
                    return true;
                }
                // Two tries at once may be answered in either order, but only one of them stored it.
                Outcome::Ok { entry: first, seq: number, duplicate: is_repeat }
                    if (*first, *number) == (entry, seq) && (duplicate || *is_repeat) =>
                {
                    return false;
                }
                other => format!("{other:?}"),
            };
            let what = format!("first {other}, then entry {entry} as {seq}, duplicate {duplicate}, at node {}", node.0);
            history.leaks.push(two_truths(op, what));
            false
        });
        if is_first {
            self.acked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that an operation was refused for good.
    pub fn refused(&self, op: OpId, code: &str, node: Node) {
        let at = self.recorder.now();
        self.recorder.with(|history| {
            let noted = &mut history.ops[op.0 as usize];
            match &noted.outcome {
                Outcome::Unknown => {
                    noted.outcome = Outcome::Refused(code.to_owned());
                    (noted.completed, noted.node) = (Some(at), node);
                }
                // A repeat by somebody who has lost the right since is refused for that.
                Outcome::Ok { .. } if matches!(code, "FORBIDDEN" | "UNAUTHENTICATED") => {}
                Outcome::Refused(first) if first == code => {}
                other => {
                    let what = format!("first {other:?}, then {code}, at node {}", node.0);
                    history.leaks.push(two_truths(op, what));
                }
            }
        });
    }

    /// Whether an operation has its answer.
    pub fn is_settled(&self, op: OpId) -> bool {
        self.recorder.with(|history| history.ops[op.0 as usize].completed.is_some())
    }

    /// The entry of an operation and its number in its author's view, once it is acknowledged.
    pub fn stored(&self, op: OpId) -> Option<(EntryId, i64)> {
        self.recorder.with(|history| match history.ops[op.0 as usize].outcome {
            Outcome::Ok { entry, seq, .. } => Some((entry, seq)),
            Outcome::Refused(_) | Outcome::Unknown => None,
        })
    }

    /// Notes which card an operation made.
    pub fn made_card(&self, op: OpId, card: CardId) {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner).insert(op, card);
    }

    /// The card that an operation made.
    pub fn card(&self, op: OpId) -> Option<CardId> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner).get(&op).copied()
    }

    /// Notes something that is not as it must be.
    pub fn violated(&self, place: &str, what: String) {
        self.recorder.with(|history| history.leaks.push(Leak { place: place.to_owned(), what }));
    }

    /// Entries as they were given.
    pub fn given(&self, entries: &[Numbered]) -> Vec<Given> {
        let cards = self.cards.lock().unwrap_or_else(PoisonError::into_inner);
        self.recorder.with(|history| {
            entries.iter().map(|numbered| judge(history, &cards, self.seed, numbered.seq, &numbered.entry)).collect()
        })
    }

    /// Notes what a reader was given, in order.
    pub fn saw(&self, reader: Reader, entries: &[Numbered], at: Nanos, is_live: bool) {
        let cards = self.cards.lock().unwrap_or_else(PoisonError::into_inner);
        self.recorder.with(|history| {
            for Numbered { seq, entry } in entries {
                let given = judge(history, &cards, self.seed, *seq, entry);
                let event = if is_live { Event::Live(given) } else { Event::Page(given) };
                history.seen.push(Seen { reader, at, event });
            }
        });
    }
}

fn two_truths(op: OpId, what: String) -> Leak {
    Leak { place: format!("the answers to operation {}", op.0), what }
}

fn judge(history: &History, cards: &HashMap<OpId, CardId>, seed: u64, seq: i64, entry: &Entry) -> Given {
    let op = OpId::of(entry.client_id, seed).filter(|op| op.0 < history.ops.len() as u64);
    let is_as_said = op.is_some_and(|op| is_as_said(history, cards, &history.ops[op.0 as usize], entry));
    Given {
        seq,
        entry: entry.id,
        op,
        is_as_said,
        is_redacted: entry.body.redacted,
        is_for_staff: entry.audience == Audience::Staff,
    }
}

fn is_as_said(history: &History, cards: &HashMap<OpId, CardId>, op: &Op, entry: &Entry) -> bool {
    let body = &entry.body;
    let text = body.text.as_deref();
    let is_text = if body.redacted { text == Some("") } else { text == Some(op.text.as_str()) };
    let is_about = |target: OpId| match history.ops[target.0 as usize].outcome {
        Outcome::Ok { entry, .. } => body.entry_id == Some(entry),
        Outcome::Refused(_) | Outcome::Unknown => false,
    };
    match op.act {
        Act::Send | Act::Push => entry.kind == "message" && is_text,
        Act::Note => entry.kind == "note" && is_text && entry.audience == Audience::Staff,
        Act::Edit(target) => entry.kind == "edit" && is_text && is_about(target),
        Act::Redact(target) => entry.kind == "redaction" && is_about(target),
        Act::Card => {
            entry.kind == "card" && matches!(&body.card, Some(CardField::Whole { title, .. }) if *title == op.text)
        }
        Act::Select(card, option) => {
            let chosen = body.options.as_deref().unwrap_or_default();
            let is_card = matches!(body.card, Some(CardField::Id(id)) if cards.get(&card) == Some(&id));
            entry.kind == "selection" && is_card && chosen == [option.to_string()]
        }
    }
}
