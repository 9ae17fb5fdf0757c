//! Is the budget kept, and all of it given back, in whatever order bodies grow and end?

use super::*;
use crate::sync::interleavings::{check, together};

const BYTES_MAX: usize = 10;

fn body(budget: &Arc<Budget>, pieces: [usize; 2]) -> Box<dyn FnOnce() + Send> {
    let budget = Arc::clone(budget);
    Box::new(move || {
        let mut share = budget.share(BYTES_MAX);
        for bytes in pieces {
            let _ = share.grow(bytes);
            assert!(budget.held_bytes() <= BYTES_MAX);
        }
        share.shrink(3);
    })
}

#[test]
fn bodies_share_what_there_is() {
    check(|| {
        let budget = Arc::new(Budget::default());
        together([[4, 4], [5, 3], [6, 2]].map(|pieces| body(&budget, pieces)));
        assert_eq!(budget.held_bytes(), 0);
        budget.share(BYTES_MAX).grow(BYTES_MAX).unwrap();
    });
}
