//! What is told to a collector, and what becomes of it?

use super::bounded::Counters;
use super::make::Make;
use crate::otlp::Counts;

/// The counters of exports.
#[derive(Debug)]
pub struct ExportMetrics(Counters);

impl ExportMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        Self(new.counters(
            "spafe_exports_total",
            "Spans and points for a collector, by what became of them.",
            &["signal", "result"],
        ))
    }

    /// Those of spans and of points.
    #[must_use]
    pub fn counts(&self) -> (Counts, Counts) {
        let of = |signal: &str| {
            let counter = |result: &str| self.0.with_label_values(&[signal, result]);
            Counts {
                sent: counter("sent"),
                failed: counter("failed"),
                dropped: counter("dropped"),
            }
        };
        (of("traces"), of("metrics"))
    }
}
