//! Where the database is, as the roles that Parlour connects as: `parlour_app` serves, `parlour_migrator` migrates.
//!
//! URLs hold passwords, so they are secrets. Whether the database is there is found out by using it.

use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::config::problem::{Problems, Setting};

/// Enough for one node; PostgreSQL allows 100 in all unless told otherwise.
const CONNECTIONS_DEFAULT: u32 = 16;

const DATABASE_URL: Setting = Setting {
    name: "DATABASE_URL",
    what: "the PostgreSQL database, as the role parlour_app (or DATABASE_URL_FILE, a file that holds it)",
    example: "postgres://parlour_app:PASSWORD@db.internal/parlour",
};
const MIGRATE_DATABASE_URL: Setting = Setting {
    name: "MIGRATE_DATABASE_URL",
    what: "the PostgreSQL database, as the role parlour_migrator (or MIGRATE_DATABASE_URL_FILE)",
    example: "postgres://parlour_migrator:PASSWORD@db.internal/parlour",
};
const CONNECTIONS_MAX: Setting =
    Setting { name: "DATABASE_CONNECTIONS_MAX", what: "how many connections to hold at most, 2 to 500", example: "16" };

/// The database as the server uses it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseSettings {
    /// The database, as the role parlour_app.
    #[arg(long, env = DATABASE_URL.name, hide_env_values = true, value_name = "URL")]
    database_url: Option<SecretString>,
    /// A file that holds DATABASE_URL.
    #[arg(long, env = "DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// Connections to hold at most [default: 16].
    #[arg(long, env = CONNECTIONS_MAX.name, value_name = "N")]
    database_connections_max: Option<String>,
}

/// The database as migrations use it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct MigrateSettings {
    /// The database, as the role parlour_migrator.
    #[arg(long, env = MIGRATE_DATABASE_URL.name, hide_env_values = true, value_name = "URL")]
    migrate_database_url: Option<SecretString>,
    /// A file that holds MIGRATE_DATABASE_URL.
    #[arg(long, env = "MIGRATE_DATABASE_URL_FILE", value_name = "FILE")]
    migrate_database_url_file: Option<PathBuf>,
}

impl DatabaseSettings {
    /// The URL, if it can be one.
    pub fn check(&self, problems: &mut Problems) -> Option<SecretString> {
        url(DATABASE_URL, self.database_url.as_ref(), self.database_url_file.as_deref(), problems)
    }

    /// How many connections to hold.
    pub fn check_connections(&self, problems: &mut Problems) -> u32 {
        let read = |text: &str| {
            let number = text.parse().ok().filter(|number| (2..=500).contains(number));
            number.ok_or_else(|| "is no number from 2 to 500".to_owned())
        };
        problems.read_or(CONNECTIONS_MAX, self.database_connections_max.as_deref(), CONNECTIONS_DEFAULT, read)
    }
}

impl MigrateSettings {
    /// Checks everything.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn check(&self) -> Result<SecretString, Problems> {
        let mut problems = Problems::default();
        let (given, file) = (self.migrate_database_url.as_ref(), self.migrate_database_url_file.as_deref());
        url(MIGRATE_DATABASE_URL, given, file, &mut problems).ok_or(problems)
    }
}

fn url(
    setting: Setting,
    value: Option<&SecretString>,
    file: Option<&Path>,
    problems: &mut Problems,
) -> Option<SecretString> {
    let url = problems.required_secret(setting, value, file)?;
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose_secret().starts_with(scheme));
    if !is_postgres {
        problems.invalid(setting, "does not begin with postgres://");
    }
    is_postgres.then_some(url)
}
