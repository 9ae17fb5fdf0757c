//! What is a caller told of it?
//!
//! In the words of RFC 9211, a list with one member: us. An answer from memory is a `hit`, with
//! a `ttl` below 0 where it is not fresh any more; one that was only given because no upstream
//! answered was forwarded for being stale, and its `ttl` tells that it is. `collapsed` was the
//! answer to the same request of somebody else. The same closed set is what metrics count and
//! what the log line has, so that the three never disagree.
//!
//! Source: RFC 9211, section 2; the values are tokens and integers of RFC 8941.

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
    /// It came from an upstream, or was to.
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
    /// It was the answer to the same request of somebody else, where the rest is told.
    Collapsed,
    /// It was not stored, for this reason: a token of a fixed list.
    Refused(&'static str),
}

/// How that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// From memory, fresh.
    Hit,
    /// From memory, while another was fetched.
    Stale,
    /// From memory, because no upstream answered.
    StaleIfError,
    /// The answer to somebody else's request.
    Collapsed,
    /// There was nothing.
    Miss,
    /// What was there was too old.
    Expired,
    /// The caller wanted none from memory, or none as old.
    Request,
    /// Memory was not asked.
    Bypass,
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

    /// The same, and this became of the answer; nothing becomes of one from memory.
    #[must_use]
    pub fn and(self, kept: Kept) -> Self {
        match self {
            Self::Forwarded { why, .. } => Self::Forwarded { why, kept },
            from_memory => from_memory,
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

    /// Why memory was not asked.
    #[must_use]
    pub fn bypass(&self) -> Option<Bypass> {
        match self {
            Self::Forwarded {
                why: Forward::Bypass(bypass),
                ..
            } => Some(*bypass),
            _ => None,
        }
    }

    /// How it is counted.
    #[must_use]
    pub fn counted(&self) -> Counted {
        match self {
            Self::Hit { .. } => Counted::Hit,
            Self::Stale { .. } => Counted::Stale,
            Self::StaleIfError { .. } => Counted::StaleIfError,
            Self::Forwarded {
                kept: Kept::Collapsed,
                ..
            } => Counted::Collapsed,
            Self::Forwarded { why, .. } => match why {
                Forward::Bypass(_) => Counted::Bypass,
                Forward::Miss => Counted::Miss,
                Forward::Stale => Counted::Expired,
                Forward::Request => Counted::Request,
            },
        }
    }

    /// The value of `cache-status`.
    #[must_use]
    pub fn value(&self) -> HeaderValue {
        match self {
            Self::Hit { left, .. } => with_ttl("spafe; hit; ttl=", left.as_secs(), ""),
            Self::Stale { past, .. } => with_ttl("spafe; hit; ttl=-", begun(*past), ""),
            Self::StaleIfError { past, .. } => with_ttl(
                "spafe; fwd=stale; ttl=-",
                begun(*past),
                "; detail=stale_if_error",
            ),
            Self::Forwarded { why, kept } => forwarded(*why, *kept),
        }
    }
}

/// Seconds that have begun: what is not fresh any more has been so for one at least.
fn begun(past: Duration) -> u64 {
    let begun = u64::from(past.subsec_nanos() > 0);
    past.as_secs().saturating_add(begun).max(1)
}

/// The common ones are constants, which cost nothing.
fn forwarded(why: Forward, kept: Kept) -> HeaderValue {
    let (bare, stored, collapsed) = match why {
        Forward::Bypass(bypass) => return with_detail("spafe; fwd=bypass", bypass.as_str()),
        Forward::Miss => (
            "spafe; fwd=miss",
            "spafe; fwd=miss; stored",
            "spafe; fwd=miss; collapsed",
        ),
        Forward::Stale => (
            "spafe; fwd=stale",
            "spafe; fwd=stale; stored",
            "spafe; fwd=stale; collapsed",
        ),
        Forward::Request => (
            "spafe; fwd=request",
            "spafe; fwd=request; stored",
            "spafe; fwd=request; collapsed",
        ),
    };
    match kept {
        Kept::Unsaid => HeaderValue::from_static(bare),
        Kept::Stored => HeaderValue::from_static(stored),
        Kept::Collapsed => HeaderValue::from_static(collapsed),
        Kept::Refused(reason) => with_detail(bare, reason),
    }
}

fn with_detail(text: &'static str, detail: &'static str) -> HeaderValue {
    let mut value = String::with_capacity(text.len() + "; detail=".len() + detail.len());
    value.push_str(text);
    value.push_str("; detail=");
    value.push_str(detail);
    // Of constants alone.
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(text))
}

fn with_ttl(before: &'static str, seconds: u64, behind: &'static str) -> HeaderValue {
    let mut value = String::with_capacity(before.len() + 20 + behind.len());
    value.push_str(before);
    put_decimal(&mut value, seconds);
    value.push_str(behind);
    HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("spafe; hit"))
}

fn put_decimal(text: &mut String, number: u64) {
    if number >= 10 {
        put_decimal(text, number / 10);
    }
    text.extend(char::from_digit((number % 10) as u32, 10));
}

impl Counted {
    /// Every word, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Hit,
        Self::Stale,
        Self::StaleIfError,
        Self::Collapsed,
        Self::Miss,
        Self::Expired,
        Self::Request,
        Self::Bypass,
    ];

    /// The word for the label and the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::StaleIfError => "stale_if_error",
            Self::Collapsed => "collapsed",
            Self::Miss => "miss",
            Self::Expired => "expired",
            Self::Request => "request",
            Self::Bypass => "bypass",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: CacheStatus, value: &str, counted: &str) {
        assert_eq!(status.value(), value);
        assert_eq!(status.counted().as_str(), counted);
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_answer_from_memory_tells_how_long_it_stays_fresh() {
        let hit = |left| CacheStatus::Hit { age: ms(1), left };
        check(hit(ms(290_000)), "spafe; hit; ttl=290", "hit");
        check(hit(ms(999)), "spafe; hit; ttl=0", "hit");
        let most = u64::MAX.to_string();
        let longest = hit(Duration::from_secs(u64::MAX));
        check(longest, &format!("spafe; hit; ttl={most}"), "hit");
        assert_eq!(hit(ms(5)).age(), Some(ms(1)));
    }

    #[test]
    fn what_is_not_fresh_any_more_has_a_ttl_below_zero() {
        let stale = |past| CacheStatus::Stale { age: ms(9), past };
        check(stale(ms(3_000)), "spafe; hit; ttl=-3", "stale");
        check(stale(ms(2_001)), "spafe; hit; ttl=-3", "stale");
        check(stale(ms(1)), "spafe; hit; ttl=-1", "stale");
        check(stale(ms(0)), "spafe; hit; ttl=-1", "stale");
        let (age, past) = (ms(9), ms(30_000));
        check(
            CacheStatus::StaleIfError { age, past },
            "spafe; fwd=stale; ttl=-30; detail=stale_if_error",
            "stale_if_error",
        );
    }

    #[test]
    fn what_was_forwarded_tells_why_and_what_became_of_it() {
        for (why, value, counted) in [
            (Forward::Miss, "spafe; fwd=miss", "miss"),
            (Forward::Stale, "spafe; fwd=stale", "expired"),
            (Forward::Request, "spafe; fwd=request", "request"),
        ] {
            let status = CacheStatus::forwarded(why);
            check(status, value, counted);
            check(
                status.and(Kept::Stored),
                &format!("{value}; stored"),
                counted,
            );
            check(
                status.and(Kept::Refused("length")),
                &format!("{value}; detail=length"),
                counted,
            );
            check(
                status.and(Kept::Collapsed),
                &format!("{value}; collapsed"),
                "collapsed",
            );
            assert_eq!((status.age(), status.bypass()), (None, None));
        }
    }

    #[test]
    fn a_bypass_tells_its_reason_in_a_token() {
        for bypass in Bypass::ALL {
            let status = CacheStatus::forwarded(Forward::Bypass(bypass));
            let reason = bypass.as_str();
            check(
                status,
                &format!("spafe; fwd=bypass; detail={reason}"),
                "bypass",
            );
            assert_eq!(status.bypass(), Some(bypass));
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c);
            assert!(reason.starts_with(|c: char| c.is_ascii_alphabetic()));
            assert!(reason.chars().all(is_token), "{reason}");
        }
    }
}
