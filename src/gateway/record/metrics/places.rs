//! How full are pools, and who waits?
//!
//! What stands at an instant is read when somebody looks; what happens is counted.

use std::time::Instant;

use prometheus::{Histogram, IntCounter};

use super::bounded::{Counters, Gauges, Histograms};
use super::make::Make;
use crate::gateway::pools::Pool;
use crate::gateway::pools::slots::{Full, Slot};

/// Buckets of waiting for a place, in seconds, around the second it may last by default.
const WAIT_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The numbers of all pools.
#[derive(Debug)]
pub struct Places {
    in_flight: Gauges,
    in_flight_limit: Gauges,
    queue: Gauges,
    queue_limit: Gauges,
    target_limit: Gauges,
    refused: Counters,
    wait: Histograms,
}

/// The counters of one pool.
#[derive(Debug)]
pub struct PlaceMetrics {
    refused: IntCounter,
    wait: Histogram,
}

impl Places {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let pool = &["pool"];
        Self {
            in_flight: new.gauges(
                "spafe_pool_in_flight",
                "Requests that have a place at a pool.",
                pool,
            ),
            in_flight_limit: new.gauges(
                "spafe_pool_in_flight_limit",
                "Places of a pool, by what its targets take and have now.",
                pool,
            ),
            queue: new.gauges(
                "spafe_pool_queue",
                "Requests waiting for a place at a pool.",
                pool,
            ),
            queue_limit: new.gauges(
                "spafe_pool_queue_limit",
                "Requests that may wait for a place at a pool.",
                pool,
            ),
            target_limit: new.gauges(
                "spafe_target_in_flight_limit",
                "Requests a target takes at once, found or configured.",
                &["pool", "target"],
            ),
            refused: new.counters(
                "spafe_pool_queue_refused_total",
                "Requests that found no place at a pool in time.",
                pool,
            ),
            wait: new.histograms(
                "spafe_pool_queue_wait_seconds",
                "How long those waited that got a place at a pool.",
                WAIT_BUCKETS,
                pool,
            ),
        }
    }

    /// Brings the gauges of a pool up to date.
    pub fn measure(&self, pool: &Pool, now: Instant) {
        let name = pool.name.as_str();
        let slots = &pool.state.slots;
        for (gauges, count) in [
            (&self.in_flight, slots.in_flight()),
            (&self.in_flight_limit, pool.capacity(now).slots()),
            (&self.queue, slots.waiting()),
            (&self.queue_limit, pool.concurrency.queue_max),
        ] {
            gauges.with_label_values(&[name]).set(signed(count));
        }
        for target in &pool.targets {
            let endpoints = target.endpoints();
            let bounds = endpoints
                .iter()
                .map(|endpoint| endpoint.state.room.bound(&pool.concurrency));
            let labels = [name, &*target.label];
            let limit = self.target_limit.with_label_values(&labels);
            limit.set(signed(bounds.sum()));
        }
    }

    /// The counters of a pool, the same ones whenever it is asked for.
    pub(super) fn pool(&self, pool: &str) -> PlaceMetrics {
        PlaceMetrics {
            refused: self.refused.with_label_values(&[pool]),
            wait: self.wait.with_label_values(&[pool]),
        }
    }
}

impl PlaceMetrics {
    /// Counts how a request came to a place, or to none. One that is there costs nothing.
    pub fn entered(&self, entered: &Result<Slot, Full>) {
        match entered {
            Ok(slot) => {
                if let Some(waited) = slot.waited() {
                    self.wait.observe(waited.as_secs_f64());
                }
            }
            Err(Full { .. }) => self.refused.inc(),
        }
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
