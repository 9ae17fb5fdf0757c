//! Was the process itself asleep?
//!
//! Stopped by a signal, suspended with its machine, or starved of its processor: when it
//! goes on, every deadline in it has passed at once, and it looks as if every upstream
//! had failed in the same moment. So it feels its own pulse. A beat that comes late
//! proves that time was lost, and what failed then is nobody's fault.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often it beats.
pub(super) const BEAT: Duration = Duration::from_millis(500);
/// A beat this late was missed: far more than a busy runtime needs for a turn, and less
/// than any deadline that ships.
const LATE: Duration = Duration::from_secs(3);
/// How long after waking failures are forgiven: all timers that are due fire at once.
const PARDON: Duration = Duration::from_secs(1);

/// The pulse of the process.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<Beats>);

#[derive(Debug, Default)]
struct Beats {
    last: Option<Instant>,
    pardon_until: Option<Instant>,
}

impl Pulse {
    /// It beats.
    pub(super) fn beat(&self, now: Instant) {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if beats.is_late(now) {
            beats.pardon_until = Some(now + PARDON);
        }
        beats.last = Some(now);
    }

    /// Whether what fails now fails because the process slept. Never, before the first beat.
    pub(super) fn has_just_woken(&self, now: Instant) -> bool {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether the beat or a request wakes first is chance.
        beats.is_late(now) || beats.pardon_until.is_some_and(|until| now < until)
    }
}

impl Beats {
    fn is_late(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now >= last + BEAT + LATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_forgiven_for_a_moment_after_sleep_and_only_then() {
        let pulse = Pulse::default();
        let start = crate::sys::instant();
        assert!(!pulse.has_just_woken(start));
        pulse.beat(start);
        assert!(!pulse.has_just_woken(start + 2 * BEAT));
        pulse.beat(start + 2 * BEAT);
        let woken = start + 2 * BEAT + Duration::from_secs(30);
        assert!(pulse.has_just_woken(woken));
        pulse.beat(woken);
        assert!(pulse.has_just_woken(woken));
        pulse.beat(woken + BEAT);
        assert!(pulse.has_just_woken(woken + BEAT));
        assert!(!pulse.has_just_woken(woken + PARDON));
    }
}
