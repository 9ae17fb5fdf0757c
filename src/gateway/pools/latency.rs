//! How soon does an endpoint answer?
//!
//! A peak-sensitive moving average: a slower answer counts at once and in full, faster
//! ones bring the average down over about ten seconds. So an endpoint that becomes slow
//! is left at its first slow answer, and is found again: what nobody measured for a
//! while counts for less and less, until it is tried.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// In this time, what was measured falls to 1/e of its weight. Finagle's choice, too.
const DECAY: Duration = Duration::from_secs(10);

/// The moving average of times to the first byte.
#[derive(Debug, Default)]
pub struct Latency(Mutex<Option<Measured>>);

#[derive(Debug, Clone, Copy)]
struct Measured {
    seconds: f64,
    at: Instant,
}

impl Latency {
    /// An answer took this long.
    pub fn measured(&self, took: Duration, now: Instant) {
        let mut average = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let took = took.as_secs_f64();
        let seconds = match *average {
            Some(known) if took < known.seconds => {
                let kept = known.kept(now);
                known.seconds * kept + took * (1.0 - kept)
            }
            _ => took,
        };
        *average = Some(Measured { seconds, at: now });
    }

    /// What is to be expected now; none where nothing was ever measured.
    #[must_use]
    pub fn seconds(&self, now: Instant) -> Option<f64> {
        let average = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        average.map(|known| known.seconds * known.kept(now))
    }
}

impl Measured {
    /// What of it still counts.
    fn kept(self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at);
        (-age.as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(100);
    const SLOW: Duration = Duration::from_secs(2);

    #[track_caller]
    fn check(latency: &Latency, now: Instant, expected: f64) {
        let seconds = latency.seconds(now).unwrap();
        assert!((seconds - expected).abs() < 0.01, "{seconds}");
    }

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let latency = Latency::default();
        let start = crate::sys::instant();
        assert!(latency.seconds(start).is_none());
        latency.measured(FAST, start);
        check(&latency, start, 0.1);
        latency.measured(SLOW, start);
        check(&latency, start, 2.0);
        // One fast answer at the same moment does not make it fast again.
        latency.measured(FAST, start);
        check(&latency, start, 2.0);
        for second in 1..=60 {
            latency.measured(FAST, start + Duration::from_secs(second));
        }
        check(&latency, start + Duration::from_mins(1), 0.1);
    }

    #[test]
    fn what_nobody_measured_for_a_while_is_tried_again() {
        let latency = Latency::default();
        let start = crate::sys::instant();
        latency.measured(SLOW, start);
        check(&latency, start + DECAY, 2.0 / std::f64::consts::E);
        check(&latency, start + 10 * DECAY, 0.0);
    }
}
