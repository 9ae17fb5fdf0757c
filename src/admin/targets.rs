//! How do pools and their targets stand?
//!
//! Read where somebody asks, and written down nowhere else: what a target is doing is
//! known to its state alone.

use std::time::Instant;

use serde_json::{Value, json};

use crate::gateway::pools::Pool;
use crate::gateway::pools::check::CheckOutcome;
use crate::gateway::pools::target::Target;
use crate::gateway::record::metrics::Metrics;
use crate::snapshot::Snapshot;

/// Every state that a target's endpoint can be in, so that each has a series from the start.
const STATES: [&str; 7] = [
    "fit",
    "ejected",
    "check_failed",
    "cooling",
    "refused",
    "unresolved",
    "unusable",
];

/// A pool for people.
pub(super) fn told(pool: &Pool, now: Instant) -> Value {
    let targets: Vec<Value> = pool
        .targets
        .iter()
        .map(|target| {
            let endpoints = target.endpoints();
            let endpoints = endpoints.iter().map(|endpoint| {
                json!({
                    "address": endpoint.address.to_string(),
                    "state": pool.standing(endpoint, now),
                    "in_flight": endpoint.state.in_flight(),
                })
            });
            let endpoints: Vec<Value> = endpoints.collect();
            json!({"target": &*target.label, "weight": target.weight, "endpoints": endpoints})
        })
        .collect();
    let mut told = json!({
        "usable": pool.is_usable(now),
        "balance": pool.method.as_str(),
        "targets": targets,
    });
    if let (Some(reason), Some(told)) = (&pool.unusable, told.as_object_mut()) {
        told.insert("reason".to_owned(), json!(reason));
    }
    told
}

/// Brings the metrics of all targets up to date.
pub(super) fn measure(snapshot: &Snapshot, metrics: &Metrics, now: Instant) {
    let free_per_second = snapshot.attempts.budget_per_second;
    metrics.target_fit.reset();
    metrics.target_state.reset();
    metrics.target_in_flight.reset();
    for pool in &snapshot.pools {
        metrics.places.measure(pool, now);
        metrics.attempts_at.measure(pool, free_per_second, now);
        for target in &pool.targets {
            measure_target(pool, target, metrics, now);
        }
        let checked = CheckOutcome::ALL.iter().filter(|_| pool.check.is_some());
        for outcome in checked {
            let labels = [pool.name.as_str(), outcome.as_str()];
            let counter = metrics.target_checks.with_label_values(&labels);
            let new = pool.state.checks.count(*outcome);
            counter.inc_by(new.saturating_sub(counter.get()));
        }
    }
}

fn measure_target(pool: &Pool, target: &Target, metrics: &Metrics, now: Instant) {
    let (pool_name, label) = (pool.name.as_str(), &*target.label);
    let endpoints = target.endpoints();
    let mut states: Vec<&str> = endpoints
        .iter()
        .map(|endpoint| pool.standing(endpoint, now))
        .collect();
    if states.is_empty() {
        states.push(if pool.unusable.is_some() {
            "unusable"
        } else {
            "unresolved"
        });
    }
    let labels = [pool_name, label];
    let fit = metrics.target_fit.with_label_values(&labels);
    for state in STATES {
        let gauge = metrics
            .target_state
            .with_label_values(&[pool_name, label, state]);
        let count = states.iter().filter(|is| **is == state).count();
        gauge.add(i64::try_from(count).unwrap_or(i64::MAX));
        if state == "fit" && count > 0 {
            fit.set(1);
        }
    }
    let in_flight = endpoints.iter().map(|endpoint| endpoint.state.in_flight());
    let in_flight = i64::try_from(in_flight.sum::<usize>()).unwrap_or(i64::MAX);
    metrics
        .target_in_flight
        .with_label_values(&labels)
        .add(in_flight);
}
