//! Does the process go on?
//!
//! It starts, serves, leaves, drains and is over, in this order and never back. The
//! server moves on; everybody else looks, which is one load, so that a stream can look
//! as often as it likes. Whoever works for a client holds a [`Busy`], and the process
//! ends when nobody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Where the process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing is served yet.
    Starting,
    /// Requests are served.
    Serving,
    /// They still are, and each answer is the last on its connection.
    Leaving,
    /// Idle connections end; what is in flight has its time.
    Draining,
    /// What is still in flight is told that it will not be finished.
    Over,
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Starting,
        Self::Serving,
        Self::Leaving,
        Self::Draining,
        Self::Over,
    ];
}

/// What everybody sees of the process's way.
#[derive(Debug, Clone)]
pub struct Outlook(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `place < Phase::ALL.len()`; beside the channel, whose looks take a lock.
    place: AtomicUsize,
    phase: watch::Sender<Phase>,
    busy: AtomicUsize,
}

impl Default for Outlook {
    fn default() -> Self {
        Self(Arc::new(Shared {
            place: AtomicUsize::new(0),
            phase: watch::Sender::new(Phase::Starting),
            busy: AtomicUsize::new(0),
        }))
    }
}

impl Outlook {
    /// Where the process stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let place = self.0.place.load(Ordering::Relaxed);
        Phase::ALL.get(place).copied().unwrap_or(Phase::Over)
    }

    /// Whether a connection should carry no further request.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.phase() >= Phase::Leaving
    }

    /// Waits for this phase, or a later one.
    pub async fn reached(&self, phase: Phase) {
        let mut seen = self.0.phase.subscribe();
        // It cannot fail: the sender is ours for as long as we look.
        let _ = seen.wait_for(|now| *now >= phase).await;
    }

    /// Moves on; a phase that is past is left past.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.send_if_modified(|now| {
            let later = phase > *now;
            if later {
                *now = phase;
                self.0.place.store(phase as usize, Ordering::Relaxed);
            }
            later
        });
    }

    /// Work for a client begins; it lasts until the guard is dropped.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.0))
    }

    /// How many work for a client.
    #[must_use]
    pub fn busy_count(&self) -> usize {
        self.0.busy.load(Ordering::Relaxed)
    }
}

/// Somebody works for a client.
#[derive(Debug)]
pub struct Busy(Arc<Shared>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_passed_in_order_and_never_back() {
        assert!(Phase::ALL.is_sorted());
        let outlook = Outlook::default();
        assert_eq!(outlook.phase(), Phase::Starting);
        outlook.enter(Phase::Draining);
        outlook.enter(Phase::Serving);
        assert_eq!(outlook.phase(), Phase::Draining);
        assert!(outlook.is_leaving());
    }

    #[tokio::test]
    async fn a_phase_that_was_skipped_is_reached() {
        let outlook = Outlook::default();
        let looking = outlook.clone();
        let waits = tokio::spawn(async move { looking.reached(Phase::Leaving).await });
        outlook.enter(Phase::Over);
        waits.await.unwrap();
        outlook.reached(Phase::Draining).await;
    }

    #[test]
    fn work_is_counted_until_it_is_dropped() {
        let outlook = Outlook::default();
        let work = outlook.busy();
        assert_eq!(outlook.clone().busy_count(), 1);
        drop(work);
        assert_eq!(outlook.busy_count(), 0);
    }
}
