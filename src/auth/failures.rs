//! Slows guessing down: counts failed attempts per key (an address, an e-mail) and refuses more once a minute's worth is spent.
//!
//! An attempt is charged before it is tried and refunded when it succeeds, so that parallel guesses cannot slip through and an
//! office behind one address is not locked out by its own good log-ins. `governor` has no refund, hence these few lines of the
//! same algorithm (GCRA). Memory is bounded; at the bound new keys pass uncounted, as refusing them would lock everybody out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::limits::LimitsProfile;

/// Keys held at once; each costs some 50 bytes.
const KEYS_MAX: usize = 100_000;
const WINDOW: Duration = Duration::from_secs(60);

/// Too many attempts failed; come back after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed attempts")]
pub struct TooManyFailures {
    /// When the next attempt will be heard.
    pub retry_after: Duration,
}

/// Counts failures per key.
#[derive(Debug)]
pub struct Failures<K> {
    /// What one failure costs of the window; none lifts the limit.
    cost: Option<Duration>,
    /// Until when each key's window is spent (GCRA's theoretical arrival time).
    spent_until: Mutex<HashMap<K, Instant>>,
}

impl<K: Clone + Eq + Hash> Failures<K> {
    /// Allows `per_minute` failures in any minute, or everything where the abuse limits are lifted.
    pub fn under(profile: LimitsProfile, per_minute: u32) -> Self {
        match profile {
            LimitsProfile::Standard => Self::per_minute(per_minute),
            LimitsProfile::Test => Self::unlimited(),
        }
    }

    /// Allows `per_minute` failures in any minute.
    pub fn per_minute(per_minute: u32) -> Self {
        Self { cost: Some(WINDOW / per_minute.max(1)), spent_until: Mutex::default() }
    }

    /// Allows everything: for rigs and benchmarks.
    pub fn unlimited() -> Self {
        Self { cost: None, spent_until: Mutex::default() }
    }

    /// Charges an attempt that is about to be tried.
    ///
    /// # Errors
    /// When the key's failures are spent.
    pub fn charge(&self, key: &K, now: Instant) -> Result<(), TooManyFailures> {
        let Some(cost) = self.cost else { return Ok(()) };
        let mut spent_until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if spent_until.len() >= KEYS_MAX && !spent_until.contains_key(key) {
            spent_until.retain(|_, until| *until > now);
            if spent_until.len() >= KEYS_MAX {
                return Ok(());
            }
        }
        let until = spent_until.entry(key.clone()).or_insert(now);
        let charged = (*until).max(now) + cost;
        match charged.saturating_duration_since(now + WINDOW) {
            Duration::ZERO => {
                *until = charged;
                Ok(())
            }
            retry_after => Err(TooManyFailures { retry_after }),
        }
    }

    /// Takes back the charge of an attempt that succeeded.
    pub fn refund(&self, key: &K) {
        let Some(cost) = self.cost else { return };
        let mut spent_until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = spent_until.get_mut(key) {
            *until = until.checked_sub(cost).unwrap_or(*until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_pass_and_the_eleventh_waits_its_turn() {
        let failures = Failures::per_minute(10);
        let start = Instant::now();
        assert!((0..10).all(|_| failures.charge(&"a", start).is_ok()));
        let refused = failures.charge(&"a", start).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(6));
        assert!(failures.charge(&"b", start).is_ok(), "another key is not concerned");
        assert!(failures.charge(&"a", start + Duration::from_secs(6)).is_ok());
        assert!(failures.charge(&"a", start + Duration::from_secs(6)).is_err());
    }

    #[test]
    fn successes_cost_nothing() {
        let failures = Failures::per_minute(5);
        let start = Instant::now();
        for _ in 0..1_000 {
            failures.charge(&1, start).unwrap();
            failures.refund(&1);
        }
    }

    #[test]
    fn the_test_profile_lifts_the_limit() {
        let failures = Failures::unlimited();
        assert!((0..1_000).all(|_| failures.charge(&1, Instant::now()).is_ok()));
    }

    #[test]
    fn memory_is_bounded_and_forgets_what_has_decayed() {
        let failures = Failures::per_minute(1);
        let start = Instant::now();
        for key in 0..KEYS_MAX + 10 {
            failures.charge(&key, start).unwrap();
        }
        assert_eq!(failures.spent_until.lock().unwrap().len(), KEYS_MAX);
        failures.charge(&usize::MAX, start + WINDOW * 2).unwrap();
        assert_eq!(failures.spent_until.lock().unwrap().len(), 1);
    }
}
