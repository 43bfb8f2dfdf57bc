//! When to stop trying, and when to try again. Pure; the clock is whoever asks.

use std::time::Duration;

/// Failures in a row after which nothing is sent until a try succeeds.
const FAILURES_MAX: u32 = 3;

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
}

impl Breaker {
    /// It worked: the count begins anew.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// It failed; whether that was once too often. The count then begins anew, for when it is closed again.
    pub fn failed(&mut self) -> bool {
        self.failures += 1;
        let opens = self.failures >= FAILURES_MAX;
        if opens {
            self.failures = 0;
        }
        opens
    }
}

/// Waits between tries, doubling up to a longest one, each shortened by up to half so that nodes do not knock together.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Between `first` and `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// How long to wait now.
    pub fn wait(&mut self) -> Duration {
        // Without randomness they knock together, no more.
        self.wait_with(getrandom::u32().unwrap_or(u32::MAX))
    }

    /// Short waits again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }

    fn wait_with(&mut self, random: u32) -> Duration {
        let whole = self.next;
        self.next = self.longest.min(whole * 2);
        whole.mul_f64(0.5 + 0.5 * f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_are_too_many() {
        let mut breaker = Breaker::default();
        assert_eq!([breaker.failed(), breaker.failed()], [false, false]);
        breaker.succeeded();
        assert_eq!([breaker.failed(), breaker.failed(), breaker.failed()], [false, false, true]);
        assert!(!breaker.failed());
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_shortened_by_half_at_most() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(50), ms(150));
        assert_eq!([(); 4].map(|()| backoff.wait_with(u32::MAX)), [ms(50), ms(100), ms(150), ms(150)]);
        assert_eq!(backoff.wait_with(0), ms(75));
        backoff.reset();
        assert_eq!(backoff.wait_with(0), ms(25));
        let wait = backoff.wait();
        assert!(ms(50) <= wait && wait <= ms(100), "{wait:?}");
    }
}
