//! How are lengths of time and amounts of bytes written?
//!
//! Always with their unit, so that nobody has to remember whether a number means
//! seconds or milliseconds. Only whole numbers: `1500ms`, not `1.5s`, so that
//! there is one way to read each of them. Amounts of bytes count in steps of
//! 1024 and say so (`KiB`); a plain number means bytes.

use std::time::Duration;

/// Units of time with their milliseconds, the largest first.
const TIME_UNITS_MS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size with their bytes, the largest first.
const SIZE_UNITS_BYTES: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Longer than anything meant, short enough that adding a few never overflows a clock.
const DURATION_MS_MAX: u64 = 10 * 366 * 86_400_000;

/// More than any machine holds, and still exact as a JSON number.
const SIZE_BYTES_MAX: u64 = 1 << 50;

/// What a length of time is to be written like.
const DURATION_EXPECTED: &str =
    "write a whole number with one of the units ms, s, m, h, d, such as \"30s\"";

/// Reads `500ms`, `30s`, `5m`, `24h` or `7d`; never zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text) {
        Ok(Duration::ZERO) => Err(format!("must be longer than 0; {DURATION_EXPECTED}")),
        read => read,
    }
}

/// Reads the same, and `0s`.
pub(super) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let expected = DURATION_EXPECTED;
    let (number, unit) = split(text).ok_or_else(|| format!("is no length of time; {expected}"))?;
    let unit_ms = unit_factor(&TIME_UNITS_MS, unit).ok_or_else(|| {
        let fault = if unit.is_empty() {
            "lacks its unit"
        } else {
            "has an unknown unit"
        };
        format!("{fault}; {expected}")
    })?;
    match number.checked_mul(unit_ms) {
        Some(ms) if ms <= DURATION_MS_MAX => Ok(Duration::from_millis(ms)),
        _ => Err("must be at most ten years; write a shorter time such as \"30s\"".to_owned()),
    }
}

/// Writes a length of time in the largest unit that divides it.
pub(crate) fn duration_text(duration: Duration) -> String {
    match u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) {
        0 => "0s".to_owned(),
        ms => with_largest_unit(&TIME_UNITS_MS, ms),
    }
}

/// Reads `10MiB`, `64KiB`, `512B` or a plain number of bytes; never zero.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let expected = "write a whole number of bytes, or one with a unit of B, KiB, MiB, GiB, TiB, such as \"10MiB\"";
    let (number, unit) = split(text).ok_or_else(|| format!("is no amount of bytes; {expected}"))?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let unit_bytes = unit_factor(&SIZE_UNITS_BYTES, unit)
        .ok_or_else(|| format!("has an unknown unit; {expected}"))?;
    match number.checked_mul(unit_bytes) {
        Some(0) => Err(format!("must be at least 1 byte; {expected}")),
        Some(bytes) if bytes <= SIZE_BYTES_MAX => Ok(bytes),
        _ => Err("must be at most 1024TiB; write a smaller amount such as \"10MiB\"".to_owned()),
    }
}

/// Writes an amount of bytes in the largest unit that divides it.
pub(crate) fn size_text(bytes: u64) -> String {
    with_largest_unit(&SIZE_UNITS_BYTES, bytes)
}

/// The digits at the front as a number, and what follows them.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit))
}

fn unit_factor(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| *factor)
}

fn with_largest_unit(units: &[(&str, u64)], amount: u64) -> String {
    units
        .iter()
        .find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor))
        .map_or_else(
            || amount.to_string(),
            |(name, factor)| format!("{}{name}", amount / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_written_alike() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
            assert_eq!(duration_text(Duration::from_millis(ms)), text);
        }
        assert_eq!(duration_or_zero("0s"), Ok(Duration::ZERO));
        assert_eq!(duration_or_zero("0ms"), Ok(Duration::ZERO));
        assert_eq!(duration_text(Duration::ZERO), "0s");
        assert_eq!(duration_text(Duration::from_secs(90)), "90s");
        assert_eq!(duration_text(Duration::from_mins(5)), "5m");
    }

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in [
            ("10MiB", 10 << 20),
            ("64KiB", 65_536),
            ("1GiB", 1 << 30),
            ("513B", 513),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
            assert_eq!(size_text(bytes), text);
        }
        assert_eq!(size("4096"), Ok(4096));
    }

    #[test]
    fn what_is_neither_is_refused_with_the_units() {
        for text in [
            "",
            "s",
            "30",
            "30 s",
            "1.5s",
            "-1s",
            "0s",
            "30sec",
            "99999999999d",
            "184467440737095516161s",
            "٣s",
        ] {
            assert!(duration(text).is_err(), "{text}");
            assert!(text == "0s" || duration_or_zero(text).is_err(), "{text}");
        }
        for text in [
            "",
            "MiB",
            "10MB",
            "10 MiB",
            "-1",
            "0",
            "0KiB",
            "9999999TiB",
            "18446744073709551616",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(duration("30").is_err_and(|message| message.contains("ms, s, m, h, d")));
        assert!(size("10MB").is_err_and(|message| message.contains("KiB, MiB")));
    }
}
