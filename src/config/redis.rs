//! Where Redis is, through which several nodes tell each other what happens. Without it a node has no peers.
//!
//! URLs may hold passwords, so they are secrets. Whether Redis is there is found out by using it: no setting here can keep a
//! node from starting because Redis is away.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::bus::BusConfig;
use crate::bus::redis::config::{RedisConfig, Topology};
use crate::config::problem::{Problems, Setting, given, list};

const REDIS_URL: Setting = Setting {
    name: "REDIS_URL",
    what: "the Redis that nodes tell each other through (or REDIS_URL_FILE); of a cluster one or more, separated by commas",
    example: "redis://:PASSWORD@redis.internal:6379",
};
const REDIS_TOPOLOGY: Setting =
    Setting { name: "REDIS_TOPOLOGY", what: "single, or cluster: a Redis Cluster of version 7", example: "single" };

/// Redis.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisSettings {
    /// The Redis that nodes tell each other through; without it this node has no peers.
    #[arg(long, env = REDIS_URL.name, hide_env_values = true, value_name = "URL")]
    redis_url: Option<SecretString>,
    /// A file that holds REDIS_URL.
    #[arg(long, env = "REDIS_URL_FILE", value_name = "FILE")]
    redis_url_file: Option<PathBuf>,
    /// single or cluster [default: single].
    #[arg(long, env = REDIS_TOPOLOGY.name, value_name = "TOPOLOGY")]
    redis_topology: Option<String>,
}

impl RedisSettings {
    /// The bus of this node.
    pub fn check(&self, problems: &mut Problems) -> BusConfig {
        let read = |text: &str| match text {
            "single" => Ok(Topology::Single),
            "cluster" => Ok(Topology::Cluster),
            _ => Err("is neither single nor cluster".to_owned()),
        };
        let topology = problems.read_or(REDIS_TOPOLOGY, self.redis_topology.as_deref(), Topology::Single, read);
        let urls = problems.secret(REDIS_URL, self.redis_url.as_ref(), self.redis_url_file.as_deref());
        let Some(urls) = urls else {
            // A topology of nothing is a REDIS_URL that got lost: without peers, nobody would notice for a while.
            if given(self.redis_topology.as_deref()).is_some() && self.redis_url_file.is_none() {
                problems.missing(REDIS_URL);
            }
            return BusConfig::Memory;
        };
        let urls = list(Some(urls.expose_secret())).map(SecretString::from).collect();
        let config = RedisConfig { urls, topology };
        if let Err(fault) = config.seeds() {
            problems.invalid(REDIS_URL, fault.to_string());
        }
        BusConfig::Redis(config)
    }
}
