//! The outbox of one socket: what was not taken by the kernel yet, under one short lock.
//!
//! Whoever has something to say writes it at once when nothing waits; otherwise it is appended, and only the session's own
//! task waits for the socket, woken once per empty → non-empty. A half-written frame, replies, control and close frames are
//! never dropped. Over budget the entry pushes are, their attachments become stale, and one `head` follows once the rest was
//! taken. Signs without memory (typing …) are dropped or merged as soon as anything waits. Nothing follows a close frame.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::ConversationId;
use parlour_protocol::limits::{OUTBOX_BYTES_MAX, OUTBOX_FRAMES_MAX};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::hub::{frame, locked};

/// Unsent replies beyond which the session is not read from.
pub const REPLIES_BYTES_MAX: usize = 256 * 1024;
/// Unsent replies and control beyond which the socket is given up: only others' doings can grow them so far.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Merged signs kept while something waits.
const MERGED_MAX: usize = 64;

/// Where frames go. TCP in production, a small tap in tests.
pub trait Sink: Send + Sync + 'static {
    /// Writes what can be written now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing can be; any other error ends the socket.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

impl Sink for TcpStream {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }
}

/// One attachment of one session; a new one for each attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttachmentId(pub u64);

/// What newer signs replace while they wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignKey {
    /// Which sign.
    pub sign: Sign,
    /// Where.
    pub conversation: ConversationId,
    /// Whose; none where the sign is about the conversation.
    pub who: Option<(WhoKind, String)>,
}

/// The signs whose latest state is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Somebody came or left.
    Presence,
    /// Somebody read further.
    Receipt,
    /// A row of the list changed.
    Inbox,
}

/// What became of an entry push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Written, or it will be.
    Accepted,
    /// Dropped: the attachment is stale, or the socket is ending.
    Dropped,
}

/// Where the outbox stands, for the session's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Something waits, or stale attachments wait for their `head`.
    pub waiting: bool,
    /// Unsent bytes of replies and control.
    pub replies_bytes: usize,
    /// Since when the socket has taken nothing of what waits.
    pub blocked_since: Option<Instant>,
    /// Open, ending, or gone.
    pub phase: Phase,
}

/// The life of an outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Everything is welcome.
    Open,
    /// The close frame is in; nothing may follow.
    Closing,
    /// The socket failed.
    Failed,
}

/// The outbox of one socket.
pub struct Outbox {
    sink: Arc<dyn Sink>,
    wake: Notify,
    state: Mutex<State>,
}

struct State {
    /// The rest of a frame of which the socket has taken a part.
    half: Bytes,
    queue: VecDeque<Item>,
    /// Sums over the queue.
    durable_bytes: usize,
    durable_frames: usize,
    control_bytes: usize,
    stale: Vec<Stale>,
    merged: Vec<(SignKey, Bytes)>,
    blocked_since: Option<Instant>,
    phase: Phase,
}

enum Item {
    Control(Bytes),
    Durable { attachment: AttachmentId, frames: Bytes, count: usize },
}

struct Stale {
    attachment: AttachmentId,
    announced: bool,
}

impl Outbox {
    /// The outbox of a socket.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        let state = State {
            half: Bytes::new(),
            queue: VecDeque::new(),
            durable_bytes: 0,
            durable_frames: 0,
            control_bytes: 0,
            stale: Vec::new(),
            merged: Vec::new(),
            blocked_since: None,
            phase: Phase::Open,
        };
        Self { sink, wake: Notify::new(), state: Mutex::new(state) }
    }

    /// Gives a reply or a control frame; never dropped.
    pub fn control(&self, frames: Bytes) {
        self.with_open(|outbox, state| outbox.append_control(state, frames));
    }

    /// Gives a reply that tells how everybody in a conversation stands: what still waits of that is older and would undo it.
    pub fn welcome(&self, conversation: ConversationId, frames: Bytes) {
        self.with_open(|outbox, state| {
            state.merged.retain(|(key, _)| key.conversation != conversation || key.sign == Sign::Inbox);
            outbox.append_control(state, frames);
        });
    }

    /// Gives entry pushes, whole frames of one attachment; dropped when it is stale or the budget is spent.
    pub fn durable(&self, attachment: AttachmentId, frames: Bytes, count: usize) -> Sent {
        let mut sent = Sent::Dropped;
        self.with_open(|outbox, state| {
            if !state.is_stale(attachment) {
                sent = outbox.append_durable(state, attachment, frames, count);
            }
        });
        sent
    }

    /// Gives a sign. When something waits, it replaces an older one under its key, or is dropped without one.
    pub fn sign(&self, key: Option<SignKey>, frames: Bytes) {
        self.with_open(|outbox, state| {
            if state.is_idle() {
                outbox.append_control(state, frames);
            } else if let Some(key) = key {
                state.merge(key, frames);
            }
        });
    }

    /// Gives the close frame. What entries still wait are left to the next resume.
    pub fn close(&self, frame: Bytes) {
        self.with_open(|outbox, state| {
            state.drop_durable();
            state.stale.clear();
            state.merged.clear();
            outbox.append_control(state, frame);
            if state.phase == Phase::Open {
                state.phase = Phase::Closing;
            }
        });
        self.wake.notify_one();
    }

    /// Ends an attachment's pushes until it attaches again, with one `head` in their place.
    pub fn mark_stale(&self, attachment: AttachmentId) {
        self.with_open(|_, state| state.mark_stale(attachment));
    }

    /// Takes back the entry pushes of an attachment that still wait; a frame that was begun is finished.
    pub fn withdraw(&self, attachment: AttachmentId) {
        self.with_open(|_, state| state.withdraw(attachment));
    }

    /// Forgets an attachment that is no more: its pushes and its `head` are not wanted.
    pub fn forget(&self, attachment: AttachmentId) {
        locked(&self.state).stale.retain(|stale| stale.attachment != attachment);
    }

    /// The stale attachments whose `head` is due, each once; none while anything waits.
    pub fn take_stale(&self) -> Vec<AttachmentId> {
        let mut state = locked(&self.state);
        if state.has_frames() {
            return Vec::new();
        }
        let due = state.stale.iter_mut().filter(|stale| !stale.announced);
        due.map(|stale| {
            stale.announced = true;
            stale.attachment
        })
        .collect()
    }

    /// Writes what the socket takes. For the session's task only.
    pub fn flush(&self) {
        let mut state = locked(&self.state);
        let mut took = false;
        while let Some(frames) = state.next_frames() {
            let written = self.write_now(&mut state, &frames);
            if written == 0 {
                break;
            }
            state.written(written);
            took = true;
        }
        if !state.has_frames() {
            state.blocked_since = None;
        } else if took {
            state.blocked_since = Some(Instant::now());
        }
    }

    /// Where the outbox stands.
    pub fn backlog(&self) -> Backlog {
        let state = locked(&self.state);
        Backlog {
            waiting: !state.is_idle(),
            replies_bytes: state.control_bytes,
            blocked_since: state.blocked_since,
            phase: state.phase,
        }
    }

    /// What was not taken yet.
    pub fn unsent_bytes(&self) -> usize {
        let state = locked(&self.state);
        state.half.len() + state.durable_bytes + state.control_bytes
    }

    /// Waits until something waits that did not before, or the phase changes. Cancel-safe: a missed wake is remembered.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Runs `act` if the outbox is open, and wakes the session's task if that left something waiting.
    fn with_open(&self, act: impl FnOnce(&Self, &mut State)) {
        let mut state = locked(&self.state);
        if state.phase != Phase::Open {
            return;
        }
        let was_idle = state.is_idle();
        act(self, &mut state);
        if state.has_frames() {
            state.blocked_since.get_or_insert_with(Instant::now);
        }
        if (was_idle && !state.is_idle()) || state.phase == Phase::Failed {
            drop(state);
            self.wake.notify_one();
        }
    }

    fn append_control(&self, state: &mut State, mut frames: Bytes) {
        if state.is_idle() {
            let written = self.write_now(state, &frames);
            frames.advance(written);
            // The rest of a frame may be followed by whole ones, but none of them is ever dropped: no need to part them.
            state.half = frames;
            return;
        }
        state.control_bytes += frames.len();
        state.queue.push_back(Item::Control(frames));
        if state.control_bytes > CONTROL_BYTES_MAX {
            state.fail();
        }
    }

    fn append_durable(&self, state: &mut State, attachment: AttachmentId, mut frames: Bytes, mut count: usize) -> Sent {
        if state.is_idle() {
            let written = self.write_now(state, &frames);
            if written == frames.len() || state.phase == Phase::Failed {
                return Sent::Accepted;
            }
            let end = frame::boundary(&frames, written);
            state.half = frames.slice(written..end);
            frames.advance(end);
            if end > 0 {
                count = frame::count(&frames);
            }
        }
        if frames.is_empty() {
            return Sent::Accepted;
        }
        state.durable_bytes += frames.len();
        state.durable_frames += count;
        state.queue.push_back(Item::Durable { attachment, frames, count });
        if state.durable_bytes > OUTBOX_BYTES_MAX || state.durable_frames > OUTBOX_FRAMES_MAX {
            state.drop_durable();
            return Sent::Dropped;
        }
        Sent::Accepted
    }

    fn write_now(&self, state: &mut State, frames: &[u8]) -> usize {
        match self.sink.try_write(frames) {
            Ok(0) => state.fail(),
            Ok(count) => return count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => state.fail(),
        }
        0
    }
}

impl State {
    fn has_frames(&self) -> bool {
        !self.half.is_empty() || !self.queue.is_empty()
    }

    /// Nothing waits, not even a merged sign or a `head` that is due: who comes now may write at once.
    fn is_idle(&self) -> bool {
        !self.has_frames() && self.merged.is_empty() && self.stale.iter().all(|stale| stale.announced)
    }

    fn is_stale(&self, attachment: AttachmentId) -> bool {
        self.stale.iter().any(|stale| stale.attachment == attachment)
    }

    fn mark_stale(&mut self, attachment: AttachmentId) {
        if !self.is_stale(attachment) {
            self.stale.push(Stale { attachment, announced: false });
        }
    }

    fn withdraw(&mut self, attachment: AttachmentId) {
        let (mut bytes, mut counted) = (0, 0);
        self.queue.retain(|item| match item {
            Item::Durable { attachment: its, frames, count } if *its == attachment => {
                bytes += frames.len();
                counted += count;
                false
            }
            Item::Durable { .. } | Item::Control(_) => true,
        });
        self.durable_bytes -= bytes;
        self.durable_frames -= counted;
    }

    fn merge(&mut self, key: SignKey, frames: Bytes) {
        if let Some((_, older)) = self.merged.iter_mut().find(|(older, _)| *older == key) {
            *older = frames;
        } else if self.merged.len() < MERGED_MAX {
            self.merged.push((key, frames));
        }
    }

    fn drop_durable(&mut self) {
        let queue = std::mem::take(&mut self.queue);
        for item in queue {
            match item {
                Item::Control(_) => self.queue.push_back(item),
                Item::Durable { attachment, .. } => self.mark_stale(attachment),
            }
        }
        (self.durable_bytes, self.durable_frames) = (0, 0);
    }

    /// What to write next: the rest of a half-written frame, else the front of the queue, else the merged signs.
    fn next_frames(&mut self) -> Option<Bytes> {
        if !self.half.is_empty() {
            return Some(self.half.clone());
        }
        if self.queue.is_empty() {
            for (_, frames) in std::mem::take(&mut self.merged) {
                self.control_bytes += frames.len();
                self.queue.push_back(Item::Control(frames));
            }
        }
        self.queue.front().map(|item| match item {
            Item::Control(frames) | Item::Durable { frames, .. } => frames.clone(),
        })
    }

    /// Takes note that the socket took this much of what [`Self::next_frames`] named.
    fn written(&mut self, written: usize) {
        if !self.half.is_empty() {
            self.half.advance(written);
            return;
        }
        match self.queue.pop_front() {
            Some(Item::Control(mut frames)) => {
                self.control_bytes -= frames.len();
                frames.advance(written);
                self.half = frames;
            }
            Some(Item::Durable { attachment, mut frames, count }) => {
                let end = frame::boundary(&frames, written);
                let gone = frames.split_to(end);
                let begun = frame::count(&gone);
                self.half = gone.slice(written..);
                self.durable_bytes -= end;
                self.durable_frames -= begun;
                if !frames.is_empty() {
                    self.queue.push_front(Item::Durable { attachment, frames, count: count - begun });
                }
            }
            None => {}
        }
    }

    fn fail(&mut self) {
        self.phase = Phase::Failed;
        self.half = Bytes::new();
        self.queue.clear();
        self.stale.clear();
        self.merged.clear();
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "outbox_model.rs"]
mod model;
