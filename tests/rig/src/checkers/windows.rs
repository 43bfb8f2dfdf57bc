//! Windows: when something was broken that excuses somebody, and how much of a stretch of time is left without excuse.
//!
//! Only what a promise itself excepts is an excuse; each checker names its own. Look next in [`crate::plan`].

use std::time::Duration;

use crate::history::{History, Nanos, Node, nanos};
use crate::plan::{Kind, Link};

/// How long after a fault what it broke may take to be as before: sockets come back, pools open again.
const SETTLING: Duration = Duration::from_secs(2);

/// Stretches of time, in order, none touching another.
#[derive(Clone, Debug, Default)]
pub struct Windows(Vec<(Nanos, Nanos)>);

impl Windows {
    /// When faults of some kinds were at work, until what they broke was as before.
    pub fn of(history: &History, is_excuse: impl Fn(&Kind) -> bool) -> Self {
        let struck = history.strikes.iter().filter(|strike| is_excuse(&strike.fault.kind));
        Self::new(struck.map(|strike| {
            let over = strike.recovered.unwrap_or(history.calm_since).max(strike.healed);
            (strike.injected, over.saturating_add(nanos(SETTLING)))
        }))
    }

    fn new(stretches: impl Iterator<Item = (Nanos, Nanos)>) -> Self {
        let mut sorted: Vec<(Nanos, Nanos)> = stretches.collect();
        sorted.sort_unstable();
        let mut merged: Vec<(Nanos, Nanos)> = Vec::with_capacity(sorted.len());
        for (from, to) in sorted {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self(merged)
    }

    fn within(&self, from: Nanos, to: Nanos) -> impl Iterator<Item = &(Nanos, Nanos)> {
        let first = self.0.partition_point(|window| window.1 <= from);
        self.0[first..].iter().take_while(move |window| window.0 < to)
    }

    /// Whether a stretch has an excuse for any part of it.
    pub fn touch(&self, from: Nanos, to: Nanos) -> bool {
        self.within(from, to.max(from + 1)).next().is_some()
    }

    /// The longest part of a stretch without excuse.
    pub fn longest_free(&self, from: Nanos, to: Nanos) -> Nanos {
        let (mut longest, mut since) = (0, from);
        for (begin, end) in self.within(from, to) {
            longest = longest.max(begin.saturating_sub(since));
            since = since.max(*end);
        }
        longest.max(to.saturating_sub(since))
    }

    /// All of a stretch that is without excuse.
    pub fn free(&self, from: Nanos, to: Nanos) -> Nanos {
        let cut = |(begin, end): &(Nanos, Nanos)| (*end).min(to).saturating_sub((*begin).max(from));
        let excused: Nanos = self.within(from, to).map(cut).sum();
        to.saturating_sub(from) - excused.min(to.saturating_sub(from))
    }
}

/// The link that a fault breaks.
pub fn link(kind: &Kind) -> Option<Link> {
    match kind {
        Kind::Blackhole(link, _) | Kind::Stall(link) | Kind::Reset(link) | Kind::Slice(link) | Kind::Slow(link) => {
            Some(*link)
        }
        _ => None,
    }
}

/// Whether a fault stops a node, for a while or for good.
pub fn stops(kind: &Kind, node: Node) -> bool {
    let stopped = match kind {
        Kind::KillNode(stopped) | Kind::StopNode(stopped) | Kind::RestartNode(stopped) | Kind::Skew(stopped, _) => {
            stopped
        }
        _ => return false,
    };
    *stopped == node
}

/// Whether a fault lies between a node and its clients.
pub fn parts_clients(kind: &Kind, node: Node) -> bool {
    link(kind) == Some(Link::Clients(node))
}

/// Whether a fault keeps a node from PostgreSQL.
pub fn parts_postgres(kind: &Kind, node: Node) -> bool {
    match kind {
        Kind::KillPostgres | Kind::KillBackend | Kind::StopPostgres | Kind::LockTables => true,
        other => link(other) == Some(Link::Postgres(node)),
    }
}

/// Whether a fault keeps nodes from hearing each other.
pub fn parts_nodes(kind: &Kind) -> bool {
    match kind {
        Kind::KillRedis | Kind::StopRedis | Kind::FlushRedis | Kind::LyingBus(_) => true,
        other => matches!(link(other), Some(Link::Redis(_))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows() -> Windows {
        Windows::new([(50, 60), (10, 20), (15, 30)].into_iter())
    }

    #[test]
    fn what_overlaps_is_one() {
        assert_eq!(windows().0, [(10, 30), (50, 60)]);
    }

    #[test]
    fn a_stretch_is_touched_only_by_what_is_inside() {
        let touched: Vec<bool> = [(0, 10), (0, 11), (29, 29), (30, 50), (40, 55)]
            .iter()
            .map(|(from, to)| windows().touch(*from, *to))
            .collect();
        assert_eq!(touched, [false, true, true, false, true]);
    }

    #[test]
    fn what_is_left_without_excuse_is_measured() {
        let left: Vec<(Nanos, Nanos)> = [(0, 100), (0, 12), (12, 28), (25, 55), (70, 90), (28, 12)]
            .iter()
            .map(|(from, to)| (windows().longest_free(*from, *to), windows().free(*from, *to)))
            .collect();
        assert_eq!(left, [(40, 70), (10, 10), (0, 0), (20, 20), (20, 20), (0, 0)]);
    }
}
