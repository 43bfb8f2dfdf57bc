//! Drawing a plan: which faults strike where, when and for how long, all from one seed.
//!
//! Every kind comes at least once. Faults overlap, but two of one place never do, and never is every node taken away at once:
//! then nothing could be acknowledged and nothing would be shown. Look at `plan.rs` for what is drawn.

use crate::dice::Dice;
use crate::history::Node;
use crate::plan::{Fault, Kind, Link, Place, Plan, Way};

/// Nothing strikes this close to the beginning and the end.
const QUIET_MS: u64 = 1_000;
const QUIET_END_MS: u64 = 5_000;
/// What is left to a place to work again before it is struck again; a node starts meanwhile.
const RECOVERY_MS: u64 = 1_500;
/// How long a node takes to drain, beyond what is drawn.
const DRAIN_MS: u64 = 3_500;
/// What parts a reader from what is said, or the server from what is stored, keeps so far from a flood: a node that missed
/// something itself sends it all at once afterwards, and nothing about its queues would be shown.
const CALM_BEFORE_MS: u64 = 2_000;
const CALM_AFTER_MS: u64 = 1_500;
/// So often another moment and another target are drawn before the first that fits is taken.
const DRAWS: u32 = 40;
const STEP_MS: u64 = 50;
/// A clock is wrong by this much.
const SKEW_SECONDS: i32 = 600;

/// What a plan is drawn for.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// What it is drawn from.
    pub seed: u64,
    /// How long the workload runs at least.
    pub seconds: u64,
    /// How many messages must be acknowledged.
    pub acks: u64,
    /// How many faults there are at least; every kind comes once whatever this is.
    pub faults: u32,
    /// How many nodes.
    pub nodes: u8,
    /// Whether faults may be long.
    pub long: bool,
}

/// A kind without its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    KillNode,
    StopNode,
    RestartNode,
    KillPostgres,
    KillBackend,
    StopPostgres,
    KillRedis,
    StopRedis,
    FlushRedis,
    Blackhole,
    Stall,
    Reset,
    Slice,
    Slow,
    Skew,
    LazyClients,
    LockTables,
    EndRights,
    LyingBus,
}

/// All of them, and for how long they last in milliseconds: in a short run, and at most in a long one.
const SORTS: [(Sort, u64, u64, u64); 19] = [
    (Sort::KillNode, 100, 1_500, 10_000),
    (Sort::StopNode, 100, 3_000, 20_000),
    (Sort::RestartNode, 0, 500, 5_000),
    (Sort::KillPostgres, 0, 300, 2_000),
    (Sort::KillBackend, 0, 0, 0),
    (Sort::StopPostgres, 500, 1_500, 10_000),
    (Sort::KillRedis, 100, 2_000, 10_000),
    (Sort::StopRedis, 500, 3_000, 15_000),
    (Sort::FlushRedis, 0, 0, 0),
    (Sort::Blackhole, 500, 3_000, 20_000),
    (Sort::Stall, 500, 3_000, 20_000),
    (Sort::Reset, 0, 0, 0),
    (Sort::Slice, 500, 2_500, 10_000),
    (Sort::Slow, 500, 2_500, 10_000),
    (Sort::Skew, 2_000, 4_000, 30_000),
    (Sort::LazyClients, 1_000, 1_500, 4_000),
    (Sort::LockTables, 300, 1_500, 4_000),
    (Sort::EndRights, 0, 0, 0),
    (Sort::LyingBus, 1_000, 3_000, 20_000),
];

/// What comes again when every kind has come: what takes everything away is rarer than what takes a part.
const MORE: [Sort; 14] = [
    Sort::KillNode,
    Sort::KillNode,
    Sort::StopNode,
    Sort::RestartNode,
    Sort::KillBackend,
    Sort::KillPostgres,
    Sort::KillRedis,
    Sort::FlushRedis,
    Sort::Blackhole,
    Sort::Blackhole,
    Sort::Stall,
    Sort::Reset,
    Sort::EndRights,
    Sort::LyingBus,
];

/// When a fault has its place for itself.
#[derive(Clone, Copy, Debug)]
struct Taken {
    place: Place,
    from: u64,
    to: u64,
    /// Whether readers are flooded, to whom everything else must work.
    is_flood: bool,
}

impl Taken {
    fn of(kind: &Kind, at_ms: u64, for_ms: u64) -> Self {
        let place = kind.place();
        let (before, after) = match kind {
            Kind::LazyClients => (CALM_BEFORE_MS, CALM_AFTER_MS),
            Kind::RestartNode(_) | Kind::Skew(..) => (0, DRAIN_MS + RECOVERY_MS),
            _ => (0, RECOVERY_MS),
        };
        let (from, to) = (at_ms.saturating_sub(before), at_ms + for_ms + after);
        Self { place, from, to, is_flood: *kind == Kind::LazyClients }
    }

    /// Whether two at once may not be.
    fn excludes(&self, other: &Self) -> bool {
        let spoils = |place| matches!(place, Place::Node(_) | Place::Postgres);
        (self.place == other.place && self.place != Place::Clients)
            || (self.is_flood && spoils(other.place))
            || (other.is_flood && spoils(self.place))
    }
}

/// Draws a plan.
pub fn draw(frame: &Frame) -> Plan {
    let mut dice = Dice::new(frame.seed);
    let mut sorts: Vec<Sort> = SORTS.iter().map(|(sort, ..)| *sort).collect();
    while sorts.len() < frame.faults as usize {
        sorts.push(dice.one_of(&MORE));
    }
    dice.shuffle(&mut sorts);
    let mut faults = Vec::new();
    let mut taken = Vec::new();
    // Floods first, because they need the most room.
    let (floods, others): (Vec<_>, Vec<_>) = (0..).zip(&sorts).partition(|(_, sort)| **sort == Sort::LazyClients);
    for (turn, sort) in floods.into_iter().chain(others) {
        faults.extend(place(*sort, turn, sorts.len() as u64, frame, &mut taken, &mut dice));
    }
    faults.sort_by_key(|fault| fault.at_ms);
    for (number, fault) in (0..).zip(&mut faults) {
        fault.number = number;
    }
    Plan { seed: frame.seed, seconds: frame.seconds, acks: frame.acks, faults }
}

/// A moment and a target for a fault, near its turn, or else wherever there is room.
fn place(sort: Sort, turn: u64, turns: u64, frame: &Frame, taken: &mut Vec<Taken>, dice: &mut Dice) -> Option<Fault> {
    let end = (frame.seconds * 1_000).saturating_sub(QUIET_END_MS).max(QUIET_MS + 1);
    let slot = (end - QUIET_MS).div_ceil(turns);
    let (mut for_ms, shortest) = lasts(sort, frame.long, dice);
    let near = QUIET_MS + turn * slot;
    for attempt in 0..DRAWS {
        let at_ms = near + dice.below(slot * (1 + u64::from(attempt) / 4));
        let kind = target(sort, frame.nodes, dice);
        if let Some(fault) = fits(kind, at_ms, for_ms, end, frame.nodes, taken) {
            return Some(fault);
        }
    }
    // A full plan: shorter, and at the first moment that is free.
    for_ms = shortest;
    for at_ms in (QUIET_MS..end).step_by(usize::try_from(STEP_MS).expect("it is small")) {
        for _ in 0..frame.nodes {
            let kind = target(sort, frame.nodes, dice);
            if let Some(fault) = fits(kind, at_ms, for_ms, end, frame.nodes, taken) {
                return Some(fault);
            }
        }
    }
    None
}

fn lasts(sort: Sort, long: bool, dice: &mut Dice) -> (u64, u64) {
    let found = SORTS.iter().find(|(of, ..)| *of == sort).expect("all of them are listed");
    let (_, shortest, short, longest) = *found;
    // Most are short in a long run, too: much more happens in it then.
    let last = if long && dice.below(4) == 0 { longest } else { short };
    (dice.between(shortest, last), shortest)
}

/// Takes a place for a fault, if there is room for it.
fn fits(kind: Kind, at_ms: u64, for_ms: u64, end: u64, nodes: u8, taken: &mut Vec<Taken>) -> Option<Fault> {
    let this = Taken::of(&kind, at_ms, for_ms);
    if at_ms + for_ms > end {
        return None;
    }
    let meanwhile = || taken.iter().filter(|other| other.from < this.to && this.from < other.to);
    if meanwhile().any(|other| this.excludes(other)) {
        return None;
    }
    if matches!(this.place, Place::Node(_)) {
        let mut away: Vec<Place> = meanwhile().map(|other| other.place).collect();
        away.retain(|place| matches!(place, Place::Node(_)));
        away.sort_unstable();
        away.dedup();
        if away.len() + 1 >= usize::from(nodes) {
            return None;
        }
    }
    taken.push(this);
    Some(Fault { number: 0, at_ms, for_ms, kind })
}

fn target(sort: Sort, nodes: u8, dice: &mut Dice) -> Kind {
    let node = Node(u8::try_from(dice.below(u64::from(nodes))).expect("less than the nodes"));
    let link = dice.one_of(&[Link::Clients(node), Link::Redis(node), Link::Postgres(node)]);
    let way = dice.one_of(&[Way::Out, Way::Back]);
    match sort {
        Sort::KillNode => Kind::KillNode(node),
        Sort::StopNode => Kind::StopNode(node),
        Sort::RestartNode => Kind::RestartNode(node),
        Sort::KillPostgres => Kind::KillPostgres,
        Sort::KillBackend => Kind::KillBackend,
        Sort::StopPostgres => Kind::StopPostgres,
        Sort::KillRedis => Kind::KillRedis,
        Sort::StopRedis => Kind::StopRedis,
        Sort::FlushRedis => Kind::FlushRedis,
        Sort::Blackhole => Kind::Blackhole(link, way),
        Sort::Stall => Kind::Stall(link),
        Sort::Reset => Kind::Reset(link),
        Sort::Slice => Kind::Slice(link),
        Sort::Slow => Kind::Slow(link),
        Sort::Skew => Kind::Skew(node, dice.one_of(&[SKEW_SECONDS, -SKEW_SECONDS])),
        Sort::LazyClients => Kind::LazyClients,
        Sort::LockTables => Kind::LockTables,
        Sort::EndRights => Kind::EndRights,
        Sort::LyingBus => Kind::LyingBus(node),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Frame, SORTS, draw};
    use crate::plan::{Kind, Place, Plan};

    fn frame(seed: u64, long: bool) -> Frame {
        let (seconds, faults) = if long { (900, 150) } else { (52, 30) };
        Frame { seed, seconds, acks: 50_000, faults, nodes: 3, long }
    }

    fn names(plan: &Plan) -> BTreeSet<String> {
        let debug = plan.faults.iter().map(|fault| format!("{:?}", fault.kind));
        debug.map(|name| name.split('(').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_seed_is_a_plan_and_another_is_another() {
        assert_eq!(draw(&frame(7, false)), draw(&frame(7, false)));
        assert_ne!(draw(&frame(7, false)), draw(&frame(8, false)));
    }

    #[test]
    fn every_kind_comes_and_no_fault_is_left_out() {
        for seed in 0..500 {
            for long in [false, true] {
                let plan = draw(&frame(seed, long));
                assert_eq!(plan.faults.len(), frame(seed, long).faults as usize, "seed {seed}");
                assert_eq!(names(&plan).len(), SORTS.len(), "seed {seed}: {:?}", names(&plan));
                let last = plan.faults.iter().map(|fault| fault.at_ms + fault.for_ms).max().unwrap();
                assert!(last <= plan.seconds * 1_000, "seed {seed}");
            }
        }
    }

    #[test]
    fn one_place_is_struck_once_at_a_time_and_never_are_all_nodes_away() {
        for seed in 0..500 {
            let plan = draw(&frame(seed, seed % 2 == 0));
            for fault in &plan.faults {
                let meanwhile: Vec<_> = plan
                    .faults
                    .iter()
                    .filter(|other| other.at_ms <= fault.at_ms && fault.at_ms <= other.at_ms + other.for_ms)
                    .map(|other| other.kind.place())
                    .collect();
                let place = fault.kind.place();
                let same = meanwhile.iter().filter(|other| **other == place).count();
                assert!(place == Place::Clients || same == 1, "seed {seed}: {fault:?}");
                let away: BTreeSet<_> = meanwhile.iter().filter(|other| matches!(other, Place::Node(_))).collect();
                assert!(away.len() < 3, "seed {seed}: {meanwhile:?}");
            }
        }
    }

    #[test]
    fn nothing_parts_flooded_readers_from_what_is_said() {
        for seed in 0..500 {
            let plan = draw(&frame(seed, seed % 2 == 0));
            for flood in plan.faults.iter().filter(|fault| fault.kind == Kind::LazyClients) {
                let (from, to) = (flood.at_ms.saturating_sub(super::CALM_BEFORE_MS), flood.at_ms + flood.for_ms);
                let spoils = |place| matches!(place, Place::Node(_) | Place::Postgres);
                let others = plan.faults.iter().filter(|other| spoils(other.kind.place()));
                for other in others {
                    assert!(other.at_ms > to || other.at_ms + other.for_ms < from, "seed {seed}: {flood:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn a_plan_is_a_file_and_back() {
        let plan = draw(&frame(7, true));
        let file = serde_json::to_string_pretty(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&file).unwrap(), plan);
    }
}
