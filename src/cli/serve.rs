//! `parlour serve`: the server, from explicit settings alone.
//!
//! It never makes a database, never migrates one and never falls back to the development database.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::cli::error::{CliError, Exit};
use crate::cli::signals::Signals;
use crate::config::{ServeConfig, ServeSettings};
use crate::domain::limits::LimitsProfile;
use crate::telemetry;

/// How long the operator's last answers may take to be written when everything else has ended.
const OPERATOR_PATIENCE: Duration = Duration::from_secs(1);

/// Serves until a signal; a second one during the drain ends it at once.
pub async fn run(settings: ServeSettings) -> Result<(), CliError> {
    let ServeConfig { listen, admin, is_private, app } = settings.check()?;
    let mut signals = Signals::take()?;
    if app.http.limits == LimitsProfile::Test {
        tracing::warn!("LIMITS AGAINST ABUSE ARE LIFTED (--limits-profile test): for tests on this machine only");
    }
    if !is_private && app.http.public_url.starts_with("http://") {
        tracing::warn!(
            "PUBLIC_URL is http://: passwords and links travel in the clear unless something else protects them"
        );
    }
    let metrics = telemetry::start_metrics().map_err(|error| CliError::new(Exit::Internal, error))?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(telemetry::keep_metrics(metrics.clone(), stop.clone()));
    if let Some(address) = admin {
        let listener = bind(address, "ADMIN_ADDR").await?;
        tasks.spawn(serve_operator(listener, telemetry::admin_routes(metrics), stop.clone()));
    }
    let listener = bind(listen, "LISTEN_ADDR").await?;
    let app = tokio::select! {
        app = App::start(app, listener) => app?,
        () = signals.next() => return Ok(()),
    };
    tracing::info!(address = %app.address(), "serving on {}", app.address());
    signals.next().await;
    tracing::info!("stopping: no new connections, open ones are told to come back later");
    tokio::select! {
        () = app.shutdown() => {}
        () = signals.next() => tracing::warn!("asked twice: ending without waiting for the rest"),
    }
    stop.cancel();
    tasks.close();
    // Who began to ask and never ends is cut: nothing is lost with it.
    let _ = timeout(OPERATOR_PATIENCE, tasks.wait()).await;
    Ok(())
}

async fn bind(address: std::net::SocketAddr, name: &str) -> Result<TcpListener, CliError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| CliError::new(Exit::Unavailable, format!("cannot listen on {address} ({name}): {error}")))
}

async fn serve_operator(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let served = axum::serve(listener, routes).with_graceful_shutdown(async move { stop.cancelled().await });
    if let Err(error) = served.await {
        tracing::error!(%error, "the operator's address is not served any more");
    }
}
