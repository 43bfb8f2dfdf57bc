//! How the server is run: draining, storms, refresh tokens, limits, log format.
//!
//! Nothing here is secret and everything has a default.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::{Args, ValueEnum};
use parlour_protocol::limits::ROOM_MEMBERS_MAX;

use crate::config::problem::{Problems, Setting, given};
use crate::domain::limits::LimitsProfile;
use crate::hub::limits::HubLimits;
use crate::ws::UPGRADES_PER_SECOND;

const DRAIN_SECONDS: u64 = 25;
const REFRESH_DAYS: u64 = 30;
const UPGRADES_MAX: u32 = 1_000_000;

const DRAIN: Setting = Setting {
    name: "DRAIN_SECONDS",
    what: "how long open sockets and requests may take to end at a stop, 0 to 600 seconds",
    example: "25",
};
const UPGRADES: Setting = Setting {
    name: "UPGRADES_PER_SECOND",
    what: "how many sockets this node takes on in a second, 1 to 1000000; who comes beyond it is asked to come back",
    example: "2000",
};
const MEMBERS: Setting = Setting {
    name: "ROOM_MEMBERS_MAX",
    what: "how many sockets may listen to one conversation at this node, 1 to 10000",
    example: "200",
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
    /// How many sockets this node takes on in a second; others are asked to come back [default: 2000].
    #[arg(long, env = UPGRADES.name, value_name = "NUMBER")]
    upgrades_per_second: Option<String>,
    /// How many sockets may listen to one conversation at this node [default: 200].
    #[arg(long, env = MEMBERS.name, value_name = "NUMBER")]
    room_members_max: Option<String>,
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
    /// Sockets taken on in a second.
    pub upgrades_per_second: NonZeroU32,
    /// Sockets that may listen to one conversation.
    pub room_members: usize,
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
        let upgrades = self.upgrades_per_second.as_deref();
        let upgrades = problems.read_or(UPGRADES, upgrades, UPGRADES_PER_SECOND, |text| {
            let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() <= UPGRADES_MAX);
            number.ok_or_else(|| format!("is no number from 1 to {UPGRADES_MAX}"))
        });
        let days = problems.read_or(REFRESH_LIFE, self.refresh_token_days.as_deref(), REFRESH_DAYS, between(1, 365));
        let limits = match given(self.limits_profile.as_deref()) {
            None | Some("standard") => LimitsProfile::Standard,
            Some("test") => LimitsProfile::Test,
            Some(_) => {
                problems.invalid(LIMITS_PROFILE, "is neither standard nor test");
                LimitsProfile::Standard
            }
        };
        let members = HubLimits::under(limits).members;
        let members = problems.read_or(MEMBERS, self.room_members_max.as_deref(), members, |text| {
            let number = text.parse().ok().filter(|number| (1..=ROOM_MEMBERS_MAX).contains(number));
            number.ok_or_else(|| format!("is no number from 1 to {ROOM_MEMBERS_MAX}"))
        });
        Operation {
            drain: Duration::from_secs(drain),
            upgrades_per_second: upgrades,
            room_members: members,
            refresh_life: refresh_life(days),
            limits,
        }
    }
}

impl Operation {
    /// How many of what the node's live half holds.
    pub fn hub_limits(&self) -> HubLimits {
        HubLimits { members: self.room_members, ..HubLimits::under(self.limits) }
    }
}

impl Default for Operation {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(DRAIN_SECONDS),
            upgrades_per_second: UPGRADES_PER_SECOND,
            room_members: HubLimits::default().members,
            refresh_life: refresh_life(REFRESH_DAYS),
            limits: LimitsProfile::Standard,
        }
    }
}

fn refresh_life(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}
