//! Claims about the outbox, over a socket that takes exactly as much as it is allowed to.

use std::sync::atomic::{AtomicUsize, Ordering};

use parlour_protocol::close::CloseCode;

use super::*;
use crate::hub::frame::Opcode;

/// A socket that takes as many bytes as it was given credit for.
#[derive(Default)]
pub(super) struct Tap {
    pub(super) credit: AtomicUsize,
    pub(super) taken: Mutex<Vec<u8>>,
}

impl Sink for Tap {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.credit.load(Ordering::Relaxed).min(bytes.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.credit.fetch_sub(count, Ordering::Relaxed);
        locked(&self.taken).extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl Tap {
    /// The payloads of the whole frames taken so far; a cut frame is left out.
    fn frames(&self) -> Vec<String> {
        let taken = locked(&self.taken);
        let (mut at, mut frames) = (0, Vec::new());
        while at < taken.len() {
            let end = at + frame::boundary(&taken[at..], 1);
            if end > taken.len() {
                break;
            }
            let header = if taken[at + 1] == 126 { 4 } else { 2 };
            frames.push(String::from_utf8_lossy(&taken[at + header..end]).into_owned());
            at = end;
        }
        frames
    }
}

impl Outbox {
    /// How many attachments it remembers as stale.
    pub(in crate::hub) fn stale_count(&self) -> usize {
        locked(&self.state).stale.len()
    }
}

pub(super) fn pair(credit: usize) -> (Arc<Tap>, Outbox) {
    let tap = Arc::new(Tap { credit: credit.into(), ..Tap::default() });
    (Arc::clone(&tap), Outbox::new(tap))
}

pub(super) fn text(text: &str) -> Bytes {
    frame::frame(Opcode::Text, text.as_bytes())
}

const A: AttachmentId = AttachmentId(1);
const B: AttachmentId = AttachmentId(2);

#[test]
fn over_budget_only_entry_pushes_go_and_each_attachment_is_named_once() {
    let (tap, outbox) = pair(3);
    outbox.durable(A, text("half-written"), 1);
    outbox.control(text("reply"));
    let big = "x".repeat(1000);
    let accepted = (0..1000).take_while(|_| outbox.durable(A, text(&big), 1) == Sent::Accepted).count();
    assert_eq!(accepted, OUTBOX_BYTES_MAX / text(&big).len());
    assert_eq!(outbox.durable(A, text("to a stale attachment"), 1), Sent::Dropped);
    assert_eq!(outbox.durable(B, text("to another"), 1), Sent::Accepted);
    assert!(outbox.take_stale().is_empty(), "not before the rest was taken");

    tap.credit.store(usize::MAX, Ordering::Relaxed);
    outbox.flush();
    assert_eq!(tap.frames(), ["half-written", "reply", "to another"]);
    assert_eq!(outbox.take_stale(), [A]);
    assert!(outbox.take_stale().is_empty(), "once");
    assert_eq!(outbox.durable(A, text("still stale"), 1), Sent::Dropped);
    outbox.forget(A);
    assert_eq!(outbox.durable(A, text("attached again"), 1), Sent::Accepted);
}

#[test]
fn the_count_of_frames_is_a_budget_too() {
    let (_tap, outbox) = pair(0);
    let frames: Bytes = std::iter::repeat_n(text("a"), OUTBOX_FRAMES_MAX).collect::<Vec<_>>().concat().into();
    assert_eq!(outbox.durable(A, frames, OUTBOX_FRAMES_MAX), Sent::Accepted);
    assert_eq!(outbox.durable(A, text("b"), 1), Sent::Dropped);
}

#[test]
fn a_turn_that_alone_is_over_budget_still_gets_its_head() {
    let (tap, outbox) = pair(0);
    assert_eq!(outbox.durable(A, text(&"x".repeat(OUTBOX_BYTES_MAX)), 1), Sent::Dropped);
    assert!(outbox.backlog().waiting);
    assert_eq!(outbox.take_stale(), [A]);
    assert!(!outbox.backlog().waiting && tap.frames().is_empty());
}

#[test]
fn nothing_follows_a_close_frame_and_what_waits_before_it_is_replies_only() {
    let (tap, outbox) = pair(4);
    outbox.control(text("first"));
    outbox.durable(A, text("entry"), 1);
    outbox.control(text("reply"));
    outbox.close(frame::close(CloseCode::LinkEnded));
    outbox.control(text("late"));
    assert_eq!(outbox.durable(A, text("late"), 1), Sent::Dropped);
    outbox.close(frame::close(CloseCode::Normal));
    tap.credit.store(usize::MAX, Ordering::Relaxed);
    outbox.flush();
    let frames = tap.frames();
    assert_eq!(frames[..2], ["first", "reply"]);
    assert!(frames[2].ends_with(CloseCode::LinkEnded.reason()) && frames.len() == 3, "{frames:?}");
    assert_eq!(outbox.backlog().phase, Phase::Closing);
}

#[test]
fn signs_are_merged_or_dropped_while_something_waits() {
    let (tap, outbox) = pair(1);
    let conversation = ConversationId::generate();
    let key = |sign| Some(SignKey { sign, conversation, who: None });
    outbox.control(text("reply"));
    outbox.sign(None, text("typing"));
    outbox.sign(key(Sign::Presence), text("online"));
    outbox.sign(key(Sign::Inbox), text("row"));
    outbox.sign(key(Sign::Presence), text("offline"));
    tap.credit.store(usize::MAX, Ordering::Relaxed);
    outbox.flush();
    outbox.sign(None, text("typing again"));
    assert_eq!(tap.frames(), ["reply", "offline", "row", "typing again"]);
}

#[test]
fn a_sign_merged_before_a_head_is_not_kept_back_until_a_newer_one_has_gone() {
    let (tap, outbox) = pair(usize::MAX);
    let conversation = ConversationId::generate();
    let key = || Some(SignKey { sign: Sign::Presence, conversation, who: None });
    outbox.mark_stale(A);
    outbox.sign(key(), text("offline"));
    assert_eq!(outbox.take_stale(), [A]);
    outbox.control(text("head"));
    assert!(outbox.backlog().waiting, "the sign is on its way");
    outbox.sign(key(), text("online"));
    outbox.flush();
    assert_eq!(tap.frames(), ["head", "online"]);
}
