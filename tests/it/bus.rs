//! What every bus promises: one suite for the bus of one process, for Redis and for a Redis Cluster.
//!
//! Each promise uses nodes and channels of its own, so they can follow each other on one bus. What Redis alone can go through is
//! in `bus_faults.rs`.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use parlour::bus::envelope::encode;
use parlour::bus::interest::LINGER;
use parlour::bus::memory::Wire;
use parlour::bus::message::{Beacon, Lane, Message};
use parlour::bus::redis::config::{RedisConfig, Topology};
use parlour::bus::{Channel, Health};
use parlour::domain::node::NodeId;
use parlour_protocol::id::ConversationId;
use redis::aio::MultiplexedConnection;
use redis::cmd;

use parlour_testkit::bus_node::{BusNode, entry, room, seq_of, typing};
use parlour_testkit::redis::{Redis, RedisCluster, redis_is_installed};
use parlour_testkit::until::until;

/// A bus to join.
enum Stage {
    Memory(Arc<Wire>),
    Redis(RedisConfig),
}

impl Stage {
    async fn node(&self) -> BusNode {
        let node = match self {
            Self::Memory(wire) => BusNode::on_wire(wire),
            Self::Redis(config) => BusNode::on_redis(config),
        };
        node.up().await;
        // A connection begins with doubt.
        if matches!(self, Self::Redis(_)) {
            node.doubts().await;
        }
        node
    }

    async fn keeps_its_promises(&self) {
        self.what_is_said_on_a_channel_arrives_in_order().await;
        self.only_what_was_asked_for_is_heard().await;
        self.of_its_own_a_node_hears_beacons_only().await;
        self.what_is_said_after_the_confirmation_arrives().await;
        self.signs_neither_delay_nor_displace_entries().await;
        self.what_does_not_fit_raises_doubt().await;
        self.a_channel_is_heard_until_a_while_after_the_last_let_go().await;
    }

    async fn what_is_said_on_a_channel_arrives_in_order(&self) {
        let (speaker, mut hearer, room) = (self.node().await, self.node().await, room());
        let channel = Channel::Conversation(room);
        let _heard = hearer.hears(channel).await;
        for seq in 1..=1_000 {
            speaker.bus.publish(channel, entry(room, seq));
        }
        for seq in 1..=1_000 {
            let said = hearer.next().await;
            assert_eq!((said.by, said.channel, seq_of(&said)), (speaker.id, channel, seq));
        }
        assert!(!hearer.doubted().await);
    }

    async fn only_what_was_asked_for_is_heard(&self) {
        let (speaker, mut hearer, here) = (self.node().await, self.node().await, room());
        let neighbour = parlour::domain::room::RoomKey { conversation: ConversationId::generate(), ..here };
        let _heard = hearer.hears(Channel::Conversation(here)).await;
        for elsewhere in [neighbour, room()] {
            speaker.bus.publish(Channel::Conversation(elsewhere), entry(elsewhere, 1));
            speaker.bus.publish(Channel::Organization(elsewhere.organization), Message::Rights(Vec::new()));
        }
        speaker.bus.publish(Channel::Nodes, Message::Farewell);
        speaker.bus.publish(Channel::Conversation(here), entry(here, 7));
        assert_eq!(seq_of(&hearer.next().await), 7);
        assert_eq!(hearer.next_within(Duration::from_millis(100)).await, None);
    }

    async fn of_its_own_a_node_hears_beacons_only(&self) {
        let (mut node, room) = (self.node().await, room());
        let _conversation = node.hears(Channel::Conversation(room)).await;
        let _nodes = node.hears(Channel::Nodes).await;
        node.bus.publish(Channel::Conversation(room), entry(room, 1));
        node.bus.publish(Channel::Nodes, Message::Farewell);
        node.bus.publish(Channel::Nodes, Message::Beacon(Beacon { number: 1, moved: Vec::new() }));
        let said = node.next().await;
        assert_eq!((said.by, said.message.lane()), (node.id, Lane::Control));
        assert!(matches!(said.message, Message::Beacon(_)), "{said:?}");
        assert_eq!(node.next_within(Duration::from_millis(100)).await, None);
    }

    async fn what_is_said_after_the_confirmation_arrives(&self) {
        let (speaker, mut hearer) = (self.node().await, self.node().await);
        let mut held = Vec::new();
        for seq in 1..=50 {
            let room = room();
            held.push(hearer.hears(Channel::Conversation(room)).await);
            speaker.bus.publish(Channel::Conversation(room), entry(room, seq));
            assert_eq!(seq_of(&hearer.next().await), seq);
        }
        assert!(!hearer.doubted().await, "everybody waited");
    }

    async fn signs_neither_delay_nor_displace_entries(&self) {
        let (speaker, mut hearer, room) = (self.node().await, self.node().await, room());
        let channel = Channel::Conversation(room);
        let _heard = hearer.hears(channel).await;
        for seq in 1..=200 {
            for _ in 0..100 {
                speaker.bus.publish(channel, typing());
            }
            speaker.bus.publish(channel, entry(room, seq));
        }
        let mut seq = 0;
        while seq < 200 {
            let said = hearer.next().await;
            if said.message.lane() == Lane::Durable {
                seq += 1;
                assert_eq!(seq_of(&said), seq);
            }
        }
        assert!(!hearer.doubted().await, "signs are no reason to doubt");
    }

    async fn what_does_not_fit_raises_doubt(&self) {
        let (speaker, mut hearer, room) = (self.node().await, self.node().await, room());
        let channel = Channel::Conversation(room);
        let _heard = hearer.hears(channel).await;
        for seq in 1..=6_000 {
            speaker.bus.publish(channel, entry(room, seq));
        }
        hearer.doubts().await;
        assert_eq!(seq_of(&hearer.next().await), 1, "what was there first is kept");
    }

    async fn a_channel_is_heard_until_a_while_after_the_last_let_go(&self) {
        let (speaker, mut hearer, room) = (self.node().await, self.node().await, room());
        let channel = Channel::Conversation(room);
        let (first, second) = (hearer.hears(channel).await, hearer.hears(channel).await);
        drop(first);
        speaker.bus.publish(channel, entry(room, 1));
        assert_eq!(seq_of(&hearer.next().await), 1, "there is another holder");
        drop(second);
        speaker.bus.publish(channel, entry(room, 2));
        assert_eq!(seq_of(&hearer.next().await), 2, "it lingers");
        tokio::time::sleep(LINGER).await;
        until("the channel is given up", async || {
            // The next wish carries out what is due.
            let _other = hearer.hears(Channel::Nodes).await;
            speaker.bus.publish(channel, entry(room, 3));
            hearer.next_within(Duration::from_millis(200)).await.is_none().then_some(())
        })
        .await;
        let _again = hearer.hears(channel).await;
        speaker.bus.publish(channel, entry(room, 4));
        assert_eq!(seq_of(&hearer.next().await), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_of_one_process_keeps_its_promises() {
    Stage::Memory(Arc::default()).keeps_its_promises().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_keeps_the_promises_of_a_bus() {
    if redis_is_installed().await {
        let redis = Redis::start().await;
        Stage::Redis(redis.config()).keeps_its_promises().await;
        let mut connection = redis.connection().await.expect("a connection");
        foreign_bytes_are_dropped_and_counted(&redis.config(), &mut connection).await;
        assert_eq!(redis.ask::<i64>(&["DBSIZE"]).await, 0, "nothing is kept in Redis");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_keeps_the_promises_of_a_bus() {
    if redis_is_installed().await {
        let cluster = RedisCluster::start().await;
        let config = cluster.config().await;
        Stage::Redis(config.clone()).keeps_its_promises().await;
        for server in &cluster.servers {
            assert_eq!(server.ask::<i64>(&["DBSIZE"]).await, 0, "nothing is kept in Redis");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_follow_their_slots_through_a_cluster() {
    if !redis_is_installed().await {
        return;
    }
    let cluster = RedisCluster::start().await;
    let config = cluster.config().await;
    let (speaker, mut hearer, room) = (BusNode::on_redis(&config), BusNode::on_redis(&config), room());
    let channel = Channel::Conversation(room);
    speaker.up().await;
    hearer.up().await;
    let _heard = hearer.hears(channel).await;
    speaker.bus.publish(channel, entry(room, 1));
    assert_eq!(seq_of(&hearer.next().await), 1);
    assert!(hearer.doubted().await, "of the connection");

    cluster.move_slot_of(&channel.to_string()).await;
    hearer.doubts().await;
    hearer.up().await;
    let said = until("what is said arrives again", async || {
        speaker.bus.publish(channel, entry(room, 2));
        hearer.next_within(Duration::from_millis(50)).await
    })
    .await;
    assert_eq!(seq_of(&said), 2);
    assert_eq!(config.topology, Topology::Cluster);
}

/// What anybody with access to Redis could put on a channel.
async fn foreign_bytes_are_dropped_and_counted(config: &RedisConfig, redis: &mut MultiplexedConnection) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let (mut hearer, here, elsewhere) =
        (metrics::with_local_recorder(&recorder, || BusNode::on_redis(config)), room(), room());
    hearer.up().await;
    let channel = Channel::Conversation(here);
    let _heard = hearer.hears(channel).await;
    let stranger = NodeId::generate();
    let mut newer = encode(stranger, channel, &entry(here, 1));
    newer[0] = u8::MAX;
    let another_room = encode(stranger, Channel::Conversation(elsewhere), &entry(elsewhere, 1));
    let another_kind = encode(stranger, channel, &Message::Farewell);
    let cut = encode(stranger, channel, &entry(here, 1))[..60].to_vec();
    let genuine = encode(stranger, channel, &entry(here, 2));
    for bytes in [b"PING".to_vec(), Vec::new(), cut, newer, another_room, another_kind, vec![1; 4_000], genuine] {
        cmd("PUBLISH").arg(channel.to_string()).arg(bytes).exec_async(redis).await.expect("the publish");
    }
    assert_eq!(seq_of(&hearer.next().await), 2, "the genuine one alone is heard");
    assert_eq!(hearer.next_within(Duration::from_millis(50)).await, None);
    assert_eq!(hearer.bus.health(), Health::Up, "nothing ended");
    let counted = recorder.handle().render();
    for (reason, count) in [("malformed", 3), ("mismatch", 3), ("unknown", 1)] {
        let line = format!("parlour_bus_dropped_total{{reason=\"{reason}\"}} {count}");
        assert!(counted.contains(&line), "{line} is missing in:\n{counted}");
    }
}
