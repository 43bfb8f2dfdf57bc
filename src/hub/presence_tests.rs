//! Claims about presence, beside a model that forgets nothing and computes everything anew: whatever comes in whatever order,
//! everybody stands as the model says, each change is told exactly once, and peers are told when what we hold changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const NOBODY: BTreeMap<usize, bool> = BTreeMap::new();

/// One thing that happens; numbers stand for rooms, people, sessions and peers.
#[derive(Clone, Debug)]
enum Op {
    Enter { room: usize, who: usize, session: usize },
    Leave { room: usize, who: usize, session: usize, grace: u64 },
    View { room: usize, who: usize, session: usize, on: bool },
    Expire { room: usize, who: usize, passes: u64 },
    Announced { node: usize, room: usize, number: u64, people: BTreeMap<usize, bool> },
    Complete { node: usize, listed: BTreeSet<usize> },
    Forget { node: usize },
    Heard { node: usize, is_heard: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let (room, who, session, node) = (0_usize..2, 0_usize..3, 0_usize..2, 0_usize..2);
    let place = (room.clone(), who, session);
    prop_oneof![
        place.clone().prop_map(|(room, who, session)| Op::Enter { room, who, session }),
        (place.clone(), 0_u64..4).prop_map(|((room, who, session), grace)| Op::Leave { room, who, session, grace }),
        (place.clone(), any::<bool>()).prop_map(|((room, who, session), on)| Op::View { room, who, session, on }),
        (place, 0_u64..3).prop_map(|((room, who, _), passes)| Op::Expire { room, who, passes }),
        (node.clone(), room.clone(), 1_u64..12, proptest::collection::btree_map(0_usize..3, any::<bool>(), 0..3))
            .prop_map(|(node, room, number, people)| Op::Announced { node, room, number, people }),
        (node.clone(), proptest::collection::btree_set(room, 0..2))
            .prop_map(|(node, listed)| Op::Complete { node, listed }),
        node.clone().prop_map(|node| Op::Forget { node }),
        (node, any::<bool>()).prop_map(|(node, is_heard)| Op::Heard { node, is_heard }),
    ]
}

/// Everything that was said, as it was said.
#[derive(Default)]
struct Model {
    now: u64,
    /// By room and person: their sessions here, and which of them look.
    sessions: BTreeMap<(usize, usize), BTreeMap<usize, bool>>,
    grace: BTreeMap<(usize, usize), u64>,
    /// By peer and room: the last announcement.
    held: BTreeMap<(usize, usize), (u64, BTreeMap<usize, bool>)>,
    unheard: BTreeSet<usize>,
}

impl Model {
    fn is_here(&self, room: usize, who: usize) -> bool {
        self.sessions.get(&(room, who)).is_some_and(|its| !its.is_empty()) || self.grace.contains_key(&(room, who))
    }

    fn standing(&self, room: usize, who: usize) -> Standing {
        let looks = self.sessions.get(&(room, who)).is_some_and(|its| its.values().any(|looks| *looks));
        let held = self.held.iter().filter(|((_, its), (_, people))| *its == room && people.contains_key(&who));
        let (heard, unheard): (Vec<_>, Vec<_>) = held.partition(|((node, _), _)| !self.unheard.contains(node));
        let viewing = looks || heard.iter().any(|(_, (_, people))| people[&who]);
        if self.is_here(room, who) || !heard.is_empty() {
            Standing { state: PresenceState::Online, viewing }
        } else if !unheard.is_empty() {
            Standing { state: PresenceState::Unknown, viewing: false }
        } else {
            Standing::GONE
        }
    }

    fn all(&self) -> BTreeMap<(usize, usize), (PresenceState, bool)> {
        let everybody = (0..2).flat_map(|room| (0..3).map(move |who| (room, who)));
        let told = |standing: Standing| (standing.state, standing.viewing);
        everybody.map(|(room, who)| ((room, who), told(self.standing(room, who)))).collect()
    }

    /// Whom peers should know we hold.
    fn ours(&self) -> BTreeSet<(usize, usize, bool)> {
        let everybody = (0..2).flat_map(|room| (0..3).map(move |who| (room, who)));
        let looks = |at: (usize, usize)| self.sessions.get(&at).is_some_and(|its| its.values().any(|looks| *looks));
        everybody.filter(|(room, who)| self.is_here(*room, *who)).map(|at| (at.0, at.1, looks(at))).collect()
    }

    fn take(&mut self, op: &Op) {
        match op.clone() {
            Op::Enter { room, who, session } => {
                self.grace.remove(&(room, who));
                self.sessions.entry((room, who)).or_default().entry(session).or_insert(false);
            }
            Op::Leave { room, who, session, grace } => {
                let its = self.sessions.entry((room, who)).or_default();
                if its.remove(&session).is_some() && its.is_empty() {
                    self.grace.insert((room, who), self.now + grace);
                }
            }
            Op::View { room, who, session, on } => {
                let its = self.sessions.entry((room, who)).or_default();
                its.get_mut(&session).into_iter().for_each(|looks| *looks = on);
            }
            Op::Expire { room, who, passes } => {
                self.now += passes;
                if self.grace.get(&(room, who)).is_some_and(|until| *until <= self.now) {
                    self.grace.remove(&(room, who));
                }
            }
            Op::Announced { node, room, number, people } => {
                let known = self.held.get(&(node, room)).map_or(0, |(number, _)| *number);
                if number > known {
                    self.held.insert((node, room), (number, people));
                }
                // Of a room in which a peer holds nobody nothing is kept.
                self.held.retain(|_, (_, people)| *people != NOBODY);
            }
            Op::Complete { node, listed } => {
                self.held.retain(|(its, room), _| *its != node || listed.contains(room));
            }
            Op::Forget { node } => {
                self.held.retain(|(its, _), _| *its != node);
                self.unheard.remove(&node);
            }
            Op::Heard { node, is_heard: true } => drop(self.unheard.remove(&node)),
            Op::Heard { node, is_heard: false } => drop(self.unheard.insert(node)),
        }
    }
}

/// What the numbers stand for.
struct Cast {
    presence: Presence,
    start: Instant,
    now: u64,
}

impl Cast {
    fn room(room: usize) -> RoomKey {
        let conversation = ConversationId(Uuid::from_u128(room as u128 + 1));
        RoomKey { organization: OrganizationId(Uuid::from_u128(7)), conversation }
    }

    fn who(who: usize) -> Who {
        let kind = if who == 0 { WhoKind::Guest } else { WhoKind::Staff };
        Who { kind, id: who.to_string(), name: format!("Person {who}") }
    }

    /// Carries an operation out; the changes that are to be told, and whether peers are.
    fn take(&mut self, op: &Op) -> (Vec<Change>, bool) {
        let one = |settled: Settled| (settled.change.into_iter().collect(), settled.is_news);
        let node = |node: &usize| NodeId(Uuid::from_u128(*node as u128));
        let session = |session: &usize| SessionId(Uuid::from_u128(*session as u128));
        let organization = Self::room(0).organization;
        match op {
            Op::Enter { room, who, session: its } => {
                one(self.presence.enter(Self::room(*room), &Self::who(*who), session(its)))
            }
            Op::Leave { room, who, session: its, grace } => {
                let until = self.start + Duration::from_secs(self.now + grace);
                one(self.presence.leave(Self::room(*room), &Self::who(*who), session(its), until).1)
            }
            Op::View { room, who, session: its, on } => {
                one(self.presence.view(Self::room(*room), &Self::who(*who), session(its), *on))
            }
            Op::Expire { room, who, passes } => {
                self.now += passes;
                let now = self.start + Duration::from_secs(self.now);
                one(self.presence.expire(Self::room(*room), &Self::who(*who), now))
            }
            Op::Announced { node: its, room, number, people } => {
                let people = people.iter().map(|(who, viewing)| HeldPerson { who: Self::who(*who), viewing: *viewing });
                let conversation = Self::room(*room).conversation;
                let held = Held { conversation, number: *number, people: people.collect() };
                (self.presence.announced(node(its), organization, held), false)
            }
            Op::Complete { node: its, listed } => {
                let listed = listed.iter().map(|room| Self::room(*room).conversation).collect();
                (self.presence.complete(node(its), organization, EVERY_CONVERSATION, &listed), false)
            }
            Op::Forget { node: its } => (self.presence.forget(node(its)), false),
            Op::Heard { node: its, is_heard } => (self.presence.set_heard(node(its), *is_heard), false),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_is_said_everybody_stands_as_a_model_has_it(ops in proptest::collection::vec(op(), 1..60)) {
        let mut cast = Cast { presence: Presence::default(), start: Instant::now(), now: 0 };
        let mut model = Model::default();
        for op in &ops {
            let (before, ours) = (model.all(), model.ours());
            model.take(op);
            let (changes, is_news) = cast.take(op);
            let after = model.all();
            let (mut told, mut expected) = (BTreeMap::new(), BTreeMap::new());
            for change in changes {
                let at = (usize::from(change.room == Cast::room(1)), change.who.id.parse::<usize>().unwrap());
                prop_assert_eq!((change.before.state, change.before.viewing), before[&at]);
                let again = told.insert(at, (change.standing.state, change.standing.viewing));
                prop_assert!(again.is_none(), "told twice: {:?}", at);
            }
            expected.extend(after.iter().filter(|(at, standing)| before[*at] != **standing).map(|(at, s)| (*at, *s)));
            prop_assert_eq!(told, expected, "after {:?}", op);
            prop_assert_eq!(is_news, ours != model.ours(), "peers, after {:?}", op);
            for (&(room, who), &(state, viewing)) in &after {
                let standing = cast.presence.standing(Cast::room(room), &Cast::who(who));
                prop_assert_eq!((standing.state, standing.viewing), (state, viewing));
            }
            for room in 0..2 {
                let listed = cast.presence.members(Cast::room(room), View::Staff);
                let there = after.iter().filter(|((its, _), (state, _))| *its == room && *state != PresenceState::Offline);
                prop_assert_eq!(listed.len(), there.count());
                let guest = after[&(room, 0)].0 == PresenceState::Online;
                prop_assert_eq!(cast.presence.has_guest(Cast::room(room)), guest);
            }
        }
    }
}
