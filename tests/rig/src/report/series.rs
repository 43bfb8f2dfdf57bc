//! Series: a run second by second, for the page's curves. Seconds count from the first operation.

use std::collections::HashMap;

use crate::history::{Event, History, Nanos, OpId, Outcome};

const SECOND: Nanos = 1_000_000_000;

/// A run second by second.
#[derive(Debug, Default)]
pub struct Series {
    /// When the first operation began.
    pub from: Nanos,
    /// How many seconds there are.
    pub seconds: usize,
    /// Acknowledged operations.
    pub acks: Vec<f64>,
    /// The longest from ack to another screen, in milliseconds, of what came live.
    pub staleness: Vec<f64>,
}

impl Series {
    /// Sorts a history into seconds.
    pub fn of(history: &History) -> Self {
        let from = history.ops.iter().map(|op| op.invoked).min().unwrap_or_default();
        let seconds = (history.ended.saturating_sub(from) / SECOND) as usize + 1;
        let second = |at: Nanos| ((at.saturating_sub(from) / SECOND) as usize).min(seconds - 1);
        let (mut acks, mut staleness) = (vec![0.0; seconds], vec![0.0_f64; seconds]);
        let mut acked: HashMap<OpId, Nanos> = HashMap::with_capacity(history.ops.len());
        for op in &history.ops {
            if let (Outcome::Ok { .. }, Some(at)) = (&op.outcome, op.completed) {
                acks[second(at)] += 1.0;
                acked.insert(op.id, at);
            }
        }
        for seen in &history.seen {
            let is_lazy = history.cast.readers[seen.reader.0 as usize].stalls;
            if let (Event::Live(given), false) = (&seen.event, is_lazy)
                && let Some(at) = given.op.and_then(|op| acked.get(&op))
            {
                let late = seen.at.saturating_sub(*at) as f64 / 1e6;
                let longest = &mut staleness[second(seen.at)];
                *longest = longest.max(late);
            }
        }
        Self { from, seconds, acks, staleness }
    }
}

#[cfg(test)]
mod tests {
    use super::Series;
    use crate::checkers::fixture::Story;
    use crate::history::{Person, Reader};

    #[test]
    fn every_ack_and_the_longest_wait_is_in_its_second() {
        let mut story = Story::new();
        story.say(Person(0));
        story.hold(Reader(0));
        story.say(Person(0));
        story.wait(2_000);
        story.release(Reader(0));
        story.say(Person(0));
        let series = Series::of(&story.end());
        assert_eq!((series.seconds, series.acks.clone()), (3, vec![2.0, 0.0, 1.0]));
        assert!(series.staleness[2] >= 2_000.0 && series.staleness[0] < 2.0, "{series:?}");
    }
}
