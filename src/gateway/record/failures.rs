//! What failed last?
//!
//! The last requests that a caller lost to a failure, ours or an upstream's, for an operator who
//! looks. It tells names, codes and times, and nothing that a caller or a model said. Who was
//! refused for what he asked, or because a limit is met, has lost nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Outcome, RequestRecord};
use crate::names::{ModelId, PoolName};

/// How many are kept: as many as somebody reads.
const FAILURES_MAX: usize = 50;

/// The last failures, the newest first.
#[derive(Debug, Default)]
pub struct Failures(Mutex<VecDeque<Failed>>);

/// A request that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// When it began.
    pub time: SystemTime,
    /// Its id, at most 128 characters.
    pub id: String,
    /// What was called.
    pub endpoint: &'static str,
    /// The model.
    pub model: Option<ModelId>,
    /// The pool that was asked last.
    pub pool: Option<PoolName>,
    /// The status the caller saw.
    pub status: u16,
    /// How it ended.
    pub outcome: &'static str,
    /// The code the caller saw.
    pub code: Option<String>,
    /// How many were asked.
    pub attempts: usize,
    /// From its head to its end.
    pub duration: Duration,
}

impl Failures {
    /// Keeps a request in mind if it failed. Whoever was not let in because too much is going on
    /// does not count: a crowd of them would be all that is seen, and must cost nothing.
    pub fn note(&self, record: &RequestRecord, now: Instant) {
        let broken = matches!(
            record.outcome,
            Outcome::UpstreamFailed | Outcome::StreamBroken(_)
        );
        if !(broken || record.status >= 500) || record.shed.is_some() {
            return;
        }
        let failed = Failed {
            time: record.began_wall(),
            id: record.id.as_str().to_owned(),
            endpoint: record.endpoint,
            model: record.plan.as_ref().map(|plan| plan.model.clone()),
            pool: record.attempts.last().map(|attempt| attempt.pool.clone()),
            status: record.status,
            outcome: record.outcome.as_str(),
            code: record.code.clone(),
            attempts: record.attempts.len(),
            duration: now.saturating_duration_since(record.began()),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.truncate(FAILURES_MAX - 1);
        all.push_front(failed);
    }

    /// All that are kept in mind.
    #[must_use]
    pub fn all(&self) -> Vec<Failed> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().cloned().collect()
    }
}
