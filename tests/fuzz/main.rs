//! Hostile input: everything that reads bytes of strangers, fed with damaged examples of what it reads.
//!
//! One target per reader, each a test: a second under `cargo test`, longer under `bin/fuzz`. A target states what must hold for
//! any bytes at all, so it never compares with an expected answer; that is what the vectors are for. Inputs that once broke
//! something are in `seeds/<target>/` and always run first. How inputs are made is in `mutate.rs`, how a run goes in `run.rs`.

#![expect(clippy::unwrap_used, reason = "a target that cannot go on has found something")]

mod bus;
mod commands;
mod configuration;
mod credentials;
mod mutate;
mod oracle;
mod redis_answers;
mod requests;
mod run;
mod sockets;
mod vectors;
