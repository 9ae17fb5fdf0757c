//! Is somebody asking the same already?
//!
//! A flight is one piece of work that everybody with the same key waits for. It is known by
//! its key for as long as anybody holds it and it is open to others; who finds it joins, and
//! who finds none begins one. The last holder that leaves drops the work with it. What the
//! work is, and what comes of it, is nothing to this file.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::Shared;

use super::key::Key;
use crate::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Locks over which flights are spread, by the first byte of their key.
const SHARDS: usize = 16;

/// The flights that can be joined.
pub struct Flights<T: Clone> {
    shards: [Mutex<HashMap<Name, Known<T>>>; SHARDS],
    begun: AtomicU64,
    /// `open = Σ shard.len()`
    open: AtomicUsize,
}

/// What a flight is known by: a key, and whether it is the one for those whom the first did not
/// suit.
type Name = (Key, bool);

/// One flight, as it is known by its key.
struct Known<T: Clone> {
    number: u64,
    flight: Weak<Flight<T>>,
}

/// One piece of work, and what it was begun for.
pub struct Flight<T: Clone> {
    /// In which form its answer was asked for.
    pub form: Form,
    work: Shared<Work<T>>,
    place: Option<Place<T>>,
    /// The flight of those who waited for this one and have to wait again.
    again: Mutex<Option<Arc<Self>>>,
    /// Whether the one who began it has left, and nobody has taken that on yet.
    let_go: AtomicBool,
}

/// What whoever waits drives.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// In which form an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// As events.
    pub stream: bool,
    /// With the tokens in an event of their own.
    pub usage: bool,
}

/// By what a flight is known.
pub struct Place<T: Clone> {
    flights: Arc<Flights<T>>,
    name: Name,
    number: u64,
}

/// What came of asking for a flight.
pub enum Boarded<T: Clone, F> {
    /// This caller began it.
    Leads(Arc<Flight<T>>),
    /// Another did.
    Joins(Arc<Flight<T>>),
    /// It had landed in the meantime, and this is kept of it.
    Landed(F),
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Joins the flight of this key, if it is one whose form suits this caller, or begins one.
    /// Right before that `landed` is asked whether the answer is there by now: what looks for
    /// it first and for a flight then would miss one that lands in between.
    pub fn board<F>(
        self: &Arc<Self>,
        key: Key,
        suits: impl Fn(Form) -> bool,
        landed: impl FnOnce() -> Option<F>,
        begin: impl FnOnce(Option<Place<T>>) -> (Form, Work<T>),
    ) -> Boarded<T, F> {
        let mut unsuited = Vec::new();
        let mut shard = self.shard(&key);
        let mut name = (key, false);
        for second in [false, true] {
            name = (key, second);
            let known = shard.get(&name);
            match known.and_then(|known| known.flight.upgrade()) {
                Some(flight) if suits(flight.form) => return Boarded::Joins(flight),
                // Let go of behind the lock, which the end of a flight asks for.
                Some(flight) => unsuited.push(flight),
                None => break,
            }
        }
        if unsuited.len() > 1 {
            drop(shard);
            let (form, work) = begin(None);
            return Boarded::Leads(Flight::alone(form, work));
        }
        if let Some(found) = landed() {
            drop(shard);
            return Boarded::Landed(found);
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let place = || Place {
            flights: Arc::clone(self),
            name,
            number,
        };
        let (form, work) = begin(Some(place()));
        let flight = Arc::new(Flight {
            form,
            work: work.shared(),
            place: Some(place()),
            again: Mutex::default(),
            let_go: AtomicBool::new(false),
        });
        let known = Known {
            number,
            flight: Arc::downgrade(&flight),
        };
        if shard.insert(name, known).is_none() {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        drop(shard);
        Boarded::Leads(flight)
    }

    /// How many can be joined.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl<T: Clone> Flights<T> {
    fn shard(&self, key: &Key) -> MutexGuard<'_, HashMap<Name, Known<T>>> {
        let [first, ..] = key.bytes();
        let [shard, ..] = &self.shards;
        let shard = self
            .shards
            .get(usize::from(*first) % SHARDS)
            .unwrap_or(shard);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            begun: AtomicU64::new(0),
            open: AtomicUsize::new(0),
        }
    }
}

impl<T: Clone> Flight<T> {
    /// One that nobody can join.
    #[must_use]
    pub fn alone(form: Form, work: Work<T>) -> Arc<Self> {
        Arc::new(Self {
            form,
            work: work.shared(),
            place: None,
            again: Mutex::default(),
            let_go: AtomicBool::new(false),
        })
    }

    /// Waits for what comes of it, and works on it meanwhile.
    pub fn landing(&self) -> Shared<Work<T>> {
        self.work.clone()
    }

    /// Boards anew, for one who has waited for this flight in vain. All of them share what the
    /// first of them boarded, even where it has landed before the last of them was woken: else
    /// a thousand who learn of a failure one after the other would ask time and again.
    ///
    /// Nobody joins this one from here on, though it may go on: what is boarded is held by it,
    /// and a flight that found itself, or one that found it, would hold itself for ever. Closed
    /// before it looks, each holds only flights that were closed later or not at all.
    pub fn board_again<F>(
        &self,
        suits: impl Fn(Form) -> bool,
        board: impl FnOnce() -> Boarded<T, F>,
    ) -> Boarded<T, F> {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        match &*again {
            Some(flight) if suits(flight.form) => Boarded::Joins(Arc::clone(flight)),
            Some(_) => {
                drop(again);
                board()
            }
            None => {
                self.close();
                let boarded = board();
                if let Boarded::Leads(flight) | Boarded::Joins(flight) = &boarded {
                    *again = Some(Arc::clone(flight));
                }
                boarded
            }
        }
    }

    /// The one who began it leaves, and others go on.
    pub fn let_go(&self) {
        self.let_go.store(true, Ordering::Relaxed);
    }

    /// Whether the one who began it has left: whoever asks first stands in its place.
    #[must_use]
    pub fn take_over(&self) -> bool {
        self.let_go.swap(false, Ordering::Relaxed)
    }

    /// Lets nobody join any more.
    pub fn close(&self) {
        if let Some(place) = &self.place {
            place.close();
        }
    }
}

impl<T: Clone> Clone for Place<T> {
    fn clone(&self) -> Self {
        Self {
            flights: Arc::clone(&self.flights),
            ..*self
        }
    }
}

impl<T: Clone> Place<T> {
    /// Lets nobody join any more. Again, or for one that was never to be joined, it does nothing.
    pub fn close(&self) {
        let Self {
            flights,
            name,
            number,
        } = self;
        let mut shard = flights.shard(&name.0);
        if shard.get(name).is_some_and(|known| known.number == *number) {
            shard.remove(name);
            flights.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T: Clone> Drop for Flight<T> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod interleavings;

#[cfg(test)]
mod tests;
