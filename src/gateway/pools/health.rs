//! May an endpoint be asked?
//!
//! Statistics and a small state machine, without I/O: what attempts and checks taught
//! comes in with `now`, a verdict goes out.
//!
//! ```text
//!            failures in a row, or too many in the window
//!      Fit ───────────────────────────────────────────────▶ Ejected
//!       ▲                                                  │      ▲
//!       │ a real request succeeds                 its time │      │ it fails: longer
//!       └─────────────────────────────── Due ◀─────────────┘      │
//!                                         └── one claims it ──────┘
//! ```
//!
//! * **Two measures**, because each is blind where the other sees. A dead endpoint fails
//!   in a row and is found after three requests, however few there are; one that fails
//!   half of the time never fails often in a row, but its share in a window tells.
//! * **Growing rests**, because an endpoint that failed its probe will likely fail the
//!   next, and each probe costs a caller time. The count falls again with time in good
//!   health, so that one bad night does not make every later hiccup long. Rests vary by
//!   a tenth, so that endpoints which fell together are not probed together.
//! * **One probe**, and by a real request: a check can pass where requests fail, and a
//!   crowd would fall upon an endpoint that has hardly risen. A claim that nobody answers
//!   for (its caller left) ends by itself.
//! * **A pause between changes**: an endpoint that flaps each second is either out or in
//!   for five seconds at least, instead of dragging requests along.
//! * **Being busy is no failure.** 429 says when to come back; that is kept to, and nothing
//!   is learned about health. Who cools down or refuses our credential is not asked even
//!   where nobody else is left, because asking can only fail, and makes it worse.
//! * **A stopped process blames nobody** (`pulse.rs`): after SIGSTOP or a stalled machine
//!   every deadline has passed at once, by no endpoint's fault.
//!
//! How many of a pool may rest at the same time is the pool's to say: one endpoint knows
//! nothing of the others, so it asks ([`Learned::Eject`]) and is told.
//!
//! A healthy endpoint costs one load of an atomic where it is looked at; everything else
//! is under a mutex that is held for a few comparisons.

/// What is kept of an endpoint, and what follows from it.
mod state;
/// What was one failure too many?
mod reason;
/// How many of the last attempts failed?
mod window;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::policy::{Check, Ejection};
pub use reason::EjectionReason;
use state::{Rest, State};

/// How long an endpoint that refused our credential rests.
const REFUSAL: Duration = Duration::from_mins(1);
/// How long one that is busy is left alone where it did not say.
const COOLING: Duration = Duration::from_secs(1);
/// How long at most, whatever it says.
const COOLING_MAX: Duration = Duration::from_mins(1);
/// The least time between two changes, for rests of ten seconds; shorter ones shorten it.
const STEADY: Duration = Duration::from_secs(5);

/// What is known about an endpoint.
#[derive(Debug, Default)]
pub struct Health {
    /// Whether there is anything to say beside "fit": `false ⇒ verdict = Fit, share = 1`
    troubled: AtomicBool,
    state: Mutex<State>,
}

/// Whether an endpoint may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Fit,
    /// Its rest is over and nobody has tried yet: one request may.
    Due,
    /// It failed too often and rests.
    Ejected,
    /// Its checks fail.
    CheckFailed,
    /// It said that it has too much to do.
    Cooling,
    /// It does not accept our credential.
    Refused,
}

/// What a pool makes of its endpoints' health.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Whether checks are made; without them an old failed one means nothing.
    pub(super) checks: bool,
    /// How long an endpoint that comes back gets less than its share.
    pub(super) slow_start: Duration,
}

/// An endpoint at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub(super) verdict: Verdict,
    /// What of its share it may get: `0.1 ≤ share ≤ 1`
    pub(super) share: f64,
}

/// What a lesson changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// Nothing.
    Nothing,
    /// It failed too often: the pool says whether it may rest.
    Eject(EjectionReason),
    /// It is back.
    Returned,
}

/// How bad an endpoint is that may not be asked; the least is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Badness {
    reasons: u8,
    left: Duration,
    ejections: u32,
}

impl Health {
    /// Whether it may be asked now, where checks are made.
    #[must_use]
    pub fn verdict(&self, now: Instant) -> Verdict {
        if !self.troubled.load(Ordering::Acquire) {
            return Verdict::Fit;
        }
        self.lock().verdict(now, true)
    }

    /// Whether it may be asked now, and how much.
    pub(super) fn look(&self, now: Instant, view: View) -> Look {
        if !self.troubled.load(Ordering::Acquire) {
            return Look {
                verdict: Verdict::Fit,
                share: 1.0,
            };
        }
        let state = self.lock();
        let look = Look {
            verdict: state.verdict(now, view.checks),
            share: state.share(now, view.slow_start),
        };
        if look.verdict == Verdict::Fit && look.share >= 1.0 && !state.check_failed {
            self.troubled.store(false, Ordering::Release);
        }
        look
    }

    /// Whether a request begins here. Where a rest is over it claims to be the one that tries
    /// whether it is, for so long: true for one only.
    pub(super) fn begins(&self, now: Instant, lasts: Duration) -> bool {
        if !self.troubled.load(Ordering::Acquire) {
            return true;
        }
        let mut state = self.lock();
        let over = state.rest.as_mut().filter(|rest| now >= rest.until);
        let Some(rest) = over else {
            return true;
        };
        let free = !rest.is_claimed(now);
        if free {
            rest.claimed_until = Some(now + lasts);
        }
        free
    }

    /// An attempt succeeded that began `took` ago.
    pub(super) fn answered(&self, took: Duration, now: Instant, policy: &Ejection) -> Learned {
        if policy.latency.is_some_and(|most| took >= most) {
            return self.failed(now, policy).of_slowness();
        }
        let mut state = self.lock();
        state.failures = 0;
        let Some(rest) = state.rest else {
            state.window.count(false, now, policy.window);
            return Learned::Nothing;
        };
        // What was asked before it fell says nothing about now.
        let is_news = rest.began + took <= now;
        if !is_news || state.changed_within(steady(policy), now) {
            return Learned::Nothing;
        }
        state.rest = None;
        state.come_back(now);
        Learned::Returned
    }

    /// A stream of it began `took` ago, with its first event just now. That says how soon
    /// it answers and not how well: a rest ends by it, since a stream may take long, and
    /// failures are forgotten at its end.
    pub(super) fn began(&self, took: Duration, now: Instant, policy: &Ejection) -> Learned {
        let is_slow = policy.latency.is_some_and(|most| took >= most);
        if is_slow || self.lock().rest.is_some() {
            self.answered(took, now, policy)
        } else {
            Learned::Nothing
        }
    }

    /// A stream of it came to its end. Where it rests, that stream began before.
    pub(super) fn completed(&self, now: Instant, policy: &Ejection) {
        let mut state = self.lock();
        if state.rest.is_none() {
            state.failures = 0;
            state.window.count(false, now, policy.window);
        }
    }

    /// An attempt failed by its fault.
    pub(super) fn failed(&self, now: Instant, policy: &Ejection) -> Learned {
        let mut state = self.lock();
        if let Some(rest) = state.rest {
            // While it lasts these are requests that fell with it, or panic. Once it is over
            // a failure is news, also of a probe that took longer than its claim.
            return if rest.is_claimed(now) || now >= rest.until {
                Learned::Eject(EjectionReason::Probe)
            } else {
                Learned::Nothing
            };
        }
        state.failures = state.failures.saturating_add(1);
        state.window.count(true, now, policy.window);
        let window = &state.window;
        let reason = if state.failures >= policy.failures {
            EjectionReason::InARow
        } else if window.is_bad(policy.requests_min, policy.failure_percent) {
            EjectionReason::Share
        } else {
            return Learned::Nothing;
        };
        if state.changed_within(steady(policy), now) {
            Learned::Nothing
        } else {
            Learned::Eject(reason)
        }
    }

    /// Sends it to rest, longer each time. Gives for how long.
    pub(super) fn eject(&self, now: Instant, policy: &Ejection, chance: u64) -> Duration {
        let mut state = self.lock();
        if state.rest.is_none() {
            state.changed = Some(now);
            state.forgive(now, policy.time);
        }
        state.ejections = state.ejections.saturating_add(1);
        let longest = policy.time.saturating_mul(state.ejections);
        let rest = jittered(longest.min(policy.time_max), chance);
        state.rest = Some(Rest {
            refused: false,
            began: now,
            until: now + rest,
            claimed_until: None,
        });
        state.failures = 0;
        state.window.clear();
        self.troubled.store(true, Ordering::Release);
        rest
    }

    /// It refused our credential.
    pub(super) fn refused(&self, now: Instant) {
        let mut state = self.lock();
        state.rest = Some(Rest {
            refused: true,
            began: now,
            until: now + REFUSAL,
            claimed_until: None,
        });
        self.troubled.store(true, Ordering::Release);
    }

    /// It is asked with another credential from now on.
    pub fn credential_changed(&self) {
        let mut state = self.lock();
        state.rest = state.rest.filter(|rest| !rest.refused);
    }

    /// It has too much to do; `None`: it did not say for how long.
    pub(super) fn busy(&self, wait: Option<Duration>, now: Instant) {
        let until = now + wait.unwrap_or(COOLING).min(COOLING_MAX);
        let mut state = self.lock();
        state.cools_until = state.cools_until.max(Some(until));
        if let Some(rest) = &mut state.rest {
            rest.claimed_until = None;
        }
        self.troubled.store(true, Ordering::Release);
    }

    /// How long it still cools down.
    pub(super) fn cooling(&self, now: Instant) -> Option<Duration> {
        let until = self.lock().cools_until?;
        Some(until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// A check of it passed, or did not. True if this changes whether it is asked.
    pub(super) fn checked(&self, passed: bool, check: &Check, now: Instant) -> bool {
        let mut state = self.lock();
        if passed != state.check_failed {
            state.contradictions = 0;
            return false;
        }
        state.contradictions = state.contradictions.saturating_add(1);
        let enough = if passed {
            check.healthy_after
        } else {
            check.unhealthy_after
        };
        let steady = STEADY.min(check.interval);
        if state.contradictions < enough || state.changed_within(steady, now) {
            return false;
        }
        state.check_failed = !passed;
        state.contradictions = 0;
        if passed {
            state.come_back(now);
        } else {
            state.changed = Some(now);
        }
        self.troubled.store(true, Ordering::Release);
        true
    }

    /// Whether it rests because it failed, its probe not yet passed.
    pub(super) fn is_ejected(&self) -> bool {
        self.troubled.load(Ordering::Acquire) && self.lock().rest.is_some_and(|rest| !rest.refused)
    }

    /// How bad it is: by what speaks against it, by how long it still rests, by how often it did.
    pub(super) fn badness(&self, now: Instant) -> Badness {
        let state = self.lock();
        let left = state
            .rest
            .map(|rest| rest.until.saturating_duration_since(now));
        Badness {
            reasons: u8::from(left.is_some()) + u8::from(state.check_failed),
            left: left.unwrap_or_default(),
            ejections: state.ejections,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verdict {
    /// The word for metrics and people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            // Until a request succeeds.
            Self::Due | Self::Ejected => "ejected",
            Self::CheckFailed => "check_failed",
            Self::Cooling => "cooling",
            Self::Refused => "refused",
        }
    }

    /// Whether a request may go there without further ado.
    #[must_use]
    pub fn may_be_asked(self) -> bool {
        matches!(self, Self::Fit | Self::Due)
    }

    /// Whether one may where nobody else is left.
    #[must_use]
    pub fn may_be_asked_in_need(self) -> bool {
        matches!(self, Self::Ejected | Self::CheckFailed)
    }
}

/// The least time between two changes by attempts.
fn steady(policy: &Ejection) -> Duration {
    STEADY.min(policy.time / 2)
}

/// Longer or shorter by up to a tenth.
pub(super) fn jittered(length: Duration, chance: u64) -> Duration {
    let part = super::balance::fraction(super::balance::upper(chance));
    length.mul_f64(0.9 + 0.2 * part)
}

#[cfg(test)]
mod tests;
