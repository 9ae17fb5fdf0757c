//! Who is to blame if an answer breaks?
//!
//! An answer outlives the attempt that it came of, and what becomes of it is a lesson about
//! its endpoint, too. The operator is told where that changes how the endpoint stands.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::gateway::pools::target::Endpoint;
use crate::gateway::pools::{Change, Lesson, Pool};
use crate::sys;

/// Where an answer comes from, which is to blame if it breaks after its commit.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) pool: Arc<Pool>,
    pub(super) endpoint: Arc<Endpoint>,
}

impl Source {
    /// The answer broke after its commit.
    pub(super) fn broke(&self, cause: &dyn fmt::Display) {
        self.learn(Lesson::Failed, Some(cause));
    }

    /// The stream came to its end.
    pub(super) fn completed(&self) {
        self.learn(Lesson::Completed, None);
    }

    fn learn(&self, lesson: Lesson, cause: Option<&dyn fmt::Display>) {
        learn(&self.pool, &self.endpoint, lesson, sys::instant(), cause);
    }
}

/// Tells a pool what an attempt taught, and the operator what that changed.
pub(super) fn learn(
    pool: &Pool,
    endpoint: &Endpoint,
    lesson: Lesson,
    now: Instant,
    cause: Option<&dyn fmt::Display>,
) -> Option<Change> {
    let cause = cause.map(tracing::field::display);
    let change = pool.learn(endpoint, lesson, now, sys::chance());
    match change {
        Some(Change::Refused) => tracing::error!(
            pool = pool.name.as_str(),
            target_name = &*endpoint.label,
            address = %endpoint.address,
            cause,
            "our credential was refused; check the pool's api_key"
        ),
        Some(Change::Ejected(rest)) => tracing::warn!(
            pool = pool.name.as_str(),
            target_name = &*endpoint.label,
            address = %endpoint.address,
            cause,
            rest_s = rest.as_secs_f64(),
            "target ejected"
        ),
        Some(Change::Returned) => tracing::info!(
            pool = pool.name.as_str(),
            target_name = &*endpoint.label,
            address = %endpoint.address,
            "target is back"
        ),
        None => {}
    }
    change
}
