//! Ports for servers that are started, killed and started again.
//!
//! The system must not give such a port to somebody's outgoing connection while its server is away, so these are below the
//! range from which it gives (32768 and above on Linux).

use std::hash::{BuildHasher, RandomState};

use tokio::net::TcpListener;

const FIRST: u16 = 10_000;
const COUNT: u64 = 22_000;
const TRIES: u32 = 1_000;

/// A port that nobody listens on.
pub async fn free_port() -> u16 {
    for n in 0..TRIES {
        let drawn = RandomState::new().hash_one(n) % COUNT;
        let port = FIRST + u16::try_from(drawn).expect("less than the count");
        if TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
