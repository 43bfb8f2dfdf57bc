//! A reader: one device that follows one room, over any number of sockets and nodes, as SPEC §13 asks of a client.
//!
//! Everything it is given is noted as it comes, also what a client would drop: checkers decide what was wrong. It never gives
//! up, also when its rights have ended. Look next in `faults.rs` (who makes it lazy) and `ledger.rs`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use parlour_protocol::command::{Attach, Command, History, Presence, Read, Typing};
use parlour_protocol::entry::Position;
use parlour_protocol::id::{ConversationId, EntryId};
use parlour_protocol::reply::PresenceState;
use parlour_testkit::party::Dice;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::history::{Event, Node, Reader, Room, View};
use crate::workload::frame::{Done, Frame, Numbered};
use crate::workload::lazy::{Mood, Moods};
use crate::workload::stage::{Phase, Player, SharedStage};
use crate::workload::wire::{Ended, NO_CODE, PATIENCE, Wire};

/// Entries that are remembered, to compare pages of the history with.
const KNOWN_MAX: usize = 400;
/// Between two small signs: typing, reading, looking.
const HABIT_GAP_MS: u64 = 1_500;
/// How long a reader whose node withholds everything asks again on the same socket.
const PAUSED_MAX: Duration = Duration::from_secs(20);

/// So often somebody may be taken for nobody who has all their rights, each time with a fresh token: at a node whose clock is
/// wrong, and with a token of its own at the next.
const BARRED_MAX: u32 = 2;

/// What a reader is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Stays.
    Steady,
    /// Comes and goes.
    Flighty,
    /// Is made lazy now and then; not through a proxy, whose buffers would read for it.
    Lazy,
}

/// What others know of a reader, and tell it.
#[derive(Debug, Default)]
pub struct Door {
    /// The last number held.
    pub seq: AtomicI64,
    /// Whether its socket is attached, and live.
    pub is_attached: AtomicBool,
    /// Whether it has gone for good, by its own will.
    pub is_away: AtomicBool,
    /// How its connections read.
    pub moods: Moods,
    /// Told to say that it will write no more.
    pub half_close: Notify,
}

/// The reader.
pub struct Follower {
    stage: SharedStage,
    player: Arc<Player>,
    reader: Reader,
    room: Room,
    conversation: ConversationId,
    habit: Habit,
    door: Arc<Door>,
    dice: Dice,
    turn: usize,
    losses: u32,
    /// How often in a row it was told that it has no right to be here.
    barred: u32,
    position: Option<Position>,
    is_paused: bool,
    known: VecDeque<(i64, EntryId)>,
    told: HashMap<String, (PresenceState, bool)>,
    asked: Option<u64>,
}

impl Follower {
    /// A reader that holds nothing yet and begins at a node.
    pub fn new(
        stage: &SharedStage,
        player: &Arc<Player>,
        (reader, room): (Reader, Room),
        habit: Habit,
        turn: usize,
    ) -> Self {
        Self {
            stage: Arc::clone(stage),
            player: Arc::clone(player),
            reader,
            room,
            conversation: stage.conversation(room),
            habit,
            door: Arc::default(),
            dice: Dice(stage.recorder().seed() ^ (u64::from(reader.0) << 40)),
            turn,
            losses: 0,
            barred: 0,
            position: Some(Position { epoch: 1, seq: 0 }),
            is_paused: false,
            known: VecDeque::new(),
            told: HashMap::new(),
            asked: None,
        }
    }

    /// What others may know and tell.
    pub fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door)
    }

    /// Reads until the run is over.
    pub async fn run(mut self) {
        self.stage.until(Phase::Acting).await;
        while self.stage.phase() != Phase::Over {
            if self.habit == Habit::Flighty
                && self.stage.phase() == Phase::Settling
                && self.door.is_away.load(Ordering::Relaxed)
            {
                return self.stage.until(Phase::Over).await;
            }
            let (stage, node) = (Arc::clone(&self.stage), self.stage.node(self.turn));
            let (endpoint, moods) = match self.habit {
                Habit::Lazy => (&stage.direct[usize::from(node.0)], Some(self.door.moods.clone())),
                Habit::Steady | Habit::Flighty => (stage.at(node), None),
            };
            let ended = match self.player.open(&stage, endpoint, moods).await {
                Ok(mut wire) => {
                    let ended = match self.follow(&mut wire, node).await {
                        Ok(()) => Ended { code: 1000, refusal: None, reason: None, wait: None },
                        Err(ended) => ended,
                    };
                    // Cut before it is noted: nothing comes after.
                    drop(wire);
                    self.door.is_attached.store(false, Ordering::Relaxed);
                    self.stage.recorder().saw(self.reader, Event::Cut(ended.code));
                    ended
                }
                Err(ended) => ended,
            };
            self.lost(&ended).await;
        }
    }

    async fn lost(&mut self, ended: &Ended) {
        (self.is_paused, self.asked) = (false, None);
        self.turn += 1;
        let is_barred = ended.code >= 4500 || ended.refusal.as_deref().is_some_and(is_about_rights);
        if is_barred && self.stage.is_ending(self.player.person) {
            return sleep(Duration::from_secs(1)).await;
        }
        let is_nobody = ended.refusal.as_deref() == Some("UNAUTHENTICATED") && ended.reason.is_none();
        self.barred = if is_nobody { self.barred + 1 } else { 0 };
        let is_excused = ended.reason.as_deref() == Some("expired") || (1..=BARRED_MAX).contains(&self.barred);
        if is_barred && !is_excused {
            let what = format!("{} was shut out with {} {:?}", self.player.id, ended.code, ended.refusal);
            self.stage.ledger.violated("rights", what);
        }
        if self.habit == Habit::Flighty && ended.code == 1000 {
            let rest = 200 + self.dice.roll(14_000);
            // Whoever is away when the run settles stays away, in half of all cases.
            self.door.is_away.store(self.dice.roll(2) == 0, Ordering::Relaxed);
            let back = Instant::now() + Duration::from_millis(rest);
            while Instant::now() < back && self.stage.phase() == Phase::Acting {
                sleep(Duration::from_millis(100)).await;
            }
            return;
        }
        // Another node may be tried at once (SPEC §2), whatever this one asked for.
        let pause = 30_u64 << self.losses.min(6);
        self.losses += 1;
        sleep(Duration::from_millis(self.dice.roll(pause) + 5)).await;
    }

    /// Attaches and lives on a socket until it ends, or the reader goes.
    async fn follow(&mut self, wire: &mut Wire, node: Node) -> Result<(), Ended> {
        self.attach(wire, node).await?;
        let leaves = Instant::now() + Duration::from_millis(2_000 + self.dice.roll(16_000));
        let mut habit_at = Instant::now() + Duration::from_millis(self.dice.roll(HABIT_GAP_MS));
        let (mut heard, mut asked) = (Instant::now(), None);
        let door = Arc::clone(&self.door);
        loop {
            tokio::select! {
                frame = wire.next() => {
                    (heard, asked) = (Instant::now(), None);
                    if self.take(frame?) {
                        self.attach(wire, node).await?;
                    }
                }
                () = door.half_close.notified(), if self.habit == Habit::Lazy => wire.half_close().await,
                () = sleep_until(habit_at) => {
                    habit_at = Instant::now() + Duration::from_millis(HABIT_GAP_MS / 2 + self.dice.roll(HABIT_GAP_MS));
                    if self.stage.phase() == Phase::Over {
                        return Ok(());
                    }
                    if self.door.moods.get() != Mood::Eager {
                        (heard, asked) = (Instant::now(), None);
                        continue;
                    }
                    if self.habit == Habit::Flighty && Instant::now() >= leaves && self.stage.phase() == Phase::Acting {
                        return Ok(());
                    }
                    if heard.elapsed() > PATIENCE && asked.is_some_and(|at: Instant| at.elapsed() > PATIENCE) {
                        return Err(Ended { code: NO_CODE, refusal: None, reason: None, wait: None });
                    }
                    self.be_oneself(wire).await?;
                    asked = asked.or(Some(Instant::now()));
                }
            }
        }
    }

    /// Types, reads, looks, or turns back a page.
    async fn be_oneself(&mut self, wire: &mut Wire) -> Result<(), Ended> {
        let (conversation, seq) = (self.conversation, self.position.map_or(0, |position| position.seq));
        let roll = self.dice.roll(6);
        let is_staff = self.player.view == View::Staff;
        let command = match roll {
            0 | 1 => Command::Read(Read { conversation, received: Some(seq), read: Some(seq) }),
            2 if is_staff => Command::Presence(Presence { conversation, viewing: Some(self.dice.roll(2) == 0) }),
            3 if seq > 0 && self.asked.is_none() => {
                let around = Some((seq - 10).max(1));
                Command::History(History { conversation, before: None, after: None, around, limit: Some(20) })
            }
            4 => Command::Typing(Typing { conversation, active: self.dice.roll(2) == 0 }),
            _ => Command::Ping(parlour_protocol::command::Ping {}),
        };
        let is_history = matches!(command, Command::History(_));
        let id = wire.send(command).await?;
        if is_history {
            self.asked = Some(id);
        }
        Ok(())
    }

    /// Attaches from where it stands, page by page, until it is live.
    async fn attach(&mut self, wire: &mut Wire, node: Node) -> Result<(), Ended> {
        let deadline = Instant::now() + PAUSED_MAX;
        loop {
            let since = self.position;
            let id = wire.send(Command::Attach(Attach { conversation: self.conversation, since })).await?;
            let mut before = Vec::new();
            let answer = wire.reply(id, |frame| before.push(frame)).await;
            for frame in before {
                // Whatever it asks for, we are about to do.
                self.take(frame);
            }
            match answer {
                Ok(done) => {
                    if self.take_page(since, done, node) {
                        return Ok(());
                    }
                }
                Err(ended) if is_for_now(&ended) && Instant::now() < deadline => {
                    let pause = ended.wait.unwrap_or(Duration::from_millis(250)).min(Duration::from_secs(1));
                    // Entries are withheld, or the database is away: other words are still to be heard meanwhile.
                    if let Ok(frame) = timeout(pause, wire.next()).await {
                        self.take(frame?);
                    }
                }
                Err(ended) => return Err(ended),
            }
        }
    }

    /// Takes an attach's answer; whether the reader is live now.
    fn take_page(&mut self, since: Option<Position>, done: Done, node: Node) -> bool {
        let recorder = self.stage.recorder();
        let since = since.map(|position| position.seq);
        if let Some(reset) = done.reset {
            let event = Event::Attached { node, since, resumed: false, epoch: reset.epoch, head: reset.head };
            recorder.saw(self.reader, event);
            (self.position, self.known) = (None, VecDeque::new());
            return false;
        }
        let at = recorder.now();
        let (entries, resumed) = (done.entries.unwrap_or_default(), done.resumed == Some(true));
        let position = done.position.unwrap_or(Position { epoch: 0, seq: -1 });
        let event = Event::Attached { node, since, resumed, epoch: position.epoch, head: position.seq };
        recorder.saw(self.reader, event);
        self.stage.ledger.saw(self.reader, &entries, at, false);
        for Numbered { seq, entry } in &entries {
            self.know(*seq, entry.id);
        }
        self.hold(position);
        if done.has_more != Some(false) {
            return false;
        }
        (self.is_paused, self.losses, self.barred) = (false, 0, 0);
        self.door.is_attached.store(true, Ordering::Relaxed);
        self.told.clear();
        for member in done.members.unwrap_or_default() {
            self.tell(member.who.id, member.state, member.viewing);
        }
        true
    }

    /// Takes a frame; whether it asks to attach again.
    fn take(&mut self, mut frame: Frame) -> bool {
        let kind = frame.kind.take().unwrap_or_default();
        let recorder = self.stage.recorder().clone();
        match (kind.as_str(), frame) {
            ("entry", Frame { epoch: Some(epoch), seq: Some(seq), entry: Some(entry), .. }) => {
                let id = entry.id;
                self.stage.ledger.saw(self.reader, &[Numbered { seq, entry }], recorder.now(), true);
                let held = self.position.map_or((epoch, 0), |position| (position.epoch, position.seq));
                if (epoch, seq) == (held.0, held.1 + 1) {
                    self.know(seq, id);
                    self.hold(Position { epoch, seq });
                }
                epoch != held.0 || seq > held.1 + 1
            }
            ("head", Frame { epoch: Some(epoch), seq: Some(seq), .. }) => {
                recorder.saw(self.reader, Event::Behind);
                let is_news = self.position.is_none_or(|held| epoch != held.epoch || seq > held.seq);
                is_news || self.is_paused
            }
            ("paused", _) => {
                self.is_paused = true;
                recorder.saw(self.reader, Event::Paused);
                false
            }
            ("presence", Frame { who: Some(who), state: Some(state), viewing, .. }) => {
                self.tell(who.id, state, viewing);
                false
            }
            ("typing", Frame { who: Some(who), active: Some(active), .. }) => {
                recorder.saw(self.reader, Event::Typing { who: who.id, active });
                false
            }
            (_, Frame { id: Some(id), ok: Some(done), .. }) if self.asked == Some(id) => {
                self.asked = None;
                self.compare(&done.entries.unwrap_or_default());
                false
            }
            (_, Frame { id: Some(id), .. }) if self.asked == Some(id) => {
                self.asked = None;
                false
            }
            _ => false,
        }
    }

    /// Notes what is told of somebody. That they look, or no longer, is no news about whether they are there.
    fn tell(&mut self, who: String, state: PresenceState, viewing: bool) {
        let before = self.told.insert(who.clone(), (state, viewing));
        if before.is_some_and(|(was, viewed)| was == state && viewed != viewing) {
            return;
        }
        let state = match state {
            PresenceState::Online => "online",
            PresenceState::Offline => "offline",
            PresenceState::Unknown => "unknown",
        };
        self.stage.recorder().saw(self.reader, Event::Presence { who, state: state.to_owned() });
    }

    fn hold(&mut self, position: Position) {
        self.position = Some(position);
        self.door.seq.store(position.seq, Ordering::Relaxed);
    }

    fn know(&mut self, seq: i64, entry: EntryId) {
        self.known.push_back((seq, entry));
        if self.known.len() > KNOWN_MAX {
            self.known.pop_front();
        }
    }

    /// Compares a page of the history with what is known.
    fn compare(&self, page: &[Numbered]) {
        let dense = page.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1);
        let first = self.known.front().map_or(i64::MAX, |(seq, _)| *seq);
        let differs = |numbered: &&Numbered| {
            let at = usize::try_from(numbered.seq.saturating_sub(first)).ok();
            let known = at.and_then(|at| self.known.get(at));
            known.is_some_and(|(seq, entry)| *seq == numbered.seq && *entry != numbered.entry.id)
        };
        if let Some(other) = page.iter().find(differs) {
            let what = format!("reader {} room {}: {} is another entry", self.reader.0, self.room.0, other.seq);
            self.stage.ledger.violated("a page of the history", what);
        }
        if !dense {
            let what = format!("reader {} room {}: holes", self.reader.0, self.room.0);
            self.stage.ledger.violated("a page of the history", what);
        }
    }
}

fn is_about_rights(code: &str) -> bool {
    matches!(code, "UNAUTHENTICATED" | "FORBIDDEN" | "NOT_FOUND")
}

fn is_for_now(ended: &Ended) -> bool {
    matches!(ended.refusal.as_deref(), Some("UNAVAILABLE" | "RATE_LIMITED" | "INTERNAL" | "OUTCOME_UNKNOWN"))
}
