//! What is counted of a model, and of it at a pool?
//!
//! A plan holds these, looked up when the configuration was read.

use std::sync::Arc;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};

use super::attempts::TookMetrics;
use super::bounded::{Counters, Lazy};
use super::cache::CacheModelMetrics;
use super::places::PlaceMetrics;
use super::requests::RequestCounters;
use super::speed::SpeedMetrics;
use super::{DIRECTIONS, Metrics, NO_POOL, TOLD, pick};
use crate::gateway::pools::health::EjectionReason;
use crate::gateway::record::outcome::AttemptOutcome;
use crate::names::{ModelId, PoolName};

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
    /// How streams and answers come.
    pub speed: SpeedMetrics,
    /// Requests that another model answered in its place.
    pub fallbacks: IntCounter,
    /// What memory had to do with its answers.
    pub cache: CacheModelMetrics,
    /// Requests that no pool answered.
    pub unpooled: RequestCounters,
}

/// The tokens of one model, by whichever pool.
#[derive(Debug)]
pub struct TokenMetrics {
    /// Of prompts, of answers, and of prompts that upstreams remembered, as they told them.
    told: [Lazy<IntCounterVec>; 3],
    /// The same where none did, as they are estimated.
    estimated: [Lazy<IntCounterVec>; 2],
}

/// The counters of one model at one pool.
#[derive(Debug)]
pub struct LegMetrics {
    /// Requests that this pool answered for this model.
    pub requests: RequestCounters,
    /// And what they used.
    pub tokens: TokenMetrics,
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
    /// Another attempt was made at this pool.
    pub retries: IntCounter,
    /// How long connections took to be made.
    pub connect: Lazy<HistogramVec>,
    /// How long its targets took.
    pub took: TookMetrics,
    /// A second target was asked beside a slow one.
    pub hedges: IntCounter,
    /// And was sooner.
    pub hedges_sooner: IntCounter,
    /// Of the pool's places.
    pub places: PlaceMetrics,
}

impl Metrics {
    /// The counters of a model, the same ones whenever it is asked for.
    #[must_use]
    pub fn model(&self, model: &ModelId) -> Arc<ModelMetrics> {
        let name = model.as_str();
        Arc::new(ModelMetrics {
            duration: self.duration.with_label_values(&[name]),
            first_byte: self.first_byte.with_label_values(&[name]),
            bytes_in: self.bytes.with_label_values(&[name, "in"]),
            bytes_out: self.bytes.with_label_values(&[name, "out"]),
            speed: self.speed.model(name),
            fallbacks: self.fallbacks.with_label_values(&[name]),
            cache: self.cache.model(name),
            unpooled: RequestCounters::new(&self.requests, name, NO_POOL),
        })
    }

    /// The counters of a model at a pool.
    #[must_use]
    pub fn leg(&self, model: &ModelId, pool: &PoolName) -> Arc<LegMetrics> {
        let (model, pool) = (model.as_str(), pool.as_str());
        Arc::new(LegMetrics {
            requests: RequestCounters::new(&self.requests, model, pool),
            tokens: TokenMetrics {
                told: TOLD.map(|to| self.tokens.lazy(&[model, to, "told"])),
                estimated: DIRECTIONS.map(|to| self.tokens.lazy(&[model, to, "estimated"])),
            },
            attempts: AttemptOutcome::ALL
                .map(|outcome| self.attempts.with_label_values(&[pool, outcome.as_str()])),
            reused: self.connections.with_label_values(&[pool, "true"]),
            connected: self.connections.with_label_values(&[pool, "false"]),
            auth_failures: self.auth_failures.with_label_values(&[pool]),
            ejections: EjectionCounters::new(&self.ejections, pool),
            retries: self.attempts_at.retries(pool),
            connect: self.attempts_at.connect(pool),
            took: self.attempts_at.took(pool),
            retries_unpaid: self.retries_unpaid.with_label_values(&[pool]),
            hedges: self.hedges.with_label_values(&[pool, "asked"]),
            hedges_sooner: self.hedges.with_label_values(&[pool, "sooner"]),
            places: self.places.pool(pool),
        })
    }
}

/// How often targets of one pool were put to rest. That is rare: they are looked up each time.
#[derive(Debug)]
pub struct EjectionCounters {
    all: Counters,
    pool: Box<str>,
}

impl TokenMetrics {
    /// Counts what a request used, of its question and of its answer, and what of the question its
    /// upstream remembered: what was told, or what is estimated instead.
    pub fn count(&self, told: [Option<u64>; 3], estimated: Option<(u64, u64)>) {
        if let Some((question, answer)) = estimated {
            for (counter, tokens) in self.estimated.iter().zip([question, answer]) {
                counter.get().inc_by(tokens);
            }
            return;
        }
        for (counter, tokens) in self.told.iter().zip(told) {
            if let Some(tokens) = tokens.filter(|tokens| *tokens > 0) {
                counter.get().inc_by(tokens);
            }
        }
    }
}

impl EjectionCounters {
    pub(super) fn new(all: &Counters, pool: &str) -> Self {
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
