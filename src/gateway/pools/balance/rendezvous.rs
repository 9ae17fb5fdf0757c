//! Which endpoint does a key belong to?
//!
//! Rendezvous hashing: every endpoint draws a number for the key, and the highest has
//! it. So every process finds the same one without a table, and where an endpoint goes
//! only its own keys move. Numbers are drawn by weight (`-weight / ln(draw)`, Schindelhauer
//! and Schomaker 2005). One popular key must not bury an endpoint: whoever has a quarter
//! more in flight than its share of all is passed over (Mirrokni, Thorup and
//! Zadimoghaddam 2016), and the key's next one in order takes the request.

use super::{fraction, mix, upper};

/// How much more than its share an endpoint may have in flight.
const LOAD_FACTOR: f64 = 1.25;

/// What a key can belong to.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    /// What tells it from others.
    pub id: u64,
    /// Its share, > 0.
    pub weight: f64,
    /// Requests in flight there.
    pub in_flight: f64,
}

/// The place of the one that takes this key.
pub fn choose(offers: impl Iterator<Item = Offer> + Clone, key: u64) -> Option<usize> {
    let weights: f64 = offers.clone().map(|offer| offer.weight).sum();
    let in_flight: f64 = offers.clone().map(|offer| offer.in_flight).sum();
    let allowed = LOAD_FACTOR * (in_flight + 1.0) / weights;
    // Σ ceil(allowed · weight) > in_flight, so at least one has room.
    let has_room = |offer: &Offer| offer.in_flight < (allowed * offer.weight).ceil();
    let mut best: Option<(usize, f64)> = None;
    for (index, offer) in offers.enumerate().filter(|(_, offer)| has_room(offer)) {
        let drawn = drawn(offer, key);
        if best.is_none_or(|(_, highest)| drawn > highest) {
            best = Some((index, drawn));
        }
    }
    best.map(|(index, _)| index)
}

fn drawn(offer: Offer, key: u64) -> f64 {
    let bits = upper(mix(key ^ mix(offer.id)));
    // Never 0 and never 1, whose logarithms are no shares.
    let draw = fraction(bits) + 0.5 / (f64::from(u32::MAX) + 1.0);
    -offer.weight / draw.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn idle(weights: &[f64]) -> Vec<Offer> {
        let offer = |(id, weight): (usize, &f64)| Offer {
            id: id as u64 + 100,
            weight: *weight,
            in_flight: 0.0,
        };
        weights.iter().enumerate().map(offer).collect()
    }

    fn chosen(offers: &[Offer], key: u64) -> usize {
        choose(offers.iter().copied(), mix(key)).unwrap()
    }

    #[test]
    fn keys_follow_the_weights() {
        let offers = idle(&[3.0, 1.0, 2.0]);
        let mut counts = [0_u32; 3];
        for key in 0..60_000 {
            counts[chosen(&offers, key)] += 1;
        }
        for (count, expected) in counts.into_iter().zip([30_000_u32, 10_000, 20_000]) {
            assert!(count.abs_diff(expected) < 600, "{counts:?}");
        }
    }

    #[test]
    fn where_an_endpoint_goes_only_its_own_keys_move() {
        let all = idle(&[1.0; 10]);
        let mut left = all.clone();
        let gone = left.remove(4);
        let mut moved = 0_u32;
        for key in 0..20_000 {
            let before = all[chosen(&all, key)].id;
            let after = left[chosen(&left, key)].id;
            if before == gone.id {
                moved += 1;
            } else {
                assert_eq!(before, after, "key {key} moved without need");
            }
        }
        assert!(moved.abs_diff(2_000) < 200, "{moved} of 20000 keys moved");
    }

    proptest! {
        #[test]
        fn nobody_has_more_than_a_quarter_above_its_share(
            weights in proptest::collection::vec(1_u32..5, 2..12),
            keys in proptest::collection::vec(0_u64..4, 1..300),
        ) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let total: f64 = weights.iter().sum();
            let mut offers = idle(&weights);
            for (requests, key) in (1_u32..).zip(keys) {
                // Few keys are asked for again and again, and no request ends.
                let index = choose(offers.iter().copied(), mix(key)).unwrap();
                offers[index].in_flight += 1.0;
                let share = f64::from(requests) * offers[index].weight / total;
                prop_assert!(offers[index].in_flight <= (1.25 * share).ceil());
            }
        }

        #[test]
        fn a_key_stays_where_it_is_while_there_is_room(key: u64, others in 0_u32..4) {
            let mut offers = idle(&[1.0; 5]);
            let mine = chosen(&offers, key);
            for (index, offer) in offers.iter_mut().enumerate() {
                offer.in_flight = f64::from(if index == mine { others } else { 4 });
            }
            prop_assert_eq!(chosen(&offers, key), mine);
        }
    }
}
