//! What has a request taken, and what of it does it use?
//!
//! Two guards. A [`Permit`] holds places of which nothing but the head is known, a
//! [`Reservation`] what the body told: places that depend on the model, and a part of every
//! window. Places are given back before the last byte of the answer leaves, for a caller
//! whose answer has come may ask again at once. Windows are settled later, when it is known
//! what was used: tokens were reserved by an estimate, and the estimate is replaced.
//!
//! A reservation that is dropped without being settled keeps its estimate: its request
//! ended in a panic or with the process, nobody knows what it used, and to give it back
//! would be an offer to whoever can bring that about.

use std::time::Instant;

use smallvec::SmallVec;

use super::claims;
use super::gate::Places;
use super::table;
use super::together::Together;
use super::{Cost, Kind, Limiter, Quota};
use crate::money::Usd;
use crate::names::LimitName;

/// Estimates that are kept without memory being asked for: two limits of an IPv6 caller.
const TAKEN_INLINE: usize = 6;

/// More tokens than any model reads and writes for one request. An upstream that tells of
/// more is mistaken, and its caller must not be shut out for days because of that.
pub(super) const TOKENS_MAX: u64 = 1 << 24;

/// What was taken of windows of tokens and of money, which is replaced by what was used.
pub(super) type Taken = SmallVec<[(Kind, table::Taken); TAKEN_INLINE]>;

/// What a request has used in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens, of its question and of its answer.
    pub tokens: u64,
    /// What that cost.
    pub usd: Usd,
}

/// A request that was let in, until it is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    pub(super) limiter: &'a Limiter,
    pub(super) places: Places,
    /// Whether it is counted among all.
    pub(super) inside: bool,
    pub(super) shadowed: Vec<(LimitName, Kind)>,
}

/// What a request has taken of its limits; what it did not use is given back at the end.
#[derive(Debug)]
pub struct Reservation<'a> {
    pub(super) limiter: &'a Limiter,
    pub(super) places: Places,
    pub(super) taken: Taken,
    /// The same of windows that replicas share.
    pub(super) together: Option<Box<Together>>,
    /// As how many its tokens count, ≥ 1.
    pub(super) weight: u32,
    /// How much money it was taken to cost, and then cost.
    pub(super) reserved: Usd,
    pub(super) quota: Quota,
    pub(super) shadowed: Vec<(LimitName, Kind)>,
}

impl Permit<'_> {
    /// Gives its places back. Again, it does nothing.
    pub fn release(&mut self) {
        self.limiter.gate.give_back(&mut self.places);
        if std::mem::replace(&mut self.inside, false) {
            self.limiter.gate.leave();
        }
    }

    /// Limits that would have refused it, if they were not shadows.
    pub fn take_shadowed(&mut self) -> Vec<(LimitName, Kind)> {
        std::mem::take(&mut self.shadowed)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

impl Reservation<'_> {
    /// Gives its places among requests and streams in flight back, and keeps what it has taken
    /// of windows. Again, it does nothing.
    pub fn release(&mut self) {
        self.limiter.gate.give_back(&mut self.places);
    }

    /// What is left after this request: of tokens by its estimate, or, once it is settled, by
    /// what it used.
    #[must_use]
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Limits that would have refused it, if they were not shadows.
    pub fn take_shadowed(&mut self) -> Vec<(LimitName, Kind)> {
        std::mem::take(&mut self.shadowed)
    }

    /// Replaces the estimate of its tokens and of their price by what was used. The request itself stays counted.
    /// Again, it does nothing.
    pub fn settle(&mut self, used: Used, now: Instant) {
        let used = Cost {
            requests: self.weight,
            tokens: used.tokens.min(TOKENS_MAX),
            usd: used.usd,
        };
        let now = self.limiter.ticks(now);
        for (kind, taken) in &self.taken {
            self.limiter.table.settle(taken, used.of(*kind), now);
        }
        let told = self
            .taken
            .iter()
            .filter(|(kind, taken)| *kind == Kind::Tokens && !taken.shadow);
        let told = told.map(|(_, taken)| (taken.rate, self.limiter.table.full(taken.key)));
        let here = claims::tightest(told, now);
        self.taken.clear();
        let together = self.together.take();
        let together = together.and_then(|together| together.settle(used, now));
        let tokens = |tokens| Quota {
            tokens,
            ..self.quota
        };
        if here.or(together).is_some() {
            self.quota = tokens(here).tighter(tokens(together));
        }
        if let Some(cost) = &mut self.quota.cost {
            // No more was taken of it than it holds.
            let taken = self.reserved.as_nanos().min(cost.limit);
            let left = cost.remaining.saturating_add(taken);
            cost.remaining = left.saturating_sub(used.usd.as_nanos()).min(cost.limit);
            self.reserved = used.usd;
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
