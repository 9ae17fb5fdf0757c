//! What time is it, and what is random?
//!
//! The only place that asks. The steps of a request get `now` handed in, so that
//! every decision they make can be repeated in a test without waiting.

use std::time::{Instant, SystemTime};

/// A moment, on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For measuring and for deadlines: never goes back.
    pub instant: Instant,
    /// For people: the time of day.
    pub wall: SystemTime,
}

/// The present moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clocks are read"
)]
#[must_use]
pub fn now() -> Now {
    Now {
        instant: Instant::now(),
        wall: SystemTime::now(),
    }
}

/// The present moment on the steady clock alone.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clocks are read"
)]
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// Sixty-four bits nobody outside this process can guess.
///
/// They come from the standard library's keyed hasher, which the system seeds.
#[must_use]
pub fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u64)
}
