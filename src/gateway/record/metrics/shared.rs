//! How does what replicas share fare?

use std::sync::Arc;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::bounded::{Counters, Gauges};
use super::make::Make;
use super::pick;
use crate::gateway::record::outcome::Absence;

/// Buckets of one question, in seconds, from 100 µs.
pub(super) const DURATION_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0,
];

/// What is told of Redis where limits are counted there.
#[derive(Debug, Clone)]
pub struct SharedMetrics {
    /// `spafe_shared_up`, `spafe_shared_errors_total`
    pub redis: RedisMetrics,
    /// `spafe_shared_replicas`
    pub replicas: IntGauge,
    /// `spafe_shared_duration_seconds`
    pub duration: Histogram,
    /// `spafe_shared_corrections_dropped_total`
    pub dropped: IntCounter,
}

/// What is told of Redis, whatever it is for.
#[derive(Debug, Clone)]
pub struct RedisMetrics {
    /// Empty where it is not used: nobody is to be called about a 0 then.
    up: Gauges,
    errors: Arc<[IntCounter; 11]>,
}

impl SharedMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let errors = new.counters(
            "spafe_shared_errors_total",
            "Questions to Redis, and connections to it, that failed or were spared, by kind.",
            &["kind"],
        );
        let up = new.gauges(
            "spafe_shared_up",
            "1 while replicas count together, 0 while Redis is away; absent where nothing is shared.",
            &[],
        );
        Self {
            redis: RedisMetrics::new(up, &errors),
            replicas: new.gauge(
                "spafe_shared_replicas",
                "Processes that shared limits are divided by while Redis is away.",
            ),
            duration: new.histogram(
                "spafe_shared_duration_seconds",
                "Decisions of Redis, question to answer.",
                DURATION_BUCKETS,
            ),
            dropped: new.counter(
                "spafe_shared_corrections_dropped_total",
                "Corrections of estimates that Redis was not told.",
            ),
        }
    }

    /// Nothing is shared from now on.
    pub fn is_unused(&self) {
        self.redis.is_unused();
        self.replicas.set(0);
    }
}

impl RedisMetrics {
    pub(super) fn new(up: Gauges, errors: &Counters) -> Self {
        let errors = Absence::ALL.map(|absence| errors.with_label_values(&[absence.as_str()]));
        Self {
            up,
            errors: Arc::new(errors),
        }
    }

    /// Whether Redis is there from now on.
    pub fn is_up(&self, is_up: bool) {
        self.up
            .with_label_values(&[] as &[&str])
            .set(i64::from(is_up));
    }

    /// It is for nothing from now on.
    pub fn is_unused(&self) {
        self.up.reset();
    }

    /// The counter of failures of this kind.
    #[must_use]
    pub fn failed(&self, absence: Absence) -> &IntCounter {
        pick(&self.errors, absence as usize)
    }
}
