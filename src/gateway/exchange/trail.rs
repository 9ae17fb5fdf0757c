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
    /// Time during which at least one attempt ran.
    upstream: Duration,
    /// Until when that is counted.
    counted_until: Option<Instant>,
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
        let tried = self.tried();
        (tried.attempts.clone(), tried.upstream)
    }

    /// The same of an exchange that is over.
    #[must_use]
    pub fn take_parts(&self) -> (Vec<AttemptRecord>, Duration) {
        let mut tried = self.tried();
        (std::mem::take(&mut tried.attempts), tried.upstream)
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
        let since = tried.counted_until.map_or(began, |until| until.max(began));
        tried.upstream += now.saturating_duration_since(since);
        tried.counted_until = Some(now);
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
