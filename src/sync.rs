//! Locks and counters, or what a model checker puts in their place.
//!
//! What many requests share and no type keeps in order is written with these. Built with the
//! feature `shuttle`, each of them is a place at which another thread may go on, and the models
//! (`…/interleavings.rs`) try thousands of orders of what a test run meets in one.

#[cfg(not(feature = "shuttle"))]
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, atomic};

#[cfg(feature = "shuttle")]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, PoisonError, atomic};

/// How a model is tried out.
#[cfg(test)]
#[cfg(feature = "shuttle")]
pub(crate) mod interleavings {
    use shuttle::thread;

    /// Orders that are drawn for each model, in each of two ways.
    const ORDERS: usize = 2_000;
    /// How often one that is drawn with priorities changes them: few changes find most faults.
    const CHANGES: usize = 3;

    /// Whether it holds in whatever order its threads go on; panics with an order in which not.
    pub(crate) fn check(model: impl Fn() + Send + Sync + Copy + 'static) {
        shuttle::check_random(model, ORDERS);
        shuttle::check_pct(model, ORDERS, CHANGES);
    }

    /// Runs these side by side to their ends.
    pub(crate) fn together(threads: impl IntoIterator<Item = Box<dyn FnOnce() + Send>>) {
        let threads: Vec<_> = threads.into_iter().map(|run| thread::spawn(run)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
