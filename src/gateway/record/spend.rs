//! What did a request cost, and whom?
//!
//! By the price of who really answered: of a fallback where that did, and of nobody where memory
//! did, or where another request had asked already. What an upstream may charge for an attempt
//! that was cut off, or that came to nothing, nobody here knows, and it is not counted.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::core::{Atomic, GenericCounter, GenericCounterVec, Number};

use super::RequestRecord;
use crate::config::costs::{Price, Used};
use crate::money::Usd;
use crate::names::{ModelId, PoolName};
use crate::openai::Usage;

/// More tokens than any model reads or writes for one request: an upstream that tells of more is
/// mistaken, and nobody is to be billed for that.
const TOKENS_MAX: u64 = 1 << 24;

/// A model at a pool, and what its answers cost.
#[derive(Debug)]
pub struct Served {
    /// The model.
    pub model: ModelId,
    /// The pool.
    pub pool: PoolName,
    /// For how much; `None`: nobody knows.
    pub price: Option<Price>,
    /// `spafe_cost_usd_total`, where there is a price.
    pub(super) cost: Option<CostCounter>,
}

/// What an answer used whose upstream has told its tokens.
#[must_use]
pub fn told(usage: Usage, images: u32) -> Used {
    Used {
        input: usage.prompt_tokens.min(TOKENS_MAX),
        cached: usage.cached_tokens,
        output: usage.answer_tokens().min(TOKENS_MAX),
        images,
    }
}

impl Served {
    /// Counts what somebody was answered for.
    pub fn spent(&self, cost: Option<Usd>) {
        if let (Some(counter), Some(cost)) = (&self.cost, cost) {
            counter.inc_by(cost);
        }
    }
}

impl RequestRecord {
    /// Notes what it cost, by the tokens that were told, or else by those that are estimated.
    pub fn spend(&mut self, images: u32) {
        let price = self.served.as_ref().and_then(|served| served.price);
        self.cost = price.map(|price| price.of(&self.used(images)));
    }

    /// What it used, as far as that is known.
    #[must_use]
    pub fn used(&self, images: u32) -> Used {
        let (input, output) = self
            .estimated
            .unwrap_or((self.tokens_in.unwrap_or(0), self.tokens_out.unwrap_or(0)));
        let cached = self.estimated.map_or(self.tokens_cached, |_| None);
        Used {
            input: input.min(TOKENS_MAX),
            cached: cached.unwrap_or(0),
            output: output.min(TOKENS_MAX),
            images,
        }
    }
}

/// A sum of money that only grows, kept in whole billionths and told in dollars.
pub type CostCounter = GenericCounter<AtomicUsd>;
/// The same by labels.
pub(super) type CostCounters = GenericCounterVec<AtomicUsd>;

/// Billionths of a dollar.
#[derive(Debug)]
pub struct AtomicUsd(AtomicU64);

impl Atomic for AtomicUsd {
    type T = Usd;

    fn new(val: Usd) -> Self {
        Self(AtomicU64::new(val.as_nanos()))
    }

    fn set(&self, val: Usd) {
        self.0.store(val.as_nanos(), Ordering::Relaxed);
    }

    fn get(&self) -> Usd {
        Usd::nanos(self.0.load(Ordering::Relaxed))
    }

    fn inc_by(&self, delta: Usd) {
        self.0.fetch_add(delta.as_nanos(), Ordering::Relaxed);
    }

    fn dec_by(&self, delta: Usd) {
        self.0.fetch_sub(delta.as_nanos(), Ordering::Relaxed);
    }
}

impl Number for Usd {
    fn from_i64(v: i64) -> Self {
        Self::nanos(u64::try_from(v).unwrap_or(0))
    }

    fn into_f64(self) -> f64 {
        self.as_dollars()
    }
}
