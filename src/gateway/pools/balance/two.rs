//! Which of two by chance is better?
//!
//! Power of two choices: looking at two instead of all costs nothing, spreads nearly as
//! well, and does not send everyone to the one that looked best a moment ago. The two
//! are drawn by weight, so that where nothing is in flight shares follow the weights;
//! the first stands where both cost the same.

use super::{fraction, upper};

/// Draws two different ones of these weights by chance, and gives the one that costs less.
pub fn choose(
    weights: impl Iterator<Item = f64> + Clone,
    cost: impl Fn(usize) -> f64,
    chance: u64,
) -> Option<usize> {
    let first = drawn(weights.clone(), None, fraction(upper(chance)))?;
    let Some(second) = drawn(weights, Some(first), fraction(upper(chance << 32))) else {
        return Some(first);
    };
    Some(if cost(second) < cost(first) {
        second
    } else {
        first
    })
}

/// One by weight, where `fraction` of the sum of all weights lies; never the one `without`.
fn drawn(
    weights: impl Iterator<Item = f64> + Clone,
    without: Option<usize>,
    fraction: f64,
) -> Option<usize> {
    let offered = weights
        .enumerate()
        .filter(|(index, _)| Some(*index) != without);
    let total: f64 = offered.clone().map(|(_, weight)| weight).sum();
    let mut left = fraction * total;
    let mut last = None;
    for (index, weight) in offered {
        if left < weight {
            return Some(index);
        }
        left -= weight;
        last = Some(index);
    }
    // Only rounding leads here.
    last
}

#[cfg(test)]
mod tests {
    use super::super::mix;
    use super::*;

    #[test]
    fn where_nothing_is_in_flight_shares_follow_the_weights() {
        let weights = [3.0, 1.0, 1.0];
        let mut counts = [0_u32; 3];
        for round in 0..50_000 {
            counts[choose(weights.into_iter(), |_| 0.0, mix(round)).unwrap()] += 1;
        }
        for (count, expected) in counts.into_iter().zip([30_000_u32, 10_000, 10_000]) {
            assert!(count.abs_diff(expected) < 500, "{counts:?}");
        }
    }

    #[test]
    fn the_one_that_costs_more_than_all_others_is_never_chosen() {
        let costs = [5.0, 1.0, 1.0, 1.0];
        for round in 0..10_000 {
            let chosen = choose([1.0; 4].into_iter(), |index| costs[index], mix(round));
            assert_ne!(chosen, Some(0));
        }
    }

    #[test]
    fn requests_in_flight_end_up_in_proportion_to_the_weights() {
        let weights = [4.0, 2.0, 1.0, 1.0];
        let mut in_flight = [0.0_f64; 4];
        for round in 0..8_000 {
            let load = |index: usize| in_flight[index] / weights[index];
            in_flight[choose(weights.into_iter(), load, mix(round)).unwrap()] += 1.0;
        }
        for (load, weight) in in_flight.into_iter().zip(weights) {
            assert!((load / weight - 1_000.0).abs() < 50.0, "{in_flight:?}");
        }
    }

    #[test]
    fn one_is_chosen_of_one_and_none_of_none() {
        assert_eq!(choose([1.0].into_iter(), |_| 9.0, 7), Some(0));
        assert_eq!(choose(std::iter::empty(), |_| 9.0, 7), None);
    }
}
