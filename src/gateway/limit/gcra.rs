//! When may so much be taken again?
//!
//! A window is kept as one moment: when it will be full again. What is taken moves that
//! moment on by as long as the window needs to refill it, and more than fits between now
//! and the moment is refused. So in any span `t` at most `burst + t · count / per` is taken,
//! with no counters to reset and no edge at which two windows' worth fits (this is GCRA, the
//! generic cell rate algorithm of ATM).
//!
//! A window of the calendar, which is what a budget is, gives nothing back before its span is
//! over, and all of it then. It is kept in the same way, as if its span were always over: its
//! moment lies behind the end of the span by as much as is used, so that the next span, which
//! ends later, finds it full. How far one moves it is the same whatever `count` is: who has used
//! 5 of 5 has 5 left when it is raised to 10.
//!
//! Moments are whole numbers of 2⁻³² ns, by the steady clock, since a Monday that the wall clock
//! named when the limiter began: four thousand million a millisecond are a million of these apart, and the longest span of the largest burst is
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
    /// How long one takes to come back: `per / count`, rounded up; ≥ 1 tick. Of the calendar,
    /// how far one moves it: `per / CALENDAR_MAX`.
    each: Ticks,
    /// How many it holds, ≥ 1.
    burst: u64,
    /// `each · burst`
    span: Ticks,
    /// A span of the calendar, `≥ span`; 0: it refills as time goes by.
    period: Ticks,
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
        let per = Ticks::of(window.per);
        let burst = window.burst.max(1);
        if window.calendar {
            let each = Ticks((per.0 / u128::from(Window::CALENDAR_MAX)).max(1));
            return Self::of(each, burst.min(Window::CALENDAR_MAX), per);
        }
        let each = Ticks(per.0.div_ceil(window.count.max(1).into()).max(1));
        Self::of(each, burst, Ticks(0))
    }

    fn of(each: Ticks, burst: u64, period: Ticks) -> Self {
        let span = each.by(burst);
        Self {
            each,
            burst,
            span,
            period,
        }
    }

    /// As many times as much, in the same span.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        if times <= 1 {
            return self;
        }
        let burst = self.burst.saturating_mul(u64::from(times));
        if self.is_of_calendar() {
            return Self::of(self.each, burst.min(Window::CALENDAR_MAX), self.period);
        }
        let each = Ticks(self.each.0.div_ceil(u128::from(times)));
        Self::of(each, burst, self.period)
    }

    /// The share of one of so many who share it; one at once at least.
    #[must_use]
    pub fn shared_by(self, replicas: u32) -> Self {
        let replicas = u64::from(replicas.max(1));
        let burst = (self.burst / replicas).max(1);
        Self::of(self.each.by(replicas), burst, self.period)
    }

    /// Whether it begins anew with each span of the calendar.
    #[must_use]
    pub fn is_of_calendar(&self) -> bool {
        self.period > Ticks(0)
    }

    /// Behind which moment something is owed: now, or the end of the span in which that lies.
    #[must_use]
    pub fn from(&self, now: Ticks) -> Ticks {
        match now.0.checked_div(self.period.0) {
            None => now,
            Some(spans) => Ticks(spans.saturating_add(1).saturating_mul(self.period.0)),
        }
    }

    /// Whether what was taken until `until` was taken in the span of the calendar of now.
    #[must_use]
    pub fn is_of_this_span(&self, until: Ticks, now: Ticks) -> bool {
        // What is taken lies behind the end of its span, and not behind that of the next.
        self.from(until.less(Ticks(1))).less(self.period) == self.from(now)
    }

    /// How long it takes until so much of what is owed has come back: of the calendar, until
    /// all has.
    fn wait(&self, owed: Ticks, now: Ticks) -> Ticks {
        if self.is_of_calendar() && owed > Ticks(0) {
            return self.from(now).less(now);
        }
        owed
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
        let from = self.from(now);
        let then = full.max(from).plus(self.each.by(cost));
        let owed = then.less(from);
        if owed <= self.span {
            Ok(then)
        } else {
            Err(self.wait(owed.less(self.span), now))
        }
    }

    /// How many may be taken now; for comparing.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a rank among windows, not a count"
    )]
    #[must_use]
    pub fn left(&self, full: Ticks, now: Ticks) -> f32 {
        let owed = full.less(self.from(now));
        self.span.less(owed).0 as f32 / self.each.0 as f32
    }

    /// How full it is.
    #[must_use]
    pub fn level(&self, full: Ticks, now: Ticks) -> Level {
        let owed = full.less(self.from(now));
        let free = self.span.less(owed).0 / self.each.0;
        Level {
            limit: self.burst,
            remaining: u64::try_from(free).unwrap_or(u64::MAX),
            reset: self.wait(owed, now).duration(),
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
mod tests;
