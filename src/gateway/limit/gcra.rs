//! When may so much be taken again?
//!
//! A window is kept as one moment: when it will be full again. What is taken moves that
//! moment on by as long as the window needs to refill it, and more than fits between now
//! and the moment is refused. So in any span `t` at most `burst + t · count / per` is taken,
//! with no counters to reset and no edge at which two windows' worth fits (this is GCRA, the
//! generic cell rate algorithm of ATM).
//!
//! Moments are whole numbers of 2⁻³² ns since the limiter began: four thousand million a
//! millisecond are a million of these apart, and the longest span of the largest burst is
//! 2¹¹⁶ of them. Rounding is always towards less, by a millionth at most. Whatever exceeds
//! a `u128` stays at its end.

use std::time::Duration;

use super::Level;
use crate::config::limits::Window;

/// Bits behind a nanosecond.
const FRACTION_BITS: u32 = 32;

/// A moment since the limiter began, or a span, in 2⁻³² ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(u128);

/// How fast a window refills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How long one takes to come back: `per / count`, rounded up; ≥ 1 tick.
    each: Ticks,
    /// How many it holds, ≥ 1.
    burst: u64,
    /// `each · burst`
    span: Ticks,
}

impl Ticks {
    /// A span as ticks; more than fits is the most there is.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        // 2⁹⁴ ns at most.
        Self(duration.as_nanos() << FRACTION_BITS)
    }

    /// So many nanoseconds.
    #[must_use]
    pub fn nanos(count: u64) -> Self {
        Self(u128::from(count) << FRACTION_BITS)
    }

    /// A span for people, rounded up.
    #[must_use]
    pub fn duration(self) -> Duration {
        let nanoseconds = self.0.div_ceil(1 << FRACTION_BITS);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Whole nanoseconds, as many as fit.
    #[must_use]
    pub fn nanoseconds(self) -> u64 {
        u64::try_from(self.0 >> FRACTION_BITS).unwrap_or(u64::MAX)
    }

    /// The other span behind this one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of this one without the other; nothing where the other is longer.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many of it.
    #[must_use]
    pub fn by(self, count: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(count)))
    }
}

impl Rate {
    /// The rate of a window as it is configured.
    #[must_use]
    pub fn new(window: &Window) -> Self {
        let per = Ticks::of(window.per).0;
        let each = Ticks(per.div_ceil(u128::from(window.count.max(1))).max(1));
        Self::of(each, u64::from(window.burst.max(1)))
    }

    fn of(each: Ticks, burst: u64) -> Self {
        let span = each.by(burst);
        Self { each, burst, span }
    }

    /// As many times as much, in the same span.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        if times <= 1 {
            return self;
        }
        let each = Ticks(self.each.0.div_ceil(u128::from(times)));
        Self::of(each, self.burst.saturating_mul(u64::from(times)))
    }

    /// The share of one of so many who share it; one at once at least.
    #[must_use]
    pub fn shared_by(self, replicas: u32) -> Self {
        let replicas = u64::from(replicas.max(1));
        Self::of(self.each.by(replicas), (self.burst / replicas).max(1))
    }

    /// How many it holds.
    #[must_use]
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// How long one takes to come back.
    #[must_use]
    pub fn each(&self) -> Ticks {
        self.each
    }

    /// How long all of it takes to come back.
    #[must_use]
    pub fn span(&self) -> Ticks {
        self.span
    }

    /// When a window that is full at `full` will be so once `cost ≤ burst` is taken of it.
    ///
    /// # Errors
    /// Where it does not hold so much now: how long until it will.
    pub fn take(&self, full: Ticks, cost: u64, now: Ticks) -> Result<Ticks, Ticks> {
        let then = full.max(now).plus(self.each.by(cost));
        let owed = then.less(now);
        if owed <= self.span {
            Ok(then)
        } else {
            Err(owed.less(self.span))
        }
    }

    /// Which part of the window is used; for comparing.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rank among windows, not a count"
    )]
    #[must_use]
    pub fn used(&self, full: Ticks, now: Ticks) -> f32 {
        full.less(now).nanoseconds() as f32 / self.span.nanoseconds().max(1) as f32
    }

    /// How full it is.
    #[must_use]
    pub fn level(&self, full: Ticks, now: Ticks) -> Level {
        let owed = full.less(now);
        let free = self.span.less(owed).0 / self.each.0;
        Level {
            limit: self.burst,
            remaining: u64::try_from(free).unwrap_or(u64::MAX),
            reset: owed.duration(),
        }
    }
}

/// What of a part that comes back at `until` has not come back yet, and may be given back.
///
/// Time gives back what nobody does. Of `unused` that was taken long ago nothing is owed any
/// more, and to give it back once more would forgive what others have taken since.
#[must_use]
pub fn still_owed(unused: Ticks, until: Ticks, now: Ticks) -> Ticks {
    until.less(now).min(unused)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(count: u32, per: Duration, burst: u32) -> Rate {
        Rate::new(&Window { count, per, burst })
    }

    fn at(milliseconds: u64) -> Ticks {
        Ticks::of(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_burst_and_then_one_by_one() {
        let rate = rate(60, Duration::from_mins(1), 2);
        let first = rate.take(Ticks::default(), 1, at(0)).unwrap();
        let second = rate.take(first, 1, at(0)).unwrap();
        assert_eq!(rate.level(second, at(0)).remaining, 0);
        assert_eq!(rate.take(second, 1, at(0)), Err(at(1000)));
        assert_eq!(rate.take(second, 2, at(0)), Err(at(2000)));
        assert!(rate.take(second, 1, at(999)).is_err());
        assert!(rate.take(second, 1, at(1000)).is_ok());
        let level = rate.level(second, at(500));
        assert_eq!((level.limit, level.remaining), (2, 0));
        assert_eq!(level.reset, Duration::from_millis(1500));
    }

    #[test]
    fn more_for_many_is_the_same_span() {
        let one = rate(60, Duration::from_mins(1), 60);
        let many = one.times(16);
        assert_eq!(many.burst(), 960);
        assert_eq!(many.span(), one.span());
        let share = one.shared_by(4);
        assert_eq!((share.burst(), share.span()), (15, one.span()));
        assert_eq!(one.shared_by(100).burst(), 1);
    }

    #[test]
    fn the_largest_and_the_smallest_windows_count() {
        const MONTH: Duration = Duration::from_hours(31 * 24);
        let slow = rate(1, MONTH, u32::MAX);
        let mut full = Ticks::default();
        full = slow.take(full, u64::from(u32::MAX) - 1, at(1)).unwrap();
        full = slow.take(full, 1, at(1)).unwrap();
        assert!(slow.take(full, 1, at(1)).is_err());
        let fast = rate(u32::MAX, Duration::from_millis(1), u32::MAX);
        let full = fast.take(Ticks::default(), u64::from(u32::MAX), at(1));
        let again = fast.take(full.unwrap(), u64::from(u32::MAX), at(2));
        // Rounded towards less, by a millionth.
        assert!(again.is_err_and(|wait| wait < Ticks::of(Duration::from_nanos(2))));
        let huge = slow.times(u32::MAX);
        assert!(huge.take(Ticks(u128::MAX), u64::MAX, at(1)).is_err());
    }

    #[test]
    fn only_what_is_still_owed_is_given_back() {
        assert_eq!(still_owed(at(10), at(50), at(20)), at(10));
        assert_eq!(still_owed(at(10), at(50), at(45)), at(5));
        assert_eq!(still_owed(at(10), at(50), at(60)), Ticks::default());
    }

    /// Asks at each of the moments as often as said, and tells how much was admitted when.
    fn admitted(rate: Rate, asks: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let mut full = Ticks::default();
        let mut now = 0;
        let mut all = Vec::new();
        for (pause_us, cost) in asks {
            now += pause_us;
            let cost = (*cost).min(rate.burst());
            if let Ok(then) = rate.take(full, cost, Ticks::of(Duration::from_micros(now))) {
                full = then;
                all.push((now, cost));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn no_span_has_more_than_its_share(
            count in 1_u32..1000, per_us in 1000_u64..10_000_000, burst in 1_u32..200,
            times in 1_u32..5,
            asks in prop::collection::vec((0_u64..200_000, 1_u64..20), 1..200),
        ) {
            let rate = rate(count, Duration::from_micros(per_us), burst).times(times);
            let all = admitted(rate, &asks);
            for from in 0..all.len() {
                let mut sum = 0;
                for (at, cost) in &all[from..] {
                    sum += u128::from(*cost);
                    let span_us = u128::from(at - all[from].0);
                    let (count, burst) = (u128::from(count * times), u128::from(burst * times));
                    prop_assert!(sum * u128::from(per_us) <= burst * u128::from(per_us) + span_us * count);
                }
            }
        }

        #[test]
        fn who_asks_all_the_time_gets_all_of_it(
            count in 1_u32..5000, per_ms in 1_u64..100_000, burst in 1_u32..50,
        ) {
            let rate = rate(count, Duration::from_millis(per_ms), burst);
            let step = rate.each().duration();
            let mut full = Ticks::default();
            let mut got = 0_u32;
            for ask in 0..2000 {
                let now = Ticks::of(step * ask / 4);
                if let Ok(then) = rate.take(full, 1, now) {
                    full = then;
                    got += 1;
                }
            }
            let span = step * 1999 / 4;
            let due = f64::from(burst)
                + span.as_secs_f64() * f64::from(count) / Duration::from_millis(per_ms).as_secs_f64();
            prop_assert!(f64::from(got) >= due.min(2000.0) * 0.98 - 1.0, "{got} of {due}");
        }

        #[test]
        fn who_waits_as_told_gets_it(
            count in 1_u32..1_000_000, per_ms in 1_u64..2_000_000_000, burst in 1_u32..1000,
            taken in 0_u64..2000, cost in 1_u64..1000, at_ms in 0_u64..1_000_000_000,
        ) {
            let rate = rate(count, Duration::from_millis(per_ms), burst);
            let (now, cost) = (at(at_ms), cost.min(rate.burst()));
            let full = now.plus(rate.each().by(taken));
            if let Err(wait) = rate.take(full, cost, now) {
                let then = now.plus(Ticks::of(wait.duration()));
                prop_assert!(rate.take(full, cost, then).is_ok());
                let early = now.plus(wait.less(Ticks(1)));
                prop_assert!(rate.take(full, cost, early).is_err());
            }
        }
    }
}
