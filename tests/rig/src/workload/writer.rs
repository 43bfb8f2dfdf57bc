//! A writer: one person who writes to one room over one socket at a time, several commands in flight, and repeats each under its
//! key, over any number of sockets and nodes, until its answer is definite.
//!
//! As a person has one such socket, operations that were sent once (`tries` = 1) keep the order in which they were invoked: that
//! is the order property of one connection that a checker can look at. Look next in `twins.rs` (tries beside the socket).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::command::{Command, Edit, Note, Redact, Select, Send};
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{CardId, ConversationId};
use parlour_testkit::party::Dice;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::history::{Act, OpId, Room, View};
use crate::workload::frame::{Done, Frame};
use crate::workload::ledger::Say;
use crate::workload::stage::{Phase, Player, SharedStage};
use crate::workload::twins;
use crate::workload::wire::{Ended, NO_CODE, PATIENCE, Wire};
use crate::workload::words::Length;

/// Messages of one's own that may yet be edited or redacted.
const RECENT_MAX: usize = 40;
/// Commands in flight of somebody who is told what to say: a flood must be over before those who do not read are back.
const TOLD_WINDOW: usize = 24;
/// Between two tries of somebody who may not.
const BARRED_GAP: Duration = Duration::from_millis(700);
/// Longest pause before a repeat.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How often somebody writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// With so many others as fast as the run wants it, so many commands in flight.
    Busy {
        /// How many share the pace of the run.
        writers: u64,
        /// How many commands in flight.
        window: usize,
    },
    /// Between so many milliseconds and twice as many after the one before.
    Every(u64),
    /// When told to.
    Told,
}

/// Something a writer is told to do.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Choose on the card that an operation has made.
    Choose(OpId, CardId, char),
    /// Say so many of the longest messages.
    Flood(u32),
}

struct Pending {
    op: OpId,
    command: Command,
    sent: Option<(u64, Instant)>,
    not_before: Instant,
    tries: u32,
    /// Whether an earlier try may have stored it.
    is_doubtful: bool,
}

/// The writer.
pub struct Writer {
    stage: SharedStage,
    player: Arc<Player>,
    room: Room,
    conversation: ConversationId,
    rhythm: Rhythm,
    dice: Dice,
    orders: mpsc::UnboundedReceiver<Order>,
    to_choose: VecDeque<(OpId, CardId, char)>,
    to_flood: u32,
    pending: VecDeque<Pending>,
    recent: VecDeque<OpId>,
    turn: usize,
    losses: u32,
    next_due: Instant,
}

impl Writer {
    /// A writer, and the way to tell it what to do.
    pub fn new(
        stage: &SharedStage,
        player: &Arc<Player>,
        room: Room,
        rhythm: Rhythm,
    ) -> (Self, mpsc::UnboundedSender<Order>) {
        let (tell, orders) = mpsc::unbounded_channel();
        let dice = Dice(stage.recorder().seed() ^ (u64::from(player.person.0) << 32) ^ u64::from(room.0));
        let writer = Self {
            stage: Arc::clone(stage),
            player: Arc::clone(player),
            room,
            conversation: stage.conversation(room),
            rhythm,
            dice,
            orders,
            to_choose: VecDeque::new(),
            to_flood: 0,
            pending: VecDeque::new(),
            recent: VecDeque::new(),
            turn: player.person.0 as usize,
            losses: 0,
            next_due: Instant::now(),
        };
        (writer, tell)
    }

    /// Writes until the run ends.
    pub async fn run(mut self) {
        self.stage.until(Phase::Acting).await;
        self.next_due = Instant::now();
        while !self.is_done() {
            let stage = Arc::clone(&self.stage);
            let endpoint = stage.at(stage.node(self.turn));
            let ended = match self.player.open(&stage, endpoint, None).await {
                Ok(mut wire) => {
                    self.losses = 0;
                    match self.serve(&mut wire).await {
                        Ok(()) => return,
                        Err(ended) => ended,
                    }
                }
                Err(ended) => ended,
            };
            self.lost(&ended).await;
        }
    }

    fn is_done(&self) -> bool {
        let phase = self.stage.phase();
        phase == Phase::Over || (phase == Phase::Settling && self.pending.is_empty())
    }

    /// Writes over a socket until it ends or nothing is left to do.
    async fn serve(&mut self, wire: &mut Wire) -> Result<(), Ended> {
        while !self.is_done() {
            self.send_due(wire).await?;
            let wake = self.wake_at();
            tokio::select! {
                frame = wire.next() => self.take(frame?).await?,
                Some(order) = self.orders.recv() => self.obey(order),
                () = sleep_until(wake) => {}
            }
            let overdue = |pending: &Pending| pending.sent.is_some_and(|(_, at)| at.elapsed() > PATIENCE);
            if self.pending.iter().any(overdue) {
                return Err(Ended { code: NO_CODE, refusal: None, reason: None, wait: None });
            }
        }
        Ok(())
    }

    fn window(&self) -> usize {
        match self.rhythm {
            Rhythm::Busy { window, .. } => window,
            Rhythm::Every(gap) if gap < 1_000 => 4,
            Rhythm::Every(_) => 1,
            Rhythm::Told => TOLD_WINDOW,
        }
    }

    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        // A change of phase is seen by looking.
        let mut wake = now + Duration::from_millis(200);
        let may_begin = self.pending.len() < self.window() && self.stage.phase() == Phase::Acting;
        if may_begin && self.rhythm != Rhythm::Told {
            wake = wake.min(self.next_due);
        }
        let again =
            self.pending.iter().filter(|pending| pending.sent.is_none()).map(|pending| pending.not_before).min();
        again.map_or(wake, |again| wake.min(again)).max(now + Duration::from_millis(1))
    }

    async fn send_due(&mut self, wire: &mut Wire) -> Result<(), Ended> {
        let now = Instant::now();
        let mut is_any = false;
        for pending in &mut self.pending {
            if pending.sent.is_some() || pending.not_before > now {
                continue;
            }
            pending.tries += 1;
            self.stage.ledger.tried(pending.op);
            let id = wire.put(pending.command.clone()).await;
            // From here on it may have been sent.
            pending.sent = Some((id.as_ref().map_or(0, |id| *id), now));
            id?;
            is_any = true;
        }
        while self.pending.len() < self.window()
            && self.stage.phase() == Phase::Acting
            && let Some((act, say)) = self.next_act(now)
        {
            let (op, text) = self.stage.ledger.invoke(self.player.person, self.room, act.clone(), say);
            let Some(command) = self.command(op, &act, &text) else { continue };
            twins::maybe_at_once(&self.stage, &self.player, self.conversation, op, (&act, &text), &mut self.dice);
            let id = wire.put(command.clone()).await;
            let sent = Some((id.as_ref().map_or(0, |id| *id), now));
            self.pending.push_back(Pending { op, command, sent, not_before: now, tries: 1, is_doubtful: false });
            id?;
            is_any = true;
        }
        if is_any { wire.flush().await } else { Ok(()) }
    }

    /// What to do now, if anything is due.
    fn next_act(&mut self, now: Instant) -> Option<(Act, Say)> {
        if let Some((op, _, option)) = self.to_choose.pop_front() {
            return Some((Act::Select(op, option), Say::Nothing));
        }
        if self.to_flood > 0 {
            self.to_flood -= 1;
            return Some((Act::Send, Say::Text(Length::Flood)));
        }
        if self.next_due > now {
            return None;
        }
        let gap = match self.rhythm {
            Rhythm::Busy { writers, .. } => self.stage.gap(writers),
            Rhythm::Every(ms) => Duration::from_millis(ms + self.dice.roll(ms)),
            Rhythm::Told => return None,
        };
        // What could not be said during an outage is not said all at once after it.
        self.next_due = (self.next_due + gap).max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
        let roll = self.dice.roll(100);
        let target = (!self.recent.is_empty())
            .then(|| self.recent[usize::try_from(self.dice.roll(self.recent.len() as u64)).unwrap_or(0)]);
        Some(match (roll, target) {
            (0..=2, _) if self.player.view == View::Staff => (Act::Note, Say::StaffText),
            (3..=4, Some(target)) => (Act::Edit(target), Say::Text(Length::Usual)),
            (5, Some(target)) => {
                self.recent.retain(|recent| *recent != target);
                (Act::Redact(target), Say::Nothing)
            }
            _ => (Act::Send, Say::Text(Length::Usual)),
        })
    }

    fn command(&self, op: OpId, act: &Act, text: &str) -> Option<Command> {
        let (conversation, client_id, text) = (self.conversation, self.stage.ledger.key(op), text.to_owned());
        Some(match *act {
            Act::Send => Command::Send(Send { conversation, client_id, text }),
            Act::Note => Command::Note(Note { conversation, client_id, text }),
            Act::Edit(target) => {
                let (entry_id, seq) = self.stage.ledger.stored(target)?;
                Command::Edit(Edit { conversation, client_id, entry_id, seq, text })
            }
            Act::Redact(target) => {
                let (entry_id, seq) = self.stage.ledger.stored(target)?;
                Command::Redact(Redact { conversation, client_id, entry_id, seq })
            }
            Act::Select(target, option) => {
                let card = self.stage.ledger.card(target)?;
                let options = vec![option.to_string()];
                Command::Select(Select { conversation, client_id, card, version: 1, options })
            }
            Act::Push | Act::Card => return None,
        })
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Choose(op, card, option) => self.to_choose.push_back((op, card, option)),
            Order::Flood(count) => self.to_flood = count,
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Ended> {
        let Some(id) = frame.id else { return Ok(()) };
        let is_it = |pending: &Pending| pending.sent.is_some_and(|(sent, _)| sent == id);
        let Some(at) = self.pending.iter().position(is_it) else { return Ok(()) };
        match (frame.ok, frame.error) {
            (Some(Done { entry_id: Some(entry), seq: Some(seq), duplicate: Some(duplicate), .. }), _) => {
                let pending = self.pending.remove(at).expect("it was found there");
                self.stage.ledger.done(pending.op, entry, seq, duplicate, self.stage.node(self.turn));
                if let Command::Send(Send { text, .. }) = pending.command {
                    self.said(pending.op, &text);
                }
                Ok(())
            }
            (_, Some(error)) => self.refused(at, &error),
            (_, None) => {
                self.stage.ledger.violated("a reply", format!("operation {} got neither", self.pending[at].op.0));
                self.pending.remove(at);
                Ok(())
            }
        }
    }

    fn said(&mut self, op: OpId, text: &str) {
        twins::maybe_again(&self.stage, &self.player, self.conversation, op, text, &mut self.dice);
        self.recent.push_back(op);
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
    }

    fn refused(&mut self, at: usize, error: &ErrorBody) -> Result<(), Ended> {
        let (code, now) = (error.code.as_str(), Instant::now());
        let pending = &mut self.pending[at];
        if error.retryable {
            pending.sent = None;
            pending.is_doubtful |= matches!(code, "OUTCOME_UNKNOWN" | "INTERNAL");
            let asked = error.details.get("retry_after_ms").and_then(serde_json::Value::as_u64);
            let pause = asked.map_or(50 << pending.tries.min(6), |ms| ms.max(20));
            pending.not_before = now + Duration::from_millis(pause + self.dice.roll(50)).min(PAUSE_MAX);
            return Ok(());
        }
        let is_about_rights = matches!(code, "UNAUTHENTICATED" | "FORBIDDEN");
        if is_about_rights && !self.stage.is_ending(self.player.person) {
            if code == "FORBIDDEN" {
                self.stage.ledger.violated("rights", format!("{} was forbidden what they may", self.player.id));
            }
            // No refusal of the content (SPEC §4): authenticate anew and repeat.
            return Err(Ended { code: 4401, refusal: Some(code.to_owned()), reason: None, wait: None });
        }
        let pending = self.pending.remove(at).expect("it was found there");
        // With rights that ended after a try that may have stored it, nobody can tell them any more.
        if !(is_about_rights && pending.is_doubtful) {
            self.stage.ledger.refused(pending.op, code, self.stage.node(self.turn));
        }
        if is_about_rights {
            self.next_due = now + BARRED_GAP;
        }
        Ok(())
    }

    /// What to do when the socket is gone, or none could be had.
    async fn lost(&mut self, ended: &Ended) {
        for pending in &mut self.pending {
            pending.is_doubtful |= pending.sent.take().is_some();
            pending.not_before = Instant::now();
        }
        if self.stage.is_ending(self.player.person) && (ended.code >= 4500 || ended.refusal.is_some()) {
            return self.try_all_the_same(ended).await;
        }
        if let Some(code) = ended.refusal.as_deref().filter(|code| *code == "FORBIDDEN") {
            self.stage.ledger.violated("hello", format!("{} was refused with {code}", self.player.id));
        }
        self.turn += 1;
        let pause = 40_u64 << self.losses.min(5);
        self.losses += 1;
        sleep(Duration::from_millis(self.dice.roll(pause) + 5)).await;
    }

    /// Somebody whose rights have ended goes on trying, now over HTTP; what they had begun nobody can tell them any more.
    async fn try_all_the_same(&mut self, ended: &Ended) {
        let code = ended.refusal.as_deref().unwrap_or("UNAUTHENTICATED");
        for pending in self.pending.drain(..).filter(|pending| !pending.is_doubtful) {
            self.stage.ledger.refused(pending.op, code, self.stage.node(self.turn));
        }
        if self.stage.phase() == Phase::Acting {
            let (op, text) =
                self.stage.ledger.invoke(self.player.person, self.room, Act::Send, Say::Text(Length::Usual));
            twins::once(&self.stage, &self.player, self.conversation, op, &text, self.turn).await;
        }
        self.turn += 1;
        sleep(BARRED_GAP).await;
    }
}
