//! Is a request being served, and was there a panic in it?
//!
//! A request that ends in a panic leaves no record, so somebody else has to tell of it.

use super::id::RequestId;
use super::metrics::Metrics;

/// Counts a request among those in flight until this is dropped.
pub struct Witness<'a> {
    id: RequestId,
    metrics: &'a Metrics,
}

impl<'a> Witness<'a> {
    /// From now on.
    #[must_use]
    pub fn of(id: &RequestId, metrics: &'a Metrics) -> Self {
        metrics.in_flight.inc();
        let id = id.clone();
        Self { id, metrics }
    }
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        let Self { id, metrics } = self;
        metrics.in_flight.dec();
        if std::thread::panicking() {
            metrics.panics.inc();
            tracing::error!(request_id = id.as_str(), "a request ended in a panic");
        }
    }
}
