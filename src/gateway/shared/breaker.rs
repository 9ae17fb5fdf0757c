//! Is a connection still any good?
//!
//! One late answer says little, so many in a row say that the next one will be late, too.
//! Whether it has become better is not tried with requests: the heartbeat makes another
//! connection after a rest, and asks on it before anybody else does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts the failures in a row of one connection.
#[derive(Debug, Default)]
pub(super) struct Breaker(AtomicU32);

impl Breaker {
    /// An answer came.
    pub(super) fn succeeded(&self) {
        // Almost always it is zero, and reading it costs the other cores nothing.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// None came; true where that makes so many in a row.
    pub(super) fn failed(&self, failures_max: u32) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) + 1 >= failures_max
    }

    /// Whether the last so many answers did not come.
    pub(super) fn is_open(&self, failures_max: u32) -> bool {
        self.0.load(Ordering::Relaxed) >= failures_max
    }
}

/// How long until the next try, growing from one to the next.
#[derive(Debug, Default)]
pub(super) struct Rests(u32);

/// Whoever is back is found within five seconds: a rest, a connection, a question.
const REST_MAX: Duration = Duration::from_secs(3);

impl Rests {
    /// Once more in vain: about `rest`, then twice that, and so on up to three seconds, or
    /// to `rest` where that is longer. By chance up to a quarter less, so that replicas
    /// that have lost Redis together do not come back together.
    pub(super) fn next(&mut self, rest: Duration, chance: u64) -> Duration {
        let long = rest
            .saturating_mul(1 << self.0.min(8))
            .min(REST_MAX.max(rest));
        self.0 = self.0.saturating_add(1);
        let quarter = long / 4;
        let nanos = u64::try_from(quarter.as_nanos()).unwrap_or(u64::MAX);
        long.saturating_sub(Duration::from_nanos(chance % nanos.max(1)))
    }

    /// It was there.
    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_failures_in_a_row_are_too_many() {
        let breaker = Breaker::default();
        assert!(!breaker.failed(3));
        assert!(!breaker.failed(3));
        breaker.succeeded();
        assert!(!breaker.failed(3));
        assert!(!breaker.failed(3));
        assert!(breaker.failed(3));
    }

    #[test]
    fn rests_grow_to_a_bound_and_differ() {
        let rest = Duration::from_secs(1);
        let mut rests = Rests::default();
        let all: Vec<_> = (0..4).map(|_| rests.next(rest, 0).as_millis()).collect();
        assert_eq!(all, [1000, 2000, 3000, 3000]);
        assert_eq!(rests.next(rest, 500_000_000).as_millis(), 2500);
        rests.reset();
        assert!(rests.next(rest, u64::MAX) >= Duration::from_millis(750));
        let long = Duration::from_mins(1);
        assert_eq!(Rests(u32::MAX).next(long, 0), long);
    }
}
