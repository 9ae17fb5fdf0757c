//! May a target be asked?
//!
//! Learned from the requests themselves: three failures in a row eject a target
//! for a while, one success brings it back. A target that refuses our credential
//! is out for longer and is not asked even when nobody else is left, because
//! asking again can only fail.
//!
//! Everything is an atomic: the answer is needed on every request, and a race
//! between two updates costs at most one attempt.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Failures in a row until a target is ejected.
const FAILURES_MAX: u32 = 3;
/// How long an ejected target rests.
const EJECTION: Duration = Duration::from_secs(10);
/// How long a target that refused our credential rests.
const REFUSAL: Duration = Duration::from_mins(1);

/// What a target's last requests say about it.
#[derive(Debug, Default)]
pub struct Health {
    began: OnceLock<Instant>,
    failures: AtomicU32,
    /// Milliseconds since `began`; 0: not ejected.
    ejected_until_ms: AtomicU64,
    /// Milliseconds since `began`; 0: not refused.
    refused_until_ms: AtomicU64,
}

/// Whether a target may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Fit,
    /// It failed several times in a row and rests.
    Ejected,
    /// It does not accept our credential.
    Refused,
}

impl Health {
    /// Whether it may be asked now.
    #[must_use]
    pub fn verdict(&self, now: Instant) -> Verdict {
        let refused = self.refused_until_ms.load(Ordering::Relaxed);
        let ejected = self.ejected_until_ms.load(Ordering::Relaxed);
        if refused == 0 && ejected == 0 {
            return Verdict::Fit;
        }
        let now_ms = self.since_began_ms(now);
        if now_ms < refused {
            Verdict::Refused
        } else if now_ms < ejected {
            Verdict::Ejected
        } else {
            Verdict::Fit
        }
    }

    /// An attempt succeeded.
    pub fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.ejected_until_ms.store(0, Ordering::Relaxed);
        }
    }

    /// An attempt failed by the target's fault. True if this ejects it.
    pub fn failed(&self, now: Instant) -> bool {
        let failures = self
            .failures
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if failures < FAILURES_MAX {
            return false;
        }
        let fresh = self.verdict(now) == Verdict::Fit;
        let until = self.after_ms(now, EJECTION);
        self.ejected_until_ms.store(until, Ordering::Relaxed);
        fresh
    }

    /// The target refused our credential.
    pub fn refused(&self, now: Instant) {
        let until = self.after_ms(now, REFUSAL);
        self.refused_until_ms.store(until, Ordering::Relaxed);
    }

    /// It is asked with another credential from now on.
    pub fn credential_changed(&self) {
        self.refused_until_ms.store(0, Ordering::Relaxed);
    }

    fn since_began_ms(&self, now: Instant) -> u64 {
        let began = *self.began.get_or_init(|| now);
        u64::try_from(now.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX)
    }

    fn after_ms(&self, now: Instant, rest: Duration) -> u64 {
        let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
        self.since_began_ms(now).saturating_add(rest_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_eject_and_time_brings_back() {
        let health = Health::default();
        let start = crate::sys::instant();
        assert!(!health.failed(start));
        assert!(!health.failed(start));
        assert_eq!(health.verdict(start), Verdict::Fit);
        assert!(health.failed(start));
        assert_eq!(health.verdict(start), Verdict::Ejected);
        assert_eq!(health.verdict(start + EJECTION), Verdict::Fit);
    }

    #[test]
    fn a_success_forgets_failures() {
        let health = Health::default();
        let start = crate::sys::instant();
        for _ in 0..10 {
            assert!(!health.failed(start));
            assert!(!health.failed(start));
            health.succeeded();
        }
        assert_eq!(health.verdict(start), Verdict::Fit);
    }

    #[test]
    fn a_refused_credential_outlasts_an_ejection() {
        let health = Health::default();
        let start = crate::sys::instant();
        health.refused(start);
        assert_eq!(health.verdict(start + EJECTION), Verdict::Refused);
        assert_eq!(health.verdict(start + REFUSAL), Verdict::Fit);
        health.credential_changed();
        assert_eq!(health.verdict(start), Verdict::Fit);
    }
}
