//! Settings: what an operator can tell Parlour, by flag or by environment variable, one struct per concern.
//!
//! Everything is taken as text and checked in one go, so that all that is missing or wrong is told at once
//! ([`problem::Problems`]). Nothing here has a default that could be unsafe, and secrets stay wrapped, out of `Debug` and logs.
//! The checks of each concern are in the files below; [`ServeSettings::check`] puts them together.

pub mod database;
pub mod edge;
pub mod operation;
pub mod problem;
pub mod redis;
pub mod secrets;

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::app::AppConfig;
use crate::auth::AuthConfig;
use crate::auth::passwords::Work;
use crate::config::database::DatabaseSettings;
use crate::config::edge::EdgeSettings;
use crate::config::operation::{LIMITS_PROFILE, OperationSettings};
use crate::config::problem::Problems;
use crate::config::redis::RedisSettings;
use crate::config::secrets::{PepperSettings, TokenSettings};
use crate::domain::limits::LimitsProfile;
use crate::http::HttpConfig;
use crate::hub::HubConfig;
use crate::listener::ListenerConfig;
use crate::store::RequireDurability;
use crate::ws::WsConfig;

/// How long one HTTP request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything `parlour serve` can be told.
#[derive(Clone, Debug, Args)]
pub struct ServeSettings {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// Redis.
    #[command(flatten)]
    pub redis: RedisSettings,
    /// Addresses and origins.
    #[command(flatten)]
    pub edge: EdgeSettings,
    /// Keys of tokens.
    #[command(flatten)]
    pub tokens: TokenSettings,
    /// Peppers of stored secrets.
    #[command(flatten)]
    pub peppers: PepperSettings,
    /// Running it.
    #[command(flatten)]
    pub operation: OperationSettings,
}

/// Checked settings of `parlour serve`.
#[derive(Debug)]
pub struct ServeConfig {
    /// Where to listen for everybody.
    pub listen: SocketAddr,
    /// Where to listen for the operator; none when switched off.
    pub admin: Option<SocketAddr>,
    /// Whether only this machine can reach it.
    pub is_private: bool,
    /// What the application needs.
    pub app: AppConfig,
}

impl ServeSettings {
    /// Checks everything.
    ///
    /// # Errors
    /// Every problem there is, not just the first.
    pub fn check(self) -> Result<ServeConfig, Problems> {
        let mut problems = Problems::default();
        let database_url = self.database.check(&mut problems);
        let connections_max = self.database.check_connections(&mut problems);
        let bus = self.redis.check(&mut problems);
        let edge = self.edge.check(&mut problems);
        let tokens = self.tokens.check(edge.public_url.as_deref(), &mut problems);
        let peppers = self.peppers.check(&mut problems);
        let operation = self.operation.check(&mut problems);
        let is_private = edge.is_private();
        if operation.limits == LimitsProfile::Test && !is_private {
            let reason = "is test, which is refused: LISTEN_ADDR or PUBLIC_URL can be reached from other machines";
            problems.invalid(LIMITS_PROFILE, reason);
        }
        let complete = (database_url, edge.public_url, edge.listen, tokens, peppers);
        let (Some(database_url), Some(public_url), Some(listen), Some(tokens), Some(peppers)) = complete else {
            return Err(problems);
        };
        problems.none_or()?;
        let auth = AuthConfig {
            tokens,
            peppers,
            refresh_life: operation.refresh_life,
            password_work: Work::Production,
            limits: operation.limits,
        };
        let limits = operation.limits;
        let app = AppConfig {
            database_url,
            database_connections_max: connections_max,
            auth,
            http: HttpConfig {
                public_url,
                trusted_proxies: edge.trusted_proxies,
                request_timeout: REQUEST_TIMEOUT,
                durability: RequireDurability::Yes,
                limits,
            },
            ws: WsConfig {
                allowed_origins: edge.allowed_origins,
                limits,
                upgrades_per_second: operation.upgrades_per_second,
                ..WsConfig::default()
            },
            bus,
            hub: HubConfig { limits: operation.hub_limits(), ..HubConfig::default() },
            listener: ListenerConfig::default(),
            drain: operation.drain,
        };
        Ok(ServeConfig { listen, admin: edge.admin, is_private, app })
    }
}

#[cfg(test)]
mod tests;
