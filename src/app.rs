//! A running server: every service built from its configuration, wired, started, and stopped in order.
//!
//! It holds no rule. What it is told comes from `config` (or from a test); what it listens on is given to it. The commit hook is
//! tied here: what the log commits, the hub delivers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Auth, AuthConfig, AuthError};
use crate::bus::BusConfig;
use crate::bus::redis::config::RedisConfigError;
use crate::commands::Commands;
use crate::http::{self, Api, HttpConfig, routes};
use crate::hub::{Hub, HubConfig};
use crate::listener::{self, ListenerConfig, Stopping};
use crate::store::error::StoreError;
use crate::store::log::read::LogReader;
use crate::store::log::{Log, ReadLog};
use crate::store::{RequireDurability, Store};
use crate::telemetry;
use crate::ws::front_desk::FrontDesk;
use crate::ws::{Gate, WsConfig, upgrade};

/// How long the services behind the sockets may take to finish what was begun; with the drain and the operator's last answers,
/// half a minute by default.
const SERVICES_PATIENCE: Duration = Duration::from_secs(4);
/// What is left of it for the last words to other nodes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Everything a server is told.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// PostgreSQL, as the role `parlour_app`.
    pub database_url: SecretString,
    /// Connections beside the committers' own.
    pub database_connections_max: u32,
    /// Admission.
    pub auth: AuthConfig,
    /// HTTP.
    pub http: HttpConfig,
    /// Sockets.
    pub ws: WsConfig,
    /// Other nodes.
    pub bus: BusConfig,
    /// Rooms.
    pub hub: HubConfig,
    /// Connections.
    pub listener: ListenerConfig,
    /// How long everybody may take to leave when the server stops.
    pub drain: Duration,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A key or secret.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The address of Redis.
    #[error("REDIS_URL {0}")]
    Redis(#[from] RedisConfigError),
    /// The database lacks migrations this version needs.
    #[error("the database is not migrated to this version; run `parlour migrate`")]
    NotMigrated,
    /// The database would lose what it acknowledged.
    #[error("the database must keep what it acknowledges: set fsync, full_page_writes and synchronous_commit to on")]
    NotDurable,
    /// Row-level security would not hold.
    #[error(
        "the server's role in the database must not be a superuser and must not bypass row-level security: use parlour_app"
    )]
    RoleTooPowerful,
    /// The listener.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// A running server.
pub struct App {
    address: SocketAddr,
    auth: Arc<Auth>,
    commands: Arc<Commands>,
    hub: Arc<Hub>,
    api: Arc<Api>,
    stopping: Stopping,
    services: Tasks,
    upkeep: Tasks,
    bus: Tasks,
    store: Store,
    drain: Duration,
}

/// Tasks that end together.
#[derive(Default)]
struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Asks them to end and waits until they have, or until then.
    async fn end(&self, deadline: Instant, what: &str) {
        self.stop.cancel();
        self.tracker.close();
        if timeout_at(deadline, self.tracker.wait()).await.is_err() {
            tracing::warn!("{what} did not finish in time");
        }
    }
}

impl App {
    /// Checks the database, starts every service, and serves on the listener.
    ///
    /// # Errors
    /// When the database is away, behind or careless, or a key cannot be used.
    pub async fn start(config: AppConfig, listener: TcpListener) -> Result<Self, AppError> {
        telemetry::limits::export(&config);
        let store = Store::new(config.database_url.expose_secret(), config.database_connections_max)?;
        check_database(&store, config.http.durability).await?;
        let address = listener.local_addr()?;
        let (services, upkeep, bus) = (Tasks::default(), Tasks::default(), Tasks::default());

        let reader: Arc<dyn ReadLog> = Arc::new(LogReader::new(store.clone()));
        let line = config.bus.start(&bus.tracker, &bus.stop)?;
        let hub = Arc::new(Hub::new(Arc::clone(&reader), line, config.hub));
        let log = Log::start(&store, &hub.commit_hook(), &services.tracker);
        let auth = Arc::new(Auth::new(store.clone(), config.auth)?);
        let limits = config.http.limits;
        let commands = Commands::new(store.clone(), log, reader, Arc::clone(&hub), Arc::clone(&auth), limits);
        let commands = Arc::new(commands);
        upkeep.tracker.spawn(Arc::clone(&hub).run(upkeep.stop.clone()));
        spawn_services(&services, &hub, &commands);

        let stopping = Stopping::default();
        let desk = Arc::new(FrontDesk::new(Arc::clone(&auth), Arc::clone(&commands)));
        let tokens = (stopping.drain.clone(), stopping.abort.clone());
        let gate = Arc::new(Gate::new(config.ws, Arc::clone(&hub), desk, stopping.tracker.clone(), tokens));
        let tracker = services.tracker.clone();
        let api = Arc::new(Api::new(store.clone(), Arc::clone(&auth), Arc::clone(&commands), config.http, tracker));
        let sockets = axum::Router::new()
            .route("/api/v1/ws", axum::routing::get(upgrade::upgrade).with_state(gate))
            .layer(axum::middleware::map_request(tell_address));
        let router = routes::router(&api, sockets);
        services.tracker.spawn(listener::serve(listener, router, config.listener, stopping.clone()));
        let drain = config.drain;
        Ok(Self { address, auth, commands, hub, api, stopping, services, upkeep, bus, store, drain })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who may come in.
    pub fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    /// What callers can do.
    pub fn commands(&self) -> &Arc<Commands> {
        &self.commands
    }

    /// The live half.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stops in order: not ready, no new sockets, everybody asked to come back later, what was begun finished, connections
    /// closed. The way to other nodes closes last: until then somebody's entry may be committed, which they are to hear.
    pub async fn shutdown(self) {
        self.api.drain();
        self.stopping.stop(self.drain).await;
        drop((self.commands, self.api));
        let deadline = Instant::now() + SERVICES_PATIENCE;
        self.services.end(deadline - LAST_WORDS, "services").await;
        // No sign of life after the farewell, or the peers would wait for the next one.
        self.upkeep.end(deadline - LAST_WORDS, "the hub's upkeep").await;
        self.hub.say_farewell();
        self.bus.end(deadline, "the bus").await;
        if timeout_at(deadline, self.store.close()).await.is_err() {
            tracing::warn!("connections to the database were not closed in time");
        }
    }
}

/// What runs beside the sockets for as long as the server does.
fn spawn_services(services: &Tasks, hub: &Arc<Hub>, commands: &Arc<Commands>) {
    let Tasks { tracker, stop } = services;
    tracker.spawn(telemetry::keep_gauges(Arc::clone(hub), Arc::clone(commands), stop.clone()));
    let (leases, until) = (Arc::clone(commands), stop.clone());
    tracker.spawn(async move { leases.run_leases(until).await });
    let (registration, until) = (Arc::clone(commands), stop.clone());
    tracker.spawn(async move { registration.run_registration(until).await });
    let (clock, until) = (Arc::clone(commands), stop.clone());
    tracker.spawn(async move { clock.run_clock(until).await });
    let (inbox, until) = (Arc::clone(commands), stop.clone());
    // Cancel-safe: a row that was not pushed is listed again by whoever reconnects.
    tracker.spawn(async move { until.run_until_cancelled(inbox.run_inbox()).await });
}

async fn check_database(store: &Store, durability: RequireDurability) -> Result<(), AppError> {
    if !store.is_migrated().await? {
        return Err(AppError::NotMigrated);
    }
    if store.role_is_above_the_law().await? {
        return Err(AppError::RoleTooPowerful);
    }
    if durability.accepts(store.durability().await?) { Ok(()) } else { Err(AppError::NotDurable) }
}

/// The sockets' edge does not know the proxies; the HTTP edge around it does.
async fn tell_address(mut request: axum::extract::Request) -> axum::extract::Request {
    if let Some(address) = request.extensions().get::<http::client::ClientAddress>().copied() {
        request.extensions_mut().insert(upgrade::ClientAddress(address.0));
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::operation::Operation;

    #[test]
    fn a_stop_takes_half_a_minute_at_worst() {
        assert!(Operation::default().drain + SERVICES_PATIENCE < Duration::from_secs(30), "the operator's last second");
        assert!(
            WsConfig::default().drain_spread < Operation::default().drain,
            "who comes back early meets other nodes"
        );
    }
}
