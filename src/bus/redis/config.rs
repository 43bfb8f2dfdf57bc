//! Which Redis, and how it is to be used.
//!
//! URLs hold passwords, so they stay secrets; what is said about a wrong one never repeats it. Whether the Redis is there is
//! found out by using it ([`crate::bus::redis::shards`]).

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use secrecy::{ExposeSecret, SecretString};

/// How Redis is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    #[default]
    Single,
    /// A Redis Cluster, used through sharded pub/sub (Redis 7).
    Cluster,
}

/// Which Redis.
#[derive(Clone, Debug)]
pub struct RedisConfig {
    /// `redis://[user:password@]host[:port]`, `rediss://` for TLS, or `redis+unix:///path`. Several are seeds of a cluster:
    /// any one of them tells of all others.
    pub urls: Vec<SecretString>,
    /// How it is set up.
    pub topology: Topology,
}

/// Why a Redis cannot be used at all, whether it is there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisConfigError {
    /// Not a URL that we know.
    #[error("is no redis://, rediss:// or redis+unix:// URL")]
    Url,
    /// A single server has one address.
    #[error("must be exactly one URL, unless REDIS_TOPOLOGY is cluster")]
    NotOne,
    /// Nowhere to begin.
    #[error("holds no URL")]
    None,
    /// The other nodes of a cluster are reached by host and port.
    #[error("must be redis:// or rediss:// URLs, without a database number, when REDIS_TOPOLOGY is cluster")]
    NoCluster,
}

impl RedisConfig {
    /// The addresses to begin with.
    ///
    /// # Errors
    /// When a URL cannot be read or does not fit the topology.
    pub fn seeds(&self) -> Result<Vec<ConnectionInfo>, RedisConfigError> {
        let seeds: Vec<ConnectionInfo> =
            self.urls.iter().map(|url| seed(url.expose_secret())).collect::<Result<_, _>>()?;
        match (self.topology, seeds.len()) {
            (_, 0) => Err(RedisConfigError::None),
            (Topology::Single, 2..) => Err(RedisConfigError::NotOne),
            (Topology::Cluster, _) if !seeds.iter().all(may_be_cluster) => Err(RedisConfigError::NoCluster),
            _ => Ok(seeds),
        }
    }
}

/// Reads one URL; RESP3, because what is heard comes as pushes.
fn seed(url: &str) -> Result<ConnectionInfo, RedisConfigError> {
    let info = url.into_connection_info().map_err(|_| RedisConfigError::Url)?;
    let settings: RedisConnectionInfo =
        info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    Ok(info.set_redis_settings(settings))
}

fn may_be_cluster(seed: &ConnectionInfo) -> bool {
    !matches!(seed.addr(), ConnectionAddr::Unix(_)) && seed.redis_settings().db() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(topology: Topology, urls: &[&str]) -> Result<usize, RedisConfigError> {
        let urls = urls.iter().map(|url| SecretString::from(*url)).collect();
        RedisConfig { urls, topology }.seeds().map(|seeds| seeds.len())
    }

    #[test]
    fn what_can_be_an_address_is_one_and_the_rest_is_told() {
        use Topology::{Cluster, Single};
        for url in ["redis://cache", "rediss://user:pass@cache:6380", "redis+unix:///run/redis.sock", "redis://cache/2"]
        {
            assert_eq!(seeds(Single, &[url]), Ok(1), "{url}");
        }
        assert_eq!(seeds(Cluster, &["redis://one:1", "redis://two:2"]), Ok(2));
        assert_eq!(seeds(Single, &["http://cache"]), Err(RedisConfigError::Url));
        assert_eq!(seeds(Single, &["cache:6379 "]), Err(RedisConfigError::Url));
        assert_eq!(seeds(Single, &["redis://one", "redis://two"]), Err(RedisConfigError::NotOne));
        assert_eq!(seeds(Single, &[]), Err(RedisConfigError::None));
        assert_eq!(seeds(Cluster, &["redis+unix:///run/redis.sock"]), Err(RedisConfigError::NoCluster));
        assert_eq!(seeds(Cluster, &["redis://one/2"]), Err(RedisConfigError::NoCluster));
    }

    #[test]
    fn no_password_is_shown() {
        let config = RedisConfig { urls: vec!["redis://:sesame@cache".into()], topology: Topology::Single };
        assert!(!format!("{config:?}").contains("sesame"));
    }
}
