//! What each fault does: it takes something away, waits its time, gives it back, and waits until what it broke works again.
//!
//! Faults of one place wait for each other; those of different places overlap. The time in which something works again counts
//! only while nothing else is broken that it needs. It must never end without giving back what it took. Look at `plan.rs` for
//! what the faults are.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use parlour_testkit::tunnel::{Mode, Tunnel, Way as TunnelWay};
use tokio::time::{Instant, sleep, timeout};

use crate::history::{Nanos, Node, Strike};
use crate::machine::node::Readiness;
use crate::machine::postgres::Storm;
use crate::machine::{LOOK, Machine, processes};
use crate::plan::{Fault, Kind, Link, Place, Way};

/// How long anything may take to work again when its cause is gone: the longest are a node that starts on a busy machine, and a
/// bus that is only tried again now and then.
const RECOVERY: Duration = Duration::from_secs(20);
/// The same, when other faults came in between all the time.
const RECOVERY_AMONG_OTHERS: Duration = Duration::from_secs(120);
/// How long a question to Redis may take.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

impl Machine {
    /// Strikes: takes away, waits, gives back, waits until it works again, and notes it.
    pub async fn strike(&self, fault: &Fault) {
        let place = self.place(fault.kind.place());
        let _alone = place.lock().await;
        let injected = self.0.recorder.now();
        self.broke(fault, true);
        let done = self.inflict(fault).await;
        self.broke(fault, false);
        if let Err(why) = done {
            eprintln!("fault {} ({:?}) could not be done: {why}", fault.number, fault.kind);
            return;
        }
        let healed = self.0.recorder.now();
        let recovered = self.recovered(&fault.kind).await;
        let strike = Strike { fault: fault.clone(), injected, healed, recovered };
        self.0.recorder.with(|history| history.strikes.push(strike));
    }

    async fn inflict(&self, fault: &Fault) -> Result<(), String> {
        let lasts = fault.lasts();
        match &fault.kind {
            Kind::KillNode(_) | Kind::StopNode(_) | Kind::RestartNode(_) | Kind::Skew(..) => {
                self.inflict_on_node(&fault.kind, lasts).await
            }
            Kind::KillPostgres | Kind::KillBackend | Kind::StopPostgres | Kind::LockTables => {
                self.inflict_on_postgres(fault).await
            }
            Kind::KillRedis | Kind::StopRedis | Kind::FlushRedis => self.inflict_on_redis(&fault.kind, lasts).await,
            Kind::LyingBus(node) => {
                let tunnel = self.tunnel(Link::Redis(*node));
                tunnel.lie();
                sleep(lasts).await;
                tunnel.pass();
                Ok(())
            }
            Kind::Blackhole(link, _) | Kind::Stall(link) | Kind::Reset(link) | Kind::Slice(link) | Kind::Slow(link) => {
                self.inflict_on_link(fault, *link).await;
                Ok(())
            }
            Kind::LazyClients | Kind::EndRights => Err("this is for the workload".to_owned()),
        }
    }

    async fn inflict_on_node(&self, kind: &Kind, lasts: Duration) -> Result<(), String> {
        match kind {
            Kind::KillNode(node) => {
                self.node(*node).kill().await;
                sleep(lasts).await;
                self.node(*node).begin().await;
            }
            Kind::StopNode(node) => {
                self.node(*node).freeze().await;
                sleep(lasts).await;
                self.node(*node).thaw().await;
            }
            Kind::RestartNode(node) => {
                if let Err(why) = self.node(*node).stop().await {
                    self.found(&format!("node-{}", node.0), &why);
                }
                sleep(lasts).await;
                self.node(*node).begin().await;
            }
            Kind::Skew(node, seconds) => {
                processes::faketime().ok_or("libfaketime is not installed here (Debian: apt-get install faketime)")?;
                self.node(*node).skew(*seconds);
                self.node(*node).kill().await;
                self.node(*node).begin().await;
                let is_up = self.works_again(&[*node], Readiness::Degraded, &[kind.place()]).await;
                sleep(lasts).await;
                self.node(*node).skew(0);
                self.node(*node).kill().await;
                self.node(*node).begin().await;
                if !is_up {
                    self.found(&format!("node-{}", node.0), "it was not ready with a wrong clock");
                }
            }
            other => unreachable!("{other:?} is not of a node"),
        }
        Ok(())
    }

    async fn inflict_on_postgres(&self, fault: &Fault) -> Result<(), String> {
        let postgres = &self.0.postgres;
        match &fault.kind {
            Kind::KillPostgres => {
                postgres.kill().await;
                sleep(fault.lasts()).await;
                postgres.start_again().await;
            }
            Kind::KillBackend => postgres.kill_backend(fault.number).await?,
            Kind::StopPostgres => {
                let stopped = postgres.freeze().await;
                sleep(fault.lasts()).await;
                postgres.thaw(&stopped);
            }
            Kind::LockTables => {
                let storms = [Storm::Table, Storm::Rows, Storm::Connections];
                let storm = storms[fault.number as usize % storms.len()];
                let held = postgres.storm(storm).await?;
                sleep(fault.lasts()).await;
                drop(held);
            }
            other => unreachable!("{other:?} is not of PostgreSQL"),
        }
        Ok(())
    }

    async fn inflict_on_redis(&self, kind: &Kind, lasts: Duration) -> Result<(), String> {
        let mut redis = self.0.redis.lock().await;
        match kind {
            Kind::KillRedis => {
                redis.kill().await;
                sleep(lasts).await;
                redis.start_again().await;
            }
            Kind::StopRedis => {
                redis.freeze();
                sleep(lasts).await;
                redis.thaw();
            }
            Kind::FlushRedis => {
                let flush = async {
                    let mut connection = redis.connection().await?;
                    redis::cmd("FLUSHALL").exec_async(&mut connection).await?;
                    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").exec_async(&mut connection).await
                };
                let flushed = timeout(REDIS_PATIENCE, flush).await.map_err(|late| late.to_string())?;
                flushed.map_err(|error| error.to_string())?;
            }
            other => unreachable!("{other:?} is not of Redis"),
        }
        Ok(())
    }

    async fn inflict_on_link(&self, fault: &Fault, link: Link) {
        let tunnel = self.tunnel(link);
        match &fault.kind {
            Kind::Blackhole(_, Way::Out) => tunnel.set(TunnelWay::Out, Mode::Swallow),
            Kind::Blackhole(_, Way::Back) => tunnel.set(TunnelWay::Back, Mode::Swallow),
            Kind::Stall(_) => tunnel.set_both(Mode::Stall),
            Kind::Reset(_) => tunnel.reset().await,
            Kind::Slice(_) => tunnel.set_both(Mode::Slice),
            Kind::Slow(_) => tunnel.set_both(Mode::Rate(1_000 * (1 + fault.number % 5))),
            other => unreachable!("{other:?} is not of a link"),
        }
        sleep(fault.lasts()).await;
        tunnel.pass();
    }

    /// When what a fault broke worked again.
    async fn recovered(&self, kind: &Kind) -> Option<Nanos> {
        let all: Vec<Node> = (0..self.0.nodes.len()).filter_map(|number| u8::try_from(number).ok()).map(Node).collect();
        let (nodes, wanted) = match kind.place() {
            Place::Node(node) => (vec![node], Readiness::Degraded),
            Place::Bus(node) => (vec![node], Readiness::Ready),
            Place::Postgres => (all, Readiness::Degraded),
            Place::Redis => (all, Readiness::Ready),
            Place::Clients => return Some(self.0.recorder.now()),
        };
        self.works_again(&nodes, wanted, &[]).await.then(|| self.0.recorder.now())
    }

    /// Whether nodes are at least as ready as wanted in time, not counting the time in which they cannot be, because something
    /// else that they need is broken.
    async fn works_again(&self, nodes: &[Node], wanted: Readiness, apart_from: &[Place]) -> bool {
        let last = Instant::now() + RECOVERY_AMONG_OTHERS;
        for node in nodes {
            let mut left = RECOVERY;
            loop {
                let began = Instant::now();
                let readiness = self.node(*node).readiness().await;
                if readiness == Readiness::Ready || readiness == wanted {
                    break;
                }
                sleep(LOOK).await;
                let is_hindered = self.broken().iter().any(|kind| {
                    let place = kind.place();
                    place.is_of(*node) && !apart_from.contains(&place)
                });
                if !is_hindered {
                    left = left.saturating_sub(began.elapsed());
                }
                if left.is_zero() || Instant::now() > last {
                    return false;
                }
            }
        }
        true
    }

    fn tunnel(&self, link: Link) -> &Tunnel {
        match link {
            Link::Clients(node) => &self.node(node).clients,
            Link::Redis(node) => &self.node(node).redis,
            Link::Postgres(node) => &self.node(node).postgres,
        }
    }

    fn place(&self, place: Place) -> Arc<tokio::sync::Mutex<()>> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(place).or_default())
    }

    fn broke(&self, fault: &Fault, is_broken: bool) {
        let mut broken = self.0.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if is_broken {
            broken.insert(fault.number, fault.kind.clone());
        } else {
            broken.remove(&fault.number);
        }
    }
}
