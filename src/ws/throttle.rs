//! How fast and how many: the rate of one socket's commands, how many sockets may wait unauthenticated, and how many a node
//! takes on in a second.
//!
//! All but the last are abuse limits: a rig or benchmark lifts them with [`LimitsProfile::Test`]. [`Admission`] spares the
//! database a storm and is set by the operator. The limits of single messages are
//! not abuse limits and always hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parlour_protocol::limits::{COMMANDS_BURST, COMMANDS_PER_SECOND};
use tokio::time::Instant;

use crate::domain::limits::LimitsProfile;
use crate::hub::locked;

/// Sockets of one address that may wait for their `hello`.
pub const WAITING_PER_ADDRESS_MAX: usize = 64;
/// Sockets of a node that may wait for their `hello`.
pub const WAITING_MAX: usize = 2_000;
/// Control frames per second, sustained; the burst is that of commands.
pub const CONTROL_FRAMES_PER_SECOND: u32 = 10;
/// Times over the command rate within [`OVER_WINDOW`] that end a socket.
pub const OVER_MAX: usize = 3;
/// See [`OVER_MAX`].
const OVER_WINDOW: Duration = Duration::from_secs(60);

/// What a socket may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Go on.
    Fine,
    /// Not this one; later.
    Over {
        /// When the next one would be fine.
        retry_after: Duration,
    },
    /// The end: over again and again.
    FarOver,
}

/// The rates of one socket.
pub struct Throttle {
    commands: Option<DefaultDirectRateLimiter>,
    control: Option<DefaultDirectRateLimiter>,
    over: Vec<Instant>,
}

impl Throttle {
    /// A fresh socket's rates.
    pub fn new(profile: LimitsProfile) -> Self {
        let limiter = |per_second: u32| match (profile, NonZeroU32::new(per_second), NonZeroU32::new(COMMANDS_BURST)) {
            (LimitsProfile::Standard, Some(rate), Some(burst)) => {
                Some(RateLimiter::direct(Quota::per_second(rate).allow_burst(burst)))
            }
            _ => None,
        };
        Self { commands: limiter(COMMANDS_PER_SECOND), control: limiter(CONTROL_FRAMES_PER_SECOND), over: Vec::new() }
    }

    /// One more command.
    pub fn command(&mut self, now: Instant) -> Pace {
        let Some(Err(refused)) = self.commands.as_ref().map(|limiter| limiter.check()) else { return Pace::Fine };
        self.over.retain(|over| now.duration_since(*over) < OVER_WINDOW);
        self.over.push(now);
        if self.over.len() >= OVER_MAX {
            return Pace::FarOver;
        }
        Pace::Over { retry_after: refused.wait_time_from(DefaultClock::default().now()) }
    }

    /// One more ping or pong; whether that is still bearable.
    pub fn control_frame(&self) -> bool {
        self.control.as_ref().is_none_or(|limiter| limiter.check().is_ok())
    }
}

/// How many sockets a node takes on: so many at once, and in each second from then on.
pub struct Admission {
    interval: Duration,
    /// When a whole second's places are free again.
    all_free_at: Mutex<Instant>,
}

impl Admission {
    /// Nobody has come yet.
    pub fn new(per_second: NonZeroU32, now: Instant) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.get(), all_free_at: Mutex::new(now) }
    }

    /// Takes one more on; false when that would be too fast.
    pub fn take(&self, now: Instant) -> bool {
        let mut all_free_at = locked(&self.all_free_at);
        let after = (*all_free_at).max(now) + self.interval;
        let is_fine = after <= now + Duration::from_secs(1);
        if is_fine {
            *all_free_at = after;
        }
        is_fine
    }
}

/// The sockets that have not authenticated yet.
pub struct Waiting {
    profile: LimitsProfile,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one unauthenticated socket; given back when dropped.
pub struct Place {
    waiting: Arc<Waiting>,
    address: IpAddr,
}

impl Waiting {
    /// Nobody waits.
    pub fn new(profile: LimitsProfile) -> Self {
        Self { profile, counts: Mutex::default() }
    }

    /// Takes a place; none when there is none left.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut counts = locked(&self.counts);
        let own = counts.by_address.get(&address).copied().unwrap_or(0);
        let is_full = counts.total >= WAITING_MAX || own >= WAITING_PER_ADDRESS_MAX;
        if self.profile == LimitsProfile::Standard && is_full {
            return None;
        }
        counts.total += 1;
        counts.by_address.insert(address, own + 1);
        drop(counts);
        metrics::gauge!("parlour_sockets_waiting").increment(1.0);
        Some(Place { waiting: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = locked(&self.waiting.counts);
        counts.total -= 1;
        let own = counts.by_address.get(&self.address).copied().unwrap_or(0);
        if own > 1 {
            counts.by_address.insert(self.address, own - 1);
        } else {
            counts.by_address.remove(&self.address);
        }
        metrics::gauge!("parlour_sockets_waiting").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn the_burst_is_fine_the_next_is_told_when_and_the_third_time_ends_it() {
        let mut throttle = Throttle::new(LimitsProfile::Standard);
        let now = Instant::now();
        let paces: Vec<Pace> = (0..COMMANDS_BURST).map(|_| throttle.command(now)).collect();
        assert!(paces.iter().all(|pace| *pace == Pace::Fine));
        let Pace::Over { retry_after } = throttle.command(now) else { panic!("the burst was spent") };
        assert!(retry_after <= Duration::from_millis(100));
        assert!(matches!(throttle.command(now), Pace::Over { .. }));
        assert_eq!(throttle.command(now), Pace::FarOver);
        assert!(matches!(throttle.command(now + OVER_WINDOW), Pace::Over { .. }), "a minute later it counts anew");
        let mut lifted = Throttle::new(LimitsProfile::Test);
        assert!((0..1_000).all(|_| lifted.command(now) == Pace::Fine && lifted.control_frame()));
    }

    #[test]
    fn so_many_sockets_are_taken_on_in_a_second_and_not_one_more() {
        for limit in [1, 3, 2_000] {
            let now = Instant::now();
            for (tries, expected) in [(limit - 1, limit - 1), (limit, limit), (limit + 1, limit), (limit * 5, limit)] {
                let admission = Admission::new(NonZeroU32::new(limit).unwrap(), now);
                let admitted = |now| (0..tries).filter(|_| admission.take(now)).count();
                assert_eq!(admitted(now), expected as usize, "{tries} tries at {limit}");
                assert_eq!(admitted(now + Duration::from_secs(1)), expected as usize, "a second later as at first");
                assert_eq!(admitted(now + Duration::from_secs(9)), expected as usize, "a quiet time saves up nothing");
            }
        }
        let (admission, now) = (Admission::new(NonZeroU32::new(4).unwrap(), Instant::now()), Instant::now());
        assert_eq!((0..9).filter(|_| admission.take(now)).count(), 4);
        let quarter = now + Duration::from_millis(250);
        assert_eq!((admission.take(quarter), admission.take(quarter)), (true, false), "places come back one by one");
    }

    #[test]
    fn places_are_counted_per_address_and_given_back() {
        let waiting = Arc::new(Waiting::new(LimitsProfile::Standard));
        let (here, there) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from([10, 0, 0, 1]));
        let places: Vec<Place> = (0..WAITING_PER_ADDRESS_MAX).filter_map(|_| waiting.take(here)).collect();
        assert_eq!(places.len(), WAITING_PER_ADDRESS_MAX);
        assert!(waiting.take(here).is_none());
        assert!(waiting.take(there).is_some());
        drop(places);
        assert!(waiting.take(here).is_some());
        assert_eq!(locked(&waiting.counts).total, 0);
        assert!(locked(&waiting.counts).by_address.is_empty());
    }
}
