//! `parlour dev`: everything on this machine. A private, durable PostgreSQL cluster (`devdb`), the roles as in production,
//! the server as `parlour_app`, and a demonstration that is made once and found again at every later start. With `--nodes`
//! several servers in this one process, which tell each other over a private Redis.
//!
//! It never touches a database it did not make, and `parlour serve` never falls back to it. Nothing it starts outlives it.
//! Look next in `demo.rs` (what is made), `state.rs` (what is remembered) and `welcome.rs` (what is printed).

mod demo;
mod place;
mod script;
mod state;
mod welcome;
mod words;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use secrecy::SecretString;

use crate::app::{App, AppConfig};
use crate::auth::AuthConfig;
use crate::auth::passwords::Work;
use crate::auth::tokens::TokenConfig;
use crate::bus::BusConfig;
use crate::bus::redis::config::{RedisConfig, Topology};
use crate::cli::dev::place::Place;
use crate::cli::dev::state::DevState;
use crate::cli::dev::welcome::{Node, Welcome};
use crate::cli::error::{CliError, Exit};
use crate::cli::output;
use crate::cli::signals::Signals;
use crate::config::REQUEST_TIMEOUT;
use crate::config::operation::Operation;
use crate::config::secrets::{TOKEN_AUDIENCE, pepper};
use crate::devdb::{Cluster, ClusterOptions, DevDbError, Durability, Host, PrivateRedis};
use crate::domain::limits::LimitsProfile;
use crate::domain::secret::Peppers;
use crate::http::HttpConfig;
use crate::hub::HubConfig;
use crate::hub::limits::HubLimits;
use crate::listener::ListenerConfig;
use crate::store::RequireDurability;
use crate::store::migrate::{migrate, prepare_cluster};
use crate::ws::WsConfig;

const DATABASE: &str = "parlour";
const CONNECTIONS: u32 = 16;
const PEPPER_ID: i16 = 1;
/// Nobody waits long for their own machine.
const DRAIN: Duration = Duration::from_secs(3);

/// How to run it.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Where the data lives [default: ~/.local/share/parlour, or /var/lib/parlour for root].
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
    /// The port of the first server; 0 takes any [default: 8080, or the next that is free].
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// How many servers to run, on neighbouring ports; more than one need redis-server.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4), value_name = "COUNT")]
    nodes: u8,
    /// Let phones and other machines on the local network in.
    #[arg(long)]
    lan: bool,
    /// Throw the development data away and begin anew.
    #[arg(long)]
    reset: bool,
    /// standard, or test: lifts the limits against abuse.
    #[arg(long, value_parser = profile, default_value = "standard", value_name = "PROFILE")]
    limits_profile: LimitsProfile,
    /// Life of a staff access token.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u64).range(5..=86_400), value_name = "SECONDS")]
    staff_token_seconds: u64,
    /// Life of a guest token.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(5..=86_400), value_name = "SECONDS")]
    guest_token_seconds: u64,
}

/// Everything that must be stopped again.
struct Running {
    apps: Vec<App>,
    redis: Option<PrivateRedis>,
    cluster: Cluster,
    welcome: Welcome,
    data_dir: PathBuf,
}

/// Runs until a signal, then stops server and cluster.
pub async fn run(args: DevArgs, json: bool) -> Result<(), CliError> {
    let mut signals = Signals::take()?;
    let started = tokio::select! {
        // Given up halfway, everything that was started ends by being dropped.
        () = signals.next() => return Ok(()),
        started = start(&args) => started,
    };
    let Running { apps, redis, cluster, welcome, data_dir } = started?;
    if json {
        let line = serde_json::to_string(&welcome).map_err(|error| CliError::new(Exit::Internal, error))?;
        output::print(&line);
    } else {
        let qr = if std::io::stdout().is_terminal() { welcome.qr_in_colors() } else { welcome.qr() };
        output::print(&format!("{}\n{qr}", welcome.text(&data_dir, args.lan)));
    }
    signals.next().await;
    tracing::info!("stopping");
    tokio::select! {
        _ = join_all(apps.into_iter().map(App::shutdown)) => {}
        () = signals.next() => tracing::warn!("asked twice: ending without waiting for the rest"),
    }
    if let Some(redis) = redis {
        redis.stop().await;
    }
    cluster.stop().await?;
    Ok(())
}

async fn start(args: &DevArgs) -> Result<Running, CliError> {
    let host = Host::observe(|name| std::env::var_os(name));
    let data_dir = match &args.data_dir {
        Some(given) => std::path::absolute(given).map_err(|error| CliError::new(Exit::Usage, error))?,
        None => host.default_data_dir()?,
    };
    let options = ClusterOptions {
        data_dir: data_dir.clone(),
        socket_dir: None,
        durability: Durability::Durable,
        host: host.clone(),
    };
    let mut state = recall(&options, args.reset).await?;
    let places = Place::find_all(args.nodes, args.port, args.lan).await?;
    let cluster = Cluster::start(options).await?;
    if !cluster.is_owner() {
        return Err(runs_already(&data_dir));
    }
    // One node has nobody to tell.
    let redis = if args.nodes > 1 { Some(PrivateRedis::start(&data_dir, &host).await?) } else { None };
    prepare_cluster(&cluster.superuser_url("postgres"), DATABASE).await?;
    migrate(&cluster.url("parlour_migrator", DATABASE)).await?;
    warn_of(args);
    let (mut apps, mut nodes) = (vec![], vec![]);
    for place in places {
        nodes.push(Node::at(place.url()));
        let config = app_config(args, &state, &place, cluster.url("parlour_app", DATABASE), bus_over(redis.as_ref()))?;
        apps.push(App::start(config, place.listener).await?);
    }
    let (Some(app), Some((first, others))) = (apps.first(), nodes.split_first()) else {
        return Err(CliError::new(Exit::Internal, "there is no node"));
    };
    let staff = demo::open(app, &mut state, &data_dir).await?;
    let Some(demo) = &state.demo else { return Err(CliError::new(Exit::Internal, "the demonstration got lost")) };
    let welcome = Welcome::new(demo, first, others, staff);
    Ok(Running { apps, redis, cluster, welcome, data_dir })
}

/// What an earlier start left, or a fresh beginning. Data of a first start that never became ready is thrown away.
async fn recall(options: &ClusterOptions, reset: bool) -> Result<DevState, CliError> {
    let data_dir: &Path = &options.data_dir;
    let state = if reset { None } else { DevState::load(data_dir)? };
    if let Some(state) = state.as_ref().filter(|state| state.demo.is_some()) {
        return Ok(state.clone());
    }
    if !reset && state.is_none() && data_dir.join("cluster").exists() {
        let message = format!(
            "{} holds a database, but its dev.json is gone and with it the keys; parlour dev --reset begins anew",
            data_dir.display()
        );
        return Err(CliError::new(Exit::Unavailable, message));
    }
    Cluster::erase(options).await.map_err(|error| match error {
        DevDbError::Held { .. } => runs_already(data_dir),
        other => other.into(),
    })?;
    // Kept before anything is stored under its keys: an interrupted start is then known as one.
    let state = DevState::fresh()?;
    state.save(data_dir)?;
    Ok(state)
}

fn runs_already(data_dir: &Path) -> CliError {
    let message = format!("parlour dev runs already on {}; stop it, or use another --data-dir", data_dir.display());
    CliError::new(Exit::Unavailable, message)
}

fn bus_over(redis: Option<&PrivateRedis>) -> BusConfig {
    redis.map_or(BusConfig::Memory, |redis| {
        BusConfig::Redis(RedisConfig { urls: vec![redis.url().into()], topology: Topology::Single })
    })
}

fn app_config(
    args: &DevArgs,
    state: &DevState,
    place: &Place,
    database_url: String,
    bus: BusConfig,
) -> Result<AppConfig, CliError> {
    let limits = args.limits_profile;
    let unusable =
        || CliError::new(Exit::Unavailable, "dev.json holds no usable keys; parlour dev --reset begins anew");
    let tokens = TokenConfig {
        // Not the address, which may change from start to start.
        issuer: "parlour-dev".to_owned(),
        audience: TOKEN_AUDIENCE.to_owned(),
        signing_key: state.token_key.as_str().into(),
        older_keys: vec![],
        staff_life: Duration::from_secs(args.staff_token_seconds),
        guest_life: Duration::from_secs(args.guest_token_seconds),
    };
    let auth = AuthConfig {
        tokens,
        peppers: Peppers::new(pepper(PEPPER_ID, &state.pepper).ok_or_else(unusable)?, vec![]),
        refresh_life: Operation::default().refresh_life,
        password_work: Work::Production,
        limits,
    };
    Ok(AppConfig {
        database_url: SecretString::from(database_url),
        database_connections_max: CONNECTIONS,
        auth,
        http: HttpConfig {
            public_url: place.url(),
            trusted_proxies: vec![],
            request_timeout: REQUEST_TIMEOUT,
            durability: RequireDurability::Yes,
            limits,
        },
        ws: WsConfig { allowed_origins: place.origins(), limits, drain_spread: DRAIN, ..WsConfig::default() },
        bus,
        hub: HubConfig { limits: HubLimits::under(limits), ..HubConfig::default() },
        listener: ListenerConfig::default(),
        drain: DRAIN,
    })
}

fn warn_of(args: &DevArgs) {
    if args.limits_profile == LimitsProfile::Test {
        tracing::warn!("LIMITS AGAINST ABUSE ARE LIFTED (--limits-profile test)");
    }
    if args.lan {
        tracing::warn!("everybody on the local network can reach this server, unencrypted (--lan)");
    }
}

fn profile(text: &str) -> Result<LimitsProfile, String> {
    match text {
        "standard" => Ok(LimitsProfile::Standard),
        "test" => Ok(LimitsProfile::Test),
        _ => Err("the profiles are standard and test".to_owned()),
    }
}
