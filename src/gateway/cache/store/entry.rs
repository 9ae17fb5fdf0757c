//! What is kept of an answer?
//!
//! Its body, what it used, who made it, and how long it may be given. Nothing of its head: the
//! head of an answer is made for whom it goes to.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::names::{ModelId, PoolName};
use crate::openai::Usage;

/// An answer that is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The answer, whole.
    pub body: Bytes,
    /// What it used, where its upstream told.
    pub usage: Option<Usage>,
    /// Which model answered.
    pub model: ModelId,
    /// At which pool.
    pub pool: PoolName,
    /// When the answer was complete.
    pub made: Instant,
    /// How long it is fresh.
    pub fresh: Duration,
    /// How long after that it is given while another is fetched.
    pub stale_while_revalidate: Duration,
    /// How long after that it is given where no upstream answers.
    pub stale_if_error: Duration,
}

/// What an answer of some age may be given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Whoever asks.
    Fresh {
        /// How long it stays so, > 0.
        left: Duration,
    },
    /// Whoever asks, while another is fetched.
    StaleRevalidate,
    /// Where no upstream answers.
    StaleIfError,
}

impl Entry {
    /// A time to live, less by up to a tenth: by chance, so that what was kept in one moment does not
    /// end in one.
    #[must_use]
    pub fn jittered(ttl: Duration, chance: u64) -> Duration {
        const PARTS: u32 = 1 << 16;
        let part = u32::try_from(chance % u64::from(PARTS)).unwrap_or(0);
        ttl.saturating_sub((ttl / 10).saturating_mul(part) / PARTS)
    }

    /// How old it is.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.made)
    }

    /// How long it has not been fresh at this age.
    #[must_use]
    pub fn past(&self, age: Duration) -> Duration {
        age.saturating_sub(self.fresh)
    }

    /// What it may be given for at this age; `None`: nothing.
    #[must_use]
    pub fn state(&self, age: Duration) -> Option<State> {
        let left = self.fresh.saturating_sub(age);
        if !left.is_zero() {
            return Some(State::Fresh { left });
        }
        let past = self.past(age);
        if past < self.stale_while_revalidate {
            Some(State::StaleRevalidate)
        } else if past < self.stale_if_error {
            Some(State::StaleIfError)
        } else {
            None
        }
    }

    /// How long after it was made somebody may be given it for something.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        let stale = self.stale_while_revalidate.max(self.stale_if_error);
        self.fresh.saturating_add(stale)
    }

    /// The same, in no more memory than it needs.
    pub(super) fn fitted(self) -> Self {
        Self {
            body: Bytes::copy_from_slice(&self.body),
            ..self
        }
    }
}

/// Without its body: that is an answer to a caller.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            body,
            usage,
            model,
            pool,
            made: _,
            fresh,
            stale_while_revalidate,
            stale_if_error,
        } = self;
        f.debug_struct("Entry")
            .field("bytes", &body.len())
            .field("usage", usage)
            .field("model", model)
            .field("pool", pool)
            .field("fresh", fresh)
            .field("stale_while_revalidate", stale_while_revalidate)
            .field("stale_if_error", stale_if_error)
            .finish_non_exhaustive()
    }
}
