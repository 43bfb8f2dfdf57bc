//! Claims about what breaks between nodes, and what must be right again afterwards: no entry is missed, no room waits for another
//! one's trouble, nobody stays as a ghost or out of sight for ever.
//!
//! The stage is that of [`crate::hub::across::tests`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::{ConversationId, SessionId};
use tokio::task::yield_now;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;

use crate::bus::message::{Held, HeldPerson, Lane, Message};
use crate::domain::node::NodeId;
use crate::domain::room::{Committed, RoomKey};
use crate::hub::across::tests::{Node, SECOND, meeting, nodes, of_type, presence, states};
use crate::hub::fixture::{Actress, Stage, room_key};
use crate::hub::presence::Presence;

const EVERYTHING: [Lane; 3] = [Lane::Durable, Lane::Control, Lane::Ephemeral];

fn running(slow: usize) -> Stage {
    let stage = Stage::new(slow);
    tokio::spawn(Arc::clone(&stage.hub).run(CancellationToken::new()));
    stage
}

/// Nothing of a node is heard for so long, although the database says that it is alive.
async fn unheard(node: &Node, by: &Node, seconds: u32) {
    node.swallow(&EVERYTHING);
    for _ in 0..seconds / 3 {
        by.learns_of(&[node]);
        sleep(3 * SECOND).await;
    }
    node.swallow(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_empty_when_an_entry_got_lost_does_not_answer_from_memory_without_it() {
    let [a, b] = nodes().await;
    let ben = b.staff();
    b.attach(&ben, None).await;
    b.hub.detach(&ben.session, b.key);
    a.log.commit();
    drop(a);
    // Longer than the peer's death is in doubt, shorter than the room is kept.
    sleep(15 * SECOND).await;
    ben.heard();
    b.attach(&ben, Some(0)).await;
    assert_eq!(Actress::seqs(&ben.heard()), [1]);
}

#[tokio::test(start_paused = true)]
async fn the_last_entry_of_a_node_that_says_farewell_is_found_although_it_beacons_no_more() {
    let [a, b] = nodes().await;
    let ben = b.staff();
    b.attach(&ben, None).await;
    ben.heard();
    // Between two beacons.
    sleep(SECOND / 2).await;
    a.swallow(&[Lane::Durable]);
    a.say(1).await;
    a.hub.say_farewell();
    drop(a);
    sleep(2 * SECOND).await;
    assert_eq!(Actress::seqs(&ben.heard()), [1]);
}

#[tokio::test(start_paused = true)]
async fn the_last_entry_of_a_node_is_found_although_the_log_could_not_be_read_when_it_said_farewell() {
    let [a, b] = nodes().await;
    let ben = b.staff();
    b.attach(&ben, None).await;
    ben.heard();
    sleep(SECOND / 2).await;
    a.swallow(&[Lane::Durable]);
    a.say(1).await;
    a.log.is_down.store(true, Ordering::Relaxed);
    let log = Arc::clone(&a.log);
    a.hub.say_farewell();
    drop(a);
    sleep(SECOND).await;
    log.is_down.store(false, Ordering::Relaxed);
    sleep(5 * SECOND).await;
    assert_eq!(Actress::seqs(&ben.heard()), [1]);
}

#[tokio::test(start_paused = true)]
async fn looking_up_an_uncertain_commit_while_others_are_delivered_is_no_regression() {
    let stage = running(3);
    let ben = stage.staff();
    stage.attach(&ben, None).await;
    stage.hub.unsure(vec![stage.key]);
    sleep(SECOND).await;
    for _ in 0..20 {
        stage.say(1).await;
        yield_now().await;
    }
    let heard = ben.heard();
    assert_eq!(Actress::seqs(&heard), (1..=20).collect::<Vec<_>>());
    assert!(of_type(&heard, "head").is_empty(), "nobody has to attach again");
}

#[tokio::test(start_paused = true)]
async fn an_uncertain_commit_is_looked_up_until_the_log_answers() {
    let [a, b] = nodes().await;
    let ben = b.staff();
    b.attach(&ben, None).await;
    ben.heard();
    a.log.commit();
    a.log.is_down.store(true, Ordering::Relaxed);
    a.hub.unsure(vec![a.key]);
    // The routine comparison of both nodes falls into this time, too.
    sleep(10 * SECOND).await;
    a.log.is_down.store(false, Ordering::Relaxed);
    sleep(3 * SECOND).await;
    assert_eq!(Actress::seqs(&ben.heard()), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_caller_went_away_is_looked_up() {
    let [a, b] = nodes().await;
    let (anna, ben) = (a.staff(), b.staff());
    a.attach(&anna, None).await;
    b.attach(&ben, None).await;
    let pledge = a.hub.pledge(a.key);
    let committed = a.log.commit();
    // Its future was dropped before it could say so.
    drop(pledge);
    sleep(3 * SECOND).await;
    assert_eq!([Actress::seqs(&anna.heard()), Actress::seqs(&ben.heard())], [[1], [1]]);
    drop(committed);
    a.hub.pledge(a.key).deliver(a.log.commit()).await;
    assert_eq!(Actress::seqs(&anna.heard()), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_fill_a_hole_is_not_asked_without_a_break() {
    let stage = running(1);
    let ben = stage.staff();
    stage.attach(&ben, None).await;
    let first = stage.log.commit();
    // Restored to an older epoch, while something is missing.
    stage.log.commit();
    stage.log.restore(0, 1);
    stage.hub.deliver(vec![Committed { seq: 2, ..first }]).await;
    advance(Duration::from_millis(60)).await;
    let before = stage.log.reads.load(Ordering::Relaxed);
    for _ in 0..1_000 {
        yield_now().await;
    }
    assert!(stage.log.reads.load(Ordering::Relaxed) - before < 10);
}

#[tokio::test(start_paused = true)]
async fn a_repair_does_not_wait_for_questions_whose_channels_are_not_heard_yet() {
    let stage = running(0);
    let ben = stage.staff();
    stage.attach(&ben, None).await;
    ben.heard();
    stage.bus.is_slow.store(true, Ordering::Relaxed);
    let _others: Vec<(Stage, Actress)> = (0..1_000)
        .map(|_| {
            let other = Stage::over(&stage);
            let staff = other.staff();
            (other, staff)
        })
        .collect();
    sleep(Duration::from_millis(300)).await;
    stage.log.commit();
    stage.hub.deliver(vec![stage.log.commit()]).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(Actress::seqs(&ben.heard()), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn signs_do_not_wait_for_a_log_that_hangs() {
    let stage = running(0);
    let (ben, maria) = (stage.staff(), stage.staff());
    stage.attach(&ben, None).await;
    stage.attach(&maria, None).await;
    stage.log.is_hung.store(true, Ordering::Relaxed);
    (0..200).for_each(|_| stage.hub.unsure(vec![stage.key]));
    stage.hub.typing(&maria.session, &stage.typing_grant(&maria), true);
    ben.heard();
    sleep(Duration::from_millis(6_100)).await;
    assert_eq!(of_type(&ben.heard(), "typing").len(), 1, "it ended within six seconds");
}

#[tokio::test(start_paused = true)]
async fn who_left_while_their_node_was_not_heard_is_no_ghost_afterwards() {
    let [a, b] = nodes().await;
    let (ben, maria, kate) = (b.staff(), a.guest(), a.guest());
    b.attach(&ben, None).await;
    a.attach(&maria, None).await;
    a.attach(&kate, None).await;
    sleep(SECOND).await;
    a.hub.leave(&maria.session);
    // Longer than beacons repeat what was missed.
    unheard(&a, &b, 120).await;
    sleep(3 * SECOND).await;
    assert_eq!(b.hub.members(&b.grant(&ben)).len(), 2, "Kate and Ben");
    assert!(b.hub.has_guest(b.key));
}

#[tokio::test(start_paused = true)]
async fn nor_is_the_last_of_an_organization_at_that_node() {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.guest());
    b.attach(&ben, None).await;
    a.attach(&maria, None).await;
    sleep(SECOND).await;
    a.hub.leave(&maria.session);
    unheard(&a, &b, 120).await;
    sleep(3 * SECOND).await;
    assert_eq!(b.hub.members(&b.grant(&ben)).len(), 1, "Ben alone");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_given_up_and_comes_back_has_its_people_seen_again() {
    let (a, b, ben, _maria) = meeting().await;
    a.swallow(&EVERYTHING);
    sleep(120 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["unknown", "offline"]);
    // The database knows of it before its first word.
    b.learns_of(&[&a]);
    a.swallow(&[]);
    sleep(3 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["online"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_known_by_its_people_alone_takes_them_along_when_it_dies() {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.guest());
    b.attach(&ben, None).await;
    a.hub.say_farewell();
    a.swallow(&[Lane::Control]);
    sleep(20 * SECOND).await;
    ben.heard();
    a.attach(&maria, None).await;
    sleep(SECOND).await;
    // Online, or unknown where a routine question made b aware of a node whose beacons it does not hear.
    assert!(!presence(&ben.heard()).is_empty(), "she is seen");
    drop((a, maria));
    sleep(20 * SECOND).await;
    assert_eq!(presence(&ben.heard()).last().map(|(_, state)| state.as_str()), Some("offline"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_question_is_asked_again() {
    let [a, b] = nodes().await;
    let maria = a.guest();
    a.attach(&maria, None).await;
    sleep(100 * SECOND).await;
    for node in [&a, &b] {
        node.swallow(&[Lane::Ephemeral]);
    }
    let ben = b.staff();
    b.attach(&ben, None).await;
    sleep(3 * SECOND).await;
    assert!(!b.hub.has_guest(b.key), "nobody was asked, and beacons do not tell of her any more");
    for node in [&a, &b] {
        node.swallow(&[]);
    }
    sleep(61 * SECOND).await;
    assert!(b.hub.has_guest(b.key));
}

#[tokio::test]
async fn what_a_node_tells_of_itself_is_in_the_order_in_which_it_was_so() {
    let stage = Stage::new(0);
    let ben = stage.staff();
    stage.attach(&ben, None).await;
    let key = RoomKey { conversation: ConversationId::generate(), ..stage.key };
    let (hub, who) = (Arc::clone(&stage.hub), ben.session.who().clone());
    let (told, order) = mpsc::channel();
    *crate::hub::locked(&stage.bus.witness) = Some(Arc::new(move |message: &Message| {
        let Message::Presence(presence) = message else { return };
        if presence.complete.is_some() {
            // Somebody enters another room between looking and publishing; the news must not get ahead of what was seen.
            let (hub, who, (done, is_done)) = (Arc::clone(&hub), who.clone(), mpsc::channel());
            std::thread::spawn(move || {
                hub.presence.enter(key, &who, SessionId::generate());
                hub.changed_presence.add(key);
                hub.announce();
                done.send(()).ok();
            });
            is_done.recv_timeout(Duration::from_millis(100)).ok();
        }
        told.send(presence.complete.is_some()).unwrap();
    }));
    stage.hub.announce_all(stage.key.organization);
    assert_eq!([order.recv(), order.recv()], [Ok(true), Ok(false)]);
}

#[test]
fn forgetting_an_organization_costs_no_more_among_many() {
    let (presence, node) = (Presence::default(), NodeId::generate());
    let who = Who { kind: WhoKind::Guest, id: "g".to_owned(), name: "Maria".to_owned() };
    let rooms: Vec<RoomKey> = (0..20_000).map(|_| room_key()).collect();
    for room in &rooms {
        let held = Held {
            conversation: room.conversation,
            number: 1,
            people: vec![HeldPerson { who: who.clone(), viewing: false }],
        };
        presence.announced(node, room.organization, held);
    }
    let began = std::time::Instant::now();
    rooms.iter().for_each(|room| presence.forget_organization(room.organization));
    assert!(rooms.iter().all(|room| presence.number(node, *room) == 0));
    // A look at every room for each organization would take a minute.
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
}
