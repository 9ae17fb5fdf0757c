//! Does an attempt begin?
//!
//! Whoever is next is only named: nobody is asked where the dialect has no words for it, where
//! there is no place, or where another request tries already whether a rest is over. An attempt
//! that is not begun does not count, and has claimed nothing.

use std::time::Instant;

use super::{Course, Next};
use crate::gateway::dialect::Inexpressible;
use crate::gateway::pools::health::Verdict;

impl<'a> Course<'a> {
    /// Whom to ask in fact, now that there is a place at the pool and nothing to wait for;
    /// `None` where it has nobody with room.
    pub(in crate::gateway::exchange) fn begin(
        &mut self,
        mut next: Next<'a>,
        now: Instant,
        chance: u64,
    ) -> Option<Next<'a>> {
        loop {
            let pool = &next.leg.pool;
            if !next.endpoint.has_room(&pool.concurrency) {
                self.full(&next);
                return None;
            }
            // In need one is asked whoever else does so.
            if next.wanted != Verdict::Fit || pool.begins(&next.endpoint, now) {
                return Some(next);
            }
            next = self.anew(&next, now, chance)?;
        }
    }

    /// There was no place for this attempt, which was not begun; its pool is passed over.
    pub(in crate::gateway::exchange) fn full(&mut self, next: &Next<'a>) {
        self.tried.pop();
        self.full.push(&next.leg.pool);
    }

    /// The leg's dialect has no words for the request: nobody there is asked, and the attempt
    /// does not count.
    pub(in crate::gateway::exchange) fn unfit(&mut self, next: &Next<'a>, what: Inexpressible) {
        self.tried.pop();
        self.unfit.push(next.leg);
        self.inexpressible.get_or_insert(what);
    }

    /// The same pool's next, chosen again: since it was named, others came and went.
    pub(in crate::gateway::exchange) fn anew(
        &mut self,
        next: &Next<'a>,
        now: Instant,
        chance: u64,
    ) -> Option<Next<'a>> {
        self.tried.pop();
        let mut next = next.clone();
        let leg = (&**next.plan, next.leg);
        let name = |wanted| Some((self.untried(leg, wanted, now, chance)?, wanted));
        let mut wanted = [Verdict::Fit, Verdict::Ejected].into_iter();
        (next.endpoint, next.wanted) = wanted.find_map(name)?;
        self.take(&next);
        Some(next)
    }
}
