//! Is nothing paid for twice, and nothing that was earned lost?

use std::sync::Arc;

use super::*;
use crate::sync::interleavings::{check, together};

/// Of each second.
const FREE: u32 = 1;

#[test]
fn what_is_paid_for_was_earned_or_free() {
    check(|| {
        let now = crate::sys::instant();
        let (budget, paid) = (Arc::new(Budget::default()), Arc::new(AtomicI64::new(0)));
        let threads = (0..3).map(|_| {
            let (budget, paid) = (Arc::clone(&budget), Arc::clone(&paid));
            Box::new(move || {
                budget.earn(50);
                let spent = (0..2).filter(|_| budget.spend(FREE, now)).count();
                paid.fetch_add(i64::try_from(spent).unwrap(), Ordering::Relaxed);
            }) as Box<dyn FnOnce() + Send>
        });
        together(threads);
        // One and a half are earned, and one is free.
        let left = budget.left(FREE, now);
        assert_eq!(paid.load(Ordering::Relaxed) + left, 2);
        assert_eq!(
            (0..9).filter(|_| budget.spend(FREE, now)).count(),
            usize::try_from(left).unwrap()
        );
    });
}
