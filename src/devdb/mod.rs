//! The private PostgreSQL cluster: what `parlour dev` and the tests run on when nobody names a
//! database. It turns installed programs and an empty directory into a cluster that only its
//! owner can reach (one Unix socket in a 0700 directory, no TCP), and takes it down again.
//! Beside it a private Redis in the same manner, for `parlour dev --nodes 2`.
//!
//! It must never be a fallback of `parlour serve`, never read the environment (see [`Host`]) and
//! never speak SQL: roles, databases and migrations belong to its callers.
//! Look next in `cluster.rs` and `redis.rs` (the life of each), `layout.rs` (the files),
//! `programs.rs` and `account.rs` (what runs, and as whom).

mod cluster;
mod launch;
mod layout;
mod log;
mod pid_file;
mod redis;
mod server;

mod account;
mod error;
mod host;
mod process;
mod programs;

pub use cluster::{Cluster, ClusterOptions};
pub use error::DevDbError;
pub use host::Host;
pub use launch::Durability;
pub use redis::PrivateRedis;
