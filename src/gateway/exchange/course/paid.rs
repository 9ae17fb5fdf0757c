//! Is an attempt paid for?
//!
//! Whoever is asked first earns what others may be asked for.

use std::time::Instant;

use super::Course;
use crate::gateway::route::Leg;

impl Course<'_> {
    /// The first attempt at a pool is what callers ask for, and earns; others are paid for.
    pub(super) fn is_paid_for(&self, leg: &Leg, now: Instant) -> bool {
        let attempts = &self.question.attempts;
        let pool = &leg.pool;
        if self.asked(pool) == 0 {
            pool.state.retries.earn(attempts.budget_percent);
            if pool.hedging.enabled {
                pool.state.hedges.earn(pool.hedging.percent);
            }
            return true;
        }
        let paid = pool.state.retries.spend(attempts.budget_per_second, now);
        if !paid {
            leg.metrics.retries_unpaid.inc();
        }
        paid
    }
}
