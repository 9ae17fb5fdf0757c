//! Is the process itself busy, and with what?
//!
//! All of it is read where somebody asks.

use std::time::Duration;

use prometheus::{Counter, Gauge, IntCounter, IntGauge};
use tokio::runtime::RuntimeMetrics as Runtime;

use super::make::Make;
use super::pick;
use crate::gateway::pools::resolve::lookups::Lookups;

/// What is told of the runtime that serves, and of what it does beside requests.
#[derive(Debug)]
pub struct RuntimeMetrics {
    tasks: IntGauge,
    workers: IntGauge,
    queue: IntGauge,
    busy: Counter,
    lag: Gauge,
    idle: IntGauge,
    lookups: [IntCounter; 3],
}

/// What is to be told.
#[derive(Debug)]
pub struct Measured<'a> {
    /// The runtime.
    pub runtime: &'a Runtime,
    /// How late the pulse came.
    pub lag: Duration,
    /// Idle connections to upstreams.
    pub idle: usize,
    /// Look-ups of names so far.
    pub lookups: &'a Lookups,
}

impl RuntimeMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let lookups = new.counters(
            "spafe_dns_lookups_total",
            "Look-ups of targets' names, by result.",
            &["result"],
        );
        Self {
            tasks: new.gauge("spafe_tasks", "Tasks of the runtime that have not ended."),
            workers: new.gauge("spafe_runtime_workers", "Threads that requests run on."),
            queue: new.gauge(
                "spafe_runtime_queue",
                "Tasks that wait for a thread, those that wait for a certain one apart.",
            ),
            busy: new.float_counter(
                "spafe_runtime_busy_seconds_total",
                "Time that the runtime's threads were at work, all together.",
            ),
            lag: new.float_gauge(
                "spafe_runtime_lag_seconds",
                "By how much the runtime was late at worst, in the last half minute to minute.",
            ),
            idle: new.gauge(
                "spafe_upstream_connections_idle",
                "HTTP/1.1 connections to upstreams that no request is on.",
            ),
            lookups: Lookups::RESULTS.map(|result| lookups.with_label_values(&[result])),
        }
    }

    /// Tells how it stands. Only one may do so at a time.
    pub fn measure(&self, measured: &Measured<'_>) {
        let runtime = measured.runtime;
        let workers = runtime.num_workers();
        let gauges = [
            (&self.tasks, runtime.num_alive_tasks()),
            (&self.workers, workers),
            (&self.queue, runtime.global_queue_depth()),
            (&self.idle, measured.idle),
        ];
        for (gauge, value) in gauges {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        let busy = (0..workers).map(|worker| runtime.worker_total_busy_duration(worker));
        let busy = busy.sum::<Duration>().as_secs_f64();
        self.busy.inc_by((busy - self.busy.get()).max(0.0));
        self.lag.set(measured.lag.as_secs_f64());
        for (index, count) in measured.lookups.counts().into_iter().enumerate() {
            let counter = pick(&self.lookups, index);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }
}
