//! What is counted, and how much of it?

use std::time::Duration;

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// As so many requests: its model's weight.
    pub requests: u32,
    /// As so many tokens, before its model's weight.
    pub tokens: u64,
}

/// What is left of the tightest windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Of requests.
    pub requests: Option<Level>,
    /// Of tokens.
    pub tokens: Option<Level>,
}

/// How full a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// How many may be taken at once after a pause: the window's burst.
    pub limit: u64,
    /// How many may be taken now.
    pub remaining: u64,
    /// When all of them may be taken again.
    pub reset: Duration,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests in a span of time.
    Requests,
    /// Tokens in a span of time.
    Tokens,
    /// Requests in flight.
    Concurrent,
    /// Streams in flight.
    Streams,
}

impl Quota {
    /// What is left of both.
    pub(super) fn tighter(self, other: Self) -> Self {
        let part = |level: Level| level.remaining.saturating_mul(1 << 20) / level.limit.max(1);
        let tighter = |one: Option<Level>, other: Option<Level>| match (one, other) {
            (Some(one), Some(other)) if part(other) < part(one) => Some(other),
            (one, other) => one.or(other),
        };
        Self {
            requests: tighter(self.requests, other.requests),
            tokens: tighter(self.tokens, other.tokens),
        }
    }
}

impl Kind {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 4] = [
        Self::Requests,
        Self::Tokens,
        Self::Concurrent,
        Self::Streams,
    ];

    /// The word for labels; it is also what the file calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
            Self::Streams => "streams",
        }
    }
}

impl Cost {
    /// The least that a request can cost.
    pub(super) const LEAST: Self = Self {
        requests: 1,
        tokens: 1,
    };

    /// How much of this kind.
    pub(super) fn of(self, kind: Kind) -> u64 {
        let Self { requests, tokens } = self;
        let weight = u64::from(requests);
        match kind {
            Kind::Requests => weight,
            Kind::Tokens => tokens.saturating_mul(weight),
            Kind::Concurrent | Kind::Streams => 1,
        }
    }
}
