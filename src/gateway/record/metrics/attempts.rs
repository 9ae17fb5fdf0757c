//! How do attempts fare, and how many more may there be?

use std::time::Instant;

use prometheus::{Histogram, HistogramVec};

use super::bounded::{Counters, Gauges, Histograms, Lazy};
use super::make::Make;
use crate::gateway::pools::Pool;

/// Buckets of attempts, in seconds: up to what a model that thinks takes to its first word.
const TOOK_BUCKETS: &[f64] = &[
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];
/// Buckets of making a connection, in seconds: from the next rack to the other side of the world.
const CONNECT_BUCKETS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// The numbers of all pools.
#[derive(Debug)]
pub struct AttemptMetrics {
    retries: Counters,
    budget_left: Gauges,
    took: Histograms,
    connect: Histograms,
}

/// How long the targets of one pool take.
#[derive(Debug)]
pub struct TookMetrics {
    all: Histograms,
    pool: Box<str>,
}

impl AttemptMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        Self {
            retries: new.counters(
                "spafe_retries_total",
                "Attempts at a pool beyond a request's first one there.",
                &["pool"],
            ),
            budget_left: new.gauges(
                "spafe_retry_budget_left",
                "Attempts beyond the first that a pool's budget would pay for now.",
                &["pool"],
            ),
            took: new.histograms(
                "spafe_attempt_duration_seconds",
                "Attempts that answered, from their begin to a whole answer or the first event.",
                TOOK_BUCKETS,
                &["pool", "target"],
            ),
            connect: new.histograms(
                "spafe_upstream_connect_seconds",
                "New connections to upstreams, TLS included.",
                CONNECT_BUCKETS,
                &["pool"],
            ),
        }
    }

    /// Brings what stands at an instant up to date; so many attempts a second are free.
    pub fn measure(&self, pool: &Pool, free_per_second: u32, now: Instant) {
        let left = pool.state.retries.left(free_per_second, now);
        let gauge = self.budget_left.with_label_values(&[pool.name.as_str()]);
        gauge.set(left);
    }

    pub(super) fn retries(&self, pool: &str) -> prometheus::IntCounter {
        self.retries.with_label_values(&[pool])
    }

    pub(super) fn connect(&self, pool: &str) -> Lazy<HistogramVec> {
        self.connect.lazy(&[pool])
    }

    pub(super) fn took(&self, pool: &str) -> TookMetrics {
        let (all, pool) = (self.took.clone(), pool.into());
        TookMetrics { all, pool }
    }
}

impl TookMetrics {
    /// That of a target, to be kept beside it.
    #[must_use]
    pub fn of(&self, target: &str) -> Histogram {
        self.all.with_label_values(&[&*self.pool, target])
    }
}
