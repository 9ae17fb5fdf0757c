//! What goes on that replicas share?
//!
//! A connection to Redis outlives a reload that says nothing else of it. Where one does, the old
//! one ends as the new one begins.

use std::sync::Arc;

use crate::gateway::record::metrics::Metrics;
use crate::gateway::shared::Shared;
use crate::gateway::shared::answers::Answers;

/// Lets what replicas share go on, or another one begin in its place.
pub(super) fn limits_succeed(
    before: Option<&Arc<Shared>>,
    shared: Option<&Arc<Shared>>,
    metrics: &Metrics,
) {
    match (before, shared) {
        (Some(before), Some(shared)) if Arc::ptr_eq(before, shared) => return,
        (Some(before), _) => before.retire(),
        (None, _) => {}
    }
    match shared {
        Some(shared) => shared.start(),
        None => metrics.shared.is_unused(),
    }
}

/// The same for the answers that they share.
pub(super) fn answers_succeed(
    before: Option<&Arc<Answers>>,
    answers: Option<&Arc<Answers>>,
    metrics: &Metrics,
) {
    match (before, answers) {
        (Some(before), Some(answers)) if Arc::ptr_eq(before, answers) => return,
        (Some(before), _) => before.retire(),
        (None, _) => {}
    }
    match answers {
        Some(answers) => answers.start(),
        None => metrics.second.redis.is_unused(),
    }
}
