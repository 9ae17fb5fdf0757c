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

/// How long it is remembered at least by how much a beat was late: longer than it usually takes
/// until somebody looks again.
const LATE_KEPT_S: u64 = 30;

/// When the runtime last beat.
#[derive(Debug, Clone)]
pub struct Pulse {
    began: Instant,
    beats: Arc<Beats>,
}

/// What is known of beats. Only whoever beats writes.
#[derive(Debug, Default)]
struct Beats {
    /// Microseconds from the begin to the last one.
    last_us: AtomicU64,
    /// By how many microseconds one was late at worst, in this span and in the one before.
    late_us: [AtomicU64; 2],
    /// Which span this is.
    span: AtomicU64,
}

impl Pulse {
    /// A pulse that beats now.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            beats: Arc::default(),
        }
    }

    /// Beats for as long as the runtime turns that runs this.
    pub async fn beat_forever(self) {
        loop {
            self.beat(sys::instant());
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Tells the log when it stops and when it goes on, for as long as the runtime turns that runs
    /// this; it is to be another one.
    pub async fn watch_forever(self) {
        let mut hung = Duration::ZERO;
        loop {
            tokio::time::sleep(BEAT).await;
            let silence = self.silence(sys::instant());
            if silence > SILENT_MAX {
                if hung.is_zero() {
                    tracing::error!(
                        silent_ms = millis(silence),
                        "the runtime that serves does not turn: something holds its threads; /livez says so, and whoever restarts a process that is not alive should"
                    );
                }
                hung = silence;
            } else if !hung.is_zero() {
                tracing::warn!(silent_ms = millis(hung), "the runtime turns again");
                hung = Duration::ZERO;
            }
        }
    }

    fn beat(&self, now: Instant) {
        let late_us = micros(self.late(now));
        let since = now.saturating_duration_since(self.began);
        let Beats {
            last_us,
            late_us: [latest, before],
            span,
        } = &*self.beats;
        let this = since.as_secs() / LATE_KEPT_S;
        let passed = this - span.swap(this, Ordering::Relaxed).min(this);
        if passed > 0 {
            let worst = latest.swap(0, Ordering::Relaxed);
            before.store(if passed == 1 { worst } else { 0 }, Ordering::Relaxed);
        }
        latest.fetch_max(late_us, Ordering::Relaxed);
        last_us.store(micros(since), Ordering::Relaxed);
    }

    /// By how much it was late at worst in the last half minute to minute, or is.
    #[must_use]
    pub fn lag(&self, now: Instant) -> Duration {
        let late = self.beats.late_us.each_ref();
        let late = late.map(|late| Duration::from_micros(late.load(Ordering::Relaxed)));
        late.into_iter().fold(self.late(now), Duration::max)
    }

    /// By how much the next beat is late.
    fn late(&self, now: Instant) -> Duration {
        self.silence(now).saturating_sub(BEAT)
    }

    /// For how long it has not beaten.
    #[must_use]
    pub fn silence(&self, now: Instant) -> Duration {
        let last = Duration::from_micros(self.beats.last_us.load(Ordering::Relaxed));
        now.saturating_duration_since(self.began)
            .saturating_sub(last)
    }

    /// Whether it has beaten lately.
    #[must_use]
    pub fn is_alive(&self, now: Instant) -> bool {
        self.silence(now) <= SILENT_MAX
    }
}

fn millis(duration: Duration) -> u64 {
    micros(duration) / 1000
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_late_it_was_is_remembered_for_a_while() {
        let began = sys::instant();
        let pulse = Pulse::new(began);
        let second = Duration::from_secs(1);
        assert_eq!(pulse.lag(began + BEAT), Duration::ZERO);
        assert_eq!(pulse.lag(began + BEAT + second), second);
        pulse.beat(began + BEAT + second);
        // On time from here on.
        let mut now = began + BEAT + second;
        let mut beats_for = |seconds: u64| {
            for _ in 0..4 * seconds {
                now += BEAT;
                pulse.beat(now);
            }
            pulse.lag(now)
        };
        assert_eq!(beats_for(30), second);
        assert_eq!(beats_for(27), second);
        assert_eq!(beats_for(2), Duration::ZERO);
    }

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
