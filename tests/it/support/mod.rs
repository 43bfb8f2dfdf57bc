//! The test kit: a database per test, an application on it, and the people who use it.

pub mod database;
pub mod proxy;
pub mod seed;
pub mod until;
