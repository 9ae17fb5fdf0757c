//! What is kept of an endpoint, and what follows from it?
//!
//! Plain values under the mutex of [`Health`](super::Health), which alone changes them.

use std::time::{Duration, Instant};

use super::Verdict;
use super::window::Window;

/// What an endpoint that has just come back gets of its share.
const SHARE_MIN: f64 = 0.1;

#[derive(Debug, Default)]
pub(super) struct State {
    /// In a row.
    pub(super) failures: u32,
    pub(super) window: Window,
    pub(super) rest: Option<Rest>,
    /// In a row; falls by one for each `time` in good health.
    pub(super) ejections: u32,
    /// When it last came back.
    pub(super) returned: Option<Instant>,
    /// When it last began to rest or came back.
    pub(super) changed: Option<Instant>,
    pub(super) cools_until: Option<Instant>,
    pub(super) check_failed: bool,
    /// Checks in a row that contradict `check_failed`.
    pub(super) contradictions: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// Because our credential was refused, not because it failed.
    pub(super) refused: bool,
    pub(super) began: Instant,
    pub(super) until: Instant,
    /// A request is trying whether it is over; the claim ends then.
    pub(super) claimed_until: Option<Instant>,
}

impl State {
    pub(super) fn verdict(&self, now: Instant, checks: bool) -> Verdict {
        let rests = |rest: &Rest| now < rest.until || rest.is_claimed(now);
        match self.rest {
            Some(rest) if rest.refused && rests(&rest) => Verdict::Refused,
            _ if self.cools_until.is_some_and(|until| now < until) => Verdict::Cooling,
            Some(rest) if rests(&rest) => Verdict::Ejected,
            _ if checks && self.check_failed => Verdict::CheckFailed,
            Some(_) => Verdict::Due,
            None => Verdict::Fit,
        }
    }

    pub(super) fn share(&self, now: Instant, slow_start: Duration) -> f64 {
        let Some(returned) = self.returned else {
            return 1.0;
        };
        let back = now.saturating_duration_since(returned);
        if back >= slow_start {
            return 1.0;
        }
        let grown = back.as_secs_f64() / slow_start.as_secs_f64();
        SHARE_MIN + (1.0 - SHARE_MIN) * grown
    }

    pub(super) fn come_back(&mut self, now: Instant) {
        self.failures = 0;
        self.window.clear();
        self.returned = Some(now);
        self.changed = Some(now);
    }

    /// Takes back one ejection for each `time` in good health.
    pub(super) fn forgive(&mut self, now: Instant, time: Duration) {
        let Some(returned) = self.returned else {
            return;
        };
        let healthy = now.saturating_duration_since(returned);
        let times = healthy
            .as_nanos()
            .checked_div(time.as_nanos())
            .unwrap_or(u128::MAX);
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        self.ejections = self.ejections.saturating_sub(times);
    }

    pub(super) fn changed_within(&self, steady: Duration, now: Instant) -> bool {
        self.changed.is_some_and(|changed| now < changed + steady)
    }
}

impl Rest {
    pub(super) fn is_claimed(&self, now: Instant) -> bool {
        self.claimed_until.is_some_and(|until| now < until)
    }
}
