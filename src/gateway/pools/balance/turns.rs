//! Whose turn is it?
//!
//! Smooth weighted round robin: targets take turns in proportion to their weights, and
//! a heavy one does not get its share in one burst. A target that is not offered gains
//! nothing meanwhile, so it has no turns to catch up with when it comes back, and its
//! share goes to all others by weight, not to its neighbour. Among the endpoints of one
//! target, each is next in turn.

use std::sync::{Mutex, PoisonError};

/// Turns by weight.
#[derive(Debug)]
pub struct Turns {
    /// One for each target.
    state: Mutex<Vec<Turn>>,
}

#[derive(Debug)]
struct Turn {
    /// ≥ 1
    weight: i64,
    /// `Σ credit = 0` between two calls
    credit: i64,
    /// How often it was this target's turn.
    taken: usize,
}

impl Turns {
    /// Turns among targets of these weights.
    pub fn new(weights: impl Iterator<Item = u32>) -> Self {
        let turn = |weight: u32| Turn {
            weight: i64::from(weight),
            credit: 0,
            taken: 0,
        };
        Self {
            state: Mutex::new(weights.map(turn).collect()),
        }
    }

    /// Whose turn it is among these, each told by the place of its target. Endpoints of one
    /// target stand side by side.
    pub fn next(&self, offered: &(impl Iterator<Item = usize> + Clone)) -> Option<usize> {
        let mut turns = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        let mut before = None;
        for target in offered.clone() {
            if before.replace(target) == Some(target) {
                continue;
            }
            let turn = turns.get_mut(target)?;
            turn.credit += turn.weight;
            total += turn.weight;
            if best.is_none_or(|(_, credit)| turn.credit > credit) {
                best = Some((target, turn.credit));
            }
        }
        let (target, _) = best?;
        let turn = turns.get_mut(target)?;
        turn.credit -= total;
        let endpoints = offered.clone().filter(|offer| *offer == target).count();
        let nth = turn.taken.checked_rem(endpoints)?;
        turn.taken = turn.taken.wrapping_add(1);
        let first = offered.clone().position(|offer| offer == target)?;
        Some(first + nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights_smoothly() {
        let turns = Turns::new([5, 1, 1].into_iter());
        let seen: Vec<usize> = (0..7).map(|_| turns.next(&(0..3)).unwrap()).collect();
        assert_eq!(seen, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn shares_are_exact_over_a_round() {
        let turns = Turns::new([3, 2].into_iter());
        let mut counts = [0; 2];
        for _ in 0..500 {
            counts[turns.next(&(0..2)).unwrap()] += 1;
        }
        assert_eq!(counts, [300, 200]);
    }

    #[test]
    fn a_missing_targets_share_goes_to_all_others_by_weight() {
        let turns = Turns::new([4, 2, 1, 1].into_iter());
        let without_the_first = [1, 2, 3];
        let mut counts = [0; 3];
        for _ in 0..400 {
            counts[turns.next(&without_the_first.into_iter()).unwrap()] += 1;
        }
        assert_eq!(counts, [200, 100, 100]);
        // Nor does it catch up with what it missed.
        let seen: Vec<usize> = (0..8).map(|_| turns.next(&(0..4)).unwrap()).collect();
        assert_eq!(seen.iter().filter(|index| **index == 0).count(), 4);
    }

    #[test]
    fn a_name_with_many_addresses_gets_its_weight_and_no_more() {
        let turns = Turns::new([1, 1].into_iter());
        let targets = [0, 0, 0, 1];
        let mut counts = [0; 4];
        for _ in 0..600 {
            counts[turns.next(&targets.into_iter()).unwrap()] += 1;
        }
        assert_eq!(counts, [100, 100, 100, 300]);
    }

    #[test]
    fn nobody_has_a_turn_where_nobody_is_offered() {
        let turns = Turns::new([1].into_iter());
        assert_eq!(turns.next(&std::iter::empty()), None);
    }
}
