//! C12, bounds: no process outgrows its caps, whatever was broken; and a reader that does not read makes the server hold a
//! budget for it and no more: beyond that it is told `head`, or cut.
//!
//! What the server held for a reader is measured from outside: it is what had been acknowledged to others when the reader
//! went on reading, and still came to it live.

use super::Verdict;
use super::index::{Index, Spell};
use super::windows::{Windows, parts_postgres, stops};
use crate::history::{Event, Nanos, Outcome, Reader, ReaderInfo, Strike, View};
use crate::plan::Kind;

const MIB: f64 = 1024.0 * 1024.0;

/// Whose gauge may be how much at most. Names of processes are prefixes: `node-` is every node.
const CAPS: &[(&str, &str, f64)] = &[
    // A few hundred sockets and rooms take a few dozen megabytes, a burst of resumes some more.
    ("node-", "rss_bytes", 512.0 * MIB),
    ("node-", "descriptors", 4_096.0),
    ("node-", "parlour_sessions", 2_000.0),
    ("node-", "parlour_rooms", 1_000.0),
    ("node-", "parlour_attachments", 4_000.0),
    ("node-", "parlour_peers", 8.0),
    // Three pools, the workload's own few, and what a fault opens to fill the place.
    ("postgres", "connections", 200.0),
    // Redis keeps nothing: what it holds is buffers on their way.
    ("redis", "rss_bytes", 256.0 * MIB),
    ("redis", "used_memory", 192.0 * MIB),
];

/// What may wait for one reader: the outbox (256 KiB), what is in the kernel, and what is written while it goes on reading.
const BACKLOG_MAX: usize = 1024 * 1024;
/// So much pushed at a reader that does not read is more than anything between may hold.
const FLOOD: usize = 1024 * 1024;
/// Everything about an entry but its text, on the wire, at least.
const ENVELOPE: usize = 300;

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict = Verdict::new("C12", "memory, descriptors, connections and queues stay under their caps");
    caps(index, &mut verdict);
    let lazy = |strike: &&Strike| strike.fault.kind == Kind::LazyClients;
    let mut flooded = 0_u32;
    for strike in index.history.strikes.iter().filter(lazy) {
        for (reader, info) in index.readers().filter(|(_, info)| info.stalls) {
            flooded += u32::from(backlog(index, strike, (reader, info), &mut verdict));
        }
    }
    if flooded == 0 && index.history.strikes.iter().any(|strike| lazy(&strike)) {
        verdict.violated("vacuous", || format!("no reader that did not read had more than {FLOOD} bytes pushed at it"));
    }
    verdict.figures.insert("flooded", f64::from(flooded));
    verdict
}

fn caps(index: &Index, verdict: &mut Verdict) {
    for sample in &index.history.samples {
        for (of, gauge, cap) in CAPS.iter().filter(|(of, ..)| sample.of.starts_with(of)) {
            let Some(value) = sample.gauges.get(*gauge) else { continue };
            verdict.looked();
            let highest = verdict.figures.entry(figure(of, gauge)).or_default();
            *highest = value.max(*highest);
            if value > cap {
                let (who, at) = (&sample.of, sample.at / 1_000_000);
                verdict.violated("cap", || format!("{who} had {gauge} {value:.0} at {at} ms: more than {cap:.0}"));
            }
        }
    }
}

/// What the report calls the highest value of a gauge; not all are worth a name there.
fn figure(of: &str, gauge: &str) -> &'static str {
    match (of, gauge) {
        ("node-", "rss_bytes") => "node_rss_bytes_max",
        ("node-", "descriptors") => "node_descriptors_max",
        ("postgres", _) => "postgres_connections_max",
        ("redis", _) => "redis_memory_bytes_max",
        ("node-", "parlour_sessions") => "sessions_max",
        ("node-", "parlour_rooms") => "rooms_max",
        _ => "others_max",
    }
}

/// What waited for one lazy reader during one strike; whether it was flooded.
fn backlog(index: &Index, strike: &Strike, (reader, info): (Reader, &ReaderInfo), verdict: &mut Verdict) -> bool {
    let spells = index.spells(reader, |event| matches!(event, Event::Cut(_) | Event::Behind | Event::Paused));
    let Some(spell) = spells.iter().find(|spell| spell.from <= strike.injected && spell.to > strike.injected) else {
        return false;
    };
    // What a node missed itself comes in one burst afterwards, and never waited in an outbox.
    let excuses = Windows::of(index.history, |kind| stops(kind, spell.node) || parts_postgres(kind, spell.node));
    if excuses.touch(strike.injected, spell.to.min(strike.healed)) {
        return false;
    }
    let pushed = pushed(index, strike, info);
    verdict.looked();
    if let Some((at, waiting)) = most_waiting(index, strike, reader, spell).filter(|(_, bytes)| *bytes > BACKLOG_MAX) {
        verdict.violated("backlog", || {
            let (reader, room, at) = (reader.0, info.room.0, at / 1_000_000);
            format!(
                "{waiting} bytes waited for reader {reader} of room {room} at {at} ms, and all of them came: no cap"
            )
        });
    }
    pushed > FLOOD
}

/// How much was said in a reader's room during a strike.
fn pushed(index: &Index, strike: &Strike, info: &ReaderInfo) -> usize {
    let during = strike.injected..=strike.healed;
    let is_concerned = |given: &&crate::history::Given| index.view(info) == View::Staff || !given.is_for_staff;
    let log = index.log(info.room, index.view(info)).iter().filter(is_concerned);
    let ops = log.filter_map(|given| given.op.and_then(|id| index.op(id)));
    ops.filter(|op| op.completed.is_some_and(|at| during.contains(&at))).map(|op| op.text.len() + ENVELOPE).sum()
}

/// The most that was acknowledged at a moment and came to the reader live only after it, from the strike on.
fn most_waiting(index: &Index, strike: &Strike, reader: Reader, spell: &Spell) -> Option<(Nanos, usize)> {
    let live: Vec<(Nanos, Nanos, usize)> = index
        .stream(reader)
        .filter(|(at, _)| (strike.injected..=spell.to).contains(at))
        .filter_map(|(at, event)| match event {
            Event::Live(given) => {
                let op = index.op(given.op?)?;
                let is_acked = matches!(op.outcome, Outcome::Ok { .. });
                is_acked.then_some((at, op.completed?, op.text.len() + ENVELOPE))
            }
            _ => None,
        })
        .collect();
    let (mut next, mut waiting) = (0, 0);
    let mut most = None;
    for (at, _, bytes) in &live {
        while next < live.len() && live[next].1 <= *at {
            waiting += live[next].2;
            next += 1;
        }
        if most.is_none_or(|(_, highest)| waiting > highest) {
            most = Some((*at, waiting));
        }
        waiting = waiting.saturating_sub(*bytes);
    }
    most
}

#[cfg(test)]
mod tests {
    use crate::checkers::bounds::check;
    use crate::checkers::fixture::{Story, assert_told};
    use crate::checkers::index::Index;
    use crate::history::{Event, Person, Reader};
    use crate::plan::Kind;

    #[test]
    fn a_process_over_its_cap_is_told() {
        let mut history = Story::whole();
        history.samples[0].gauges.insert("rss_bytes".to_owned(), 9e9);
        assert_told(check, &history, "cap", &["node-0 had rss_bytes 9000000000"]);
    }

    /// Reader 4 does not read while 2 MiB are written to its room.
    fn flood() -> Story {
        let mut story = Story::new();
        story.hold(Reader(4));
        story.strike_while(Kind::LazyClients, |story| {
            for _ in 0..32 {
                story.say_much(Person(0), 64 * 1024);
            }
        });
        story
    }

    #[test]
    fn a_reader_for_whom_all_was_kept_is_told() {
        let mut story = flood();
        story.release(Reader(4));
        assert_told(check, &story.end(), "backlog", &["bytes waited for reader 4 of room 0", "no cap"]);
    }

    #[test]
    fn a_reader_that_was_told_head_is_well() {
        let mut story = flood();
        story.forget(Reader(4));
        story.see(Reader(4), Event::Behind);
        let verdict = check(&Index::new(&story.end()));
        assert!(verdict.is_kept() && verdict.figures["flooded"] > 0.0, "{verdict:?}");
    }

    #[test]
    fn lazy_readers_that_nobody_wrote_to_prove_nothing() {
        let mut story = Story::new();
        story.strike(Kind::LazyClients, 1_000);
        assert_told(check, &story.end(), "vacuous", &["no reader that did not read"]);
    }
}
