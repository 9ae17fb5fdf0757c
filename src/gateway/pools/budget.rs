//! How many more attempts may a pool be asked for?
//!
//! Where a pool fails, every request that is tried again doubles what it has to bear,
//! and so keeps it from coming back. So attempts beyond the first are paid for: each
//! request earns a fraction of one, and a few a second are free, so that a pool with
//! little traffic is tried again as well. A pool that fails wholly is then asked little
//! more often than its callers ask. Hedges are paid for in the same way, from a budget
//! of their own.
//!
//! What is not spent is kept up to a bound: a quiet hour must not pay for a storm.

use std::time::Instant;

use crate::sync::atomic::{AtomicI64, Ordering};
use crate::sync::{Mutex, PoisonError};

/// Thousandths of an attempt.
const ATTEMPT: i64 = 1_000;
/// What is kept of what requests earned: what a hundred of them earn at 20 %.
const EARNED_MAX: i64 = 20 * ATTEMPT;

/// What a pool may still spend.
#[derive(Debug, Default)]
pub struct Budget {
    /// `0 ≤ earned ≤ EARNED_MAX`, but for what races add for a moment.
    earned: AtomicI64,
    /// What is left of the free attempts, and when that was so.
    free: Mutex<Option<(f64, Instant)>>,
}

impl Budget {
    /// One more request, which earns `percent` of an attempt.
    pub fn earn(&self, percent: u32) {
        if self.earned.load(Ordering::Relaxed) < EARNED_MAX {
            let thousandths = i64::from(percent) * ATTEMPT / 100;
            self.earned.fetch_add(thousandths, Ordering::Relaxed);
        }
    }

    /// Pays for one attempt, with a free one of `per_second` first. False where there is
    /// nothing to pay with.
    pub fn spend(&self, per_second: u32, now: Instant) -> bool {
        self.spend_free(per_second, now) || self.spend_earned()
    }

    /// How many attempts it would pay for now.
    #[must_use]
    pub fn left(&self, per_second: u32, now: Instant) -> i64 {
        let free = *self.free.lock().unwrap_or_else(PoisonError::into_inner);
        #[expect(clippy::cast_possible_truncation, reason = "it is at most a u32")]
        let free = free_left(free, f64::from(per_second), now).floor() as i64;
        let earned = self.earned.load(Ordering::Relaxed).clamp(0, EARNED_MAX);
        free.saturating_add(earned / ATTEMPT)
    }

    fn spend_free(&self, per_second: u32, now: Instant) -> bool {
        let most = f64::from(per_second);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let left = free_left(*free, most, now);
        let pays = left >= 1.0;
        *free = Some((if pays { left - 1.0 } else { left }, now));
        pays
    }

    fn spend_earned(&self) -> bool {
        let spent = |earned: i64| (earned >= ATTEMPT).then(|| earned.min(EARNED_MAX) - ATTEMPT);
        self.earned
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent)
            .is_ok()
    }
}

/// The free attempts that are left of at most so many, and of as many a second.
fn free_left(free: Option<(f64, Instant)>, most: f64, now: Instant) -> f64 {
    let (left, since) = free.unwrap_or((most, now));
    let grown = now.saturating_duration_since(since).as_secs_f64() * most;
    (left + grown).min(most)
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod interleavings;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How many of `requests`, one each `gap`, could be tried again.
    fn retried(budget: &Budget, requests: u32, gap: Duration) -> u32 {
        let start = crate::sys::instant();
        let retried = (0..requests).filter(|request| {
            budget.earn(20);
            budget.spend(3, start + gap * *request)
        });
        u32::try_from(retried.count()).unwrap()
    }

    #[test]
    fn a_fifth_of_the_requests_and_three_a_second_are_paid_for() {
        let seconds = 10;
        let retried = retried(
            &Budget::default(),
            1_000 * seconds,
            Duration::from_millis(1),
        );
        // The free ones of the first second are there at once.
        let allowed = 200 * seconds + 3 * seconds + 3;
        assert!(
            (allowed - 3..=allowed).contains(&retried),
            "{retried} of {allowed}"
        );
    }

    #[test]
    fn whoever_asks_little_is_tried_again_all_the_same() {
        let every = retried(&Budget::default(), 100, Duration::from_secs(1));
        assert_eq!(every, 100);
    }

    #[test]
    fn a_quiet_time_pays_for_no_storm() {
        let budget = Budget::default();
        let start = crate::sys::instant();
        for _ in 0..1_000_000 {
            budget.earn(20);
        }
        let later = start + Duration::from_hours(1);
        let paid = (0..1_000).filter(|_| budget.spend(3, later)).count();
        assert_eq!(paid, 23);
    }

    #[test]
    fn what_is_left_is_what_would_be_paid_for() {
        let (budget, start) = (Budget::default(), crate::sys::instant());
        let earned = |count: u32| (0..count).for_each(|_| budget.earn(20));
        assert_eq!(budget.left(3, start), 3);
        earned(10);
        assert_eq!(budget.left(3, start), 5);
        for left in [4, 3, 2, 1, 0] {
            assert!(budget.spend(3, start));
            assert_eq!(budget.left(3, start), left);
        }
        assert!(!budget.spend(3, start));
        assert_eq!(budget.left(3, start + Duration::from_millis(700)), 2);
        earned(1_000_000);
        assert_eq!(budget.left(3, start + Duration::from_hours(1)), 23);
    }

    #[test]
    fn nothing_is_free_where_the_operator_says_so() {
        let budget = Budget::default();
        budget.earn(0);
        assert!(!budget.spend(0, crate::sys::instant()));
    }
}
