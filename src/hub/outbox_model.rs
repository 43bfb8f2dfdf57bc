//! The outbox beside a model of it: a plain list of frames, rescanned for every question. However the socket dribbles, both say
//! the same to every call and the socket takes the same bytes.

use std::sync::atomic::Ordering;

use parlour_protocol::close::CloseCode;
use proptest::prelude::*;

use super::tests::{Tap, pair, text};
use super::*;

const SIGNS: [Sign; 3] = [Sign::Presence, Sign::Receipt, Sign::Inbox];

#[derive(Clone, Debug)]
enum Op {
    Control,
    Welcome,
    Durable { attachment: u64, count: usize },
    Signal { key: Option<usize> },
    Flush { credit: usize },
    TakeStale,
    MarkStale { attachment: u64 },
    Withdraw { attachment: u64 },
    Forget { attachment: u64 },
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let attachment = 1_u64..3;
    prop_oneof![
        4 => Just(Op::Control),
        2 => Just(Op::Welcome),
        12 => (attachment.clone(), 1_usize..60).prop_map(|(attachment, count)| Op::Durable { attachment, count }),
        4 => proptest::option::of(0_usize..SIGNS.len()).prop_map(|key| Op::Signal { key }),
        6 => prop_oneof![0_usize..3_000, 0_usize..300_000].prop_map(|credit| Op::Flush { credit }),
        3 => Just(Op::TakeStale),
        1 => attachment.clone().prop_map(|attachment| Op::MarkStale { attachment }),
        1 => attachment.clone().prop_map(|attachment| Op::Withdraw { attachment }),
        2 => attachment.prop_map(|attachment| Op::Forget { attachment }),
        1 => Just(Op::Close),
    ]
}

/// What waits, frame by frame.
#[derive(Default)]
struct Model {
    /// Whose each frame is; none: not to be dropped.
    queue: VecDeque<(Option<u64>, Bytes)>,
    /// How much of the first one is out.
    begun: usize,
    merged: Vec<(usize, Bytes)>,
    /// And whether its `head` was called for.
    stale: Vec<(u64, bool)>,
    credit: usize,
    taken: Vec<u8>,
    is_closed: bool,
}

impl Model {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.merged.is_empty() && self.stale.iter().all(|(_, announced)| *announced)
    }

    fn write(&mut self) {
        while let Some((_, frame)) = self.queue.front() {
            let count = self.credit.min(frame.len() - self.begun);
            self.taken.extend_from_slice(&frame[self.begun..self.begun + count]);
            self.credit -= count;
            self.begun += count;
            if self.begun < frame.len() {
                return;
            }
            self.begun = 0;
            self.queue.pop_front();
        }
    }

    fn flush(&mut self) {
        self.write();
        if self.queue.is_empty() {
            self.queue.extend(std::mem::take(&mut self.merged).into_iter().map(|(_, frame)| (None, frame)));
            self.write();
        }
    }

    fn push(&mut self, frames: Vec<(Option<u64>, Bytes)>) {
        let was_idle = self.is_idle();
        self.queue.extend(frames);
        if was_idle {
            self.write();
        }
    }

    /// The frames that may be dropped: not the one that was begun.
    fn droppable(&self) -> impl Iterator<Item = (u64, usize)> {
        let skipped = usize::from(self.begun > 0);
        self.queue.iter().skip(skipped).filter_map(|(whose, frame)| Some(((*whose)?, frame.len())))
    }

    fn keep(&mut self, keeps: impl Fn(u64) -> bool) {
        let mut is_begun = self.begun > 0;
        self.queue.retain(|(whose, _)| std::mem::take(&mut is_begun) || whose.is_none_or(&keeps));
    }

    fn mark_stale(&mut self, attachment: u64) {
        if !self.stale.iter().any(|(its, _)| *its == attachment) {
            self.stale.push((attachment, false));
        }
    }

    fn durable(&mut self, attachment: u64, frames: Vec<Bytes>) -> Sent {
        if self.is_closed || self.stale.iter().any(|(its, _)| *its == attachment) {
            return Sent::Dropped;
        }
        self.push(frames.into_iter().map(|frame| (Some(attachment), frame)).collect());
        let (bytes, count) = self.droppable().fold((0, 0), |(bytes, count), (_, len)| (bytes + len, count + 1));
        if bytes <= OUTBOX_BYTES_MAX && count <= OUTBOX_FRAMES_MAX {
            return Sent::Accepted;
        }
        let whose: Vec<u64> = self.droppable().map(|(whose, _)| whose).collect();
        whose.into_iter().for_each(|attachment| self.mark_stale(attachment));
        self.keep(|_| false);
        Sent::Dropped
    }

    fn take_stale(&mut self) -> Vec<AttachmentId> {
        if !self.queue.is_empty() {
            return Vec::new();
        }
        let due = self.stale.iter_mut().filter(|(_, announced)| !announced);
        due.map(|(attachment, announced)| {
            *announced = true;
            AttachmentId(*attachment)
        })
        .collect()
    }

    fn close(&mut self, frame: Bytes) {
        if !self.is_closed {
            self.keep(|_| false);
            self.stale.clear();
            self.merged.clear();
            self.push(vec![(None, frame)]);
            self.is_closed = true;
        }
    }
}

/// Both, side by side.
struct Both {
    tap: Arc<Tap>,
    outbox: Outbox,
    model: Model,
    said: usize,
    conversation: ConversationId,
}

impl Both {
    fn frame(&mut self, size: usize) -> Bytes {
        self.said += 1;
        text(&format!("{:0size$}", self.said))
    }

    /// Does one thing to both; whether they agree on it.
    fn take(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match *op {
            Op::Control => {
                let frame = self.frame(40);
                self.outbox.control(frame.clone());
                if !self.model.is_closed {
                    self.model.push(vec![(None, frame)]);
                }
            }
            Op::Welcome => {
                let frame = self.frame(40);
                self.outbox.welcome(self.conversation, frame.clone());
                if !self.model.is_closed {
                    self.model.merged.retain(|(key, _)| SIGNS[*key] == Sign::Inbox);
                    self.model.push(vec![(None, frame)]);
                }
            }
            Op::Durable { attachment, count } => {
                let frames: Vec<Bytes> = (0..count).map(|_| self.frame(1 + self.said * 37 % 4_000)).collect();
                let sent = self.outbox.durable(AttachmentId(attachment), frames.concat().into(), count);
                prop_assert_eq!(sent, self.model.durable(attachment, frames));
            }
            Op::Signal { key } => {
                let frame = self.frame(20);
                let name = key.map(|key| SignKey { sign: SIGNS[key], conversation: self.conversation, who: None });
                self.outbox.sign(name, frame.clone());
                match key {
                    _ if self.model.is_closed => {}
                    _ if self.model.is_idle() => self.model.push(vec![(None, frame)]),
                    Some(key) => match self.model.merged.iter_mut().find(|(its, _)| *its == key) {
                        Some((_, older)) => *older = frame,
                        None => self.model.merged.push((key, frame)),
                    },
                    None => {}
                }
            }
            Op::Flush { credit } => {
                self.tap.credit.fetch_add(credit, Ordering::Relaxed);
                self.outbox.flush();
                self.model.credit += credit;
                self.model.flush();
            }
            Op::TakeStale => prop_assert_eq!(self.outbox.take_stale(), self.model.take_stale()),
            Op::MarkStale { attachment } => {
                self.outbox.mark_stale(AttachmentId(attachment));
                if !self.model.is_closed {
                    self.model.mark_stale(attachment);
                }
            }
            Op::Withdraw { attachment } => {
                self.outbox.withdraw(AttachmentId(attachment));
                if !self.model.is_closed {
                    self.model.keep(|its| its != attachment);
                }
            }
            Op::Forget { attachment } => {
                self.outbox.forget(AttachmentId(attachment));
                self.model.stale.retain(|(its, _)| *its != attachment);
            }
            Op::Close => {
                let frame = frame::close(CloseCode::Normal);
                self.outbox.close(frame.clone());
                self.model.close(frame);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_outbox_does_as_a_plain_list_of_frames_would(ops in proptest::collection::vec(op(), 1..100)) {
        let (tap, outbox) = pair(0);
        let conversation = ConversationId::generate();
        let mut both = Both { tap, outbox, model: Model::default(), said: 0, conversation };
        for op in ops.iter().chain([&Op::Flush { credit: 100_000_000 }, &Op::TakeStale]) {
            both.take(op)?;
            prop_assert!(*locked(&both.tap.taken) == both.model.taken, "the socket took something else, after {:?}", op);
            let waits = both.outbox.backlog().waiting;
            prop_assert_eq!(waits, !both.model.is_idle());
        }
        prop_assert!(both.outbox.backlog().blocked_since.is_none());
    }
}
