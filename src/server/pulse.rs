//! Does the runtime that serves still turn?
//!
//! The admin listener has a thread of its own, so that it answers however busy the
//! process is. Then its answer alone would say nothing about the rest. So the runtime
//! beats, and the admin listener looks when it last did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sys;

/// How often it beats.
const BEAT: Duration = Duration::from_millis(250);
/// Longer than any load delays a beat; whoever is silent for so long hangs.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// When the runtime last beat.
#[derive(Debug, Clone)]
pub struct Pulse {
    began: Instant,
    /// Milliseconds from `began` to the last beat.
    last_ms: Arc<AtomicU64>,
}

impl Pulse {
    /// A pulse that beats now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            last_ms: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Beats for as long as the runtime turns that runs this.
    pub async fn beat_forever(self) {
        loop {
            self.beat(sys::instant());
            tokio::time::sleep(BEAT).await;
        }
    }

    fn beat(&self, now: Instant) {
        let since = now.saturating_duration_since(self.began);
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(since_ms, Ordering::Relaxed);
    }

    /// For how long it has not beaten.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(self.began)
            .saturating_sub(last)
    }

    /// Whether it has beaten lately.
    #[must_use]
    pub fn is_alive(&self, now: Instant) -> bool {
        self.silence(now) <= SILENT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_is_silent_for_long_is_not_alive() {
        let began = sys::instant();
        let pulse = Pulse::new(began);
        assert!(pulse.is_alive(began + SILENT_MAX));
        assert!(!pulse.is_alive(began + SILENT_MAX + BEAT));
        pulse.beat(began + SILENT_MAX);
        assert!(pulse.is_alive(began + SILENT_MAX + BEAT));
        assert_eq!(pulse.silence(began + SILENT_MAX + BEAT), BEAT);
    }
}
