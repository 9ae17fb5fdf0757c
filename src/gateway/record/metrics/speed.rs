//! How fast do answers come?
//!
//! What a person before a screen feels of a stream is when it begins and how evenly it goes on;
//! what an operator compares models by is how many tokens they say in a second. Each is one
//! observation a stream or an answer, at its end: nothing is measured per event.

use std::time::Duration;

use prometheus::HistogramVec;

use super::bounded::{Histograms, Lazy};
use super::make::Make;

/// Buckets of the time to the first event, in seconds: from what memory takes to what a model that
/// thinks does.
const FIRST_EVENT_BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Buckets of the mean time between events, in seconds: 200 a second to one that is hardly alive.
const BETWEEN_BUCKETS: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Buckets of tokens in a second.
const TOKENS_BUCKETS: &[f64] = &[
    1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_500.0,
];

/// The distributions of all models.
#[derive(Debug)]
pub(super) struct Speed {
    first_event: Histograms,
    between: Histograms,
    tokens: Histograms,
}

/// Those of one model.
#[derive(Debug)]
pub struct SpeedMetrics {
    first_event: Lazy<HistogramVec>,
    between: Lazy<HistogramVec>,
    tokens: Lazy<HistogramVec>,
}

impl Speed {
    pub(super) fn new(new: &Make<'_>) -> Self {
        Self {
            first_event: new.histograms(
                "spafe_time_to_first_event_seconds",
                "Streams, from the head being read to the first event handed to the connection.",
                FIRST_EVENT_BUCKETS,
                &["model"],
            ),
            between: new.histograms(
                "spafe_time_between_events_seconds",
                "Streams that came to their end, by the mean time between their events.",
                BETWEEN_BUCKETS,
                &["model"],
            ),
            tokens: new.histograms(
                "spafe_tokens_per_second",
                "Answers whose tokens were told, by how many came in a second.",
                TOKENS_BUCKETS,
                &["model"],
            ),
        }
    }

    pub(super) fn model(&self, name: &str) -> SpeedMetrics {
        SpeedMetrics {
            first_event: self.first_event.lazy(&[name]),
            between: self.between.lazy(&[name]),
            tokens: self.tokens.lazy(&[name]),
        }
    }
}

impl SpeedMetrics {
    /// A stream's first event came this long after its request.
    pub fn began(&self, after: Duration) {
        self.first_event.get().observe(after.as_secs_f64());
    }

    /// A stream of so many events came to its end this long after its first one.
    pub fn went_on(&self, events: u64, lasted: Duration) {
        if let Some(mean) = mean(events, lasted) {
            self.between.get().observe(mean);
        }
    }

    /// So many tokens came in this time.
    pub fn said(&self, tokens: u64, within: Duration) {
        let seconds = within.as_secs_f64();
        if tokens > 0 && seconds > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = tokens as f64 / seconds;
            self.tokens.get().observe(rate);
        }
    }
}

/// The mean time between events, in seconds; none between fewer than two.
fn mean(events: u64, lasted: Duration) -> Option<f64> {
    let gaps = events.checked_sub(1).filter(|gaps| *gaps > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    let mean = lasted.as_secs_f64() / gaps as f64;
    Some(mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_of_what_lies_between_events() {
        let second = Duration::from_secs(1);
        assert_eq!(mean(0, second), None);
        assert_eq!(mean(1, second), None);
        assert_eq!(mean(2, second), Some(1.0));
        assert_eq!(mean(11, second), Some(0.1));
    }
}
