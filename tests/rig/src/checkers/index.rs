//! Ways through a history that several checkers need: an operation by its number, a room's log after all, a reader's stream.
//!
//! It copies nothing but numbers: a long run has ten million events. It judges nothing.

use std::collections::HashMap;

use parlour_protocol::id::EntryId;

use crate::history::{
    Event, Given, History, Leak, Nanos, Node, Op, OpId, Outcome, Person, Reader, ReaderInfo, Reading, Room, View,
};

/// A history with its ways through.
pub struct Index<'a> {
    /// What it leads through.
    pub history: &'a History,
    ops: HashMap<OpId, u32>,
    logs: HashMap<(Room, View), Vec<&'a Reading>>,
    entries: HashMap<EntryId, Room>,
    streams: Vec<Vec<u32>>,
}

/// A stretch of time in which a reader was attached on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// Where.
    pub node: Node,
    /// Since when.
    pub from: Nanos,
    /// Until when; the end of the run for the last one, if nothing ended it.
    pub to: Nanos,
    /// Whether something ended it.
    pub is_over: bool,
}

impl<'a> Index<'a> {
    /// Leads through a history.
    pub fn new(history: &'a History) -> Self {
        let ops = history.ops.iter().zip(0..).map(|(op, at)| (op.id, at)).collect();
        let mut logs: HashMap<(Room, View), Vec<&Reading>> = HashMap::new();
        let mut entries = HashMap::new();
        for reading in &history.readings {
            let readings = logs.entry((reading.room, reading.view)).or_default();
            // The database's own word comes first: it is what the others are held against.
            readings.insert(if reading.by == "sql" { 0 } else { readings.len() }, reading);
            entries.extend(reading.entries.iter().map(|given| (given.entry, reading.room)));
        }
        let mut streams = vec![Vec::new(); history.cast.readers.len()];
        for (seen, at) in history.seen.iter().zip(0..) {
            streams[seen.reader.0 as usize].push(at);
        }
        Self { history, ops, logs, entries, streams }
    }

    /// The operation of a number.
    pub fn op(&self, id: OpId) -> Option<&'a Op> {
        self.ops.get(&id).map(|at| &self.history.ops[*at as usize])
    }

    /// All rooms that were read after the run, in order.
    pub fn rooms(&self) -> Vec<Room> {
        let mut rooms: Vec<Room> = self.logs.keys().map(|(room, _)| *room).collect();
        rooms.sort_unstable();
        rooms.dedup();
        rooms
    }

    /// Every reading of a room in a view; the first is what the others are held against.
    pub fn readings(&self, room: Room, view: View) -> &[&'a Reading] {
        self.logs.get(&(room, view)).map_or(&[], Vec::as_slice)
    }

    /// The log of a room in a view; empty if nobody read it.
    pub fn log(&self, room: Room, view: View) -> &'a [Given] {
        self.readings(room, view).first().map_or(&[], |reading| &reading.entries)
    }

    /// Where an entry is in any log.
    pub fn room_of(&self, entry: EntryId) -> Option<Room> {
        self.entries.get(&entry).copied()
    }

    /// Every reader.
    pub fn readers(&self) -> impl Iterator<Item = (Reader, &'a ReaderInfo)> {
        self.history.cast.readers.iter().zip(0..).map(|(info, number)| (Reader(number), info))
    }

    /// What a reader saw, in its order.
    pub fn stream(&self, reader: Reader) -> impl DoubleEndedIterator<Item = (Nanos, &'a Event)> {
        let seen = &self.history.seen;
        self.streams[reader.0 as usize].iter().map(|at| &seen[*at as usize]).map(|seen| (seen.at, &seen.event))
    }

    /// The view in which a reader reads.
    pub fn view(&self, reader: &ReaderInfo) -> View {
        self.history.view(reader.person)
    }

    /// The number up to which whoever followed a room to the end must have read it: that of the newest entry whose operation
    /// was begun before the run ended. What is tried after that nobody follows any more.
    pub fn head(&self, room: Room, view: View) -> i64 {
        let began = |given: &Given| given.op.and_then(|id| self.op(id)).map(|op| op.invoked);
        let is_followed = |given: &&Given| began(given).is_some_and(|at| at < self.history.ended);
        self.log(room, view).iter().rev().find(is_followed).map_or(0, |given| given.seq)
    }

    /// When somebody's right to read ended, or was about to; none for those whose right only to write did.
    pub fn unreadable_since(&self, person: Person) -> Option<Nanos> {
        let ends = self.history.revocations.iter().filter(|end| end.person == person && end.how != "cut");
        ends.map(|end| end.invoked).min()
    }

    /// The stretches in which a reader was attached; what ends one is told by `ends`. Another attach always does. The run's
    /// end does not: then everybody goes.
    pub fn spells(&self, reader: Reader, ends: fn(&Event) -> bool) -> Vec<Spell> {
        let mut spells: Vec<Spell> = Vec::new();
        let mut is_open = false;
        for (at, event) in self.stream(reader).take_while(|(at, _)| *at <= self.history.ended) {
            let attached = match event {
                Event::Attached { node, since, resumed, .. } => Some((*node, *resumed || since.is_none())),
                _ => None,
            };
            if is_open && (attached.is_some() || ends(event)) {
                let last = spells.len() - 1;
                spells[last] = Spell { to: at, is_over: true, ..spells[last] };
                is_open = false;
            }
            if let Some((node, true)) = attached {
                spells.push(Spell { node, from: at, to: self.history.ended, is_over: false });
                is_open = true;
            }
        }
        spells
    }
}

/// What an entry was given as, live or in a page.
pub fn given(event: &Event) -> Option<&Given> {
    match event {
        Event::Page(given) | Event::Live(given) => Some(given),
        _ => None,
    }
}

/// Where a log holds a number. Logs are dense, so that it is nearly always the first guess.
pub fn at_seq(log: &[Given], seq: i64) -> Option<&Given> {
    let guess = usize::try_from(seq - 1).ok().and_then(|at| log.get(at)).filter(|given| given.seq == seq);
    guess.or_else(|| log.binary_search_by_key(&seq, |given| given.seq).ok().map(|at| &log[at]))
}

/// Who judges something that was found while the run went on: most of it is a wall that was broken, but answers that contradict
/// each other, pages with holes and people shut out with all their rights belong to other promises.
pub fn found_for<'a>(history: &'a History, checker: &'static str) -> impl Iterator<Item = &'a Leak> {
    history.leaks.iter().filter(move |leak| {
        let owner = match leak.place.as_str() {
            "a key with another text" | "a reply" => "C1",
            place if place.starts_with("the answers to ") => "C1",
            "a page of the history" => "C2",
            "rights" | "hello" => "C7",
            _ => "C8",
        };
        owner == checker
    })
}

/// Whether a refusal says that nothing is stored under the operation's key. One for want of rights says so only if nothing
/// was tried before: rights are looked at first, and an earlier try may have been stored.
pub fn is_refused_for_good(op: &Op) -> bool {
    match &op.outcome {
        Outcome::Refused(code) => {
            let is_about_rights = matches!(
                code.as_str(),
                "UNAUTHENTICATED"
                    | "FORBIDDEN"
                    | "NOT_FOUND"
                    | "ORGANIZATION_SUSPENDED"
                    | "RATE_LIMITED"
                    | "UNAVAILABLE"
            );
            !is_about_rights || op.tries <= 1
        }
        Outcome::Ok { .. } | Outcome::Unknown => false,
    }
}
