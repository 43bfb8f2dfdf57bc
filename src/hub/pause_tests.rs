//! Claims about the pause: what is heard during it and after it, and what may be under way when it begins.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parlour_protocol::error::ErrorCode;
use proptest::prelude::*;
use serde_json::Value;
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::hub::fixture::{Actress, Stage};

fn types(heard: &[Value]) -> Vec<&str> {
    heard.iter().map(|message| message["type"].as_str().unwrap_or("reply")).collect()
}

#[tokio::test(start_paused = true)]
async fn during_a_pause_nobody_hears_entries_and_afterwards_everybody_is_asked_to_attach_again() {
    let stage = Stage::new(0);
    let (anna, guest, late) = (stage.staff(), stage.guest(), stage.staff());
    stage.attach(&anna, None).await;
    stage.attach(&guest, None).await;
    stage.say(2).await;
    anna.heard();
    guest.heard();
    stage.hub.withhold();
    stage.hub.withhold();
    stage.say(2).await;
    for actress in [&anna, &guest] {
        assert_eq!(types(&actress.heard()), ["paused"], "once, and no entry");
        assert!(stage.session_is_attached(actress));
    }
    for actress in [&anna, &late] {
        let refused = stage.try_attach(actress, Some(2)).await.unwrap_err();
        assert_eq!((refused.code, refused.retryable), (ErrorCode::Unavailable, true));
        assert!(actress.heard().is_empty());
    }
    stage.hub.resume();
    stage.hub.resume();
    let (staff, guests) = (anna.heard(), guest.heard());
    assert_eq!((types(&staff), types(&guests)), (vec!["head"], vec!["head"]), "also after a refused attach");
    assert_eq!((&staff[0]["seq"], &guests[0]["seq"]), (&4.into(), &3.into()), "each in its own numbers");
    stage.say(1).await;
    assert!(anna.heard().is_empty(), "nothing before it attaches again");
    stage.attach(&anna, Some(2)).await;
    stage.say(1).await;
    assert_eq!(Actress::seqs(&anna.heard()), [3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn an_attach_that_began_before_the_pause_does_not_go_live_during_it() {
    for (entries, since) in [(3, None), (3, Some(1)), (450, Some(1))] {
        let stage = Stage::new(2);
        stage.say(entries).await;
        let anna = stage.staff();
        let attaching = stage.try_attach(&anna, since);
        tokio::pin!(attaching);
        assert!(futures_util::poll!(&mut attaching).is_pending(), "the log is being read");
        stage.hub.withhold();
        let refused = attaching.await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable);
        stage.say(1).await;
        assert!(anna.heard().is_empty(), "not even a page");
        stage.hub.resume();
        assert!(anna.heard().is_empty(), "it was told to try again");
        assert_eq!(stage.hub.counts().members, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_socket_is_taken_back_and_its_head_comes_after_the_pause() {
    let stage = Stage::new(0);
    let slow = stage.staff();
    stage.attach(&slow, None).await;
    slow.heard();
    for entries in [5, 700] {
        let since = stage.log.head().seq;
        slow.tap.is_stalled.store(true, Ordering::Relaxed);
        stage.say(entries).await;
        stage.hub.withhold();
        slow.tap.is_stalled.store(false, Ordering::Relaxed);
        let heard: Vec<Value> = slow.heard().into_iter().chain(slow.heard()).collect();
        assert_eq!(types(&heard), ["paused"], "no entry, and no head that would ask it to attach in vain");
        stage.hub.resume();
        assert_eq!(types(&slow.heard()), ["head"]);
        assert_eq!(slow.session.outbox().backlog().replies_bytes, 0);
        stage.attach(&slow, Some(since.max(stage.log.head().seq - 5))).await;
        assert_eq!(Actress::seqs(&slow.heard()).len(), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_room_given_up_during_a_pause_is_told_of_afterwards() {
    let stage = Stage::new(0);
    let upkeep = CancellationToken::new();
    tokio::spawn(Arc::clone(&stage.hub).run(upkeep.clone()));
    let anna = stage.staff();
    stage.attach(&anna, None).await;
    stage.say(5).await;
    stage.hub.withhold();
    anna.heard();
    stage.log.restore(7, 3);
    sleep(Duration::from_secs(11)).await;
    assert!(anna.heard().is_empty());
    stage.hub.resume();
    let heard = anna.heard();
    assert_eq!((types(&heard), &heard[0]["epoch"]), (vec!["head"], &7.into()));
    upkeep.cancel();
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_is_woken_by_it() {
    let stage = Stage::new(0);
    stage.hub.flowing().await;
    stage.hub.withhold();
    let flowing = stage.hub.flowing();
    tokio::pin!(flowing);
    assert!(futures_util::poll!(&mut flowing).is_pending());
    stage.hub.resume();
    flowing.await;
}

/// A client by the book: the last number it holds, and whether it was told of a pause.
struct Reader {
    actress: Actress,
    last: i64,
    is_paused: bool,
    must_attach: bool,
}

impl Reader {
    fn listen(&mut self) {
        for message in self.actress.heard() {
            let is_reply = message.get("ok").is_some();
            match message["type"].as_str() {
                Some("paused") => self.is_paused = true,
                Some("head") => (self.is_paused, self.must_attach) = (false, true),
                _ => {}
            }
            let seqs = Actress::seqs(std::slice::from_ref(&message));
            assert!(!self.is_paused || seqs.is_empty(), "an entry during a pause: {message}");
            for seq in seqs {
                assert_eq!(seq, self.last + 1, "no hole, no repeat");
                self.last = seq;
            }
            if is_reply {
                self.must_attach = message["ok"]["has_more"] == true;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whenever pauses begin and end: nothing is heard during one, and in the end everything once, in order.
    #[test]
    fn pauses_racing_with_delivery_and_attach_lose_and_repeat_nothing(
        before in 0_usize..10, during in 1_usize..40, slow in 0_usize..6,
        pauses in prop::collection::vec((0_usize..12, 0_usize..12), 1..4), readers in 1_usize..3,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let stage = Stage::new(slow);
            stage.say(before).await;
            let reader = || Reader { actress: stage.staff(), last: 0, is_paused: false, must_attach: true };
            let mut readers: Vec<Reader> = (0..readers).map(|_| reader()).collect();
            let talk = async {
                for _ in 0..during {
                    stage.say(1).await;
                    yield_now().await;
                }
            };
            let pause = async {
                for (after, length) in pauses {
                    for _ in 0..after { yield_now().await }
                    stage.hub.withhold();
                    for _ in 0..length { yield_now().await }
                    stage.hub.resume();
                }
            };
            let read = async {
                for _ in 0..30 {
                    for reader in &mut readers {
                        reader.listen();
                        if reader.must_attach && stage.try_attach(&reader.actress, Some(reader.last)).await.is_ok() {
                            reader.must_attach = false;
                        }
                        reader.listen();
                    }
                    yield_now().await;
                }
            };
            tokio::join!(talk, pause, read);
            for reader in &mut readers {
                reader.listen();
                stage.try_attach(&reader.actress, Some(reader.last)).await.unwrap();
                reader.listen();
                assert_eq!(reader.last, stage.log.head().seq);
            }
        });
    }
}
