//! How many milliseconds did it take?

use std::time::Duration;

/// A duration in milliseconds, to the microsecond.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Writes a duration in milliseconds, to the microsecond. Whole numbers are a tenth of the work
/// that fractions are.
pub fn put_millis(to: &mut Vec<u8>, duration: Duration) {
    let micros = (duration.as_secs().saturating_mul(1_000_000))
        .saturating_add(u64::from((duration.subsec_nanos() + 500) / 1_000));
    let mut whole = itoa::Buffer::new();
    to.extend_from_slice(whole.format(micros / 1_000).as_bytes());
    let mut rest = micros % 1_000;
    if rest > 0 {
        to.push(b'.');
    }
    while rest > 0 {
        to.push(b'0' + u8::try_from(rest / 100).unwrap_or_default());
        rest = rest % 100 * 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_in_milliseconds_to_the_microsecond() {
        let check = |nanos: u64, expected: &str| {
            let mut text = Vec::new();
            put_millis(&mut text, Duration::from_nanos(nanos));
            assert_eq!(text, expected.as_bytes(), "{nanos} ns");
        };
        for (nanos, expected) in [
            (0, "0"),
            (499, "0"),
            (500, "0.001"),
            (999_500, "1"),
            (1_000_000, "1"),
            (1_500_000, "1.5"),
            (12_034_000, "12.034"),
            (120_340_000_400, "120340"),
            (7_030_000, "7.03"),
            (999_999_999, "1000"),
        ] {
            check(nanos, expected);
        }
    }
}
