//! The integration tests: real PostgreSQL, real sockets, one binary. One file per feature; `tests/kit` is the kit.
//!
//! Tests are named as claims and written as scripts of actors. Nothing here sleeps to wait for something: it polls with a
//! deadline, or is told.

mod admission;
mod append;
mod append_attacks;
mod attention;
mod bus;
mod bus_faults;
mod bus_speed;
mod catalogue;
mod command_line;
mod committers;
mod conformance;
mod database_faults;
mod dev;
mod devdb;
mod edge;
mod edge_attacks;
mod install;
mod leases;
mod links;
mod live;
mod live_attacks;
mod matrix;
mod nodes;
mod private_redis;
mod process;
mod python_example;
mod revisions;
mod room;
mod shares;
mod stopping;
mod storms;
mod tickets;
mod traffic;
mod versions;
mod walls;
