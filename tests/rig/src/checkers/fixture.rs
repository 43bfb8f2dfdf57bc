//! Stories: small histories for the tests of the checkers, told as a perfect server would have made them.
//!
//! A test then damages one thing and asks which checker tells. Two organizations with a room each; in room 0 are staff (person
//! 0, readers 0 and, lazy, 4), two guests (1 and 4, readers 1 and 3) and a service (2); in room 1 staff (person and reader 3, 2).

use std::collections::BTreeMap;

use parlour_protocol::id::{ConversationId, EntryId, OrganizationId};
use uuid::Uuid;

use super::Verdict;
use super::index::Index;
use crate::history::{
    Act, Attendance, Cast, Event, Given, History, Nanos, Node, Op, OpId, Outcome, Person, PersonInfo, Probe, Reader,
    ReaderInfo, Reading, Revocation, Room, RoomInfo, Sample, Seen, Strike, Tenant, TenantInfo, View,
};
use crate::plan::{Fault, Kind};

/// An entry's id by a number.
pub fn entry(number: u64) -> EntryId {
    EntryId(Uuid::from_u64_pair(0xe, number))
}

/// A checker tells a violation of this kind in a sentence with all these words.
pub fn assert_told(check: fn(&Index) -> Verdict, history: &History, kind: &str, words: &[&str]) {
    let verdict = check(&Index::new(history));
    assert!(verdict.of_kind(kind) > 0, "nothing of kind `{kind}`: {verdict:#?}");
    let is_told = verdict.violations.iter().any(|told| words.iter().all(|word| told.contains(word)));
    assert!(is_told, "no sentence has {words:?}: {:#?}", verdict.violations);
}

/// The first entry that reader 0 was given live.
pub fn first_live(history: &mut History) -> &mut Given {
    let live = history.seen.iter_mut().find_map(|seen| match (seen.reader, &mut seen.event) {
        (Reader(0), Event::Live(given)) => Some(given),
        _ => None,
    });
    live.expect("reader 0 was given something")
}

/// Where in what was seen a reader was given something live.
pub fn lives(history: &History, reader: Reader) -> Vec<usize> {
    let is_live = |seen: &Seen| seen.reader == reader && matches!(seen.event, Event::Live(_));
    (0..history.seen.len()).filter(|at| is_live(&history.seen[*at])).collect()
}

#[derive(Clone, Debug)]
struct Stored {
    op: OpId,
    is_for_staff: bool,
    is_redacted: bool,
}

/// A history in the making.
#[derive(Clone, Debug)]
pub struct Story {
    history: History,
    now: Nanos,
    logs: Vec<Vec<Stored>>,
    places: Vec<Place>,
}

/// Where a reader is.
#[derive(Clone, Debug, Default)]
struct Place {
    held: i64,
    node: Option<Node>,
    is_held_back: bool,
    waiting: Vec<Given>,
}

const MS: Nanos = 1_000_000;

impl Story {
    /// Everybody attached from the beginning, one reader after another on nodes 0, 1, 2, 0, 1.
    pub fn new() -> Self {
        let history = History { seed: 7, cast: cast(), ..History::default() };
        let mut story = Self { history, now: 0, logs: vec![Vec::new(); 2], places: vec![Place::default(); 5] };
        for (reader, node) in [(0, 0), (1, 1), (2, 2), (3, 0), (4, 1)] {
            story.attach(Reader(reader), Node(node));
        }
        story
    }

    /// A run in which a bit of everything happened, and everything went well.
    pub fn whole() -> History {
        let mut story = Self::new();
        for person in [0, 1, 0, 1] {
            story.say(Person(person));
        }
        let note = story.act(Person(0), Act::Note);
        let said = story.act(Person(1), Act::Send);
        story.act(Person(1), Act::Edit(said));
        story.act(Person(0), Act::Edit(note));
        story.cut(Reader(0), 1006);
        story.act(Person(1), Act::Redact(said));
        story.say(Person(3));
        story.strike(Kind::StopNode(Node(0)), 500);
        story.attach(Reader(0), Node(2));
        let card = story.act(Person(2), Act::Card);
        story.act(Person(1), Act::Select(card, 'a'));
        story.act(Person(4), Act::Select(card, 'b'));
        story.hold(Reader(4));
        story.strike_while(Kind::LazyClients, |story| {
            for _ in 0..20 {
                story.say_much(Person(0), 64 * 1024);
            }
        });
        story.forget(Reader(4));
        story.see(Reader(4), Event::Behind);
        story.attach(Reader(4), Node(1));
        story.strike(Kind::EndRights, 0);
        story.revoke(Person(4), "revoked");
        story.wait(20);
        story.cut(Reader(3), 4510);
        story.see(Reader(0), Event::Presence { who: "person-4".to_owned(), state: "offline".to_owned() });
        story.say(Person(2));
        story.end()
    }

    /// Time passes.
    pub fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds * MS;
    }

    /// A reader sees something.
    pub fn see(&mut self, reader: Reader, event: Event) {
        self.now += MS / 10;
        self.history.seen.push(Seen { reader, at: self.now, event });
    }

    /// A reader attaches where it stands, and is given what it missed.
    pub fn attach(&mut self, reader: Reader, node: Node) {
        let info = self.history.cast.readers[reader.0 as usize].clone();
        let log = self.log(info.room, self.history.view(info.person));
        let held = self.places[reader.0 as usize].held;
        let event = Event::Attached { node, since: Some(held), resumed: true, epoch: 1, head: log.len() as i64 };
        self.see(reader, event);
        for given in log.into_iter().filter(|given| given.seq > held) {
            self.see(reader, Event::Page(given));
        }
        let head = self.log(info.room, self.history.view(info.person)).len() as i64;
        self.places[reader.0 as usize] = Place { held: head, node: Some(node), ..Place::default() };
    }

    /// A reader's socket ends.
    pub fn cut(&mut self, reader: Reader, code: u16) {
        self.see(reader, Event::Cut(code));
        self.places[reader.0 as usize].node = None;
    }

    /// From now on what is for a reader waits.
    pub fn hold(&mut self, reader: Reader) {
        self.places[reader.0 as usize].is_held_back = true;
    }

    /// What waited for a reader comes, live.
    pub fn release(&mut self, reader: Reader) {
        let place = &mut self.places[reader.0 as usize];
        place.is_held_back = false;
        for given in std::mem::take(&mut place.waiting) {
            self.places[reader.0 as usize].held = given.seq;
            self.see(reader, Event::Live(given));
        }
    }

    /// What waited for a reader is dropped.
    pub fn forget(&mut self, reader: Reader) {
        let place = &mut self.places[reader.0 as usize];
        (place.is_held_back, place.node) = (false, None);
        place.waiting.clear();
    }

    /// Somebody says something.
    pub fn say(&mut self, person: Person) -> OpId {
        self.act(person, Act::Send)
    }

    /// Somebody says something long.
    pub fn say_much(&mut self, person: Person, bytes: usize) -> OpId {
        let op = self.say(person);
        self.history.ops[op.0 as usize].text = "x".repeat(bytes);
        op
    }

    /// Somebody does something, and has their answer.
    pub fn act(&mut self, person: Person, act: Act) -> OpId {
        let id = OpId(self.history.ops.len() as u64);
        let info = &self.history.cast.people[person.0 as usize];
        let (room, view) = (Room(u32::from(info.tenant.0)), info.view);
        let invoked = self.now + MS;
        self.now = invoked + MS;
        let outcome = if self.is_decided(&act) {
            Outcome::Refused("CONFLICT".to_owned())
        } else {
            self.store(id, room, &act);
            let seq = self.log(room, view).len() as i64;
            Outcome::Ok { entry: entry(id.0), seq, duplicate: false }
        };
        let is_stored = matches!(outcome, Outcome::Ok { .. });
        let (text, completed) = (format!("op {}", id.0), Some(self.now));
        let node = Node(0);
        self.history.ops.push(Op { id, person, room, act, text, invoked, completed, outcome, tries: 1, node });
        if is_stored {
            self.deliver(room);
        }
        id
    }

    fn is_decided(&self, act: &Act) -> bool {
        let Act::Select(card, _) = act else { return false };
        self.history.ops.iter().any(|op| matches!(op.act, Act::Select(other, _) if other == *card))
    }

    fn store(&mut self, id: OpId, room: Room, act: &Act) {
        let ops = &self.history.ops;
        let log = &mut self.logs[room.0 as usize];
        let is_for_staff = match act {
            Act::Note => true,
            Act::Edit(target) | Act::Redact(target) => log.iter().any(|one| one.op == *target && one.is_for_staff),
            Act::Send | Act::Push | Act::Card | Act::Select(..) => false,
        };
        if let Act::Redact(target) = act {
            for one in log.iter_mut() {
                one.is_redacted |= one.op == *target || ops[one.op.0 as usize].act == Act::Edit(*target);
            }
        }
        log.push(Stored { op: id, is_for_staff, is_redacted: false });
    }

    fn deliver(&mut self, room: Room) {
        for at in 0..self.places.len() {
            let info = self.history.cast.readers[at].clone();
            if info.room != room || self.places[at].node.is_none() {
                continue;
            }
            let log = self.log(room, self.history.view(info.person));
            let held = self.places[at].held + self.places[at].waiting.len() as i64;
            for given in log.into_iter().filter(|given| given.seq > held) {
                if self.places[at].is_held_back {
                    self.places[at].waiting.push(given);
                } else {
                    self.places[at].held = given.seq;
                    self.see(Reader(at as u32), Event::Live(given));
                }
            }
        }
    }

    fn log(&self, room: Room, view: View) -> Vec<Given> {
        let visible = self.logs[room.0 as usize].iter().filter(|stored| view == View::Staff || !stored.is_for_staff);
        let given = |(stored, seq): (&Stored, i64)| Given {
            seq,
            entry: entry(stored.op.0),
            op: Some(stored.op),
            is_as_said: true,
            is_redacted: stored.is_redacted,
            is_for_staff: stored.is_for_staff,
        };
        visible.zip(1..).map(given).collect()
    }

    /// Something breaks for a while, and then works again.
    pub fn strike(&mut self, kind: Kind, milliseconds: u64) {
        self.strike_while(kind, |story| story.wait(milliseconds));
    }

    /// Something is broken while something happens.
    pub fn strike_while(&mut self, kind: Kind, happens: impl FnOnce(&mut Self)) {
        let (number, injected) = (self.history.strikes.len() as u32, self.now);
        happens(self);
        let fault = Fault { number, at_ms: injected / MS, for_ms: (self.now - injected) / MS, kind };
        self.history.strikes.push(Strike { fault, injected, healed: self.now, recovered: Some(self.now + MS) });
    }

    /// Somebody's rights end.
    pub fn revoke(&mut self, person: Person, how: &str) {
        let invoked = self.now;
        self.now += MS;
        let (how, effective) = (how.to_owned(), Some(self.now));
        self.history.revocations.push(Revocation { person, how, invoked, effective });
    }

    /// The end: everything is read again, everywhere.
    pub fn end(mut self) -> History {
        self.wait(1);
        (self.history.calm_since, self.history.ended) = (self.now, self.now + MS);
        for room in [Room(0), Room(1)] {
            for (by, view) in [
                ("sql", View::Staff),
                ("node-0 staff", View::Staff),
                ("node-1 staff", View::Staff),
                ("node-0 guest", View::Guest),
                ("node-2 guest", View::Guest),
            ] {
                let entries = self.log(room, view);
                self.history.readings.push(Reading { by: by.to_owned(), room, view, epoch: 1, entries });
            }
        }
        for node in [Node(0), Node(1), Node(2)] {
            let told: BTreeMap<String, String> = [("person-0".to_owned(), "online".to_owned())].into();
            let real = vec!["person-0".to_owned()];
            self.history.attendances.push(Attendance { node, room: Room(0), told, real });
            self.history.probes.push(Probe { room: Room(0), node, took: Some(3 * MS) });
        }
        let gauges = [("rss_bytes".to_owned(), 9e7), ("descriptors".to_owned(), 90.0)].into();
        self.history.samples.push(Sample { at: self.now, of: "node-0".to_owned(), gauges });
        self.history
    }
}

fn cast() -> Cast {
    let tenant = |number: u8| TenantInfo {
        organization: OrganizationId(Uuid::from_u64_pair(0xa, u64::from(number))),
        canary: format!("canary-{number}"),
        staff_canary: format!("staff-canary-{number}"),
    };
    let room = |number: u8| RoomInfo {
        tenant: Tenant(number),
        conversation: ConversationId(Uuid::from_u64_pair(0xc, u64::from(number))),
        is_quiet: false,
    };
    let people = [(0, View::Staff), (0, View::Guest), (0, View::Staff), (1, View::Staff), (0, View::Guest)];
    let person = |(number, (tenant, view))| PersonInfo { tenant: Tenant(tenant), view, id: format!("person-{number}") };
    let readers = [(0, 0, false), (1, 0, false), (3, 1, false), (4, 0, false), (0, 0, true)];
    let reader = |(person, room, stalls)| ReaderInfo { person: Person(person), room: Room(room), stalls };
    Cast {
        tenants: vec![tenant(0), tenant(1)],
        rooms: vec![room(0), room(1)],
        people: (0..5).zip(people).map(person).collect(),
        readers: readers.into_iter().map(reader).collect(),
    }
}
