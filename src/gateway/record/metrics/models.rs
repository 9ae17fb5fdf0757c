//! What is counted of a model, and of it at a pool?
//!
//! A plan holds these, looked up when the configuration was read.

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::cache::CacheModelMetrics;
use super::pick;
use super::places::PlaceMetrics;
use super::requests::RequestCounters;
use crate::gateway::pools::health::EjectionReason;
use crate::gateway::record::outcome::AttemptOutcome;

/// The counters of one model.
#[derive(Debug)]
pub struct ModelMetrics {
    /// Whole requests.
    pub duration: Histogram,
    /// To the first byte of the answer.
    pub first_byte: Histogram,
    /// Bodies of requests.
    pub bytes_in: IntCounter,
    /// Bodies of answers.
    pub bytes_out: IntCounter,
    /// Tokens of prompts, of answers, and of prompts that upstreams remembered, as they told them.
    pub(super) told: [IntCounter; 3],
    /// The same where none did, as they are estimated.
    pub(super) estimated: [IntCounter; 2],
    /// Requests that another model answered in its place.
    pub fallbacks: IntCounter,
    /// What memory had to do with its answers.
    pub cache: CacheModelMetrics,
    /// Requests that no pool answered.
    pub unpooled: RequestCounters,
}

/// The counters of one model at one pool.
#[derive(Debug)]
pub struct LegMetrics {
    /// Requests that this pool answered for this model.
    pub requests: RequestCounters,
    pub(super) attempts: [IntCounter; 12],
    /// Connections taken from the pool of idle ones.
    pub reused: IntCounter,
    /// Connections made.
    pub connected: IntCounter,
    /// Our credential was refused.
    pub auth_failures: IntCounter,
    /// A target was ejected.
    pub ejections: EjectionCounters,
    /// Another attempt was not made, because the pool's budget was spent.
    pub retries_unpaid: IntCounter,
    /// A second target was asked beside a slow one.
    pub hedges: IntCounter,
    /// And was sooner.
    pub hedges_sooner: IntCounter,
    /// Of the pool's places.
    pub places: PlaceMetrics,
}

/// How often targets of one pool were put to rest. That is rare: they are looked up each time.
#[derive(Debug)]
pub struct EjectionCounters {
    all: IntCounterVec,
    pool: Box<str>,
}

impl ModelMetrics {
    /// Counts what a request used, of its question and of its answer, and what of the question its
    /// upstream remembered: what was told, or what is estimated instead.
    pub fn tokens(&self, told: [Option<u64>; 3], estimated: Option<(u64, u64)>) {
        if let Some((question, answer)) = estimated {
            for (counter, tokens) in self.estimated.iter().zip([question, answer]) {
                counter.inc_by(tokens);
            }
            return;
        }
        for (counter, tokens) in self.told.iter().zip(told) {
            counter.inc_by(tokens.unwrap_or(0));
        }
    }
}

impl EjectionCounters {
    pub(super) fn new(all: &IntCounterVec, pool: &str) -> Self {
        let (all, pool) = (all.clone(), pool.into());
        Self { all, pool }
    }

    /// Counts that a target was put to rest.
    pub fn count(&self, target: &str, reason: EjectionReason) {
        let labels = [&*self.pool, target, reason.as_str()];
        self.all.with_label_values(&labels).inc();
    }
}

impl LegMetrics {
    /// The counter of this pool's attempts.
    #[must_use]
    pub fn attempts(&self, outcome: AttemptOutcome) -> &IntCounter {
        pick(&self.attempts, outcome as usize)
    }
}
