//! What happened last?
//!
//! The last requests, for an operator who looks: names, codes and times, and nothing that a
//! caller or a model said. A request is put into the next slot, whose lock nobody else holds
//! unless the ring has gone once around meanwhile; it is rendered only when somebody asks. What
//! failed has a ring of its own, so that no crowd of successes pushes it out, and no crowd of
//! those who were not let in either.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::ended::Ended;

/// How many failures are kept: as many as somebody reads.
const FAILURES_MAX: usize = 50;

/// The last requests.
#[derive(Debug)]
pub struct Recent {
    all: ArcSwap<Ring>,
    failed: Ring,
    /// Of the next request.
    number: AtomicU64,
}

/// A request that is kept in mind.
#[derive(Debug)]
pub struct Kept {
    /// Larger than that of every request which ended before.
    number: u64,
    /// What is left of it.
    pub ended: Ended,
}

#[derive(Debug)]
struct Ring {
    slots: Box<[Mutex<Option<Arc<Kept>>>]>,
    next: AtomicUsize,
}

impl Recent {
    /// Room for so many, and for the failures beside them.
    #[must_use]
    pub fn new(recent: usize) -> Self {
        Self {
            all: ArcSwap::from_pointee(Ring::new(recent)),
            failed: Ring::new(FAILURES_MAX),
            number: AtomicU64::new(0),
        }
    }

    /// Keeps a request in mind.
    pub(super) fn note(&self, ended: Ended) {
        let all = self.all.load();
        // Whoever was not let in because too much is going on has lost no more than that.
        let is_failure = ended.has_failed() && ended.record().shed.is_none();
        if !is_failure && all.slots.is_empty() {
            return;
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let kept = Arc::new(Kept { number, ended });
        if is_failure {
            self.failed.put(Arc::clone(&kept));
        }
        all.put(kept);
    }

    /// Makes room for so many from now on; the newest that fit stay.
    pub(super) fn resize(&self, recent: usize) {
        let old = self.all.load();
        if old.slots.len() == recent {
            return;
        }
        let ring = Ring::new(recent);
        let mut kept = old.kept();
        kept.sort_unstable_by_key(|kept| kept.number);
        let too_many = kept.len().saturating_sub(recent);
        kept.drain(..too_many).for_each(drop);
        for kept in kept {
            ring.put(kept);
        }
        self.all.store(Arc::new(ring));
    }

    /// All that are kept in mind, the newest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Kept>> {
        let mut kept = self.all.load().kept();
        kept.append(&mut self.failed.kept());
        kept.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.number));
        kept.dedup_by_key(|kept| kept.number);
        kept
    }

    /// The last failures, the newest first.
    #[must_use]
    pub fn failures(&self) -> Vec<Arc<Kept>> {
        let mut kept = self.failed.kept();
        kept.sort_unstable_by_key(|kept| std::cmp::Reverse(kept.number));
        kept
    }
}

impl Ring {
    fn new(size: usize) -> Self {
        Self {
            slots: (0..size).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    fn put(&self, kept: Arc<Kept>) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let place = turn.checked_rem(self.slots.len());
        let Some(slot) = place.and_then(|place| self.slots.get(place)) else {
            return;
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let old = slot.replace(kept);
        // What it held is freed when nobody waits for the slot any more.
        drop(slot);
        drop(old);
    }

    fn kept(&self) -> Vec<Arc<Kept>> {
        let slots = self.slots.iter();
        let kept = |slot: &Mutex<Option<_>>| {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.clone()
        };
        slots.filter_map(kept).collect()
    }
}

#[cfg(test)]
mod tests;
