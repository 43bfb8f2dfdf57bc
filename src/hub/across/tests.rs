//! Claims about several nodes: what is committed, shown or left at one is seen at the others, whatever the wire loses.
//!
//! Hubs over one log and one wire, with time that stands still between events, so that each bound is met exactly.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::id::{GuestId, PersonId};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bus::memory::Wire;
use crate::bus::message::{Lane, Mark};
use crate::domain::principal::HolderKey;
use crate::hub::fixture::{Actress, MemoryLog, Stage, room_key};
use crate::hub::renewals::Changed;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A node that runs until it is dropped, which is what `kill -9` is to its peers.
pub(super) struct Node {
    stage: Stage,
    _upkeep: DropGuard,
}

impl std::ops::Deref for Node {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

/// So many nodes on one wire over one log, which know each other.
pub(super) async fn nodes<const N: usize>() -> [Node; N] {
    let (wire, key) = (Arc::<Wire>::default(), room_key());
    let log = MemoryLog::new(key, 0);
    let nodes = std::array::from_fn(|_| node(&wire, key, &log));
    sleep(2 * SECOND).await;
    nodes
}

fn node(wire: &Arc<Wire>, key: crate::domain::room::RoomKey, log: &Arc<MemoryLog>) -> Node {
    let stage = Stage::on(wire, key, Arc::clone(log));
    let upkeep = CancellationToken::new();
    tokio::spawn(Arc::clone(&stage.hub).run(upkeep.clone()));
    Node { stage, _upkeep: upkeep.drop_guard() }
}

/// Two nodes, a member of staff at the second and a guest at the first, who know of each other.
pub async fn meeting() -> (Node, Node, Actress, Actress) {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.guest());
    b.attach(&ben, None).await;
    a.attach(&maria, None).await;
    sleep(SECOND).await;
    ben.heard();
    (a, b, ben, maria)
}

impl Node {
    pub(super) fn swallow(&self, lanes: &[Lane]) {
        *crate::hub::locked(&self.bus.lanes) = lanes.to_vec();
    }

    /// The database says that these others are alive.
    pub(super) fn learns_of(&self, others: &[&Self]) {
        let others: Vec<_> = others.iter().map(|other| (other.hub.node(), Duration::ZERO)).collect();
        self.hub.registered(&others);
    }
}

pub(super) fn presence(heard: &[Value]) -> Vec<(String, String)> {
    let said = heard.iter().filter(|message| message["type"] == "presence");
    said.map(|message| (message["who"]["id"].to_string(), message["state"].as_str().unwrap().to_owned())).collect()
}

pub(super) fn states(heard: &[Value]) -> Vec<String> {
    presence(heard).into_iter().map(|(_, state)| state).collect()
}

pub(super) fn of_type<'a>(heard: &'a [Value], kind: &str) -> Vec<&'a Value> {
    heard.iter().filter(|message| message["type"] == kind).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whoever commits, and whatever is swallowed: every member on every node hears everything once and in order, within the
    /// time that a beacon takes.
    #[test]
    fn entries_of_all_nodes_are_heard_once_and_in_order_on_each(
        plan in proptest::collection::vec((0_usize..3, any::<bool>(), 0_u64..40), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let nodes = nodes::<3>().await;
            let members: Vec<(&Node, Actress)> =
                nodes.iter().flat_map(|node| [(node, node.staff()), (node, node.guest())]).collect();
            for (node, member) in &members {
                node.attach(member, None).await;
                member.heard();
            }
            for (by, is_swallowed, pause) in &plan {
                nodes[*by].swallow(if *is_swallowed { &[Lane::Durable] } else { &[] });
                nodes[*by].say(1).await;
                sleep(Duration::from_millis(*pause)).await;
            }
            sleep(2 * SECOND).await;
            let head = nodes[0].log.head();
            for (_, member) in &members {
                let seqs = Actress::seqs(&member.heard());
                let last = head.seq_in(member.session.view());
                assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_last_entry_is_found_by_a_beacon_within_two_seconds() {
    let [a, b] = nodes().await;
    let (anna, ben) = (a.staff(), b.staff());
    a.attach(&anna, None).await;
    b.attach(&ben, None).await;
    ben.heard();
    a.swallow(&[Lane::Durable]);
    a.say(1).await;
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(Actress::seqs(&ben.heard()), [1]);
}

#[tokio::test(start_paused = true)]
async fn what_a_black_holed_node_commits_is_found_in_the_log_within_five_seconds() {
    let [a, b] = nodes().await;
    let ben = b.staff();
    b.attach(&ben, None).await;
    ben.heard();
    b.learns_of(&[&a]);
    a.swallow(&[Lane::Durable, Lane::Control, Lane::Ephemeral]);
    for seq in 1..10 {
        a.log.commit();
        let began = Instant::now();
        let mut heard = Vec::new();
        while heard.is_empty() {
            sleep(Duration::from_millis(50)).await;
            heard = Actress::seqs(&ben.heard());
            assert!(began.elapsed() < 5 * SECOND, "entry {seq} is late");
        }
        assert_eq!(heard, [seq]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_died_between_commit_and_publish_is_made_up_for() {
    let [a, b] = nodes().await;
    let ben = b.staff();
    b.attach(&ben, None).await;
    ben.heard();
    b.learns_of(&[&a]);
    a.log.commit();
    drop(a);
    sleep(4 * SECOND).await;
    assert_eq!(Actress::seqs(&ben.heard()), [1]);
}

#[tokio::test(start_paused = true)]
async fn who_is_at_another_node_is_seen_and_leaves_once_when_it_dies() {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.guest());
    b.attach(&ben, None).await;
    ben.heard();
    a.attach(&maria, None).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(states(&ben.heard()), ["online"]);
    assert!(b.hub.has_guest(b.key));
    drop((a, maria));
    sleep(15 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["unknown", "offline"]);
    sleep(30 * SECOND).await;
    assert!(presence(&ben.heard()).is_empty(), "exactly one leave");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_at_another_node_never_left() {
    let [a, b, c] = nodes().await;
    let (guest, ben) = (GuestId::generate(), c.staff());
    c.attach(&ben, None).await;
    let maria = a.guest_as(guest);
    a.attach(&maria, None).await;
    sleep(SECOND).await;
    ben.heard();
    drop((a, maria));
    sleep(3 * SECOND).await;
    let again = b.guest_as(guest);
    b.attach(&again, None).await;
    sleep(60 * SECOND).await;
    assert!(presence(&ben.heard()).is_empty(), "nobody noticed which node");
    b.hub.leave(&again.session);
    sleep(9 * SECOND).await;
    assert!(presence(&ben.heard()).is_empty(), "the grace");
    sleep(2 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["offline"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_says_farewell_takes_its_people_along_after_a_moment() {
    let (a, _b, ben, maria) = meeting().await;
    a.hub.say_farewell();
    drop((a, maria));
    sleep(5 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["offline"]);
    sleep(30 * SECOND).await;
    assert!(presence(&ben.heard()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_enters_later_is_told_who_is_there_also_at_other_nodes_and_rooms_unheard_of() {
    let [a, b] = nodes().await;
    let maria = a.guest();
    a.attach(&maria, None).await;
    // The first of the organization at this node: it did not listen before.
    let ben = b.staff();
    sleep(SECOND).await;
    assert!(b.hub.has_guest(b.key), "also without a room: the list of conversations shows it");
    b.attach(&ben, None).await;
    let reply = &ben.heard()[0]["ok"];
    let online = reply["members"].as_array().unwrap();
    assert_eq!(online.len(), 2, "{reply}");
    assert!(online.iter().all(|member| member["state"] == "online"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_announcement_is_asked_for_and_a_lost_leave_too() {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.guest());
    b.attach(&ben, None).await;
    sleep(SECOND).await;
    ben.heard();
    a.swallow(&[Lane::Ephemeral]);
    a.attach(&maria, None).await;
    sleep(Duration::from_millis(100)).await;
    assert!(presence(&ben.heard()).is_empty());
    a.swallow(&[]);
    sleep(3 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["online"]);
    a.hub.leave(&maria.session);
    sleep(Duration::from_millis(9_900)).await;
    a.swallow(&[Lane::Ephemeral]);
    sleep(Duration::from_millis(200)).await;
    a.swallow(&[]);
    sleep(3 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["offline"]);
}

#[tokio::test(start_paused = true)]
async fn while_nothing_is_heard_of_a_registered_node_its_people_are_unknown_and_then_online_again() {
    let (a, b, ben, _maria) = meeting().await;
    a.swallow(&[Lane::Durable, Lane::Control, Lane::Ephemeral]);
    for _ in 0..20 {
        b.learns_of(&[&a]);
        sleep(3 * SECOND).await;
    }
    assert_eq!(states(&ben.heard()), ["unknown"]);
    assert_eq!(b.hub.members(&b.grant(&ben)).iter().filter(|member| member.who.name == "Somebody").count(), 2);
    a.swallow(&[]);
    sleep(3 * SECOND).await;
    assert_eq!(states(&ben.heard()), ["online"]);
}

#[tokio::test(start_paused = true)]
async fn typing_is_seen_across_and_ends_by_itself_when_the_node_dies() {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.staff());
    b.attach(&ben, None).await;
    a.attach(&maria, None).await;
    sleep(SECOND).await;
    ben.heard();
    a.hub.typing(&maria.session, &a.typing_grant(&maria), true);
    sleep(Duration::from_millis(10)).await;
    a.hub.typing(&maria.session, &a.typing_grant(&maria), false);
    sleep(Duration::from_millis(10)).await;
    let heard = ben.heard();
    let active: Vec<&Value> = of_type(&heard, "typing").into_iter().map(|sign| &sign["active"]).collect();
    assert_eq!(active, [&json!(true), &json!(false)]);
    a.hub.typing(&maria.session, &a.typing_grant(&maria), true);
    sleep(Duration::from_millis(10)).await;
    drop((a, maria));
    sleep(6 * SECOND).await;
    let heard = ben.heard();
    assert_eq!(of_type(&heard, "typing").len(), 2, "it ended within six seconds: {heard:?}");
}

#[tokio::test(start_paused = true)]
async fn receipts_rights_and_rows_cross_nodes() {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.guest());
    b.attach(&ben, None).await;
    a.attach(&maria, None).await;
    b.hub.inbox().subscribe(&ben.session);
    sleep(SECOND).await;
    b.hub.inbox().dirty().await;
    ben.heard();
    let mark = Mark { received: 3, read: 2 };
    a.hub.receipt(a.key, maria.session.who(), mark, None);
    a.hub.row_changed(a.key);
    let kind = parlour_protocol::entry::WhoKind::Staff;
    let holder = HolderKey { kind, organization: a.key.organization, id: PersonId::generate().0 };
    a.hub.rights_changed(holder);
    sleep(Duration::from_millis(100)).await;
    let heard = ben.heard();
    assert_eq!(of_type(&heard, "receipt")[0]["read"], 2);
    assert_eq!(b.hub.inbox().dirty().await, [b.key]);
    assert_eq!(b.hub.renewals().changed().await, Changed::Of([holder].into()));
}

#[tokio::test(start_paused = true)]
async fn a_node_forgets_an_organization_nobody_of_is_left_here_and_asks_again_later() {
    let [a, b] = nodes().await;
    let (ben, maria) = (b.staff(), a.guest());
    a.attach(&maria, None).await;
    sleep(SECOND).await;
    assert!(b.hub.has_guest(b.key));
    b.hub.leave(&ben.session);
    assert!(!b.hub.has_guest(b.key));
    a.hub.leave(&maria.session);
    let kate = a.guest();
    a.attach(&kate, None).await;
    sleep(20 * SECOND).await;
    let ben = b.staff();
    sleep(SECOND).await;
    b.attach(&ben, None).await;
    let members = ben.heard()[0]["ok"]["members"].as_array().unwrap().len();
    assert_eq!(members, 2, "Kate and Ben, and no ghost");
}
