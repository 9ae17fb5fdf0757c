//! Who is to blame if an answer breaks?
//!
//! An answer outlives the attempt that it came of, and what becomes of it is a lesson about
//! its endpoint, too. The operator is told where that changes how the endpoint stands.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::gateway::pools::target::Endpoint;
use crate::gateway::pools::{Change, Lesson, Pool};
use crate::gateway::record::metrics::LegMetrics;
use crate::sys;

/// Where an answer comes from, which is to blame if it breaks after its commit.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) pool: Arc<Pool>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) metrics: Arc<LegMetrics>,
}

/// The same, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) pool: &'a Pool,
    pub(super) endpoint: &'a Endpoint,
    pub(super) metrics: &'a LegMetrics,
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
        let whose = Whose {
            pool: &self.pool,
            endpoint: &self.endpoint,
            metrics: &self.metrics,
        };
        whose.learn(lesson, sys::instant(), cause);
    }
}

impl Whose<'_> {
    /// Tells the pool what an attempt taught, and the operator what that changed.
    pub(super) fn learn(self, lesson: Lesson, now: Instant, cause: Option<&dyn fmt::Display>) {
        let Self {
            pool,
            endpoint,
            metrics,
        } = self;
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
            Some(Change::Ejected(rest, reason)) => {
                metrics.ejections.count(&endpoint.label, reason);
                tracing::warn!(
                    pool = pool.name.as_str(),
                    target_name = &*endpoint.label,
                    address = %endpoint.address,
                    cause,
                    reason = reason.as_str(),
                    rest_s = rest.as_secs_f64(),
                    "target ejected"
                );
            }
            Some(Change::Returned) => tracing::info!(
                pool = pool.name.as_str(),
                target_name = &*endpoint.label,
                address = %endpoint.address,
                "target is back"
            ),
            None => {}
        }
    }
}
