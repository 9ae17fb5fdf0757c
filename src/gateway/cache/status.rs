//! What is a caller told of it?
//!
//! In the words of RFC 9211, with one member in the list: ours. The same closed set is what
//! metrics count and what the log line has, so that the three never disagree.

use std::time::Duration;

use http::HeaderValue;

use super::control::Bypass;

/// What memory had to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// It came from there, fresh.
    Hit {
        /// How old it is.
        age: Duration,
        /// How long it stays fresh.
        left: Duration,
    },
    /// It came from there, not fresh any more, while another was fetched.
    Stale {
        /// How old it is.
        age: Duration,
        /// How long it has not been fresh.
        past: Duration,
    },
    /// It came from there, not fresh any more, because no upstream answered.
    StaleIfError {
        /// How old it is.
        age: Duration,
        /// How long it has not been fresh.
        past: Duration,
    },
    /// It came from an upstream.
    Forwarded {
        /// Why.
        why: Forward,
        /// What became of it then.
        kept: Kept,
    },
}

/// Why an upstream was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forward {
    /// Memory is not asked for such requests.
    Bypass(Bypass),
    /// There was nothing.
    Miss,
    /// What was there was not fresh any more.
    Stale,
    /// The caller wants none from memory, or none as old.
    Request,
}

/// What became of an answer that came from an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Not known yet, or nobody meant to keep it.
    Unsaid,
    /// It was stored.
    Stored,
    /// It was the answer to the same request of somebody else, and is told of there.
    Collapsed,
    /// It was not stored, for this reason: a token of a fixed list.
    Refused(&'static str),
}

impl CacheStatus {
    /// An upstream is asked; no more is known.
    #[must_use]
    pub fn forwarded(why: Forward) -> Self {
        Self::Forwarded {
            why,
            kept: Kept::Unsaid,
        }
    }

    /// How old the answer is, where it came from memory.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        match self {
            Self::Hit { age, .. } | Self::Stale { age, .. } | Self::StaleIfError { age, .. } => {
                Some(*age)
            }
            Self::Forwarded { .. } => None,
        }
    }

    /// The value of `cache-status`.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_static("spafe")
    }
}
