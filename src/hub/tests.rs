//! Claims about the hub as its clients see it, over a log in memory and sockets that stall when told to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parlour_protocol::entry::Position;
use parlour_protocol::error::ErrorCode;
use parlour_protocol::id::PersonId;
use parlour_protocol::share::Right;
use proptest::prelude::*;
use serde_json::Value;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

use crate::bus::message::Mark;
use crate::hub::Counts;
use crate::hub::fixture::{Actress, Stage};

fn types(heard: &[Value]) -> Vec<&str> {
    heard.iter().map(|message| message["type"].as_str().unwrap_or("reply")).collect()
}

/// Runs the hub's upkeep for as long as the guard lives.
fn upkeep(stage: &Stage) -> impl Drop {
    let cancelled = CancellationToken::new();
    tokio::spawn(Arc::clone(&stage.hub).run(cancelled.clone()));
    cancelled.drop_guard()
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever comes between: after the reply each view continues with the next number, once each.
    #[test]
    fn attach_racing_with_delivery_loses_and_repeats_nothing(
        before in 0_usize..20, during in 0_usize..40, slow in 0_usize..30, since in proptest::option::of(0_i64..8),
        swap in 0_usize..6, warm in any::<bool>(),
    ) {
        paused().block_on(async {
            let stage = Stage::new(slow);
            let _upkeep = upkeep(&stage);
            let (anna, guest, early) = (stage.staff(), stage.guest(), stage.staff());
            if warm {
                stage.attach(&early, None).await;
            }
            stage.say(before).await;
            let since_of = |head: i64| since.map(|seq| seq.min(head));
            let (staff_since, guest_since) = (since_of(stage.log.head().seq), since_of(stage.log.head().guest_seq));
            let talk = async {
                let mut held = Vec::new();
                for n in 0..during {
                    held.push(stage.log.commit());
                    tokio::task::yield_now().await;
                    // Some arrive in the wrong order, some twice.
                    if held.len() > swap {
                        held.reverse();
                        stage.hub.deliver(held.clone()).await;
                        held.truncate(n % 2);
                    }
                }
                stage.hub.deliver(held).await;
            };
            tokio::join!(talk, stage.attach(&anna, staff_since), stage.attach(&guest, guest_since));
            stage.say(3).await;
            sleep(Duration::from_secs(3)).await;
            for (actress, since, head) in
                [(&anna, staff_since, stage.log.head().seq), (&guest, guest_since, stage.log.head().guest_seq)]
            {
                let heard = actress.heard();
                let seqs = Actress::seqs(&heard);
                let first = since.map_or(seqs.first().copied().unwrap_or(head + 1), |seq| seq + 1);
                assert_eq!(seqs, (first..=head).collect::<Vec<_>>(), "{heard:?}");
                assert_eq!(heard.iter().filter(|message| message["id"] == 1).count(), 1);
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn lost_entries_are_read_from_the_log_also_when_the_last_one_is() {
    let stage = Stage::new(1);
    let _upkeep = upkeep(&stage);
    let anna = stage.staff();
    stage.attach(&anna, None).await;
    let (_lost, third) = (stage.log.commit(), (stage.log.commit(), stage.log.commit()).1);
    stage.hub.deliver(vec![third]).await;
    assert!(Actress::seqs(&anna.heard()).is_empty(), "nothing passes a hole");
    sleep(Duration::from_millis(60)).await;
    assert_eq!(Actress::seqs(&anna.heard()), [1, 2, 3]);

    let _lost = stage.log.commit();
    sleep(Duration::from_millis(10_100)).await;
    assert_eq!(Actress::seqs(&anna.heard()), [4], "found although nobody said anything");

    let _unsure = stage.log.commit();
    stage.hub.unsure(vec![stage.key]);
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(Actress::seqs(&anna.heard()), [5], "looked up");
}

#[tokio::test(start_paused = true)]
async fn a_stalled_socket_is_told_the_head_once_and_resumes_completely() {
    let stage = Stage::new(0);
    let (anna, slow) = (stage.staff(), stage.staff());
    stage.attach(&anna, None).await;
    stage.attach(&slow, None).await;
    stage.say(3).await;
    let last = Actress::seqs(&slow.heard());
    slow.tap.is_stalled.store(true, Ordering::Relaxed);
    stage.say(700).await;
    slow.tap.is_stalled.store(false, Ordering::Relaxed);
    let heard: Vec<Value> = slow.heard().into_iter().chain(slow.heard()).collect();
    assert_eq!(types(&heard), ["head"]);
    assert_eq!(heard[0]["seq"], 703);
    stage.say(2).await;
    assert!(slow.heard().is_empty(), "no entries until it attaches again");

    let mut seqs = last;
    for _ in 0..8 {
        stage.attach(&slow, seqs.last().copied()).await;
        let heard = slow.heard();
        seqs.extend(Actress::seqs(&heard));
        if heard[0]["ok"]["has_more"] == false {
            break;
        }
        assert!(!slow.session.is_attached(stage.key), "a page with more to come is not live");
    }
    stage.say(1).await;
    seqs.extend(Actress::seqs(&slow.heard()));
    assert_eq!(seqs, (1..=706).collect::<Vec<_>>());
    assert_eq!(Actress::seqs(&anna.heard()), (1..=706).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_resumed_is_answered_with_a_reset() {
    let stage = Stage::new(0);
    stage.say(5).await;
    let anna = stage.staff();
    for since in [Position { epoch: 2, seq: 3 }, Position { epoch: 1, seq: 6 }, Position { epoch: 1, seq: -1 }] {
        let welcome = async { panic!("a reset welcomes nobody") };
        stage.hub.attach(&anna.session, 9, stage.grant(&anna), Some(since), welcome).await.unwrap();
        let heard = anna.heard();
        assert_eq!(heard[0]["ok"]["reset"], serde_json::json!({ "epoch": 1, "floor": 1, "head": 5 }));
        assert!(!stage.session_is_attached(&anna));
    }
    stage.attach(&anna, Some(5)).await;
    assert_eq!(anna.heard()[0]["ok"]["resumed"], true);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_went_back_resynchronises_its_members() {
    let stage = Stage::new(0);
    let _upkeep = upkeep(&stage);
    let anna = stage.staff();
    stage.attach(&anna, None).await;
    stage.say(5).await;
    anna.heard();
    stage.log.restore(1_800_000_000, 3);
    sleep(Duration::from_secs(11)).await;
    let heard = anna.heard();
    assert_eq!(types(&heard), ["head"]);
    assert_eq!((&heard[0]["epoch"], &heard[0]["seq"]), (&1_800_000_000.into(), &3.into()));
    stage.attach(&anna, Some(5)).await;
    assert_eq!(anna.heard()[0]["ok"]["reset"]["head"], 3);
    stage.attach(&anna, None).await;
    assert_eq!(Actress::seqs(&anna.heard()), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_delivery_costs_the_room_and_not_the_node() {
    let stage = Stage::new(0);
    let (anna, poisoned) = (stage.staff(), stage.staff());
    stage.attach(&poisoned, None).await;
    stage.attach(&anna, None).await;
    anna.heard();
    poisoned.tap.is_poisoned.store(true, Ordering::Relaxed);
    stage.say(1).await;
    assert_eq!(types(&anna.heard()), ["head"]);
    stage.hub.leave(&poisoned.session);
    stage.attach(&anna, Some(0)).await;
    stage.say(1).await;
    assert_eq!(Actress::seqs(&anna.heard()), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_deliverer_dropped_on_its_way_leaves_its_turn_to_the_next() {
    let stage = Stage::new(0);
    let crowd: Vec<Actress> = (0..300).map(|_| stage.staff()).collect();
    for actress in &crowd {
        stage.attach(actress, None).await;
        actress.heard();
    }
    {
        let delivery = stage.hub.deliver(vec![stage.log.commit()]);
        tokio::pin!(delivery);
        assert!(futures_util::poll!(&mut delivery).is_pending(), "it yields after 256 members");
    }
    stage.say(1).await;
    assert!(crowd.iter().all(|actress| Actress::seqs(&actress.heard()) == [1, 2]));
}

#[tokio::test(start_paused = true)]
async fn presence_is_of_people_and_has_a_grace() {
    let stage = Stage::new(0);
    let _upkeep = upkeep(&stage);
    let (anna, person) = (stage.staff(), PersonId::generate());
    stage.attach(&anna, None).await;
    assert_eq!(anna.heard()[0]["ok"]["members"].as_array().unwrap().len(), 1);
    let (phone, laptop) = (stage.staff_as(person), stage.staff_as(person));
    stage.attach(&phone, None).await;
    stage.attach(&laptop, None).await;
    assert_eq!(phone.heard()[0]["ok"]["members"].as_array().unwrap().len(), 2);
    let heard = anna.heard();
    assert_eq!((types(&heard), &heard[0]["state"]), (vec!["presence"], &"online".into()));

    stage.hub.leave(&phone.session);
    stage.hub.detach(&laptop.session, stage.key);
    sleep(Duration::from_secs(9)).await;
    stage.attach(&laptop, Some(0)).await;
    sleep(Duration::from_secs(20)).await;
    assert!(anna.heard().is_empty(), "somebody who comes back within the grace never left");
    stage.hub.leave(&laptop.session);
    sleep(Duration::from_secs(11)).await;
    let heard = anna.heard();
    assert_eq!((types(&heard), &heard[0]["state"]), (vec!["presence"], &"offline".into()));
}

#[tokio::test(start_paused = true)]
async fn a_typing_sign_ends_by_itself_and_never_reaches_its_typist() {
    let stage = Stage::new(0);
    let _upkeep = upkeep(&stage);
    let (anna, guest) = (stage.staff(), stage.guest());
    stage.attach(&anna, None).await;
    stage.attach(&guest, None).await;
    anna.heard();
    guest.heard();
    let grant = stage.typing_grant(&guest);
    stage.hub.typing(&guest.session, &grant, true);
    stage.hub.typing(&guest.session, &grant, true);
    assert_eq!(types(&anna.heard()), ["typing"]);
    sleep(Duration::from_millis(6_001)).await;
    let heard = anna.heard();
    assert_eq!((types(&heard), &heard[0]["active"]), (vec!["typing"], &false.into()));
    stage.hub.typing(&guest.session, &grant, true);
    stage.hub.leave(&guest.session);
    assert_eq!(types(&anna.heard()), ["typing", "typing"]);
    assert!(guest.heard().is_empty());
}

#[tokio::test]
async fn receipts_come_in_the_numbering_of_whoever_hears_them() {
    let stage = Stage::new(0);
    let (anna, guest, reader) = (stage.staff(), stage.guest(), stage.staff());
    for actress in [&anna, &guest, &reader] {
        stage.attach(actress, None).await;
    }
    for actress in [&anna, &guest, &reader] {
        actress.heard();
    }
    let who = reader.session.who();
    stage.hub.receipt(stage.key, who, Mark { received: 9, read: 7 }, Some(Mark { received: 6, read: 5 }));
    stage.hub.receipt(stage.key, who, Mark { received: 9, read: 8 }, None);
    let reads =
        |actress: &Actress| actress.heard().iter().map(|push| push["read"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!((reads(&anna), reads(&guest), reads(&reader)), (vec![7, 8], vec![5], vec![]));
}

#[tokio::test]
async fn losing_the_right_to_read_ends_the_attachment_not_the_session() {
    let stage = Stage::new(0);
    let guest = stage.guest();
    stage.attach(&guest, None).await;
    guest.heard();
    stage.hub.set_rights(&guest.session, stage.key.conversation, &[Right::Read]);
    stage.hub.set_rights(&guest.session, stage.key.conversation, &[Right::Read, Right::Send]);
    stage.hub.set_rights(&guest.session, stage.key.conversation, &[]);
    stage.say(1).await;
    let heard = guest.heard();
    assert_eq!(types(&heard), ["permission", "permission"], "only news is told, and nothing after the last");
    assert_eq!(stage.hub.counts(), Counts { rooms: 1, sessions: 1, members: 0, peers: 0 });
}

#[tokio::test]
async fn a_guest_has_one_room_and_refused_rooms_leave_nothing_behind() {
    let (stage, elsewhere) = (Stage::new(0), Stage::new(0));
    let guest = stage.guest();
    stage.attach(&guest, None).await;
    let grant = stage.grant_elsewhere(&guest, elsewhere.key.conversation);
    let refused = stage.hub.attach(&guest.session, 2, grant, None, async { panic!("refused") }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Limit);
    assert_eq!(stage.hub.counts(), Counts { rooms: 1, sessions: 1, members: 1, peers: 0 });
}

#[tokio::test(start_paused = true)]
async fn an_empty_room_is_kept_for_a_while_and_then_forgotten() {
    let stage = Stage::new(0);
    let _upkeep = upkeep(&stage);
    let anna = stage.staff();
    stage.attach(&anna, None).await;
    stage.hub.detach(&anna.session, stage.key);
    stage.say(2).await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(stage.hub.counts().rooms, 1);
    stage.attach(&anna, Some(0)).await;
    assert_eq!(Actress::seqs(&anna.heard()), [1, 2]);
    stage.hub.detach(&anna.session, stage.key);
    sleep(Duration::from_secs(59)).await;
    assert_eq!(stage.hub.counts().rooms, 1);
    advance(Duration::from_secs(2)).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stage.hub.counts().rooms, 0);
}

#[tokio::test(start_paused = true)]
async fn marks_of_one_row_merge_and_nobody_listening_keeps_none() {
    let stage = Stage::new(0);
    let anna = stage.staff();
    stage.say(1).await;
    stage.hub.inbox().subscribe(&anna.session);
    stage.hub.inbox().subscribe(&anna.session);
    stage.say(5).await;
    assert_eq!(stage.hub.inbox().dirty().await, [stage.key]);
    assert_eq!(stage.hub.inbox().subscribers(stage.key.organization).len(), 1);
    stage.hub.leave(&anna.session);
    assert!(stage.hub.inbox().subscribers(stage.key.organization).is_empty());
}
