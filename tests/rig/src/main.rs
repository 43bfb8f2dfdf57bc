//! The rig: runs PostgreSQL, Redis, three nodes and many clients, breaks them by a seeded plan, writes down what happened, and
//! checks that every promise held.

mod history;
mod mutants;
mod plan;

fn main() {}
