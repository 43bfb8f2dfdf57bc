//! Redis gone, frozen, flushed, cut off, never there: publishing waits for none of it, and all of it is noticed and got over.
//!
//! What happens to people's entries meanwhile is another matter: see the tests with several servers.

use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use parlour::bus::interest::Subscription;
use parlour::bus::{Channel, Health};
use parlour::domain::room::RoomKey;

use parlour_testkit::bus_node::{BusNode, entry, entry_of, room, seq_of};
use parlour_testkit::redis::{Redis, config_at, free_port, redis_is_installed};
use parlour_testkit::tunnel::Tunnel;
use parlour_testkit::until::until;

/// Far more than publishing takes, and far less than any deadline of a connection.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Two nodes and a room that one of them hears.
struct Pair {
    speaker: BusNode,
    hearer: BusNode,
    room: RoomKey,
    _heard: Subscription,
}

impl Pair {
    /// On a Redis that is there.
    async fn on(port: u16) -> Self {
        let (speaker, hearer, room) =
            (BusNode::on_redis(&config_at(port)), BusNode::on_redis(&config_at(port)), room());
        speaker.up().await;
        hearer.up().await;
        let heard = hearer.hears(Channel::Conversation(room)).await;
        let mut pair = Self { speaker, hearer, room, _heard: heard };
        pair.understand(1).await;
        assert!(pair.hearer.doubted().await, "of the connection");
        pair
    }

    fn channel(&self) -> Channel {
        Channel::Conversation(self.room)
    }

    /// What one says now, the other hears.
    async fn understand(&mut self, seq: i64) {
        self.speaker.bus.publish(self.channel(), entry(self.room, seq));
        while seq_of(&self.hearer.next().await) != seq {}
    }

    /// Everything is as before, by itself, and the hearer knows that it missed something.
    async fn recover(&mut self) {
        self.hearer.doubts().await;
        self.speaker.up().await;
        self.hearer.up().await;
        self.understand(1_000_000).await;
    }

    fn publish_at_once(&self, count: i64) {
        let began = Instant::now();
        for seq in 0..count {
            self.speaker.bus.publish(self.channel(), entry(self.room, seq));
        }
        let took = began.elapsed();
        assert!(took < AT_ONCE, "{count} messages took {took:?} to publish");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_and_started_again_is_got_over() {
    if !redis_is_installed().await {
        return;
    }
    let mut redis = Redis::start().await;
    let mut pair = Pair::on(redis.port()).await;
    for _ in 0..2 {
        redis.kill().await;
        pair.publish_at_once(2_000);
        pair.hearer.down().await;
        pair.speaker.down().await;
        pair.publish_at_once(2_000);
        let room = room();
        let subscription = pair.hearer.bus.subscribe(Channel::Conversation(room));
        assert!(!subscription.confirmed(Duration::from_secs(60)).await, "nobody waits for a Redis that is gone");
        redis.start_again().await;
        let began = Instant::now();
        pair.recover().await;
        println!("back after {:?}", began.elapsed());
        pair.speaker.bus.publish(Channel::Conversation(room), entry(room, 5));
        assert_eq!(seq_of(&pair.hearer.next().await), 5, "what was wished meanwhile is heard, too");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_freezes_is_noticed_by_who_speaks_and_who_hears() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let mut pair = Pair::on(redis.port()).await;
    redis.freeze();
    until("the speaker notices", async || {
        pair.publish_at_once(10);
        (pair.speaker.bus.health() == Health::Down).then_some(())
    })
    .await;
    pair.hearer.down().await;
    pair.publish_at_once(2_000);
    redis.thaw();
    pair.recover().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_freeze_costs_no_more_than_it_lasts() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let mut pair = Pair::on(redis.port()).await;
    redis.freeze();
    until("the speaker notices", async || {
        pair.publish_at_once(10);
        (pair.speaker.bus.health() == Health::Down).then_some(())
    })
    .await;
    redis.thaw();
    pair.speaker.up().await;
    pair.understand(1_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_flushed_and_cuts_its_hearers_off_is_got_over() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let mut pair = Pair::on(redis.port()).await;
    redis.ask::<()>(&["FLUSHALL"]).await;
    pair.understand(2).await;
    assert!(!pair.hearer.doubted().await, "there was nothing to lose");
    let cut: i64 = redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    assert!(cut >= 1);
    pair.recover().await;
    let cut: i64 = redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    assert!(cut >= 2, "those that speak");
    pair.speaker.up().await;
    until("what is said arrives again", async || {
        pair.speaker.bus.publish(pair.channel(), entry(pair.room, 9));
        pair.hearer.next_within(Duration::from_millis(50)).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_is_noticed() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let tunnel = Tunnel::to(redis.port()).await;
    let mut pair = Pair::on(tunnel.port()).await;
    tunnel.swallow();
    let began = Instant::now();
    pair.hearer.down().await;
    println!("noticed after {:?}", began.elapsed());
    until("the speaker notices", async || {
        pair.publish_at_once(10);
        (pair.speaker.bus.health() == Health::Down).then_some(())
    })
    .await;
    tunnel.pass();
    pair.recover().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_never_there_is_not_waited_for() {
    if !redis_is_installed().await {
        return;
    }
    let port = free_port().await;
    let recorder = PrometheusBuilder::new().build_recorder();
    let config = config_at(port);
    let node = metrics::with_local_recorder(&recorder, || BusNode::on_redis(&config));
    let channel = Channel::Conversation(room());
    let subscription = node.bus.subscribe(channel);
    assert!(!subscription.confirmed(Duration::from_secs(60)).await, "nobody waits");
    assert_eq!(node.bus.health(), Health::Down);
    let began = Instant::now();
    for seq in 0..10_000 {
        node.bus.publish(channel, entry(room(), seq));
    }
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    let counted = recorder.handle().render();
    assert!(counted.contains("parlour_bus_dropped_total{reason=\"down\"} 10000"), "{counted}");
    assert!(counted.contains("parlour_bus_up 0"), "{counted}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_while_redis_is_frozen() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let pair = Pair::on(redis.port()).await;
    let before = resident_bytes();
    redis.freeze();
    // 1 GB of entries, far beyond what the queue may hold.
    for seq in 0..50_000 {
        let text = "x".repeat(20_000);
        pair.speaker.bus.publish(pair.channel(), entry_of(pair.room, seq, text));
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("grown by {} MB", grown >> 20);
    assert!(grown < 400 << 20, "grown by {grown} bytes, other tests included");
    redis.thaw();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_before_a_stop_is_still_said() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let Pair { speaker, mut hearer, room, _heard } = Pair::on(redis.port()).await;
    for seq in 10..1_010 {
        speaker.bus.publish(Channel::Conversation(room), entry(room, seq));
    }
    speaker.stop().await;
    for seq in 10..1_010 {
        assert_eq!(seq_of(&hearer.next().await), seq);
    }
    redis.freeze();
    hearer.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lets_nobody_speak_is_not_besieged() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    let node = BusNode::on_redis(&config_at(redis.port()));
    node.up().await;
    let channel = Channel::Conversation(room());
    redis.ask::<()>(&["ACL", "SETUSER", "default", "-publish"]).await;
    let connections = async || {
        let info: String = redis.ask(&["INFO", "stats"]).await;
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).expect("a count");
        line.trim().parse::<u64>().expect("a number")
    };
    let before = connections().await;
    let began = Instant::now();
    let mut seq = 0;
    until("three seconds have passed", async || {
        seq += 1;
        node.bus.publish(channel, entry(room(), seq));
        (began.elapsed() > Duration::from_secs(3)).then_some(())
    })
    .await;
    let tries = connections().await - before;
    assert_eq!(node.bus.health(), Health::Down, "nothing was said since");
    assert!(tries < 20, "{tries} connections in three seconds");
    redis.ask::<()>(&["ACL", "SETUSER", "default", "+publish"]).await;
    until("it is up as soon as something was said", async || {
        node.bus.publish(channel, entry(room(), 1));
        (node.bus.health() == Health::Up).then_some(())
    })
    .await;
}

/// Of this process.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    resident.expect("a number") * 4_096
}
