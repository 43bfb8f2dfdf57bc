//! The workload: clients of three tenants who write, read, choose, come and go, at all nodes, while things break.
//!
//! Everything a client decides comes from the run's seed. What happens is noted in the history and judged elsewhere. A client
//! stays within the protocol. Every wait has a bound, so that a run ends by itself. Start reading at `cast.rs`.

mod cast;
mod choices;
mod faults;
pub mod frame;
mod lazy;
pub mod ledger;
mod pusher;
mod reader;
mod spy;
pub mod stage;
pub mod troupe;
mod twins;
pub mod web;
pub mod wire;
pub mod words;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::history::{Recorder, View};
use crate::machine::Machine;
use crate::options::Options;
use crate::plan::{Fault, Kind};
use crate::workload::cast::Parts;
use crate::workload::ledger::Ledger;
use crate::workload::stage::{Phase, SharedStage, Stage};
use crate::workload::troupe::Troupe;
use crate::workload::web::Web;

/// How long what was begun may take to be settled once everything works (C11), and a little for a busy machine.
const SETTLE_MAX: Duration = Duration::from_secs(14);
/// How long readers may take to hold everything.
const CATCH_UP_MAX: Duration = Duration::from_secs(15);

/// The clients of a run. Cheap to clone.
#[derive(Clone)]
pub struct Workload(Arc<Inner>);

struct Inner {
    troupe: Troupe,
    parts: Parts,
    heard: Arc<AtomicU64>,
    spy: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.troupe.stage.phase.send_replace(Phase::Over);
        self.spy.abort();
    }
}

impl Workload {
    /// Makes tenants, rooms, people and links. They wait for [`Workload::start`].
    pub async fn cast(machine: &Machine, recorder: &Recorder, options: &Options) -> Self {
        let stage: SharedStage = Arc::new(Stage {
            ledger: Ledger::new(recorder.clone()),
            web: Web::new(),
            endpoints: machine.endpoints(),
            direct: machine.direct(),
            database: machine.database().clone(),
            phase: watch::Sender::new(Phase::Waiting),
            // More than is wanted, because for some of the time things are broken.
            pace: AtomicU64::new((options.acks * 3 / 2 / options.seconds.max(1)).max(50)),
            twins: TaskTracker::new(),
            ending: std::sync::Mutex::default(),
        });
        let heard = Arc::new(AtomicU64::new(0));
        let spy = tokio::spawn(spy::listen(machine.redis_port(), recorder.clone(), Arc::clone(&heard)));
        let troupe = Troupe::new(stage);
        let parts = cast::cast(&troupe).await;
        Self(Arc::new(Inner { troupe, parts, heard, spy }))
    }

    /// Everybody begins.
    pub fn start(&self) {
        self.stage().phase.send_replace(Phase::Acting);
    }

    /// How many operations were acknowledged so far.
    pub fn acked(&self) -> u64 {
        self.stage().ledger.acked()
    }

    /// Strikes with a fault that clients are themselves; the others are not its.
    pub async fn strike(&self, fault: &Fault) {
        let Inner { troupe, parts, .. } = &*self.0;
        match fault.kind {
            Kind::LazyClients => {
                let room = &parts.lazy[fault.number as usize % parts.lazy.len()];
                faults::lazy_clients(troupe, room, fault).await;
            }
            Kind::EndRights => faults::end_rights(troupe, parts, fault).await,
            _ => {}
        }
    }

    /// Nothing new is begun; what was begun is settled or given up, and readers come to hold everything.
    pub async fn stop(&self) {
        let (stage, troupe) = (self.stage(), &self.0.troupe);
        stage.phase.send_replace(Phase::Settling);
        let deadline = Instant::now() + SETTLE_MAX;
        for mut task in troupe.take_writing() {
            if let Ok(ended) = tokio::time::timeout_at(deadline, &mut task).await {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            } else {
                // What it had not settled stays unknown; C11 says so.
                task.abort();
            }
        }
        stage.twins.close();
        // Each ends by itself; those that have not by now are of people whose operations are settled otherwise.
        let _ = timeout(SETTLE_MAX, stage.twins.wait()).await;
        self.caught_up().await;
    }

    /// Waits until every reader that still may holds everything there is, for a while.
    pub async fn caught_up(&self) {
        let deadline = Instant::now() + CATCH_UP_MAX;
        while Instant::now() < deadline {
            if let Some(heads) = self.heads().await
                && self.stragglers(&heads) == 0
            {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn stragglers(&self, heads: &HashMap<Uuid, (i64, i64)>) -> usize {
        let behind = |seat: &troupe::Seat| {
            let conversation = self.stage().conversation(seat.room).0;
            let head = heads.get(&conversation).map_or(0, |head| match seat.player.view {
                View::Staff => head.0,
                View::Guest => head.1,
            });
            let is_bound = !seat.door.is_away.load(Ordering::Relaxed) && !self.stage().is_ending(seat.player.person);
            is_bound && seat.door.seq.load(Ordering::Relaxed) < head
        };
        self.0.troupe.seats().iter().filter(|seat| behind(seat)).count()
    }

    /// The newest numbers of every room, in both views.
    async fn heads(&self) -> Option<HashMap<Uuid, (i64, i64)>> {
        let url = &self.stage().database.admin_url;
        let ask = async {
            let mut connection = PgConnection::connect(url).await.ok()?;
            let query = sqlx::query_as::<_, (Uuid, i64, i64)>("select id, seq, guest_seq from conversations");
            query.fetch_all(&mut connection).await.ok()
        };
        let rows = timeout(Duration::from_secs(3), ask).await.ok().flatten()?;
        Some(rows.into_iter().map(|(id, seq, guest_seq)| (id, (seq, guest_seq))).collect())
    }

    /// What everybody shares.
    pub fn stage(&self) -> &SharedStage {
        &self.0.troupe.stage
    }

    /// Readers.
    pub fn seats(&self) -> Vec<troupe::Seat> {
        self.0.troupe.seats()
    }

    /// Who looks at each room afterwards.
    pub fn witnesses(&self) -> &[cast::Witnesses] {
        &self.0.parts.witnesses
    }

    /// How many messages were heard on the bus.
    pub fn heard_on_bus(&self) -> u64 {
        self.0.heard.load(Ordering::Relaxed)
    }

    /// Readers go, too.
    pub async fn end(&self) {
        self.stage().phase.send_replace(Phase::Over);
        for task in self.0.troupe.take_reading() {
            task.abort();
            if let Err(error) = task.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}
