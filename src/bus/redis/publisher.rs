//! Says what waits in the queue: everything there is at once, as one pipeline per server, with a deadline.
//!
//! Committing when idle: the first message goes out at once, what comes meanwhile goes together with the next, and no timer is
//! needed. What failed is never said again: it may have been heard, and peers learn of it from beacons. After three failures in
//! a row, or without a connection, nothing is sent until a try succeeds. Nothing else waits for this task.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::{AsyncPushSender, SendError};
use redis::{Cmd, Pipeline, PushInfo, PushKind, RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::bus::Channel;
use crate::bus::envelope::encode;
use crate::bus::message::Message;
use crate::bus::redis::breaker::{Backoff, Breaker};
use crate::bus::redis::queue::Queue;
use crate::bus::redis::shards::{Seeds, Shards};
use crate::bus::redis::vitals::{Half, Vitals, reason};
use crate::domain::node::NodeId;

/// How long a few messages may take.
const DEADLINE_SMALL: Duration = Duration::from_millis(100);
/// How long a batch may take.
const DEADLINE_LARGE: Duration = Duration::from_millis(250);
/// Up to so many messages are a few.
const SMALL: usize = 64;
/// The first wait between tries to connect, and the longest: back to normal within a second after Redis is.
const PROBE_FIRST: Duration = Duration::from_millis(25);
const PROBE_LONGEST: Duration = Duration::from_millis(500);

/// What says what waits.
#[derive(Debug)]
pub struct Publisher {
    /// This node.
    pub node: NodeId,
    /// Where Redis is.
    pub seeds: Arc<Seeds>,
    /// What waits.
    pub queue: Arc<Queue>,
    /// Where to report.
    pub vitals: Arc<Vitals>,
    /// Counters.
    pub counts: Counts,
}

/// What is counted.
#[derive(Debug)]
pub struct Counts {
    published: metrics::Counter,
    unsent: metrics::Counter,
    breaker: metrics::Counter,
    seconds: metrics::Histogram,
}

/// Why a connection is given up.
enum End {
    /// The node stops, and everything was said.
    Stopped,
    /// It does not work.
    Failed(String),
}

/// What came of saying something on one connection.
#[derive(Default)]
struct Tries {
    succeeded: bool,
    failed: bool,
}

impl Counts {
    /// All of them, at zero.
    pub fn new() -> Self {
        Self {
            published: metrics::counter!("parlour_bus_published_total"),
            unsent: metrics::counter!("parlour_bus_dropped_total", "reason" => "unsent"),
            breaker: metrics::counter!("parlour_bus_breaker_opened_total"),
            seconds: metrics::histogram!("parlour_bus_publish_seconds"),
        }
    }
}

impl Publisher {
    /// Publishes until the node stops; what was put into the queue before is still said, if it can be.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(PROBE_FIRST, PROBE_LONGEST);
        let mut is_trusted = true;
        loop {
            let lost = Arc::new(Notify::new());
            let connecting = self.seeds.connect(|| LossListener(Arc::clone(&lost)));
            let Some(connected) = stop.run_until_cancelled(connecting).await else { return };
            let why = match connected {
                Ok(shards) => {
                    self.queue.open();
                    if is_trusted {
                        self.vitals.up(Half::Saying);
                    }
                    let mut tries = Tries::default();
                    let end = self.publish(&shards, &lost, &stop, &mut tries).await;
                    self.queue.shut();
                    // A Redis that greets and takes nothing must not be besieged, nor called up again and again.
                    is_trusted = tries.succeeded || !tries.failed;
                    if tries.succeeded {
                        backoff.reset();
                    }
                    let End::Failed(why) = end else { return };
                    self.counts.breaker.increment(1);
                    self.queue.clear();
                    why
                }
                Err(error) => reason(&error),
            };
            self.vitals.down(Half::Saying, &why);
            if stop.run_until_cancelled(sleep(backoff.wait())).await.is_none() {
                return;
            }
        }
    }

    async fn publish(
        &self,
        shards: &Shards<LossListener>,
        lost: &Notify,
        stop: &CancellationToken,
        tries: &mut Tries,
    ) -> End {
        let mut breaker = Breaker::default();
        loop {
            if stop.is_cancelled() {
                self.queue.shut();
            }
            tokio::select! {
                biased;
                () = lost.notified() => return End::Failed("the connection was closed".to_owned()),
                () = self.queue.arrived() => {}
                () = stop.cancelled() => return End::Stopped,
            }
            let batch = self.queue.take();
            let (messages, began) = (batch.len() as u64, Instant::now());
            match self.send(shards, batch).await {
                Ok(()) => {
                    breaker.succeeded();
                    if !std::mem::replace(&mut tries.succeeded, true) {
                        self.vitals.up(Half::Saying);
                    }
                    self.counts.published.increment(messages);
                    self.counts.seconds.record(began.elapsed());
                }
                Err(error) => {
                    self.counts.unsent.increment(messages);
                    tries.failed = true;
                    if breaker.failed() || is_broken(&error) || stop.is_cancelled() {
                        return End::Failed(reason(&error));
                    }
                }
            }
        }
    }

    async fn send(&self, shards: &Shards<LossListener>, batch: Vec<(Channel, Message)>) -> RedisResult<()> {
        let deadline = if batch.len() <= SMALL { DEADLINE_SMALL } else { DEADLINE_LARGE };
        let publish = self.seeds.words().publish;
        let mut pipelines: Vec<Pipeline> = vec![Pipeline::new(); shards.all().len()];
        for (channel, message) in batch {
            let name = channel.to_string();
            let bytes = encode(self.node, channel, &message);
            let mut command = Cmd::with_capacity(3, publish.len() + name.len() + bytes.len());
            command.arg(publish).arg(&name).arg(bytes);
            pipelines[shards.index_of(&name)].add_command(command);
        }
        let filled = shards.all().iter().zip(&pipelines).filter(|(_, pipeline)| !pipeline.is_empty());
        let sending = try_join_all(
            filled.map(async |(shard, pipeline)| pipeline.exec_async(&mut shard.connection.clone()).await),
        );
        match timeout(deadline, sending).await {
            Ok(sent) => sent.map(|_| ()),
            Err(_) => Err(too_slow()),
        }
    }
}

/// Tells of a connection's end; nothing else is pushed to one that hears nothing.
struct LossListener(Arc<Notify>);

impl AsyncPushSender for LossListener {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        if push.kind == PushKind::Disconnection {
            self.0.notify_one();
        }
        Ok(())
    }
}

/// Whether trying again on these connections makes no sense: one is gone, or does not serve the slot any more.
fn is_broken(error: &RedisError) -> bool {
    !error.is_timeout() && (error.is_unrecoverable_error() || error.is_connection_dropped() || error.is_cluster_error())
}

fn too_slow() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}
