//! A reconnect storm: everybody of a room comes back at once and nothing was said meanwhile. The log is not read for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::sync::Barrier;

use crate::live::client::Client;
use crate::live::stage::Node;

const SOCKETS: usize = 400;

async fn comes_back(node: Arc<Node>, together: Arc<Barrier>, token: &'static str, seq: i64) -> Client {
    let mut client = Client::connect(node.address, None).await;
    together.wait().await;
    client.say(json!({ "id": 0, "type": "hello", "token": token })).await;
    assert!(client.heard().await["ok"]["session"].is_string());
    let since = json!({ "epoch": 1, "seq": seq });
    client.say(json!({ "id": 1, "type": "attach", "conversation": node.conversation(), "since": since })).await;
    loop {
        let heard = client.heard().await;
        if heard["id"] == 1 {
            let ok = &heard["ok"];
            assert_eq!((&ok["resumed"], &ok["entries"], &ok["has_more"]), (&json!(true), &json!([]), &json!(false)));
            assert_eq!(ok["position"]["seq"], seq);
            return client;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_head_has_not_moved_takes_everybody_back_from_memory() {
    let node = Arc::new(Node::unlimited().await);
    for n in 0..30 {
        node.log.commit("said before anybody here knew of the room", n % 3 == 0);
    }
    let head = node.log.head();
    // First into a room this node has never held, then into one that was emptied at a stroke.
    for _ in 0..2 {
        let together = Arc::new(Barrier::new(SOCKETS));
        let mut coming = Vec::new();
        for n in 0..SOCKETS {
            let (token, seq) = if n % 2 == 0 { ("staff", head.seq) } else { ("guest", head.guest_seq) };
            coming.push(tokio::spawn(comes_back(Arc::clone(&node), Arc::clone(&together), token, seq)));
        }
        let mut clients = Vec::new();
        for client in coming {
            clients.push(client.await.unwrap());
        }
        assert_eq!(node.log.pages.load(Ordering::Relaxed), 0, "no page of the log was read");
        assert_eq!(node.hub.counts().members, SOCKETS);
    }
    let _ = node.say("and on it goes").await;
    assert_eq!(node.log.pages.load(Ordering::Relaxed), 0);
}
