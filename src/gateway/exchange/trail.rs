//! What was tried?
//!
//! Every attempt in order, for the record. The trail outlives a dropped exchange, and
//! attempts run side by side where one is hedged, so each notes its own end: answered,
//! failed, or given up in the middle because the client left or another was sooner.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::gateway::exchange::attempt::Attempt;
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::record::AttemptRecord;
use crate::gateway::record::outcome::AttemptOutcome;
use crate::gateway::record::spans::AttemptSpan;
use crate::sys;

/// What was tried, so far.
#[derive(Debug, Default)]
pub struct Trail(Mutex<Tried>);

#[derive(Debug, Default)]
struct Tried {
    attempts: Vec<AttemptRecord>,
    answered: bool,
}

/// An attempt that is noted whatever becomes of it: dropped in the middle, it was given up.
pub(super) struct Noted<'n, 'a> {
    trail: &'n Trail,
    attempt: &'n Attempt<'a>,
    /// Its place in the trail.
    number: usize,
    ended: bool,
}

impl Trail {
    /// Notes that an attempt begins.
    pub(super) fn begin<'n, 'a>(&'n self, attempt: &'n Attempt<'a>) -> Noted<'n, 'a> {
        let mut tried = self.tried();
        tried.attempts.push(AttemptRecord {
            pool: attempt.leg.pool.name.clone(),
            target: attempt.endpoint.label.to_string(),
            outcome: AttemptOutcome::Abandoned.as_str(),
            status: None,
            began: attempt.began,
            duration: Duration::ZERO,
            reused: None,
            cause: None,
            cut_off: true,
            span: attempt
                .span
                .filter(|_| attempt.is_sampled())
                .map(|id| AttemptSpan {
                    id,
                    model: attempt.leg.model(attempt.name).into(),
                    dialect: attempt.leg.pool.dialect,
                }),
        });
        Noted {
            trail: self,
            attempt,
            number: tried.attempts.len() - 1,
            ended: false,
        }
    }

    /// Every attempt in order, and the time during which at least one ran; they may go on.
    #[must_use]
    pub fn parts(&self) -> (Vec<AttemptRecord>, Duration) {
        let attempts = self.tried().attempts.clone();
        let ran = ran(&attempts);
        (attempts, ran)
    }

    /// The same of an exchange that is over.
    #[must_use]
    pub fn take_parts(&self) -> (Vec<AttemptRecord>, Duration) {
        let attempts = std::mem::take(&mut self.tried().attempts);
        let ran = ran(&attempts);
        (attempts, ran)
    }

    /// How many were asked so far.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.tried().attempts.len()
    }

    fn tried(&self) -> MutexGuard<'_, Tried> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long at least one of these ran, which stand in the order in which they began: of those
/// side by side, the one that began last may be over first.
fn ran(attempts: &[AttemptRecord]) -> Duration {
    let mut ran = Duration::ZERO;
    let mut until: Option<Instant> = None;
    for attempt in attempts {
        let end = attempt.began + attempt.duration;
        let since = until.map_or(attempt.began, |until| until.max(attempt.began));
        ran += end.saturating_duration_since(since);
        until = until.max(Some(end));
    }
    ran
}

impl Noted<'_, '_> {
    /// Notes how the attempt ended.
    pub(super) fn end<T>(mut self, result: &Result<T, AttemptError>, now: Instant) {
        self.ended = true;
        let (outcome, status, cause) = match result {
            Ok(_) => (AttemptOutcome::Answered, Some(200), None),
            Err(error) => (error.outcome(), error.status(), Some(error.to_string())),
        };
        let mut tried = self.trail.tried();
        tried.answered |= result.is_ok();
        self.note(&mut tried, outcome, now);
        if let Some(record) = tried.attempts.get_mut(self.number) {
            record.status = status;
            record.cause = cause;
            record.cut_off = result.as_ref().is_err_and(AttemptError::is_cut_off);
        }
    }

    fn note(&self, tried: &mut Tried, outcome: AttemptOutcome, now: Instant) {
        let began = self.attempt.began;
        self.attempt.leg.metrics.attempts(outcome).inc();
        if let Some(record) = tried.attempts.get_mut(self.number) {
            record.outcome = outcome.as_str();
            record.duration = now.saturating_duration_since(began);
            record.reused = self.attempt.over.reused();
        }
    }
}

impl Drop for Noted<'_, '_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut tried = self.trail.tried();
        let (outcome, cause) = if tried.answered {
            (AttemptOutcome::Outrun, "another was sooner")
        } else {
            (AttemptOutcome::Abandoned, "nobody waits for it any more")
        };
        self.note(&mut tried, outcome, sys::instant());
        if let Some(record) = tried.attempts.get_mut(self.number) {
            record.cause = Some(cause.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::PoolName;

    #[test]
    fn time_with_upstreams_is_counted_once_whichever_ends_first() {
        #[track_caller]
        fn check(spans: &[(u64, u64)], expected: u64) {
            let start = sys::instant();
            let attempts = spans.iter().map(|(began, ended)| AttemptRecord {
                pool: PoolName::new("p"),
                target: String::new(),
                outcome: "answered",
                status: None,
                began: start + Duration::from_millis(*began),
                duration: Duration::from_millis(ended - began),
                reused: None,
                cause: None,
                cut_off: false,
                span: None,
            });
            let attempts: Vec<_> = attempts.collect();
            assert_eq!(ran(&attempts), Duration::from_millis(expected), "{spans:?}");
        }
        check(&[], 0);
        check(&[(5, 9)], 4);
        // One after the other, with a pause.
        check(&[(0, 10), (15, 20)], 15);
        // Side by side: the first is over last, or first, or both at once.
        check(&[(0, 950), (60, 760)], 950);
        check(&[(0, 70), (60, 100)], 100);
        check(&[(0, 50), (10, 50), (60, 61)], 51);
    }
}
