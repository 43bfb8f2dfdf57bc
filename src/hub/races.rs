//! Claims about what comes at the same time: leaving while being delivered to, losing a right while attaching, receipts and
//! presence while attaching, and many rooms come and gone.
//!
//! Over the same stage as [`crate::hub::tests`], on one thread or step by step, so that each race is played out and not hoped for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use parlour_protocol::id::{CardId, PersonId, SessionId};
use parlour_protocol::reply::{CardSeen, ConversationRef};
use parlour_protocol::share::Right;
use parlour_protocol::time::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::bus::message::Mark;
use crate::hub::Counts;
use crate::hub::catch_up::Welcome;
use crate::hub::fixture::{Actress, Stage};

#[tokio::test(start_paused = true)]
async fn who_leaves_or_attaches_again_is_given_nothing_by_a_delivery_under_way() {
    let stage = Stage::new(0);
    let crowd: Vec<Actress> = (0..302).map(|_| stage.staff()).collect();
    for actress in &crowd {
        stage.attach(actress, None).await;
        actress.heard();
    }
    let [again, gone] = [&crowd[300], &crowd[301]];
    let delivery = stage.hub.deliver(vec![stage.log.commit()]);
    tokio::pin!(delivery);
    assert!(futures_util::poll!(&mut delivery).is_pending(), "it yields after 256 members");
    stage.hub.detach(&gone.session, stage.key);
    stage.attach(again, Some(0)).await;
    delivery.await;
    assert_eq!(Actress::seqs(&again.heard()), [1], "in the reply, and not once more");
    assert!(gone.heard().is_empty(), "nothing after it left");
}

#[tokio::test(start_paused = true)]
async fn a_right_lost_while_attaching_refuses_the_attach_and_leaves_no_presence() {
    let stage = Stage::new(1);
    let (anna, guest) = (stage.staff(), stage.guest());
    stage.attach(&anna, None).await;
    anna.heard();
    let attaching = stage.try_attach(&guest, None);
    tokio::pin!(attaching);
    assert!(futures_util::poll!(&mut attaching).is_pending(), "the log is being read");
    stage.hub.set_rights(&guest.session, stage.key.conversation, &[]);
    let refused = attaching.await.unwrap_err();
    assert_eq!(refused.code, parlour_protocol::error::ErrorCode::NotFound);
    stage.say(1).await;
    assert!(guest.heard().is_empty());
    let upkeep = CancellationToken::new();
    tokio::spawn(Arc::clone(&stage.hub).run(upkeep.clone()));
    sleep(Duration::from_secs(11)).await;
    assert!(!stage.hub.has_guest(stage.key), "nobody is left behind as present");
    assert_eq!(stage.hub.counts().members, 1);
    upkeep.cancel();
}

#[tokio::test(start_paused = true)]
async fn many_rooms_and_signs_come_and_gone_leave_nothing() {
    let stage = Stage::new(0);
    let upkeep = CancellationToken::new();
    tokio::spawn(Arc::clone(&stage.hub).run(upkeep.clone()));
    for round in 0..300 {
        let elsewhere = Stage::over(&stage);
        let (anna, guest) = (elsewhere.staff(), elsewhere.guest());
        elsewhere.attach(&anna, None).await;
        elsewhere.attach(&guest, None).await;
        stage.hub.inbox().subscribe(&anna.session);
        elsewhere.hub.typing(&anna.session, &elsewhere.typing_grant(&anna), true);
        anna.tap.is_stalled.store(round % 3 == 0, Ordering::Relaxed);
        elsewhere.say(3).await;
        if round % 2 == 0 {
            elsewhere.attach(&anna, Some(0)).await;
            stage.hub.detach(&guest.session, elsewhere.key);
        }
        stage.hub.leave(&anna.session);
        stage.hub.leave(&guest.session);
    }
    sleep(Duration::from_secs(75)).await;
    assert_eq!(stage.hub.counts(), Counts { rooms: 0, sessions: 0, members: 0, peers: 0 });
    let kept = format!("{:?} {:?} {:?}", stage.hub.agenda, stage.hub.presence, stage.hub.typing);
    assert_eq!(kept.matches("RoomKey").count(), 0, "{kept}");
    upkeep.cancel();
}

#[tokio::test(start_paused = true)]
async fn attaching_again_and_again_over_a_stalled_socket_keeps_nothing_of_the_old_ones() {
    let stage = Stage::new(0);
    let slow = stage.staff();
    stage.attach(&slow, None).await;
    slow.heard();
    for _ in 0..20 {
        slow.tap.is_stalled.store(true, Ordering::Relaxed);
        stage.say(10).await;
        stage.attach(&slow, Some(stage.log.head().seq)).await;
        stage.say(600).await;
        slow.tap.is_stalled.store(false, Ordering::Relaxed);
        let heard: Vec<Value> = slow.heard().into_iter().chain(slow.heard()).collect();
        assert_eq!(heard.iter().filter(|message| message["type"] == "head").count(), 1);
        stage.attach(&slow, Some(stage.log.head().seq)).await;
        slow.heard();
    }
    assert_eq!(slow.session.outbox().stale_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_comes_while_attaching_follows_the_reply_and_no_news_is_told_twice() {
    let stage = Stage::new(1);
    let (anna, reader) = (stage.staff(), stage.staff());
    let attaching = stage.try_attach(&anna, None);
    tokio::pin!(attaching);
    assert!(futures_util::poll!(&mut attaching).is_pending(), "the log is being read");
    let mark = |read| Mark { received: read, read };
    stage.hub.receipt(stage.key, reader.session.who(), mark(3), None);
    attaching.await.unwrap();
    stage.hub.receipt(stage.key, reader.session.who(), mark(3), None);
    stage.hub.receipt(stage.key, reader.session.who(), mark(4), None);
    let heard = anna.heard();
    assert_eq!(heard[0]["id"], 1, "first the reply");
    let reads: Vec<_> = heard[1..].iter().map(|push| (push["type"].as_str(), push["read"].as_i64())).collect();
    assert_eq!(reads, [(Some("receipt"), Some(3)), (Some("receipt"), Some(4))]);
}

#[tokio::test(start_paused = true)]
async fn rights_told_to_an_attach_are_not_told_again() {
    let stage = Stage::new(0);
    let anna = stage.staff();
    stage.attach(&anna, None).await;
    anna.heard();
    stage.hub.set_rights(&anna.session, stage.key.conversation, &[Right::Read]);
    assert!(anna.heard().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_a_guest_sees_while_staff_attach_is_told_after_the_reply() {
    let stage = Stage::new(0);
    let (anna, guest, other) = (stage.staff(), stage.guest(), stage.guest());
    let now = Timestamp(OffsetDateTime::UNIX_EPOCH);
    let who = guest.session.who().clone();
    let seen = |version| CardSeen {
        who: who.clone(),
        card: CardId::generate(),
        version,
        options: Vec::new(),
        first_at: now,
        last_at: now,
    };
    let (known, news) = (seen(1), seen(2));
    let attach = async |actress: &Actress, told: Option<Vec<CardSeen>>| {
        let welcome = async {
            for seen in [&known, &news] {
                stage.hub.seen(stage.key, seen);
            }
            let id = stage.key.conversation;
            let conversation = ConversationRef { id, title: "Lisbon".to_owned(), status: None, stage: None };
            Ok(Welcome { conversation, rights: vec![Right::Read], receipts: Vec::new(), seen: told })
        };
        stage.hub.attach(&actress.session, 1, stage.grant(actress), None, welcome).await.unwrap();
    };
    attach(&anna, Some(vec![known.clone()])).await;
    let heard = anna.heard();
    assert_eq!(heard[0]["id"], 1, "first the reply");
    let told: Vec<_> = heard[1..].iter().map(|push| (&push["type"], &push["seen"]["version"])).collect();
    assert_eq!(told, [(&"seen".into(), &2.into())], "what the reply told is not told again");
    attach(&other, None).await;
    assert!(other.heard().iter().all(|message| message["type"] != "seen"), "guests are told nothing");
}

#[tokio::test(start_paused = true)]
async fn a_guest_who_looks_and_looks_away_has_no_row_read_again() {
    let stage = Stage::new(0);
    let (anna, guest) = (stage.staff(), stage.guest());
    stage.hub.inbox().subscribe(&anna.session);
    stage.attach(&guest, None).await;
    assert_eq!(stage.hub.inbox().dirty().await, [stage.key], "somebody came");
    for looks in [true, false, true] {
        stage.hub.view(&guest.session, &stage.grant(&guest), looks);
    }
    let dirty = stage.hub.inbox().dirty();
    tokio::pin!(dirty);
    sleep(Duration::from_secs(1)).await;
    assert!(futures_util::poll!(&mut dirty).is_pending());
    sleep(Duration::from_secs(1)).await;
    assert!(futures_util::poll!(&mut dirty).is_pending(), "and nobody came or left since");
}

#[tokio::test(start_paused = true)]
async fn a_sign_that_waits_for_a_slow_socket_does_not_undo_what_a_later_attach_is_told() {
    let stage = Stage::new(0);
    let (anna, slow) = (stage.staff(), stage.staff());
    for actress in [&anna, &slow] {
        stage.attach(actress, None).await;
        actress.heard();
    }
    slow.tap.is_stalled.store(true, Ordering::Relaxed);
    stage.say(1).await;
    stage.hub.view(&anna.session, &stage.grant(&anna), true);
    stage.hub.detach(&slow.session, stage.key);
    stage.hub.view(&anna.session, &stage.grant(&anna), false);
    stage.attach(&slow, Some(0)).await;
    slow.tap.is_stalled.store(false, Ordering::Relaxed);
    let heard: Vec<Value> = slow.heard().into_iter().chain(slow.heard()).collect();
    assert!(heard.iter().any(|message| message["ok"]["members"].is_array()), "{heard:?}");
    assert!(heard.iter().all(|message| message["viewing"] != true), "she looked away before: {heard:?}");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_in_the_middle_of_an_attach_and_comes_back_is_seen() {
    let stage = Stage::new(5);
    let person = PersonId::generate();
    let (ben, anna) = (stage.staff(), stage.staff_as(person));
    stage.attach(&ben, None).await;
    ben.heard();
    let attach = stage.try_attach(&anna, None);
    tokio::pin!(attach);
    assert!(futures_util::poll!(&mut attach).is_pending(), "the log is being read");
    stage.hub.leave(&anna.session);
    assert!(attach.await.is_err());
    stage.attach(&stage.staff_as(person), None).await;
    let heard = ben.heard();
    assert!(heard.iter().any(|sign| sign["type"] == "presence" && sign["state"] == "online"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn looking_ends_with_the_attachment_also_when_another_takes_its_place() {
    let stage = Stage::new(0);
    let person = PersonId::generate();
    let (anna, ben, guest) = (stage.staff(), stage.staff_as(person), stage.guest());
    for actress in [&anna, &ben, &guest] {
        stage.attach(actress, None).await;
    }
    let looks = || stage.hub.members(&stage.grant(&anna)).iter().filter(|member| member.viewing).count();
    stage.hub.view(&ben.session, &stage.grant(&ben), true);
    assert_eq!(looks(), 1);
    anna.heard();
    guest.heard();
    stage.attach(&ben, Some(0)).await;
    assert_eq!(looks(), 0);
    let heard = anna.heard();
    assert_eq!((&heard[0]["type"], &heard[0]["viewing"]), (&"presence".into(), &Value::Null), "{heard:?}");
    assert!(guest.heard().is_empty(), "guests do not learn when staff look");
}

/// While something is told to `by`, another thread lets somebody enter and tells it, or waits for its turn to.
fn somebody_enters_while_told(stage: &Stage, by: &Actress, somebody: &Actress) {
    let (hub, key, who) = (Arc::clone(&stage.hub), stage.key, somebody.session.who().clone());
    *crate::hub::locked(&by.tap.meanwhile) = Some(Box::new(move || {
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            hub.tell_settled(key, hub.presence.enter(key, &who, SessionId::generate()));
            done.send(()).ok();
        });
        is_done.recv_timeout(Duration::from_millis(200)).ok();
    }));
}

/// What somebody was told of another, in a reply or a push, once it has come to an end.
async fn told_of(actress: &Actress, other: &Actress) -> Vec<String> {
    let (id, mut told) = (&other.session.who().id, Vec::new());
    for _ in 0..10 {
        sleep(Duration::from_millis(50)).await;
        for message in actress.heard() {
            let members = message["ok"]["members"].as_array().into_iter().flatten();
            let said = members.chain((message["type"] == "presence").then_some(&message));
            let of_them = said.filter(|said| said["who"]["id"] == **id);
            told.extend(of_them.map(|said| said["state"].as_str().unwrap().to_owned()));
        }
    }
    told
}

#[tokio::test]
async fn who_enters_while_another_attaches_is_told_to_them_once() {
    let stage = Stage::new(0);
    let (anna, ben, kate) = (stage.staff(), stage.staff(), stage.staff());
    stage.attach(&anna, None).await;
    somebody_enters_while_told(&stage, &anna, &kate);
    stage.attach(&ben, None).await;
    assert_eq!(told_of(&ben, &kate).await, ["online"]);
    assert_eq!(told_of(&anna, &kate).await, ["online"]);
}

#[tokio::test]
async fn of_two_changes_at_once_each_is_told_once_and_in_order() {
    let stage = Stage::new(0);
    let (anna, ben, maria) = (stage.staff(), stage.staff(), stage.guest());
    for actress in [&anna, &ben, &maria] {
        stage.attach(actress, None).await;
    }
    stage.hub.leave(&maria.session);
    anna.heard();
    ben.heard();
    somebody_enters_while_told(&stage, &anna, &maria);
    stage.hub.go_offline(stage.key, maria.session.who(), Instant::now() + Duration::from_secs(11));
    for actress in [&anna, &ben] {
        assert_eq!(told_of(actress, &maria).await, ["offline", "online"]);
    }
}
