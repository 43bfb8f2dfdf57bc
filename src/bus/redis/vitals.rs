//! How the bus is doing: up while something is heard and something can be said.
//!
//! Every change is told once, in one log line with the reason; never with an address, a channel or a message. The subscriber
//! and the publisher report here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use redis::RedisError;

use crate::bus::Health;

/// A half of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Hearing others.
    Hearing,
    /// Saying something.
    Saying,
}

/// How the bus is doing.
#[derive(Debug)]
pub struct Vitals {
    halves: Mutex<Halves>,
    gauge: metrics::Gauge,
}

#[derive(Debug, Default)]
struct Halves {
    hears: bool,
    says: bool,
    /// What the log says; nothing before the first connection succeeded or failed.
    told: Option<Health>,
}

impl Halves {
    fn health(&self) -> Health {
        if self.hears && self.says { Health::Up } else { Health::Down }
    }

    fn set(&mut self, half: Half, works: bool) {
        match half {
            Half::Hearing => self.hears = works,
            Half::Saying => self.says = works,
        }
    }
}

impl Vitals {
    /// Of a bus that starts.
    pub fn new() -> Self {
        let gauge = metrics::gauge!("parlour_bus_up");
        gauge.set(0.0);
        Self { halves: Mutex::default(), gauge }
    }

    /// A half works.
    pub fn up(&self, half: Half) {
        let mut halves = self.locked();
        halves.set(half, true);
        if halves.health() == Health::Up && halves.told != Some(Health::Up) {
            halves.told = Some(Health::Up);
            self.gauge.set(1.0);
            tracing::info!("the bus is up: this node and its peers tell each other what happens");
        }
    }

    /// A half does not work.
    pub fn down(&self, half: Half, reason: &str) {
        let mut halves = self.locked();
        halves.set(half, false);
        if halves.told != Some(Health::Down) {
            halves.told = Some(Health::Down);
            self.gauge.set(0.0);
            let half = if half == Half::Hearing { "hearing" } else { "saying" };
            tracing::warn!(half, reason, "the bus is down: what other nodes do is read from the log, a little later");
        }
    }

    /// Whether something is heard.
    pub fn hearing(&self) -> Health {
        if self.locked().hears { Health::Up } else { Health::Down }
    }

    /// Both halves together.
    pub fn health(&self) -> Health {
        self.locked().health()
    }

    /// State is whole between statements, so poison says nothing.
    fn locked(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error says to an operator. Of what Redis or a parser said only the kind: the rest may name a channel.
pub fn reason(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("{} ({code})", error.category()),
        None if error.is_io_error() => error.to_string(),
        None => error.category().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_up_only_when_both_halves_work() {
        let vitals = Vitals::new();
        vitals.up(Half::Hearing);
        assert_eq!((vitals.hearing(), vitals.health()), (Health::Up, Health::Down));
        vitals.up(Half::Saying);
        assert_eq!(vitals.health(), Health::Up);
        vitals.down(Half::Hearing, "test");
        assert_eq!((vitals.hearing(), vitals.health()), (Health::Down, Health::Down));
    }
}
