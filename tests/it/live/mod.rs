//! The live half over real TCP sockets, without a database: fan-out to fast and stalled readers, and the rules of the wire.
//!
//! The log and the desk are the test's own ([`stage`]); the listener, the upgrade, the sessions and the hub are the server's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

pub mod client;
mod fanout;
mod framing;
mod rfc6455;
pub mod stage;
mod storm;
