//! How much may all bodies hold together?
//!
//! Each body has a bound, and many of them together have another, so that a crowd of
//! large ones cannot use up the memory. What counts is what has arrived and not what
//! was announced, for a word costs nothing; but a body whose announced length cannot
//! fit any more is refused before it is sent.
//!
//! Answers are held out of the same budget, but only while half of it is free: an answer
//! can pass through where there is no room, and a request cannot. So callers who are slow
//! to take answers keep no request out.

use std::sync::Arc;

use crate::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that all bodies hold.
#[derive(Debug, Default)]
pub struct Budget {
    /// `held_bytes = Σ share.bytes`
    held_bytes: AtomicUsize,
}

/// What one body holds of it, until it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes_max: usize,
    bytes: usize,
}

/// There is no room for more.
#[derive(Debug, PartialEq, Eq)]
pub struct Spent;

impl Budget {
    /// What is held now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }

    /// A share of nothing yet, of a budget that is `bytes_max` now.
    pub fn share(self: &Arc<Self>, bytes_max: usize) -> Share {
        Share {
            budget: Arc::clone(self),
            bytes_max,
            bytes: 0,
        }
    }
}

impl Share {
    /// Whether this much more could be held now.
    pub(super) fn could_grow(&self, bytes: usize) -> bool {
        let held = self.budget.held_bytes();
        held.saturating_add(bytes) <= self.bytes_max
    }

    /// A share of nothing yet, of the same budget.
    pub(super) fn beside(&self) -> Self {
        self.budget.share(self.bytes_max)
    }

    /// A share of nothing yet, of the half that answers may have.
    #[must_use]
    pub fn for_answer(&self) -> Self {
        self.budget.share(self.bytes_max / 2)
    }

    /// Holds this much more.
    ///
    /// # Errors
    /// Where there is no room for it.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        let grown = |held: usize| {
            let grown = held.checked_add(bytes)?;
            (grown <= self.bytes_max).then_some(grown)
        };
        let held = &self.budget.held_bytes;
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .map_err(|_| Spent)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives so much of it back.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.budget.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let held = &self.budget.held_bytes;
        held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_within_the_budget_and_are_given_back() {
        let budget = Arc::new(Budget::default());
        let mut first = budget.share(100);
        let mut second = budget.share(100);
        first.grow(60).unwrap();
        second.grow(40).unwrap();
        assert!(!second.could_grow(1));
        assert_eq!(second.grow(1), Err(Spent));
        assert_eq!(budget.held_bytes(), 100);
        drop(first);
        assert_eq!(budget.held_bytes(), 40);
        second.grow(60).unwrap();
        second.shrink(30);
        assert_eq!(budget.held_bytes(), 70);
        // No more of it than it has, though others have some as well.
        let mut third = budget.share(100);
        third.grow(10).unwrap();
        second.shrink(80);
        assert_eq!(budget.held_bytes(), 10);
        drop(second);
        assert_eq!(budget.held_bytes(), 10);
        drop(third);
        assert_eq!(budget.held_bytes(), 0);
    }

    #[test]
    fn answers_leave_half_of_it_to_requests() {
        let budget = Arc::new(Budget::default());
        let mut request = budget.share(100);
        request.grow(10).unwrap();
        let mut answers = [request.for_answer(), request.for_answer()];
        answers[0].grow(30).unwrap();
        assert_eq!(answers[1].grow(11), Err(Spent));
        answers[1].grow(10).unwrap();
        request.grow(50).unwrap();
        drop(answers);
        assert_eq!(budget.held_bytes(), 60);
        assert_eq!(request.for_answer().grow(1), Err(Spent));
    }

    #[test]
    fn what_cannot_be_counted_does_not_fit() {
        let budget = Arc::new(Budget::default());
        let mut share = budget.share(usize::MAX);
        share.grow(1).unwrap();
        assert_eq!(share.grow(usize::MAX), Err(Spent));
        assert!(budget.share(usize::MAX - 1).could_grow(1));
        assert!(!budget.share(10).could_grow(usize::MAX));
    }
}
