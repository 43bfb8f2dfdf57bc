//! The test kit: a database per test, servers, nodes and what lies between them, and the people who use them.
//!
//! Used by the integration tests, the rig and the load generator. It panics where a test cannot go on, and checks nothing
//! itself: claims live in the tests. Look next in `actors.rs`.

pub mod actors;
pub mod api;
pub mod app;
pub mod bus_node;
pub mod database;
pub mod follower;
pub mod meter;
pub mod nodes;
pub mod party;
pub mod people;
pub mod ports;
pub mod proxy;
pub mod redis;
pub mod seed;
pub mod seeder;
pub mod server;
pub mod socket;
pub mod tunnel;
pub mod until;
