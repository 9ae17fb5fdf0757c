//! How do answers fare that replicas share?

use std::sync::Arc;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::make::Make;
use super::pick;
use super::shared::{DURATION_BUCKETS, RedisMetrics};
use crate::gateway::record::outcome::second::{SecondLease, SecondRead, SecondWrite};

/// What is told of the cache's second tier.
#[derive(Debug, Clone)]
pub struct SecondMetrics {
    /// `spafe_cache_second_up`, `spafe_cache_second_errors_total`
    pub redis: RedisMetrics,
    /// `spafe_cache_second_read_seconds`
    pub read_duration: Histogram,
    /// `spafe_cache_second_waiting_bytes`
    pub waiting_bytes: IntGauge,
    reads: Arc<[IntCounter; 8]>,
    writes: Arc<[IntCounter; 6]>,
    leases: Arc<[IntCounter; 4]>,
}

impl SecondMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let errors = new.counters(
            "spafe_cache_second_errors_total",
            "Questions about shared answers, and connections for them, that failed, by kind.",
            &["kind"],
        );
        let up = new.gauges(
            "spafe_cache_second_up",
            "1 while replicas share answers, 0 while Redis is away; absent where they do not.",
            &[],
        );
        let reads = new.counters(
            "spafe_cache_second_reads_total",
            "Answers looked for among those that replicas share, by result.",
            &["result"],
        );
        let writes = new.counters(
            "spafe_cache_second_writes_total",
            "Answers to be shared with all replicas, by result.",
            &["result"],
        );
        let leases = new.counters(
            "spafe_cache_second_leases_total",
            "Turns to make an answer for all replicas that were asked for, by result.",
            &["result"],
        );
        Self {
            redis: RedisMetrics::new(up, &errors),
            read_duration: new.histogram(
                "spafe_cache_second_read_seconds",
                "Looks at shared answers that came in time, question to answer.",
                DURATION_BUCKETS,
            ),
            waiting_bytes: new.gauge(
                "spafe_cache_second_waiting_bytes",
                "Bytes of answers that wait to be shared.",
            ),
            reads: Arc::new(SecondRead::ALL.map(|it| reads.with_label_values(&[it.as_str()]))),
            writes: Arc::new(SecondWrite::ALL.map(|it| writes.with_label_values(&[it.as_str()]))),
            leases: Arc::new(SecondLease::ALL.map(|it| leases.with_label_values(&[it.as_str()]))),
        }
    }

    /// Counts what came of looking for an answer.
    pub fn read(&self, result: SecondRead) {
        pick(&self.reads, result as usize).inc();
    }

    /// Counts what came of an answer that was to be shared.
    pub fn written(&self, result: SecondWrite) {
        pick(&self.writes, result as usize).inc();
    }

    /// Counts what came of asking for a turn.
    pub fn leased(&self, result: SecondLease) {
        pick(&self.leases, result as usize).inc();
    }
}
