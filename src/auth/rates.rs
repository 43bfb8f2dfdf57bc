//! How often each key (an address, an e-mail, a link, a room) may do something: failed attempts, messages, requests.
//!
//! A failed attempt is charged before it is tried and refunded when it succeeds, so that parallel guesses cannot slip through
//! and an office behind one address is not locked out by its own good log-ins. `governor` has no refund, hence these few lines
//! of the same algorithm (GCRA). Memory is bounded; at the bound new keys pass uncounted, as refusing them would lock everybody
//! out. Each node counts for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::limits::LimitsProfile;

/// Keys held at once; each costs some 50 bytes.
const KEYS_MAX: usize = 100_000;

/// So many at once, and as many again in each such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// In which time as many come back, one by one.
    pub per: Duration,
}

impl Rate {
    /// So many in any minute.
    pub const fn per_minute(burst: u32) -> Self {
        Self { burst, per: Duration::from_secs(60) }
    }
}

/// The rate of a key is spent; come back after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too often")]
pub struct TooOften {
    /// When the next one will be fine.
    pub retry_after: Duration,
}

/// Counts per key.
#[derive(Debug)]
pub struct Rates<K> {
    /// None lifts the limit.
    rate: Option<Rate>,
    /// Until when each key's window is spent (GCRA's theoretical arrival time).
    spent_until: Mutex<HashMap<K, Instant>>,
}

impl<K: Clone + Eq + Hash> Rates<K> {
    /// Allows each key this rate, or everything where the abuse limits are lifted.
    pub fn under(profile: LimitsProfile, rate: Rate) -> Self {
        let rate = (profile == LimitsProfile::Standard).then_some(rate);
        Self { rate, spent_until: Mutex::default() }
    }

    /// Charges one more, before it is done.
    ///
    /// # Errors
    /// When the key's rate is spent.
    pub fn charge(&self, key: &K, now: Instant) -> Result<(), TooOften> {
        let Some(Rate { burst, per }) = self.rate else { return Ok(()) };
        let mut spent_until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if spent_until.len() >= KEYS_MAX && !spent_until.contains_key(key) {
            spent_until.retain(|_, until| *until > now);
            if spent_until.len() >= KEYS_MAX {
                return Ok(());
            }
        }
        let until = spent_until.entry(key.clone()).or_insert(now);
        let charged = (*until).max(now) + per / burst.max(1);
        match charged.saturating_duration_since(now + per) {
            Duration::ZERO => {
                *until = charged;
                Ok(())
            }
            retry_after => Err(TooOften { retry_after }),
        }
    }

    /// Takes back the charge of an attempt that succeeded.
    pub fn refund(&self, key: &K) {
        let Some(Rate { burst, per }) = self.rate else { return };
        let mut spent_until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = spent_until.get_mut(key) {
            *until = until.checked_sub(per / burst.max(1)).unwrap_or(*until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates<K: Clone + Eq + Hash>(rate: Rate) -> Rates<K> {
        Rates::under(LimitsProfile::Standard, rate)
    }

    #[test]
    fn what_is_allowed_passes_and_the_next_waits_its_turn() {
        for (burst, per) in [(10, 60), (30, 60), (50, 1), (100, 2)] {
            let (rates, start) = (rates(Rate { burst, per: Duration::from_secs(per) }), Instant::now());
            let one = Duration::from_secs(per) / burst;
            assert!((0..burst).all(|_| rates.charge(&"a", start).is_ok()));
            assert_eq!(rates.charge(&"a", start).unwrap_err().retry_after, one);
            assert!(rates.charge(&"b", start).is_ok(), "another key is not concerned");
            assert!(rates.charge(&"a", start + one - Duration::from_nanos(1)).is_err());
            assert!(rates.charge(&"a", start + one).is_ok());
            assert!(rates.charge(&"a", start + one).is_err());
            let later = start + one + Duration::from_secs(per);
            assert_eq!((0..burst + 9).filter(|_| rates.charge(&"a", later).is_ok()).count(), burst as usize);
        }
    }

    #[test]
    fn successes_cost_nothing() {
        let rates = rates(Rate::per_minute(5));
        let start = Instant::now();
        for _ in 0..1_000 {
            rates.charge(&1, start).unwrap();
            rates.refund(&1);
        }
    }

    #[test]
    fn the_test_profile_lifts_the_limit() {
        let rates = Rates::under(LimitsProfile::Test, Rate::per_minute(1));
        assert!((0..1_000).all(|_| rates.charge(&1, Instant::now()).is_ok()));
    }

    #[test]
    fn memory_is_bounded_and_forgets_what_has_decayed() {
        let rates = rates(Rate::per_minute(1));
        let start = Instant::now();
        for key in 0..KEYS_MAX + 10 {
            rates.charge(&key, start).unwrap();
        }
        assert_eq!(rates.spent_until.lock().unwrap().len(), KEYS_MAX);
        rates.charge(&usize::MAX, start + Duration::from_secs(120)).unwrap();
        assert_eq!(rates.spent_until.lock().unwrap().len(), 1);
    }
}
