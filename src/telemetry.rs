//! Logs and metrics: where they go, and nothing about what they say.
//!
//! Log lines go to stderr, because stdout belongs to a command's result: pretty for a terminal, JSON otherwise, chosen by
//! RUST_LOG. Metrics are rendered on the operator's address only ([`admin_routes`]), never on the public one.

pub mod limits;
mod process;

use std::backtrace::Backtrace;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::commands::Commands;
use crate::config::operation::LogFormat;
use crate::hub::Hub;

/// What is logged unless RUST_LOG says otherwise: our own words, and only the troubles of libraries.
const FILTER_SERVE: &str = "info,sqlx=warn,hyper=warn,tower_http=warn,memory_serve=warn";
/// The same without a line for every request: on a terminal they would push away what was printed for the reader.
const FILTER_DEV: &str = "info,sqlx=warn,hyper=warn,tower_http=warn,memory_serve=warn,parlour::http::around=warn";
/// How often the gauges of what a node holds are set.
const GAUGES_EVERY: Duration = Duration::from_secs(5);
/// How often histograms are folded; between scrapes they would grow without bound.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Buckets of everything measured in seconds, from half a millisecond to ten seconds.
const SECONDS_BUCKETS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Logs and metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// RUST_LOG cannot be read.
    #[error("RUST_LOG is no filter: {0}")]
    Filter(String),
    /// Something else in this process got there first.
    #[error("logs or metrics are set up already: {0}")]
    Taken(String),
}

/// Starts logging, for the rest of the process; panics are logged too. `is_dev` spares the lines about requests.
///
/// # Errors
/// When RUST_LOG cannot be read, or logging was started before.
pub fn start_logs(format: Option<LogFormat>, is_dev: bool) -> Result<(), TelemetryError> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(text) if !text.trim().is_empty() => {
            EnvFilter::try_new(text).map_err(|error| TelemetryError::Filter(error.to_string()))?
        }
        _ => EnvFilter::new(if is_dev { FILTER_DEV } else { FILTER_SERVE }),
    };
    let is_terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if is_terminal { LogFormat::Pretty } else { LogFormat::Json });
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Pretty => subscriber.with_ansi(is_terminal).with_target(false).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| TelemetryError::Taken(error.to_string()))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Starts collecting metrics, for the rest of the process.
///
/// # Errors
/// When something collects them already.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| TelemetryError::Taken(error.to_string()))?;
    metrics::describe_gauge!("parlour_build_info", "Always 1; the label tells which version runs.");
    metrics::gauge!("parlour_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::describe_gauge!("parlour_sessions", "Authenticated sockets.");
    metrics::describe_gauge!("parlour_rooms", "Rooms in memory.");
    metrics::describe_gauge!("parlour_attachments", "Sessions attached to rooms.");
    metrics::describe_counter!("parlour_entries_committed_total", "Entries committed and handed to the hub.");
    metrics::describe_counter!("parlour_appends_total", "Calls of the append function, by outcome.");
    metrics::describe_histogram!("parlour_append_seconds", "Time of one call of the append function, commit included.");
    metrics::describe_gauge!("parlour_log_failing", "1 while writes are given up because the database takes none.");
    metrics::describe_histogram!(
        "parlour_pool_wait_seconds",
        "Time until a transaction had a connection of the pool and had begun."
    );
    metrics::describe_gauge!(
        "parlour_clock_skew_seconds",
        "By how much this machine's clock is ahead of the database's."
    );
    metrics::describe_counter!("parlour_upgrades_put_off_total", "Sockets not taken on because too many came at once.");
    metrics::describe_gauge!("parlour_sockets_waiting", "Sockets that have not said hello yet.");
    metrics::describe_gauge!("parlour_unsent_bytes", "Bytes that wait for sockets to take them.");
    metrics::describe_gauge!("parlour_unsent_sockets", "Sockets for which something waits.");
    metrics::describe_gauge!("parlour_writes_waiting", "Writes that wait for the database.");
    limits::describe();
    process::describe();
    describe_bus();
    metrics::describe_gauge!(
        "parlour_entries_withheld",
        "1 while entries are withheld from everybody because rights cannot be confirmed."
    );
    Ok(handle)
}

fn describe_bus() {
    metrics::describe_counter!("parlour_gap_filled_total", "Entries read from the log because later ones came first.");
    metrics::describe_counter!(
        "parlour_tail_filled_total",
        "Entries read from the log because somebody said, or the log itself, that there are more."
    );
    metrics::describe_gauge!("parlour_peers", "Other nodes that can be heard.");
    metrics::describe_gauge!(
        "parlour_bus_in_doubt",
        "1 while beacons are late and the heads of all rooms are compared with the log every two seconds."
    );
    metrics::describe_gauge!("parlour_bus_up", "1 while other nodes are heard and told; 0 while Redis is away.");
    metrics::describe_counter!("parlour_bus_published_total", "Messages told to other nodes.");
    metrics::describe_counter!("parlour_bus_heard_total", "Messages heard from other nodes, and own beacons.");
    metrics::describe_counter!(
        "parlour_bus_dropped_total",
        "Messages not told (down, queue_full, unsent) or not listened to (full, malformed, mismatch, unknown), by reason."
    );
    metrics::describe_histogram!("parlour_bus_publish_seconds", "Time until Redis took a batch of messages.");
    metrics::describe_counter!("parlour_bus_reconnects_total", "Times hearing began anew.");
    metrics::describe_counter!(
        "parlour_bus_breaker_opened_total",
        "Times telling was given up until Redis answers again."
    );
}

/// Keeps metrics small until `stop`.
pub async fn keep_metrics(handle: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

/// Tells how much a node holds, until `stop`.
pub async fn keep_gauges(hub: Arc<Hub>, commands: Arc<Commands>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(GAUGES_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let (counts, unsent) = (hub.counts(), hub.unsent());
        for (name, count) in [
            ("parlour_sessions", counts.sessions),
            ("parlour_rooms", counts.rooms),
            ("parlour_attachments", counts.members),
            ("parlour_peers", counts.peers),
            ("parlour_unsent_bytes", unsent.bytes),
            ("parlour_unsent_sockets", unsent.sockets),
            ("parlour_writes_waiting", commands.writes_waiting()),
        ] {
            metrics::gauge!(name).set(count as f64);
        }
        process::set_gauges();
    }
}

/// The operator's own address: `/metrics`, and `/livez` that asks for nothing but this process.
pub fn admin_routes(handle: PrometheusHandle) -> Router {
    let render = move || {
        let text = handle.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    Router::new().route("/metrics", get(render)).route("/livez", get(async || StatusCode::NO_CONTENT))
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    tracing::error!(panic.location = location, panic.backtrace = %backtrace, "panicked: {message}");
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn the_operator_sees_the_version_and_a_living_process() {
        let routes = admin_routes(start_metrics().unwrap());
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = routes.clone().oneshot(request).await.unwrap();
            let status = response.status();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let (status, text) = ask("/metrics").await;
        assert_eq!(status, StatusCode::OK);
        let expected = format!("parlour_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&expected), "{text}");
        assert_eq!(ask("/livez").await.0, StatusCode::NO_CONTENT);
    }
}
