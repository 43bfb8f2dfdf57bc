//! How fast the bus is, beside Redis alone: measured, not asserted, because a number depends on the machine.
//!
//! `cargo test --release --test it bus_speed -- --ignored --nocapture` prints it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parlour::bus::Channel;
use parlour::bus::envelope::{decode, encode};
use parlour::domain::node::NodeId;
use redis::{AsyncConnectionConfig, Client, PushInfo, cmd};
use tokio::sync::mpsc;

use parlour_testkit::actors::Actor;
use parlour_testkit::bus_node::{BusNode, entry, room, seq_of};
use parlour_testkit::nodes::Nodes;
use parlour_testkit::redis::{Redis, redis_is_installed};
use parlour_testkit::socket::Socket;

const ROUNDS: usize = 5;
const LATENCY_MESSAGES: usize = 2_000;
const FLOOD: i64 = 200_000;
/// Fewer than a lane holds, so that none is dropped.
const WINDOW: i64 = 2_000;

#[tokio::test]
#[ignore = "a measurement: run it by itself, in release"]
async fn the_bus_beside_redis_alone() {
    if !redis_is_installed().await {
        return;
    }
    let redis = Redis::start().await;
    for round in 1..=ROUNDS {
        let alone = of(redis_alone(&redis).await);
        let bus = of(through_the_bus(&redis).await);
        println!(
            "round {round}: Redis alone p50 {:?} p99 {:?}; the bus p50 {:?} p99 {:?}",
            alone.0, alone.1, bus.0, bus.1
        );
    }
    for round in 1..=ROUNDS {
        let (all, form) = (flood(&redis).await, form());
        println!("round {round}: {all:.2} µs CPU a message at both ends, {form:.2} µs of it for its form");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by itself, in release"]
async fn a_message_at_another_node_beside_redis_alone() {
    if !redis_is_installed().await {
        return;
    }
    let nodes = Nodes::start(2).await;
    let amira = nodes.people().tenancy("lagon").await.admin;
    let conversation = amira.conversation("Quick").await;
    let there = Actor { endpoint: nodes.at(1).clone(), ..amira.clone() };
    let (speaker, here) = (amira.attached(conversation).await, amira.attached(conversation).await);
    let there = there.attached(conversation).await;
    for round in 1..=ROUNDS {
        let alone = of(redis_alone(&nodes.redis).await);
        let (mut near, mut added) = (Vec::new(), Vec::new());
        for _ in 0..LATENCY_MESSAGES / 2 {
            let began = Instant::now();
            let at = async |socket: &Socket| {
                socket.push("entry").await;
                began.elapsed()
            };
            let (said, here, there) = tokio::join!(speaker.say(conversation, "quick"), at(&here), at(&there));
            said.ok();
            near.push(here);
            added.push(there.saturating_sub(here));
        }
        let (near, added) = (of(near), of(added));
        println!(
            "round {round}: Redis alone p50 {:?} p99 {:?}; sent → seen at the same node p50 {:?} p99 {:?}; \
             added at the other node p50 {:?} p99 {:?}: {:.2} x Redis alone",
            alone.0,
            alone.1,
            near.0,
            near.1,
            added.0,
            added.1,
            added.0.as_secs_f64() / alone.0.as_secs_f64()
        );
    }
    nodes.stop().await;
}

/// PUBLISH to push, one at a time, with the payload that the bus sends.
async fn redis_alone(redis: &Redis) -> Vec<Duration> {
    let client = Client::open(format!("redis://127.0.0.1:{}/?protocol=resp3", redis.port())).expect("a URL");
    let (sender, mut heard) = mpsc::unbounded_channel::<PushInfo>();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    let mut hearer = client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection");
    let mut speaker = redis.connection().await.expect("a connection");
    hearer.subscribe("alone").await.expect("the subscription");
    heard.recv().await.expect("the confirmation");
    let room = room();
    let bytes = encode(NodeId::generate(), Channel::Conversation(room), &entry(room, 1));
    let mut times = Vec::new();
    for _ in 0..LATENCY_MESSAGES {
        let began = Instant::now();
        let publish = cmd("PUBLISH").arg("alone").arg(bytes.as_slice()).to_owned();
        let (published, pushed) = tokio::join!(publish.exec_async(&mut speaker), heard.recv());
        pushed.expect("a push");
        times.push(began.elapsed());
        published.expect("the publish");
    }
    times
}

/// From publish until it is heard, one at a time.
async fn through_the_bus(redis: &Redis) -> Vec<Duration> {
    let (speaker, mut hearer, room) = (BusNode::on_redis(&redis.config()), BusNode::on_redis(&redis.config()), room());
    speaker.up().await;
    let channel = Channel::Conversation(room);
    let _heard = hearer.hears(channel).await;
    let mut times = Vec::new();
    for seq in 0..LATENCY_MESSAGES {
        let message = entry(room, seq as i64);
        let began = Instant::now();
        speaker.bus.publish(channel, message);
        hearer.next().await;
        times.push(began.elapsed());
    }
    times
}

/// CPU of both ends together, when there is always something to say: microseconds a message.
async fn flood(redis: &Redis) -> f64 {
    let (speaker, mut hearer, room) = (BusNode::on_redis(&redis.config()), BusNode::on_redis(&redis.config()), room());
    speaker.up().await;
    let channel = Channel::Conversation(room);
    let _heard = hearer.hears(channel).await;
    let messages: Vec<_> = (0..WINDOW).map(|seq| entry(room, seq)).collect();
    let messages = Arc::new(messages);
    let cpu = cpu_time();
    for _ in 0..FLOOD / WINDOW {
        for message in messages.iter() {
            speaker.bus.publish(channel, message.clone());
        }
        while seq_of(&hearer.next().await) != WINDOW - 1 {}
    }
    (cpu_time() - cpu).as_secs_f64() * 1e6 / FLOOD as f64
}

/// Writing and reading a message, without Redis: microseconds a message.
fn form() -> f64 {
    let (speaker, hearer, room) = (NodeId::generate(), NodeId::generate(), room());
    let (channel, message) = (Channel::Conversation(room), entry(room, 1));
    let cpu = cpu_time();
    for _ in 0..FLOOD {
        let bytes = encode(speaker, channel, &message);
        decode(hearer, channel.to_string().as_bytes(), &bytes).expect("what was written can be read");
    }
    (cpu_time() - cpu).as_secs_f64() * 1e6 / FLOOD as f64
}

/// Of this process: user and system.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

/// The median and the 99th percentile.
fn of(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}
