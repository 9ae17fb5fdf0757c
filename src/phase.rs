//! Does the process go on?
//!
//! It starts, serves, leaves, drains, finishes and is over, in this order and never back. The
//! server moves on; everybody else looks, which is one load, so that a stream can look
//! as often as it likes. Whoever works for a client holds a [`Busy`], and the process
//! ends when nobody does. On a connection of HTTP/2 the work is over before the answer has
//! left, so each is a [`Carrier`], which says whether it has something left to write.

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
    /// No request begins any more, on whatever connection.
    Finishing,
    /// What is still in flight is told that it will not be finished.
    Over,
}

impl Phase {
    const ALL: [Self; 6] = [
        Self::Starting,
        Self::Serving,
        Self::Leaving,
        Self::Draining,
        Self::Finishing,
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
    carriers: AtomicUsize,
    /// ≤ `carriers`
    laden: AtomicUsize,
}

impl Default for Outlook {
    fn default() -> Self {
        Self(Arc::new(Shared {
            place: AtomicUsize::new(0),
            phase: watch::Sender::new(Phase::Starting),
            busy: AtomicUsize::new(0),
            carriers: AtomicUsize::new(0),
            laden: AtomicUsize::new(0),
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

    /// A connection of HTTP/2 begins; it lasts until the guard is dropped.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.0.carriers.fetch_add(1, Ordering::Relaxed);
        Carrier {
            shared: Arc::clone(&self.0),
            is_laden: false,
        }
    }

    /// How many connections of HTTP/2 there are.
    #[must_use]
    pub fn carrier_count(&self) -> usize {
        self.0.carriers.load(Ordering::Relaxed)
    }

    /// How many of them have something to write that their clients do not take yet.
    #[must_use]
    pub fn laden_count(&self) -> usize {
        self.0.laden.load(Ordering::Relaxed)
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

/// A connection of HTTP/2, which is given answers and writes them later.
#[derive(Debug)]
pub struct Carrier {
    shared: Arc<Shared>,
    is_laden: bool,
}

impl Carrier {
    /// Whether it has something to write that its client does not take yet.
    pub fn is_laden(&mut self, is_laden: bool) {
        if is_laden == self.is_laden {
            return;
        }
        self.is_laden = is_laden;
        let laden = &self.shared.laden;
        if is_laden {
            laden.fetch_add(1, Ordering::Relaxed);
        } else {
            laden.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.is_laden(false);
        self.shared.carriers.fetch_sub(1, Ordering::Relaxed);
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

    #[test]
    fn what_a_connection_has_left_to_write_is_counted_until_it_has_or_is_gone() {
        let outlook = Outlook::default();
        let counts = || (outlook.carrier_count(), outlook.laden_count());
        let [mut one, mut other] = [outlook.carrier(), outlook.carrier()];
        for is_laden in [true, true] {
            one.is_laden(is_laden);
            other.is_laden(is_laden);
        }
        assert_eq!(counts(), (2, 2));
        one.is_laden(false);
        assert_eq!(counts(), (2, 1));
        drop(other);
        assert_eq!(counts(), (1, 0));
        drop(one);
        assert_eq!(counts(), (0, 0));
    }
}
