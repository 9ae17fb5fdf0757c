//! What is counted, and how much of it?

use std::time::Duration;

use crate::money::Usd;

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// As so many requests: its model's weight.
    pub requests: u32,
    /// As so many tokens, before its model's weight.
    pub tokens: u64,
    /// As so much money, whatever its model's weight; nothing where nobody knows its price.
    pub usd: Usd,
}

/// What is left of the tightest windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Of requests.
    pub requests: Option<Level>,
    /// Of tokens.
    pub tokens: Option<Level>,
    /// Of a key's own budgets, in billionths of a dollar.
    pub cost: Option<Level>,
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
    /// Billionths of a dollar in a span of the calendar.
    Cost,
    /// Requests in flight.
    Concurrent,
    /// Streams in flight.
    Streams,
}

impl Quota {
    /// What is left of both.
    pub(super) fn tighter(self, other: Self) -> Self {
        let tighter = |one: Option<Level>, other: Option<Level>| match (one, other) {
            (Some(one), Some(other)) if other.remaining < one.remaining => Some(other),
            (one, other) => one.or(other),
        };
        Self {
            requests: tighter(self.requests, other.requests),
            tokens: tighter(self.tokens, other.tokens),
            cost: tighter(self.cost, other.cost),
        }
    }
}

impl Kind {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 5] = [
        Self::Requests,
        Self::Tokens,
        Self::Cost,
        Self::Concurrent,
        Self::Streams,
    ];

    /// The word for labels; it is also what the file calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Cost => "cost",
            Self::Concurrent => "concurrent",
            Self::Streams => "streams",
        }
    }

    /// Whether it is reserved by an estimate, and settled at the end.
    #[must_use]
    pub fn is_estimated(self) -> bool {
        matches!(self, Self::Tokens | Self::Cost)
    }
}

impl Cost {
    /// The least that a request can cost.
    pub(super) const LEAST: Self = Self {
        requests: 1,
        tokens: 1,
        usd: Usd::ZERO,
    };

    /// How much of this kind.
    pub(super) fn of(self, kind: Kind) -> u64 {
        let Self {
            requests,
            tokens,
            usd,
        } = self;
        let weight = u64::from(requests);
        match kind {
            Kind::Requests => weight,
            Kind::Tokens => tokens.saturating_mul(weight),
            Kind::Cost => usd.as_nanos(),
            Kind::Concurrent | Kind::Streams => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_windows_that_is_told_of_which_less_is_left() {
        let level = |limit, remaining| {
            Some(Level {
                limit,
                remaining,
                reset: Duration::from_secs(limit),
            })
        };
        let of = |one, other| {
            let quota = |level| Quota {
                requests: level,
                ..Quota::default()
            };
            quota(one).tighter(quota(other)).requests
        };
        let (much, little) = (level(10, 9), level(20, 3));
        assert_eq!(of(much, little), little);
        assert_eq!(of(little, much), little);
        // Of two alike the first.
        assert_eq!(of(level(10, 3), little), level(10, 3));
        assert_eq!((of(None, much), of(much, None)), (much, much));
        assert_eq!(of(None, None), None);
    }

    #[test]
    fn each_kind_has_a_word_and_a_cost_of_its_own() {
        let cost = Cost {
            requests: 3,
            tokens: 5,
            usd: Usd::nanos(7),
        };
        let told = Kind::ALL.map(|kind| (kind.as_str(), cost.of(kind), kind.is_estimated()));
        let expected = [
            ("requests", 3, false),
            ("tokens", 15, true),
            ("cost", 7, true),
            ("concurrent", 1, false),
            ("streams", 1, false),
        ];
        assert_eq!(told, expected);
    }
}
