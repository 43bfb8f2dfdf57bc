//! The application under test, in this process: every service real, the database a clone of the template.

use std::time::Duration;

use parlour::app::{App, AppConfig};
use parlour::bus::BusConfig;
use parlour::domain::limits::LimitsProfile;
use parlour::http::HttpConfig;
use parlour::hub::HubConfig;
use parlour::hub::limits::HubLimits;
use parlour::listener::ListenerConfig;
use parlour::store::RequireDurability;
use parlour::ws::WsConfig;
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::actors::Endpoint;
use crate::database::Database;
use crate::people::People;
use crate::seeder::auth_config;

/// A running server with its database and the people who use it.
pub struct TestApp {
    /// Makes tenants and people.
    pub people: People,
    /// The database, for arranging what no caller can.
    pub database: Database,
    /// The server.
    pub app: App,
}

impl TestApp {
    /// Starts with the abuse limits lifted.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with the abuse limits in force.
    pub async fn limited() -> Self {
        Self::start_with(limited).await
    }

    /// Starts with a changed configuration.
    pub async fn start_with(change: impl FnOnce(&mut AppConfig)) -> Self {
        Self::start_on(Database::fresh().await, change).await
    }

    /// Starts on a database that is there, with a changed configuration.
    pub async fn start_on(database: Database, change: impl FnOnce(&mut AppConfig)) -> Self {
        let mut config = config(&database);
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let app = App::start(config, listener).await.expect("the server starts");
        let people = People::new(Endpoint::at(app.address()), &database);
        Self { people, database, app }
    }

    /// Runs SQL as a superuser: what expires by the database's clock is moved by changing the row.
    pub async fn arrange(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self.database.admin().await).await.expect("the change");
    }
}

/// Puts the abuse limits in force.
pub fn limited(config: &mut AppConfig) {
    config.auth.limits = LimitsProfile::Standard;
    config.http.limits = LimitsProfile::Standard;
    config.ws.limits = LimitsProfile::Standard;
    config.hub.limits = HubLimits::default();
}

fn config(database: &Database) -> AppConfig {
    AppConfig {
        database_url: SecretString::from(database.app_url.clone()),
        database_connections_max: 8,
        auth: auth_config(LimitsProfile::Test),
        http: HttpConfig {
            public_url: "http://parlour.test".into(),
            trusted_proxies: Vec::new(),
            request_timeout: Duration::from_secs(10),
            durability: RequireDurability::No,
            limits: LimitsProfile::Test,
        },
        ws: WsConfig { limits: LimitsProfile::Test, ..WsConfig::default() },
        bus: BusConfig::Memory,
        hub: HubConfig {
            offline_grace: Duration::from_millis(200),
            limits: HubLimits::under(LimitsProfile::Test),
            ..HubConfig::default()
        },
        listener: ListenerConfig::default(),
        drain: Duration::from_secs(5),
    }
}
