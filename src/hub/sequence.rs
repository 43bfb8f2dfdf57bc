//! The order of a room: which entry comes next, what arrived too early, and whether something is missing.
//!
//! Entries may reach a node twice, in any order, or not at all. A [`Sequence`] lets each number through once and in order;
//! it never guesses and never skips: what is missing is read from the log by [`crate::hub::repair`].

use std::collections::BTreeMap;

use crate::domain::room::{Committed, Head};

/// Early arrivals kept; beyond it the farthest is forgotten and will be read from the log.
const EARLY_MAX: usize = 1_024;

/// The order of one room, by the numbers of the staff view.
#[derive(Debug, Default)]
pub struct Sequence {
    /// The last entry let through; none until the log was asked where it stands.
    head: Option<Head>,
    /// The newest number known to exist.
    known: i64,
    early: BTreeMap<i64, Committed>,
}

/// What became of an offered entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It, and maybe early ones after it, went through.
    Through,
    /// It waits for what is missing before it.
    Early,
    /// It went through before.
    Duplicate,
    /// The log was restored and numbers start anew: nothing of this room holds any more.
    NewEpoch,
}

/// Entries that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The number after which they are.
    pub after: i64,
    /// Nothing came after them: without being told nobody would have noticed.
    pub is_tail: bool,
}

impl Sequence {
    /// The last entry let through; none before the start.
    pub fn head(&self) -> Option<Head> {
        self.head
    }

    /// Starts after `head`, as the log told it; early arrivals that follow it go through into `ready`.
    pub fn start(&mut self, head: Head, ready: &mut Vec<Committed>) {
        if self.head.is_some() {
            return;
        }
        self.head = Some(head);
        if self.early.values().any(|entry| entry.epoch != head.epoch) {
            // The log was restored meanwhile: numbers from before, or of a log not seen yet, say nothing about this one.
            self.early.retain(|_, entry| entry.epoch == head.epoch);
            self.known = self.early.last_key_value().map_or(0, |(seq, _)| *seq);
        }
        self.known = self.known.max(head.seq);
        self.early.retain(|seq, _| *seq > head.seq);
        self.release(ready);
    }

    /// Offers an entry that was committed; what may be delivered goes into `ready`, in order.
    pub fn offer(&mut self, entry: Committed, ready: &mut Vec<Committed>) -> Offered {
        let Some(head) = self.head else {
            self.hold(entry);
            return Offered::Early;
        };
        if entry.epoch > head.epoch {
            return Offered::NewEpoch;
        }
        if entry.epoch < head.epoch || entry.seq <= head.seq {
            return Offered::Duplicate;
        }
        self.known = self.known.max(entry.seq);
        if entry.seq > head.seq + 1 {
            self.hold(entry);
            return Offered::Early;
        }
        self.let_through(entry, ready);
        self.release(ready);
        Offered::Through
    }

    /// Learns that a number exists; nothing when it does not follow from it that something is missing.
    pub fn learn(&mut self, seq: i64) {
        self.known = self.known.max(seq);
    }

    /// What is missing; none when nothing is.
    pub fn hole(&self) -> Option<Hole> {
        let after = self.head.map(|head| head.seq).filter(|seq| *seq < self.known)?;
        Some(Hole { after, is_tail: self.early.is_empty() })
    }

    fn hold(&mut self, entry: Committed) {
        self.known = self.known.max(entry.seq);
        self.early.insert(entry.seq, entry);
        if self.early.len() > EARLY_MAX {
            self.early.pop_last();
        }
    }

    fn release(&mut self, ready: &mut Vec<Committed>) {
        while let Some(head) = self.head
            && let Some(next) = self.early.remove(&(head.seq + 1))
        {
            self.let_through(next, ready);
        }
    }

    fn let_through(&mut self, entry: Committed, ready: &mut Vec<Committed>) {
        if let Some(head) = &mut self.head {
            head.seq = entry.seq;
            head.guest_seq = entry.guest_seq.unwrap_or(head.guest_seq);
        }
        ready.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub::fixture::{committed, room_key};

    fn at(seq: i64) -> Head {
        Head { epoch: 1, seq, guest_seq: 0 }
    }

    /// What may happen to an order, by number.
    #[derive(Clone, Debug)]
    enum Op {
        Start(i64),
        Offer { epoch: i64, seq: i64 },
        Learn(i64),
    }

    fn op() -> impl Strategy<Value = Op> {
        // One in twelve is of the log as it was before a restore, or will be after the next.
        let epoch = prop_oneof![10 => Just(2_i64), 1 => Just(1_i64), 1 => Just(3_i64)];
        prop_oneof![
            1 => (0_i64..20).prop_map(Op::Start),
            20 => (epoch, 1_i64..40).prop_map(|(epoch, seq)| Op::Offer { epoch, seq }),
            2 => (0_i64..45).prop_map(Op::Learn),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Beside a model that only remembers what it was told: each number once, in order, and what is missing is known.
        #[test]
        fn any_order_with_repeats_comes_out_once_and_in_order(ops in proptest::collection::vec(op(), 0..200)) {
            let room = room_key();
            let (mut sequence, mut ready) = (Sequence::default(), Vec::new());
            let (mut offered, mut known, mut head) = (BTreeMap::new(), 0, None);
            for op in ops {
                match op {
                    Op::Start(seq) => {
                        sequence.start(Head { epoch: 2, ..at(seq) }, &mut ready);
                        if head.is_none() {
                            let is_mixed = offered.values().any(|epoch| *epoch != 2);
                            offered.retain(|_, epoch| *epoch == 2);
                            // With numbers of another log among them, what was only learned may be of that one, too.
                            known = if is_mixed { offered.last_key_value().map_or(0, |(seq, _)| *seq) } else { known };
                            known = known.max(seq);
                            head = Some(seq);
                        }
                    }
                    Op::Offer { epoch, seq } => {
                        let result = sequence.offer(Committed { epoch, ..committed(room, seq, None) }, &mut ready);
                        let expected = match head {
                            Some(_) if epoch > 2 => Offered::NewEpoch,
                            Some(head) if epoch < 2 || seq <= head => Offered::Duplicate,
                            Some(head) if seq == head + 1 => Offered::Through,
                            Some(_) | None => Offered::Early,
                        };
                        prop_assert_eq!(result, expected);
                        if matches!(expected, Offered::Early | Offered::Through) {
                            offered.insert(seq, epoch);
                            known = known.max(seq);
                        }
                    }
                    Op::Learn(seq) => {
                        sequence.learn(seq);
                        known = known.max(seq);
                    }
                }
                let Some(reached) = &mut head else { continue };
                let first = *reached + 1;
                *reached += (first..).take_while(|seq| offered.contains_key(seq)).count() as i64;
                let through: Vec<i64> = ready.drain(..).map(|entry| entry.seq).collect();
                prop_assert_eq!(through, (first..=*reached).collect::<Vec<_>>());
                prop_assert_eq!(sequence.head().map(|head| head.seq), Some(*reached));
                let is_tail = offered.last_key_value().is_none_or(|(newest, _)| newest <= reached);
                let hole = (*reached < known).then_some(Hole { after: *reached, is_tail });
                prop_assert_eq!(sequence.hole(), hole);
            }
        }
    }

    #[test]
    fn far_too_many_early_ones_are_forgotten_but_not_their_absence() {
        let room = room_key();
        let (mut sequence, mut ready) = (Sequence::default(), Vec::new());
        sequence.start(at(0), &mut ready);
        for seq in 2..=EARLY_MAX as i64 + 10 {
            assert_eq!(sequence.offer(committed(room, seq, None), &mut ready), Offered::Early);
        }
        assert_eq!(sequence.offer(committed(room, 1, None), &mut ready), Offered::Through);
        assert_eq!(ready.len(), EARLY_MAX + 1);
        assert_eq!(sequence.hole(), Some(Hole { after: EARLY_MAX as i64 + 1, is_tail: true }));
    }

    #[test]
    fn numbers_of_another_epoch_are_not_missed_in_this_one() {
        let room = room_key();
        let (mut sequence, mut ready) = (Sequence::default(), Vec::new());
        sequence.offer(committed(room, 100, None), &mut ready);
        sequence.start(Head { epoch: 2, seq: 50, guest_seq: 0 }, &mut ready);
        assert_eq!(sequence.hole(), None, "nobody could ever fill it");
    }

    #[test]
    fn a_new_epoch_is_told_apart_from_a_repeat() {
        let room = room_key();
        let (mut sequence, mut ready) = (Sequence::default(), Vec::new());
        sequence.start(at(7), &mut ready);
        let restored = Committed { epoch: 2, ..committed(room, 3, None) };
        assert_eq!(sequence.offer(restored, &mut ready), Offered::NewEpoch);
        assert_eq!(sequence.offer(committed(room, 3, None), &mut ready), Offered::Duplicate);
    }
}
