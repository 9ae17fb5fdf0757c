//! How is a caller told what is left?
//!
//! In the six fields that OpenAI's own answers have, so that what reads those reads these:
//! numbers as they are, and times as Go writes them, `6m0s` or `20ms`. Every answer of a
//! chat completion carries them, so they are written into a buffer on the stack.

use std::time::Duration;

use http::response::Parts;
use http::{HeaderName, HeaderValue};

use crate::gateway::limit::{Level, Quota};
use crate::money::Usd;

/// What is told of requests, and of tokens.
const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
/// What is told of a key's own budgets, in dollars.
const COST: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-cost"),
    HeaderName::from_static("x-ratelimit-remaining-cost"),
    HeaderName::from_static("x-ratelimit-reset-cost"),
];

/// Bytes of the longest value: hours of twenty digits, and `h59m59s` behind them.
const VALUE_BYTES_MAX: usize = 27;

/// Tells what is left, as far as anything is limited.
pub(super) fn put(head: &mut Parts, quota: &Quota) {
    if let Some(level) = &quota.requests {
        put_level(head, REQUESTS, level);
    }
    if let Some(level) = &quota.tokens {
        put_level(head, TOKENS, level);
    }
    if let Some(level) = &quota.cost {
        let [limit, remaining, reset] = COST;
        head.headers.insert(limit, dollars(level.limit));
        head.headers.insert(remaining, dollars(level.remaining));
        head.headers.insert(reset, time(level.reset));
    }
}

fn put_level(head: &mut Parts, names: [HeaderName; 3], level: &Level) {
    let [limit, remaining, reset] = names;
    head.headers.insert(limit, number(level.limit));
    head.headers.insert(remaining, number(level.remaining));
    head.headers.insert(reset, time(level.reset));
}

/// A whole number.
fn number(number: u64) -> HeaderValue {
    let mut text = Text::new();
    text.digits(number);
    text.value()
}

/// Dollars, of billionths of one.
fn dollars(nanos: u64) -> HeaderValue {
    let text = Usd::nanos(nanos).to_string();
    // Digits and a point.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0"))
}

/// A length of time, rounded up: whoever comes back then is not too early.
fn time(time: Duration) -> HeaderValue {
    let mut text = Text::new();
    let ms = time.as_nanos().div_ceil(1_000_000);
    match u64::try_from(ms) {
        Ok(0) => text.unit(0, b"s"),
        Ok(ms @ 1..1_000) => text.unit(ms, b"ms"),
        _ => {
            let begun = u64::from(time.subsec_nanos() > 0);
            let seconds = time.as_secs().saturating_add(begun);
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            if hours > 0 {
                text.unit(hours, b"h");
            }
            if seconds >= 60 {
                text.unit(minutes, b"m");
            }
            text.unit(seconds % 60, b"s");
        }
    }
    text.value()
}

/// A value that is being written.
struct Text {
    bytes: [u8; VALUE_BYTES_MAX],
    /// `len ≤ VALUE_BYTES_MAX`
    len: usize,
}

impl Text {
    fn new() -> Self {
        Self {
            bytes: [0; VALUE_BYTES_MAX],
            len: 0,
        }
    }

    fn unit(&mut self, number: u64, unit: &[u8]) {
        self.digits(number);
        for byte in unit {
            self.push(*byte);
        }
    }

    fn digits(&mut self, number: u64) {
        let mut scale = 10_u64.pow(number.checked_ilog10().unwrap_or(0));
        while scale > 0 {
            let digit = u8::try_from(number / scale % 10).unwrap_or(0);
            self.push(b'0' + digit);
            scale /= 10;
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn value(&self) -> HeaderValue {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        // Digits and letters only, so this never fails.
        HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static("0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(time: Duration, expected: &str) {
        assert_eq!(super::time(time), expected, "{time:?}");
    }

    #[test]
    fn times_are_written_as_openai_writes_them() {
        check(Duration::ZERO, "0s");
        check(Duration::from_millis(20), "20ms");
        check(Duration::from_secs(1), "1s");
        check(Duration::from_secs(59), "59s");
        check(Duration::from_mins(6), "6m0s");
        check(Duration::from_secs(3_599), "59m59s");
        check(Duration::from_hours(24), "24h0m0s");
        check(Duration::from_secs(3_661), "1h1m1s");
        check(Duration::MAX, "5124095576030431h0m15s");
    }

    #[test]
    fn no_time_is_told_shorter_than_it_is() {
        check(Duration::from_nanos(1), "1ms");
        check(Duration::from_micros(19_001), "20ms");
        check(Duration::from_micros(999_001), "1s");
        check(Duration::from_millis(1_001), "2s");
        check(Duration::from_millis(59_001), "1m0s");
    }

    #[test]
    fn numbers_are_written_whole() {
        for told in [0, 1, 9, 10, 60, 99_999, 100_000, u64::MAX] {
            assert_eq!(number(told), told.to_string().as_str());
        }
    }

    #[test]
    fn what_is_not_limited_is_not_told() {
        let (mut head, ()) = http::Response::new(()).into_parts();
        put(&mut head, &Quota::default());
        assert!(head.headers.is_empty());
        let quota = Quota {
            requests: None,
            cost: Some(Level {
                limit: 5_000_000_000,
                remaining: 4_999_875_000,
                reset: Duration::from_hours(7),
            }),
            tokens: Some(Level {
                limit: 100_000,
                remaining: 98_765,
                reset: Duration::from_millis(740),
            }),
        };
        put(&mut head, &quota);
        let told = |name: &str| head.headers.get(name).and_then(|told| told.to_str().ok());
        assert_eq!(head.headers.len(), 6);
        assert_eq!(told("x-ratelimit-limit-cost"), Some("5.00"));
        assert_eq!(told("x-ratelimit-remaining-cost"), Some("4.999875"));
        assert_eq!(told("x-ratelimit-reset-cost"), Some("7h0m0s"));
        assert_eq!(told("x-ratelimit-limit-tokens"), Some("100000"));
        assert_eq!(told("x-ratelimit-remaining-tokens"), Some("98765"));
        assert_eq!(told("x-ratelimit-reset-tokens"), Some("740ms"));
    }
}
