//! The bus between processes: Redis pub/sub, and nothing kept in Redis.
//!
//! Two tasks: the [`publisher`] empties a bounded [`queue`] into one connection per server, the [`subscriber`] hears on another.
//! Nothing waits for either: without Redis, what is said is dropped and counted, what is heard is nothing, [`vitals`] say so, and
//! both come back by themselves. One server or a cluster is a matter of [`shards`]. Which: [`config`].

mod breaker;
pub mod config;
mod listener;
mod publisher;
mod queue;
mod shards;
pub mod slots;
mod subscriber;
mod vitals;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::inbound::{Inbound, pair};
use crate::bus::interest::{Interests, Subscription};
use crate::bus::message::Message;
use crate::bus::redis::config::{RedisConfig, RedisConfigError};
use crate::bus::redis::listener::Intake;
use crate::bus::redis::publisher::{Counts, Publisher};
use crate::bus::redis::queue::Queue;
use crate::bus::redis::shards::Seeds;
use crate::bus::redis::subscriber::Subscriber;
use crate::bus::redis::vitals::Vitals;
use crate::bus::{Bus, Channel, Health};
use crate::domain::node::NodeId;

/// A node's end of a bus that runs through Redis.
#[derive(Debug)]
pub struct RedisBus {
    queue: Arc<Queue>,
    interests: Arc<Interests>,
    vitals: Arc<Vitals>,
}

impl RedisBus {
    /// Starts; whether Redis is there makes no difference. Ends with `stop`, after saying what was published before it.
    ///
    /// # Errors
    /// When the configuration cannot be that of any Redis.
    pub fn start(
        config: &RedisConfig,
        node: NodeId,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<(Self, Inbound), RedisConfigError> {
        let seeds = Arc::new(Seeds { addresses: config.seeds()?, topology: config.topology });
        let (sender, inbound) = pair();
        let (queue, interests, vitals) = (Arc::new(Queue::new()), Arc::default(), Arc::new(Vitals::new()));
        let publisher = Publisher {
            node,
            seeds: Arc::clone(&seeds),
            queue: Arc::clone(&queue),
            vitals: Arc::clone(&vitals),
            counts: Counts::new(),
        };
        let subscriber = Subscriber {
            seeds,
            interests: Arc::clone(&interests),
            intake: Arc::new(Intake::new(node, sender)),
            vitals: Arc::clone(&vitals),
            reconnects: metrics::counter!("parlour_bus_reconnects_total"),
        };
        tasks.spawn(publisher.run(stop.clone()));
        tasks.spawn(subscriber.run(stop.clone()));
        Ok((Self { queue, interests, vitals }, inbound))
    }
}

impl Bus for RedisBus {
    fn publish(&self, channel: Channel, message: Message) {
        self.queue.put(channel, message);
    }

    fn subscribe(&self, channel: Channel) -> Subscription {
        self.interests.subscribe(channel, self.vitals.hearing())
    }

    fn health(&self) -> Health {
        self.vitals.health()
    }
}
