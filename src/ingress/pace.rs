//! How many connections are accepted in a second?
//!
//! Each costs a task and, with TLS, a handshake, however few are open at once. There is
//! one window and nothing is given back, so governor decides: a second's worth at once
//! after a pause, and as many a second from there on.

use std::num::NonZeroU32;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::sys;

/// Our own clock, for governor.
#[derive(Debug, Clone, Default)]
pub(super) struct Steady;

impl Clock for Steady {
    type Instant = Instant;

    fn now(&self) -> Instant {
        sys::instant()
    }
}

/// Lets so many in each second.
#[derive(Debug)]
pub(super) struct Pace<C: Clock = Steady> {
    clock: C,
    /// Made for the number that was asked with last.
    limiter: ArcSwapOption<Limiter<C>>,
}

#[derive(Debug)]
struct Limiter<C: Clock> {
    per_second: NonZeroU32,
    decides: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
}

impl<C: Clock + Clone> Pace<C> {
    /// Nobody has come yet.
    pub(super) fn new(clock: C) -> Self {
        Self {
            clock,
            limiter: ArcSwapOption::empty(),
        }
    }

    /// Whether one more may come in, where so many may each second.
    pub(super) fn admits(&self, per_second: NonZeroU32) -> bool {
        let limiter = self.limiter.load();
        if let Some(limiter) = limiter
            .as_ref()
            .filter(|known| known.per_second == per_second)
        {
            return limiter.decides.check().is_ok();
        }
        let quota = Quota::per_second(per_second);
        let limiter = Limiter {
            per_second,
            decides: RateLimiter::direct_with_clock(quota, self.clock.clone()),
        };
        let admits = limiter.decides.check().is_ok();
        self.limiter.store(Some(limiter.into()));
        admits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn so_many_come_in_each_second() {
        let clock = FakeRelativeClock::default();
        let pace = Pace::new(clock.clone());
        let admitted = |per_second| {
            let per_second = NonZeroU32::new(per_second).unwrap();
            (0..1_000).filter(|_| pace.admits(per_second)).count()
        };
        assert_eq!(admitted(10), 10);
        assert_eq!(admitted(10), 0);
        clock.advance(Duration::from_millis(500));
        assert_eq!(admitted(10), 5);
        clock.advance(Duration::from_hours(1));
        assert_eq!(admitted(10), 10);
        // Another number is heard at once.
        assert_eq!(admitted(20), 20);
        assert_eq!(admitted(20), 0);
    }
}
