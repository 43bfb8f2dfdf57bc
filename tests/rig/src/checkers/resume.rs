//! C4, resume: what a reader is given after it attached with a position is exactly what follows that position, in order and
//! once, over any number of cuts and nodes; and at the end it holds everything up to the head.
//!
//! A reset is allowed only to a new epoch, and a run restores nothing. After `head` or `paused` nothing comes until the
//! reader attaches again. When it came is the business of [`super::staleness`].

use super::Verdict;
use super::index::Index;
use crate::history::{Event, Given, Reader, ReaderInfo};

/// See the module.
pub fn check(index: &Index) -> Verdict {
    let mut verdict = Verdict::new("C4", "a reader that was away gets exactly what it missed, once and in order");
    let mut resumes = 0_u32;
    for (reader, info) in index.readers() {
        let mut walk = Walk::new(reader, info);
        for (_, event) in index.stream(reader) {
            walk.step(event, &mut verdict);
        }
        walk.finish(index, &mut verdict);
        resumes += walk.resumes;
    }
    verdict.figures.insert("resumes", f64::from(resumes));
    verdict
}

/// One reader, event by event.
struct Walk<'a> {
    reader: Reader,
    info: &'a ReaderInfo,
    /// The last number it holds; none before the first.
    held: Option<i64>,
    /// The newest number when it began without a position: what comes live begins after it.
    began_at: i64,
    epoch: Option<i64>,
    /// What it was told that it has to attach after.
    is_waiting: Option<&'static str>,
    is_attached: bool,
    resumes: u32,
}

impl<'a> Walk<'a> {
    fn new(reader: Reader, info: &'a ReaderInfo) -> Self {
        let (held, epoch, is_waiting) = (None, None, None);
        Self { reader, info, held, began_at: 0, epoch, is_waiting, is_attached: false, resumes: 0 }
    }

    fn name(&self) -> String {
        format!("reader {} of room {}", self.reader.0, self.info.room.0)
    }

    fn step(&mut self, event: &Event, verdict: &mut Verdict) {
        match event {
            Event::Attached { since, resumed, epoch, head, .. } => {
                self.attached(*since, *resumed, *epoch, *head, verdict);
            }
            Event::Page(given) => self.given(given, verdict),
            Event::Live(given) => {
                if let Some(told) = self.is_waiting {
                    let seq = given.seq;
                    verdict.violated("unasked", || {
                        format!("{} was given {seq} after `{told}` and before it attached again", self.name())
                    });
                }
                self.held = self.held.or(Some(self.began_at));
                self.given(given, verdict);
            }
            Event::Behind => self.is_waiting = Some("head"),
            Event::Paused => self.is_waiting = Some("paused"),
            Event::Cut(_) => self.is_attached = false,
            Event::Presence { .. } | Event::Typing { .. } => {}
        }
    }

    fn attached(&mut self, since: Option<i64>, resumed: bool, epoch: i64, head: i64, verdict: &mut Verdict) {
        verdict.looked();
        self.is_waiting = None;
        self.is_attached = resumed || since.is_none();
        match since {
            Some(since) if !resumed => {
                if self.epoch.is_none_or(|before| before == epoch) {
                    verdict.violated("reset", || {
                        format!(
                            "{} stood at {since} and was told to begin anew (head {head}), in the same epoch",
                            self.name()
                        )
                    });
                }
                self.held = None;
            }
            Some(since) => {
                self.resumes += 1;
                // What it holds by our book, it must not skip by asking beyond.
                if self.held.is_some_and(|held| since > held) {
                    let held = self.held;
                    verdict.violated("gap", || format!("{} holds {held:?} and went on from {since}", self.name()));
                }
                if head < since {
                    verdict
                        .violated("head", || format!("{} stood at {since} and was told of head {head}", self.name()));
                }
                self.held = Some(since);
            }
            None => (self.held, self.began_at) = (None, head),
        }
        self.epoch = Some(epoch);
    }

    fn given(&mut self, given: &Given, verdict: &mut Verdict) {
        verdict.looked();
        let seq = given.seq;
        match self.held {
            Some(held) if seq > held + 1 => {
                verdict.violated("gap", || format!("{} was given {seq} after {held}: a hole", self.name()));
            }
            Some(held) if seq == held => {
                verdict.violated("repeated", || format!("{} was given {seq} twice", self.name()));
            }
            Some(held) if seq < held => {
                verdict.violated("reordered", || format!("{} was given {seq} after {held}: out of order", self.name()));
            }
            _ => {}
        }
        self.held = Some(self.held.map_or(seq, |held| held.max(seq)));
    }

    /// Whoever is there to the end holds everything. Whoever may no longer read, or left by its own will, need not.
    fn finish(&self, index: &Index, verdict: &mut Verdict) {
        let Some((at, last)) = index.stream(self.reader).next_back() else { return };
        let has_left = at < index.history.ended && matches!(last, Event::Cut(1000));
        if has_left || index.unreadable_since(self.info.person).is_some() {
            return;
        }
        verdict.looked();
        let (head, held) = (index.head(self.info.room, index.view(self.info)), self.held.unwrap_or_default());
        if held < head {
            verdict.violated("missing", || {
                let how = if self.is_attached { "attached" } else { "not attached" };
                format!("{} holds {held} of {head} at the end ({how})", self.name())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checkers::fixture::{Story, assert_told, first_live};
    use crate::checkers::index::Index;
    use crate::checkers::resume::check;
    use crate::history::{Event, Node, Person, Reader};

    #[test]
    fn a_hole_a_repeat_and_a_swap_are_told() {
        let mut history = Story::whole();
        first_live(&mut history).seq = 7;
        assert_told(check, &history, "gap", &["reader 0 of room 0", "a hole"]);
        let mut history = Story::whole();
        let at = history.seen.iter().position(|seen| matches!(seen.event, Event::Live(_))).unwrap();
        history.seen.insert(at, history.seen[at].clone());
        assert_told(check, &history, "repeated", &["was given 1 twice"]);
        let mut history = Story::whole();
        let lives = crate::checkers::fixture::lives(&history, Reader(0));
        history.seen.swap(lives[1], lives[2]);
        assert_told(check, &history, "reordered", &["out of order"]);
    }

    fn away() -> Story {
        let mut story = Story::new();
        story.say(Person(0));
        story.cut(Reader(0), 1006);
        story.say(Person(1));
        story
    }

    #[test]
    fn a_reader_that_resumes_elsewhere_misses_nothing() {
        let mut story = away();
        story.attach(Reader(0), Node(1));
        story.say(Person(0));
        let verdict = check(&Index::new(&story.end()));
        assert!(verdict.is_kept() && verdict.figures["resumes"] > 0.0, "{verdict:?}");
    }

    #[test]
    fn a_page_that_leaves_something_out_is_told() {
        let mut story = away();
        story.attach(Reader(0), Node(1));
        story.say(Person(0));
        let mut history = story.end();
        let page = history.seen.iter().rposition(|seen| matches!(seen.event, Event::Page(_))).unwrap();
        history.seen.remove(page);
        assert_told(check, &history, "gap", &["was given 3 after 1"]);
    }

    #[test]
    fn a_reset_without_a_new_epoch_is_told() {
        let mut story = away();
        story.attach(Reader(0), Node(1));
        let mut history = story.end();
        let again = history.seen.iter_mut().rev().find_map(|seen| match &mut seen.event {
            Event::Attached { resumed, since: Some(_), .. } => Some(resumed),
            _ => None,
        });
        *again.unwrap() = false;
        assert_told(check, &history, "reset", &["stood at 1 and was told to begin anew"]);
    }

    #[test]
    fn a_head_below_the_position_is_told() {
        let mut story = away();
        story.attach(Reader(0), Node(1));
        let mut history = story.end();
        let again = history.seen.iter_mut().rev().find_map(|seen| match &mut seen.event {
            Event::Attached { head, since: Some(_), .. } => Some(head),
            _ => None,
        });
        *again.unwrap() = 0;
        assert_told(check, &history, "head", &["told of head 0"]);
    }

    #[test]
    fn nothing_comes_between_head_and_attach() {
        let mut story = Story::new();
        story.see(Reader(0), Event::Behind);
        story.say(Person(0));
        assert_told(check, &story.end(), "unasked", &["was given 1 after `head`"]);
    }

    #[test]
    fn whoever_is_there_to_the_end_holds_everything() {
        let mut story = away();
        let history = story.clone().end();
        assert_told(check, &history, "missing", &["reader 0 of room 0 holds 1 of 2", "not attached"]);
        story.see(Reader(0), Event::Cut(1000));
        assert!(check(&Index::new(&story.end())).is_kept(), "left by its own will");
    }
}
