//! The test kit: a database per test, an application on it, and the people who use it.

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
pub mod proxy;
pub mod redis;
pub mod seed;
pub mod seeder;
pub mod server;
pub mod socket;
pub mod tunnel;
pub mod until;
