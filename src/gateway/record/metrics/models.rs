//! What is counted of a model, and of it at a pool?
//!
//! A plan holds these, looked up when the configuration was read.

use prometheus::{Histogram, IntCounter};

use super::cache::CacheModelMetrics;
use super::pick;
use super::places::PlaceMetrics;
use crate::gateway::record::outcome::{AttemptOutcome, Class};

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
    /// Tokens of prompts.
    pub tokens_in: IntCounter,
    /// Tokens of answers.
    pub tokens_out: IntCounter,
    /// Requests that another model answered in its place.
    pub fallbacks: IntCounter,
    /// What memory had to do with its answers.
    pub cache: CacheModelMetrics,
    pub(super) unpooled: [IntCounter; 4],
}

/// The counters of one model at one pool.
#[derive(Debug)]
pub struct LegMetrics {
    pub(super) requests: [IntCounter; 4],
    pub(super) attempts: [IntCounter; 12],
    /// Connections taken from the pool of idle ones.
    pub reused: IntCounter,
    /// Connections made.
    pub connected: IntCounter,
    /// Our credential was refused.
    pub auth_failures: IntCounter,
    /// A target was ejected.
    pub ejections: IntCounter,
    /// Another attempt was not made, because the pool's budget was spent.
    pub retries_unpaid: IntCounter,
    /// A second target was asked beside a slow one.
    pub hedges: IntCounter,
    /// And was sooner.
    pub hedges_sooner: IntCounter,
    /// Of the pool's places.
    pub places: PlaceMetrics,
}

impl ModelMetrics {
    /// The counter of this model's requests that no pool answered.
    #[must_use]
    pub fn unpooled(&self, class: Class) -> &IntCounter {
        pick(&self.unpooled, class as usize)
    }
}

impl LegMetrics {
    /// The counter of requests this pool answered for this model.
    #[must_use]
    pub fn requests(&self, class: Class) -> &IntCounter {
        pick(&self.requests, class as usize)
    }

    /// The counter of this pool's attempts.
    #[must_use]
    pub fn attempts(&self, outcome: AttemptOutcome) -> &IntCounter {
        pick(&self.attempts, outcome as usize)
    }
}
