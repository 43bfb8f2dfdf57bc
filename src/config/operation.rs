//! How the server is run: draining, refresh tokens, limits, log format.
//!
//! Nothing here is secret and everything has a default.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::config::problem::{Problems, Setting, given};
use crate::domain::limits::LimitsProfile;

const DRAIN_SECONDS: u64 = 25;
const REFRESH_DAYS: u64 = 30;

const DRAIN: Setting = Setting {
    name: "DRAIN_SECONDS",
    what: "how long open sockets and requests may take to end at a stop, 0 to 600 seconds",
    example: "25",
};
const REFRESH_LIFE: Setting = Setting {
    name: "REFRESH_TOKEN_DAYS",
    what: "after how many days without use somebody must log in again, 1 to 365",
    example: "30",
};
/// Whether limits against abuse hold.
pub const LIMITS_PROFILE: Setting = Setting {
    name: "LIMITS_PROFILE",
    what: "standard, or test: lifts the limits against abuse, on this machine alone",
    example: "standard",
};

/// Running the server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Operation")]
pub struct OperationSettings {
    /// How long open sockets and requests may take to end at a stop [default: 25].
    #[arg(long, env = DRAIN.name, value_name = "SECONDS")]
    drain_seconds: Option<String>,
    /// After how many days without use somebody must log in again [default: 30].
    #[arg(long, env = REFRESH_LIFE.name, value_name = "DAYS")]
    refresh_token_days: Option<String>,
    /// standard, or test: lifts the limits against abuse, on this machine alone [default: standard].
    #[arg(long, env = LIMITS_PROFILE.name, value_name = "PROFILE")]
    limits_profile: Option<String>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines: one object per line.
    Json,
}

/// Log settings, for every subcommand.
#[derive(Clone, Copy, Debug, Args)]
pub struct LogSettings {
    /// How log lines (on stderr) look [default: pretty on a terminal, else json]. RUST_LOG chooses which.
    #[arg(long, global = true, env = "LOG_FORMAT", hide_env_values = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Checked settings of running the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// How long a stop may take.
    pub drain: Duration,
    /// Life of a refresh token that is not used.
    pub refresh_life: Duration,
    /// Whether limits against abuse hold.
    pub limits: LimitsProfile,
}

impl OperationSettings {
    /// Checks everything.
    pub fn check(&self, problems: &mut Problems) -> Operation {
        let between = |low: u64, high: u64| {
            move |text: &str| {
                let number = text.parse().ok().filter(|number| (low..=high).contains(number));
                number.ok_or_else(|| format!("is no number from {low} to {high}"))
            }
        };
        let drain = problems.read_or(DRAIN, self.drain_seconds.as_deref(), DRAIN_SECONDS, between(0, 600));
        let days = problems.read_or(REFRESH_LIFE, self.refresh_token_days.as_deref(), REFRESH_DAYS, between(1, 365));
        let limits = match given(self.limits_profile.as_deref()) {
            None | Some("standard") => LimitsProfile::Standard,
            Some("test") => LimitsProfile::Test,
            Some(_) => {
                problems.invalid(LIMITS_PROFILE, "is neither standard nor test");
                LimitsProfile::Standard
            }
        };
        Operation { drain: Duration::from_secs(drain), refresh_life: refresh_life(days), limits }
    }
}

impl Default for Operation {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(DRAIN_SECONDS),
            refresh_life: refresh_life(REFRESH_DAYS),
            limits: LimitsProfile::Standard,
        }
    }
}

fn refresh_life(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}
