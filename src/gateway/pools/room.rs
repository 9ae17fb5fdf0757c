//! How much does a target take at once?
//!
//! `target_max` says what it takes at most. Where the pool is `adaptive`, a bound below it
//! is found by how the target answers, because what a server can do is seldom known, and
//! is less on a day when it shares its machine.
//!
//! The idea is TCP Vegas'. A server with N places answers in the same time up to N
//! requests; beyond, requests wait inside of it, and by Little's law the share of its
//! latency that is waiting is the share of requests in flight that are too many. So the
//! latency over what it is without a queue (`base`) is all there is to know: up to 1.2 the
//! bound grows by one a round trip, above 1.4 it is lowered to nine tenths of what was in
//! flight, between them it rests. It comes to rest at 1.0 to 1.4 N, where the server is
//! busy and its queue short. Refusals for load (429) and a majority of failures, which is
//! what timeouts look like, lower it to seven tenths at once. A few failures do not: they
//! are health's matter, and a fault that has nothing to do with load must not halve room.
//!
//! Requests to language models differ by orders of magnitude, so nothing is decided by one
//! of them, nor by the fastest: what counts is the mean over a window of a round trip, with
//! as many answers as there may be requests in flight. After each step a window is left
//! out, since its answers began before the step.
//!
//! `base` is the hard part. A smallest latency that is never forgotten is wrong after the
//! prompts got longer, and an average that follows creeps up with the very queue it should
//! show. So it is measured: every now and then, and where lowering has not helped, the
//! bound is halved for two windows, which empties the queue, and the latency of the second
//! is the new base. Where that raised it, the next measurement is soon, as a queue that
//! was too long to empty by one half is emptied by the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::policy::Concurrency;
use crate::gateway::pools::Lesson;

/// Where the search begins: few servers take less, and twice as much is two steps away.
const FIRST: usize = 16;
/// Latency over base up to which there is room for more.
const CALM: f64 = 1.2;
/// Latency over base from which there is too much.
const CROWDED: f64 = 1.4;
/// What is left of the bound where it is crowded, and where the target said so itself.
const LOWERED: f64 = 0.9;
const LOWERED_FAR: f64 = 0.7;
/// How fast the bound grows until the first sign of a queue.
const FIRST_GROWTH: f64 = 1.5;
/// Answers in a window at least, or chance decides.
const SAMPLES_MIN: usize = 8;
/// Windows from one measurement of the base to the next; fewer where it had risen.
const MEASURE_AFTER: u32 = 64;
const MEASURE_SOON: u32 = 8;
/// Times in a row the bound is lowered until the base itself is doubted: to half.
const LOWERINGS_MAX: u32 = 6;

/// What a target takes at once.
#[derive(Debug, Default)]
pub struct Room {
    /// `⌊search.bound⌋`; 0: nothing was learned yet.
    found: AtomicUsize,
    search: Mutex<Search>,
}

/// Where the search for the bound stands.
#[derive(Debug)]
struct Search {
    /// `1 ≤ bound`
    bound: f64,
    /// Seconds that an answer takes where nothing waits; `None` until the first window.
    base: Option<f64>,
    /// Whether no queue was seen yet.
    first: bool,
    phase: Phase,
    /// Windows until the base is measured.
    measure_in: u32,
    lowerings: u32,
    window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The window decides.
    Watching,
    /// The window is left out.
    Settling,
    /// The window is left out; the next measures the base.
    Emptying,
    /// The window measures the base.
    Measuring,
}

/// What was learned since it began.
#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    answers: usize,
    latencies: Duration,
    failures: usize,
    /// The most that were in flight.
    in_flight: usize,
}

impl Room {
    /// How many may be in flight.
    #[must_use]
    pub fn bound(&self, bounds: &Concurrency) -> usize {
        if !bounds.adaptive {
            return bounds.target_max;
        }
        match self.found.load(Ordering::Relaxed) {
            0 => bounds.target_max.min(FIRST),
            found => bounds.target_max.min(found),
        }
    }

    /// Whether there is room for one more beside those in flight.
    #[must_use]
    pub fn has_room(&self, in_flight: usize, bounds: &Concurrency) -> bool {
        in_flight < self.bound(bounds)
    }

    /// Takes what an attempt taught, with how many were in flight at its end. True where
    /// the bound is another one now.
    pub fn learn(
        &self,
        lesson: Lesson,
        in_flight: usize,
        bounds: &Concurrency,
        now: Instant,
    ) -> bool {
        if !bounds.adaptive {
            return false;
        }
        let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        search.learn(lesson, in_flight, now);
        search.bound = search.bound.clamp(1.0, number(bounds.target_max.max(1)));
        let found = whole(search.bound);
        self.found.swap(found, Ordering::Relaxed) != found
    }
}

impl Default for Search {
    fn default() -> Self {
        Self {
            bound: number(FIRST),
            base: None,
            first: true,
            phase: Phase::Watching,
            measure_in: MEASURE_SOON,
            lowerings: 0,
            window: Window::default(),
        }
    }
}

impl Search {
    fn learn(&mut self, lesson: Lesson, in_flight: usize, now: Instant) {
        self.window.add(lesson, in_flight, now);
        if matches!(lesson, Lesson::Busy(_)) && self.phase == Phase::Watching {
            self.lower(LOWERED_FAR);
        } else if self.window.is_over(self.bound, now) {
            self.step();
        }
    }

    /// What the window that is over says.
    fn step(&mut self) {
        let window = std::mem::take(&mut self.window);
        let failing = window.failures > window.answers;
        match (self.phase, window.latency(), self.base) {
            (Phase::Settling, _, _) => self.phase = Phase::Watching,
            (Phase::Emptying, _, _) => self.phase = Phase::Measuring,
            (Phase::Measuring, latency, _) => self.measured(latency),
            (Phase::Watching, _, _) if failing => {
                self.window = window;
                self.lower(LOWERED_FAR);
            }
            (Phase::Watching, Some(latency), Some(base)) => self.watched(window, latency / base),
            (Phase::Watching, latency, _) => self.base = latency,
        }
    }

    /// A window to decide by: its latency is this many times the base.
    fn watched(&mut self, window: Window, slowness: f64) {
        self.measure_in = self.measure_in.saturating_sub(1);
        if slowness < 1.0 {
            self.base = self.base.map(|base| base * f64::midpoint(1.0, slowness));
        }
        if slowness > CROWDED && self.lowerings < LOWERINGS_MAX {
            self.window = window;
            self.lowerings += 1;
            return self.lower(LOWERED);
        }
        if slowness > CROWDED || self.measure_in == 0 {
            self.bound = (self.bound / 2.0).max(1.0);
            self.phase = Phase::Emptying;
            return;
        }
        self.lowerings = 0;
        // A bound that nobody comes near says nothing about what is beyond it.
        let is_used = number(window.in_flight) * 2.0 >= self.bound;
        if slowness > CALM {
            self.first = false;
        } else if is_used && self.first {
            self.bound *= FIRST_GROWTH;
            self.phase = Phase::Settling;
        } else if is_used {
            self.bound += 1.0;
        }
    }

    /// Lowers the bound to this share of what was in flight: it was that which was too much.
    fn lower(&mut self, share: f64) {
        let used = number(self.window.in_flight).min(self.bound);
        self.bound = (used * share).max(1.0);
        self.first = false;
        self.phase = Phase::Settling;
        self.window = Window::default();
    }

    /// The base was measured at half of the bound.
    fn measured(&mut self, latency: Option<f64>) {
        let risen = match (latency, self.base) {
            (Some(latency), Some(base)) => latency > base * CALM,
            _ => false,
        };
        self.base = latency.or(self.base);
        self.measure_in = if risen { MEASURE_SOON } else { MEASURE_AFTER };
        self.lowerings = 0;
        self.bound *= 2.0;
        self.phase = Phase::Settling;
    }
}

impl Window {
    fn add(&mut self, lesson: Lesson, in_flight: usize, now: Instant) {
        self.began.get_or_insert(now);
        self.in_flight = self.in_flight.max(in_flight);
        match lesson {
            Lesson::Answered(latency) | Lesson::Began(latency) => {
                self.answers += 1;
                self.latencies += latency;
            }
            Lesson::Failed | Lesson::Busy(_) => self.failures += 1,
            Lesson::Completed | Lesson::Spent(_) | Lesson::Refused => {}
        }
    }

    /// Whether it holds a round trip of as many as there may be.
    fn is_over(&self, bound: f64, now: Instant) -> bool {
        let lessons = self.answers + self.failures;
        let lasted = self.began.map(|began| now.saturating_duration_since(began));
        lessons >= SAMPLES_MIN.max(whole(bound))
            && lasted.map(|lasted| lasted.as_secs_f64()) >= self.latency()
    }

    /// Seconds an answer took in the mean; `None` without one.
    fn latency(&self) -> Option<f64> {
        (self.answers > 0).then(|| self.latencies.as_secs_f64() / number(self.answers))
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "1 ≤ bound ≤ target_max, and the whole part is what is wanted"
)]
fn whole(bound: f64) -> usize {
    bound as usize
}

#[cfg(test)]
mod tests;
