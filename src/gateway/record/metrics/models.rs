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
    /// Tokens of prompts and of answers, as upstreams told them.
    pub(super) told: [IntCounter; 2],
    /// The same where none did, as they are estimated.
    pub(super) estimated: [IntCounter; 2],
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
    /// Counts what a request used, of its question and of its answer: what was told, or what is
    /// estimated instead.
    pub fn tokens(&self, told: (Option<u64>, Option<u64>), estimated: Option<(u64, u64)>) {
        let (counters, (question, answer)) = match estimated {
            Some(tokens) => (&self.estimated, tokens),
            None => (&self.told, (told.0.unwrap_or(0), told.1.unwrap_or(0))),
        };
        for (counter, tokens) in counters.iter().zip([question, answer]) {
            counter.inc_by(tokens);
        }
    }

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
