//! The rig: runs PostgreSQL, Redis, three nodes and many clients, breaks them by a seeded plan, writes down what happened, and
//! checks that every promise held.

mod checkers;
mod history;
mod plan;
mod report;

fn main() {}
