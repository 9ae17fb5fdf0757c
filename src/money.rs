//! How much is it worth?
//!
//! US dollars in whole billionths, so that a million small sums are as exact as one large one:
//! what is written with a fraction is read once, and only told with one again.

use std::fmt;
use std::ops::{AddAssign, SubAssign};

use serde::{Serialize, Serializer};

/// Billionths of a dollar in one.
const NANOS: u64 = 1_000_000_000;

/// An amount of US dollars, in billionths; no more than eighteen thousand million dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many billionths of a dollar.
    #[must_use]
    pub const fn nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// So many billionths; more than fit are as many as do.
    #[must_use]
    pub fn clamped(nanos: u128) -> Self {
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// An amount that was written with a fraction, to the nearest billionth; what is less than
    /// nothing, or no number, is nothing.
    #[must_use]
    pub fn dollars(dollars: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and makes zero of what is no number"
        )]
        let nanos = (dollars * 1e9).round() as u64;
        Self(nanos)
    }

    /// In billionths of a dollar.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// For metrics and JSON: exact to the billionth up to a million dollars.
    #[expect(clippy::cast_precision_loss, reason = "told, and not calculated with")]
    #[must_use]
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = self.plus(other);
    }
}

impl SubAssign for Usd {
    fn sub_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_sub(other.0);
    }
}

/// Such as `5.00`, `0.0125` or `0.000000001`: two digits behind the point, and as many more as
/// there are.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nanos) = (self.0 / NANOS, self.0 % NANOS);
        let fraction = format!("{nanos:09}");
        let (cents, rest) = fraction.split_at_checked(2).unwrap_or_default();
        write!(f, "{whole}.{cents}{}", rest.trim_end_matches('0'))
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.as_dollars())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(dollars: f64, nanos: u64, told: &str) {
        let usd = Usd::dollars(dollars);
        assert_eq!((usd.as_nanos(), usd.to_string().as_str()), (nanos, told));
    }

    #[test]
    fn what_is_written_is_what_is_counted_and_told() {
        check(0.0, 0, "0.00");
        check(5.0, 5_000_000_000, "5.00");
        check(0.1, 100_000_000, "0.10");
        check(12.345, 12_345_000_000, "12.345");
        check(0.000_000_001, 1, "0.000000001");
        check(0.000_000_000_4, 0, "0.00");
        check(-1.0, 0, "0.00");
        check(f64::NAN, 0, "0.00");
        check(f64::INFINITY, u64::MAX, "18446744073.709551615");
    }

    #[test]
    fn it_is_added_up_to_what_can_be_counted_and_taken_away_down_to_nothing() {
        let mut usd = Usd::nanos(5);
        usd += Usd::nanos(7);
        assert_eq!(usd, Usd::nanos(12));
        usd -= Usd::nanos(4);
        assert_eq!(usd, Usd::nanos(8));
        usd -= Usd::nanos(9);
        assert_eq!(usd, Usd::ZERO);
        usd += Usd::nanos(u64::MAX);
        usd += Usd::nanos(1);
        assert_eq!(usd, Usd::nanos(u64::MAX));
    }

    #[test]
    fn in_json_it_has_no_more_digits_than_it_needs() {
        let json = serde_json::to_string(&[Usd::nanos(12_345), Usd::dollars(0.1), Usd::ZERO]);
        assert_eq!(json.unwrap(), "[0.000012345,0.1,0.0]");
    }

    proptest! {
        #[test]
        fn what_is_told_reads_as_it_was(nanos in 0_u64..1_000_000_000_000_000) {
            let usd = Usd::nanos(nanos);
            prop_assert_eq!(Usd::dollars(usd.as_dollars()), usd);
            prop_assert_eq!(Usd::dollars(usd.to_string().parse().unwrap()), usd);
        }
    }
}
