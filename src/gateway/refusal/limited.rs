//! What is a caller told that is over a limit?
//!
//! Which one, how much it allows and when to come back. The shape is constant, and all that
//! is filled in is the configuration's: nothing of what the caller sent, and nobody else's
//! numbers.

use std::time::Duration;

use crate::config::units::duration_text;
use crate::gateway::limit::{Kind, Limited};
use crate::money::Usd;

impl Limited {
    /// The `code` of the error.
    pub(super) fn code(&self) -> &'static str {
        match self.kind {
            Kind::Requests => "rate_limit_exceeded",
            Kind::Tokens => "token_limit_exceeded",
            Kind::Cost => "budget_exceeded",
            Kind::Concurrent | Kind::Streams => "concurrency_limit_exceeded",
        }
    }

    /// The `message` of the error.
    pub(super) fn message(&self) -> String {
        if let (Kind::Cost, Some(per)) = (self.kind, self.per) {
            return format!(
                "The budget '{}' of {} USD each {} does not cover this request any more. Try again in {}.",
                self.name,
                Usd::nanos(self.count),
                duration_text(per),
                wait_text(self.retry_after)
            );
        }
        let what = match self.kind {
            Kind::Requests | Kind::Concurrent => "request",
            Kind::Tokens => "token",
            Kind::Cost => "billionth of a dollar",
            Kind::Streams => "stream",
        };
        let plural = if self.count == 1 { "" } else { "s" };
        let span = self.per.map_or_else(
            || "in progress".to_owned(),
            |per| format!("each {}", duration_text(per)),
        );
        let then = if self.per.is_some() {
            format!("Try again in {}.", wait_text(self.retry_after))
        } else {
            "Wait until one of them has ended.".to_owned()
        };
        format!(
            "The limit '{}' of {} {what}{plural} {span} is reached. {then}",
            self.name, self.count
        )
    }
}

/// A wait for people, never shorter than it is.
fn wait_text(wait: Duration) -> String {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    match seconds {
        0..=120 => format!("{} s", seconds.max(1)),
        121..=7_200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::LimitName;

    #[track_caller]
    fn check(kind: Kind, count: u64, per: Option<Duration>, wait_ms: u64, expected: (&str, &str)) {
        let limited = Limited {
            name: LimitName::new("per-client"),
            kind,
            count,
            per,
            retry_after: Duration::from_millis(wait_ms),
            quota: Box::default(),
        };
        assert_eq!((limited.code(), limited.message().as_str()), expected);
    }

    #[test]
    fn the_message_names_the_limit_and_says_when_to_come_back() {
        let minute = Some(Duration::from_mins(1));
        check(
            Kind::Requests,
            60,
            minute,
            11_001,
            (
                "rate_limit_exceeded",
                "The limit 'per-client' of 60 requests each 1m is reached. Try again in 12 s.",
            ),
        );
        check(
            Kind::Requests,
            1,
            Some(Duration::from_millis(1_500)),
            20,
            (
                "rate_limit_exceeded",
                "The limit 'per-client' of 1 request each 1500ms is reached. Try again in 1 s.",
            ),
        );
        check(
            Kind::Tokens,
            1_000_000,
            Some(Duration::from_hours(24)),
            43_200_000,
            (
                "token_limit_exceeded",
                "The limit 'per-client' of 1000000 tokens each 1d is reached. Try again in 12 h.",
            ),
        );
        check(
            Kind::Cost,
            12_500_000_000,
            Some(Duration::from_hours(24)),
            25_200_000,
            (
                "budget_exceeded",
                "The budget 'per-client' of 12.50 USD each 1d does not cover this request any more. Try again in 7 h.",
            ),
        );
        check(
            Kind::Concurrent,
            16,
            None,
            1_000,
            (
                "concurrency_limit_exceeded",
                "The limit 'per-client' of 16 requests in progress is reached. Wait until one of them has ended.",
            ),
        );
        check(
            Kind::Streams,
            1,
            None,
            1_000,
            (
                "concurrency_limit_exceeded",
                "The limit 'per-client' of 1 stream in progress is reached. Wait until one of them has ended.",
            ),
        );
    }

    #[test]
    fn a_wait_is_never_told_shorter_than_it_is() {
        for (seconds, told) in [
            (0, "1 s"),
            (120, "120 s"),
            (121, "3 min"),
            (7_200, "120 min"),
            (7_201, "3 h"),
            (86_400, "24 h"),
        ] {
            assert_eq!(wait_text(Duration::from_secs(seconds)), told);
        }
    }
}
