//! When does an upstream want to be asked again?
//!
//! It says so in a refusal, or already with the last answer that it had left to give.
//! Either is believed within bounds.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

/// The least that an upstream means, and the longest it is believed.
pub const WAIT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(2);

/// `retry-after-ms`, or `Retry-After` in seconds or as a date; bounded.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = |text: &str| {
        text.trim()
            .parse::<f64>()
            .ok()
            .filter(|number| *number >= 0.0)
    };
    let wait = if let Some(ms) = text("retry-after-ms").and_then(seconds) {
        Duration::try_from_secs_f64(ms / 1000.0).ok()?
    } else {
        let value = text(header::RETRY_AFTER.as_str())?;
        match seconds(value) {
            Some(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
            None => httpdate::parse_http_date(value)
                .ok()?
                .duration_since(now)
                .unwrap_or_default(),
        }
    };
    Some(bounded(wait))
}

/// What an upstream says, as far as it is believed.
pub(super) fn bounded(wait: Duration) -> Duration {
    wait.clamp(*WAIT.start(), *WAIT.end())
}

/// How long nothing is left of what a target gives us, where it says so with an answer.
///
/// Shape: `x-ratelimit-remaining-requests: 0` beside `x-ratelimit-reset-requests: 6m0s`,
/// and the same of tokens.
#[must_use]
pub fn spent(headers: &HeaderMap) -> Option<Duration> {
    static KINDS: [(HeaderName, HeaderName); 2] = [
        (
            HeaderName::from_static("x-ratelimit-remaining-requests"),
            HeaderName::from_static("x-ratelimit-reset-requests"),
        ),
        (
            HeaderName::from_static("x-ratelimit-remaining-tokens"),
            HeaderName::from_static("x-ratelimit-reset-tokens"),
        ),
    ];
    let mut names = headers.keys();
    if !names.any(|name| name.as_str().starts_with("x-ratelimit-remaining-")) {
        return None;
    }
    let waits = KINDS.iter().filter_map(|(remaining, reset)| {
        let nothing = headers.get(remaining)?.as_bytes().trim_ascii() == b"0";
        let reset = headers.get(reset).filter(|_| nothing)?;
        // Not `to_str`, which takes ASCII only: Go writes `µs`.
        span(std::str::from_utf8(reset.as_bytes()).ok()?.trim())
    });
    let longest = waits.max()?;
    Some(longest.clamp(*WAIT.start(), *WAIT.end()))
}

/// A length of time as Go writes it, such as `6m0s` or `120ms`; a plain number is seconds.
fn span(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let unit_end = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let (unit, next) = behind.split_at_checked(unit_end)?;
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = next;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn wait(name: &'static str, value: &str) -> Option<u128> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        retry_after(&headers, now).map(|wait| wait.as_millis())
    }

    #[test]
    fn every_way_to_say_when_to_come_back_is_understood_and_bounded() {
        assert_eq!(wait("retry-after", "7"), Some(7000));
        assert_eq!(wait("retry-after", "7.5"), Some(7500));
        assert_eq!(wait("retry-after", "99999"), Some(120_000));
        assert_eq!(wait("retry-after", "0"), Some(1000));
        assert_eq!(
            wait("retry-after", "Sun, 22 Nov 2026 10:00:09 GMT"),
            Some(9000)
        );
        assert_eq!(wait("retry-after", "soon"), None);
        assert_eq!(wait("retry-after", "-1"), None);
        assert_eq!(wait("retry-after-ms", "1500"), Some(1500));
    }

    #[test]
    fn an_answer_says_that_it_was_the_last_one_for_a_while() {
        let spent = |remaining: &'static str, reset: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                "x-ratelimit-remaining-requests",
                HeaderValue::from_static(remaining),
            );
            headers.insert(
                "x-ratelimit-reset-requests",
                HeaderValue::from_bytes(reset.as_bytes()).unwrap(),
            );
            spent(&headers).map(|wait| wait.as_millis())
        };
        assert_eq!(spent("1", "6s"), None);
        assert_eq!(spent("0", "6s"), Some(6_000));
        assert_eq!(spent("0", "1m2.5s"), Some(62_500));
        assert_eq!(spent("0", "120ms"), Some(1_000));
        assert_eq!(spent("0", "4s999999µs"), Some(4_999));
        assert_eq!(spent("0", "4s2000us"), Some(4_002));
        assert_eq!(spent("0", "17"), Some(17_000));
        assert_eq!(spent("0", "9h0m0s"), Some(120_000));
        assert_eq!(spent("0", "soon"), None);
        assert_eq!(spent("0", "1"), Some(1_000));
        assert_eq!(spent("0", ""), Some(1_000));
    }
}
