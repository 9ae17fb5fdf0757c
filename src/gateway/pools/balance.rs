//! Which target of a pool is next?
//!
//! Smooth weighted round robin: targets take turns in proportion to their
//! weights, and a heavy one does not get its share in one burst. It gives an
//! order; whether a target in it is fit is not asked here.

use std::sync::{Mutex, PoisonError};

/// Turns by weight.
#[derive(Debug)]
pub struct RoundRobin {
    /// `weights.len() ≥ 1`, each ≥ 1
    weights: Vec<i64>,
    /// `Σ current = 0` between two calls
    current: Mutex<Vec<i64>>,
}

impl RoundRobin {
    /// Turns among targets of these weights.
    pub fn new(weights: impl Iterator<Item = u32>) -> Self {
        let weights: Vec<i64> = weights.map(i64::from).collect();
        Self {
            current: Mutex::new(vec![0; weights.len()]),
            weights,
        }
    }

    /// Whose turn it is.
    pub fn next(&self) -> usize {
        if self.weights.len() == 1 {
            return 0;
        }
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut best = 0;
        let mut best_value = i64::MIN;
        for (index, (value, weight)) in current.iter_mut().zip(&self.weights).enumerate() {
            *value += weight;
            if *value > best_value {
                best = index;
                best_value = *value;
            }
        }
        if let Some(value) = current.get_mut(best) {
            *value -= self.weights.iter().sum::<i64>();
        }
        best
    }

    /// All targets once, beginning with `first`.
    pub fn order(&self, first: usize) -> impl Iterator<Item = usize> + use<> {
        let count = self.weights.len();
        (0..count).map(move |step| (first + step) % count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_follow_the_weights_smoothly() {
        let turns = RoundRobin::new([5, 1, 1].into_iter());
        let seen: Vec<usize> = (0..7).map(|_| turns.next()).collect();
        assert_eq!(seen, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn shares_are_exact_over_a_round() {
        let turns = RoundRobin::new([3, 2].into_iter());
        let mut counts = [0; 2];
        for _ in 0..500 {
            counts[turns.next()] += 1;
        }
        assert_eq!(counts, [300, 200]);
    }

    #[test]
    fn an_order_names_every_target_once() {
        let turns = RoundRobin::new([1, 1, 1].into_iter());
        assert_eq!(turns.order(2).collect::<Vec<_>>(), [2, 0, 1]);
    }
}
