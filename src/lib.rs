//! Parlour: the real-time room in which a travel company's staff, its clients and its systems meet.
//!
//! The floors, from the ground up; a module imports only from lower floors and its own (`tests/architecture.rs` checks it):
//! `domain` decides, pure; `store` and `devdb` touch the outside; `auth`, `hub` and `commands` serve;
//! `http` and `ws` translate; `app`, `cli`, `config` and `telemetry` assemble.

pub mod app;
pub mod auth;
pub mod bus;
pub mod cli;
pub mod commands;
pub mod config;
pub mod devdb;
pub mod domain;
pub mod http;
pub mod hub;
pub mod listener;
pub mod store;
pub mod telemetry;
pub mod ws;
