//! A party: twenty clients of one conversation who talk while a test does its worst, and the check that nothing was lost,
//! repeated, reordered or invented.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parlour_protocol::codec::Codec;
use parlour_protocol::id::ConversationId;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::actors::Actor;
use crate::follower::Follower;
use crate::people::People;
use crate::until::until;

/// Clients of a party.
pub const CLIENTS: usize = 20;

/// A small generator of choices, so that a run can be repeated by its seed.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A conversation with its clients: half staff, half guests, in both codecs.
pub async fn party(people: &People, slug: &str) -> (Actor, ConversationId, Vec<Follower>) {
    let tenancy = people.tenancy(slug).await;
    let amira = tenancy.admin;
    let conversation = amira.conversation("Everybody").await;
    let link = amira.share(conversation, json!({ "seats": 25 })).await;
    let mut followers = Vec::new();
    for n in 0..CLIENTS {
        let codec = if n % 4 < 2 { Codec::Json } else { Codec::MessagePack };
        let actor = match n % 2 {
            0 => amira.clone(),
            _ => link.claim(&format!("Guest {n}")).await.actor,
        };
        followers.push(Follower::new(actor, conversation, codec));
    }
    (amira, conversation, followers)
}

/// Has every client send its messages, cutting itself now and then, and everybody catch up at the end.
pub async fn talk(followers: Vec<Follower>, each: usize, seed: u64, sent: &Arc<AtomicUsize>) -> Vec<Follower> {
    let tasks: Vec<_> = followers
        .into_iter()
        .enumerate()
        .map(|(n, mut follower)| {
            let sent = Arc::clone(sent);
            tokio::spawn(async move {
                let mut dice = Dice(seed + n as u64);
                for message in 0..each {
                    if dice.roll(40) == 0 {
                        follower.cut();
                    }
                    follower.send(&format!("{message} from client {n}")).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                follower
            })
        })
        .collect();
    let mut followers = Vec::new();
    for task in tasks {
        followers.push(task.await.expect("no client failed"));
    }
    followers
}

/// The same in the background, for a test that kills something meanwhile.
pub fn start_talking(
    followers: Vec<Follower>,
    each: usize,
    seed: u64,
    sent: &Arc<AtomicUsize>,
) -> JoinHandle<Vec<Follower>> {
    let sent = Arc::clone(sent);
    tokio::spawn(async move { talk(followers, each, seed, &sent).await })
}

/// Waits until two hundred more messages were acknowledged, so that what is killed is killed in the middle of traffic.
pub async fn some_traffic(sent: &AtomicUsize, talking: &JoinHandle<Vec<Follower>>) {
    let mark = sent.load(Ordering::Relaxed) + 200;
    until("traffic goes on", async || (sent.load(Ordering::Relaxed) >= mark).then_some(())).await;
    assert!(!talking.is_finished(), "killed in the middle");
}

/// The check: acked = stored = given, once, in order.
pub async fn check(amira: &Actor, conversation: ConversationId, mut followers: Vec<Follower>, expected: usize) {
    let acked: Vec<_> = followers.iter().flat_map(|follower| follower.acked.clone()).collect();
    assert_eq!(acked.len(), expected);
    let stored = transcript(amira, conversation).await;
    let messages: Vec<_> = stored.iter().filter(|entry| entry.2 == "message").collect();
    assert_eq!(messages.len(), expected, "stored: every acknowledged message and no other");
    let by_key: HashMap<&str, &str> = messages.iter().map(|entry| (entry.1.as_str(), entry.0.as_str())).collect();
    assert_eq!(by_key.len(), expected, "no key twice");
    for ack in &acked {
        assert_eq!(by_key.get(ack.client_id.to_string().as_str()).copied(), Some(ack.id.as_str()));
    }
    let staff_ids: Vec<&str> = stored.iter().map(|entry| entry.0.as_str()).collect();
    let guest_ids: Vec<&str> = messages.iter().map(|entry| entry.0.as_str()).collect();
    for (n, follower) in followers.iter_mut().enumerate() {
        let view = if n % 2 == 0 { &staff_ids } else { &guest_ids };
        follower.catch_up_to(i64::try_from(view.len()).expect("a small number")).await;
        let given: Vec<&str> = follower.given.iter().map(|given| given.id.as_str()).collect();
        assert_eq!(&given, view, "client {n}: given = stored, once, in order");
        let numbers: HashMap<&str, i64> = follower.given.iter().map(|given| (given.id.as_str(), given.seq)).collect();
        assert!(follower.acked.iter().all(|ack| numbers[ack.id.as_str()] == ack.seq), "acked under the number given");
    }
}

/// The whole staff view by HTTP, page by page: `(id, client_id, kind)`.
async fn transcript(amira: &Actor, conversation: ConversationId) -> Vec<(String, String, String)> {
    let mut entries = Vec::new();
    loop {
        let path = format!("/api/v1/conversations/{conversation}/entries?after={}&limit=200", entries.len());
        let page = amira.get(&path).await;
        let page = page.as_array().expect("entries");
        if page.is_empty() {
            break;
        }
        for numbered in page {
            assert_eq!(numbered["seq"].as_u64(), Some(entries.len() as u64 + 1), "dense");
            let text = |name: &str| numbered["entry"][name].as_str().unwrap_or_default().to_owned();
            entries.push((text("id"), text("client_id"), text("kind")));
        }
    }
    let ids: HashSet<_> = entries.iter().map(|entry| &entry.0).collect();
    assert_eq!(ids.len(), entries.len());
    entries
}
