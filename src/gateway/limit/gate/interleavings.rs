//! Does everybody take its places everywhere or nowhere, and nobody wait for ever?

use std::sync::Arc;

use super::*;
use crate::sync::interleavings::{check, together};

/// A key of a shard of its own.
fn key(number: u64) -> u64 {
    number << 32
}

#[test]
fn each_place_has_one_holder() {
    check(|| {
        let gate = Arc::new(Gate::default());
        // Each wants two of three, named in another order.
        let threads = [[1, 2], [2, 3], [3, 1]].map(|wanted| {
            let gate = Arc::clone(&gate);
            Box::new(move || {
                let mut claims = wanted.map(|number| Claim::new((), key(number), 1));
                let locked = gate.look(&mut claims);
                if claims.iter().any(Claim::refuses) {
                    return;
                }
                let mut places = locked.take(&claims);
                assert_eq!(wanted.map(|number| gate.there(key(number))), [1, 1]);
                gate.give_back(&mut places);
            }) as Box<dyn FnOnce() + Send>
        });
        together(threads);
        assert!((1..=3).all(|number| gate.there(key(number)) == 0));
    });
}

#[test]
fn all_together_stay_within_their_bound() {
    check(|| {
        let gate = Arc::new(Gate::default());
        let threads = (0..3).map(|_| {
            let gate = Arc::clone(&gate);
            Box::new(move || {
                if gate.enter(2) {
                    assert!(gate.all.load(Ordering::Relaxed) <= 2);
                    gate.leave();
                }
            }) as Box<dyn FnOnce() + Send>
        });
        together(threads);
        assert_eq!(gate.all.load(Ordering::Relaxed), 0);
    });
}
