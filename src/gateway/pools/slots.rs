//! How many requests may be in flight at a pool, and who waits for the next place?
//!
//! A slot is a place at a pool, held from before a target is chosen until the answer is
//! over. There are as many as the caller says at each call, because a reload, an ejection
//! or a target's own bound changes it. Whoever finds none waits, within a bound and for a
//! bounded time, for a pool that is busy for half a second is better waited for than
//! refused, and one that is busy for longer is better refused at once.
//!
//! The queue is fair: each client has a line of its own, first come first served, and the
//! lines take turns. So the backlog of one client delays its own requests and nobody
//! else's. Where the queue is full, the longest line gives up its newest for a client whose
//! line is shorter, or one client could fill the queue and have the others refused.
//!
//! A slot that is given out is sent through the waiter's channel as the guard itself. One
//! that its waiter no longer takes is dropped with the channel, and dropping it gives it
//! to the next: no way of leaving, at no moment, loses a place. The one lock is held for
//! a few moves and never while somebody waits or is woken.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::gateway::pools::capacity::Capacity;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::sys;

/// The places of a pool.
#[derive(Debug, Default)]
pub struct Slots {
    queue: Mutex<Queue>,
}

/// A place at a pool. Dropping it gives it to whoever is next.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    slots: Arc<Slots>,
    waited: Option<Duration>,
}

/// How much may be given out, and how much may wait.
#[derive(Debug, Clone)]
pub struct Places {
    /// Slots at a time.
    pub capacity: Capacity,
    /// Who may wait for one, all clients together.
    pub queue_max: usize,
}

/// There was no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "the pool is full and {}; try again later, or raise pool_max, target_max or queue_wait in [concurrency]",
    if *waited { "no place became free in time" } else { "so is its queue" }
)]
pub struct Full {
    /// Whether one was waited for.
    pub waited: bool,
}

#[derive(Debug, Default)]
struct Queue {
    /// Slots given out. More than `capacity` has only where that was lowered.
    in_flight: usize,
    capacity: Capacity,
    /// `waiting = Σ lines.len()`
    waiting: usize,
    /// Whose turn it is: every key of `lines`, once.
    turns: VecDeque<u64>,
    /// Who waits, by client; no line is empty.
    lines: HashMap<u64, VecDeque<Waiter>>,
    tickets: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    grant: oneshot::Sender<Slot>,
}

/// A place in the queue, left when dropped.
struct Waiting {
    slots: Arc<Slots>,
    client: u64,
    ticket: u64,
    granted: oneshot::Receiver<Slot>,
}

enum Entry {
    Slot(Slot),
    Waiting(Waiting),
}

impl Slots {
    /// A place, at once or, if somebody gives one up before `until`, then.
    ///
    /// # Errors
    /// Where there is none and the queue is full, or none became free.
    pub async fn enter(
        self: &Arc<Self>,
        client: u64,
        places: Places,
        until: Instant,
    ) -> Result<Slot, Full> {
        let mut waiting = match self.line_up(client, places)? {
            Entry::Slot(slot) => return Ok(slot),
            Entry::Waiting(waiting) => waiting,
        };
        let began = sys::instant();
        match tokio::time::timeout_at(until.into(), &mut waiting.granted).await {
            Ok(Ok(mut slot)) => {
                slot.waited = Some(sys::instant().saturating_duration_since(began));
                Ok(slot)
            }
            // In time nobody gave one up, or a client with a shorter line needed the place.
            Err(_) | Ok(Err(_)) => Err(Full { waited: true }),
        }
    }

    /// Takes a new number of slots; those who wait get what it adds.
    pub fn allow(self: &Arc<Self>, capacity: Capacity) {
        let granted = {
            let mut queue = self.lock();
            queue.capacity = capacity;
            queue.grant()
        };
        self.give(granted);
    }

    /// Slots given out now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.lock().in_flight
    }

    /// Requests waiting now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn line_up(self: &Arc<Self>, client: u64, places: Places) -> Result<Entry, Full> {
        let mut queue = self.lock();
        queue.capacity = places.capacity;
        // Those who wait already are first.
        let granted = queue.grant();
        if queue.waiting == 0 && queue.has_room() {
            queue.in_flight += 1;
            drop(queue);
            self.give(granted);
            return Ok(Entry::Slot(self.slot()));
        }
        let place = queue.make_place(client, places.queue_max);
        let (entry, displaced) = match place {
            Err(full) => (Err(full), None),
            Ok(displaced) => {
                let (grant, granted) = oneshot::channel();
                let waiting = Waiting {
                    slots: Arc::clone(self),
                    client,
                    ticket: queue.join(client, grant),
                    granted,
                };
                (Ok(Entry::Waiting(waiting)), displaced)
            }
        };
        // Waking somebody is not done under the lock.
        drop(queue);
        drop(displaced);
        self.give(granted);
        entry
    }

    /// Sends a slot, which is counted already, to each of those whose turn it was. What
    /// comes back from one who has left is dropped here, and so goes to the next.
    fn give(self: &Arc<Self>, granted: Vec<Waiter>) {
        for waiter in granted {
            drop(waiter.grant.send(self.slot()));
        }
    }

    fn slot(self: &Arc<Self>) -> Slot {
        Slot {
            slots: Arc::clone(self),
            waited: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether it is a place here.
    #[must_use]
    pub fn is_at(&self, slots: &Arc<Slots>) -> bool {
        Arc::ptr_eq(&self.slots, slots)
    }

    /// How long it was waited for; `None` where it was there.
    #[must_use]
    pub fn waited(&self) -> Option<Duration> {
        self.waited
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let granted = {
            let mut queue = self.slots.lock();
            queue.in_flight = queue.in_flight.saturating_sub(1);
            queue.grant()
        };
        self.slots.give(granted);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slots.lock().leave(self.client, self.ticket);
        // Out of the queue means granted or displaced: a slot on its way goes back with
        // the channel, behind this and outside of the lock.
    }
}

impl Queue {
    /// Those whose turn has come, counted as in flight. Allocates only where there are any.
    fn grant(&mut self) -> Vec<Waiter> {
        let mut granted = Vec::new();
        // Who waits is asked for first: it costs less, and as a rule nobody does.
        while self.waiting > 0 && self.has_room() {
            let Some(waiter) = self.next() else {
                break;
            };
            self.in_flight += 1;
            granted.push(waiter);
        }
        granted
    }

    fn has_room(&self) -> bool {
        self.in_flight < self.capacity.slots()
    }

    /// The first in the line whose turn it is.
    fn next(&mut self) -> Option<Waiter> {
        let client = self.turns.pop_front()?;
        let line = self.lines.get_mut(&client)?;
        let waiter = line.pop_front()?;
        self.waiting -= 1;
        if line.is_empty() {
            self.lines.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        Some(waiter)
    }

    fn join(&mut self, client: u64, grant: oneshot::Sender<Slot>) -> u64 {
        let ticket = self.tickets;
        self.tickets = self.tickets.wrapping_add(1);
        self.waiting += 1;
        let line = self.lines.entry(client).or_default();
        if line.is_empty() {
            self.turns.push_back(client);
        }
        line.push_back(Waiter { ticket, grant });
        ticket
    }

    fn leave(&mut self, client: u64, ticket: u64) {
        let Some(line) = self.lines.get_mut(&client) else {
            return;
        };
        let Ok(place) = line.binary_search_by_key(&ticket, |waiter| waiter.ticket) else {
            return;
        };
        line.remove(place);
        self.waiting -= 1;
        if line.is_empty() {
            self.lines.remove(&client);
            self.turns.retain(|turn| *turn != client);
        }
    }

    /// Sees to it that one more may wait, and gives whom that displaced: the newest of the
    /// longest line, where that is longer than this client's will be.
    fn make_place(&mut self, client: u64, queue_max: usize) -> Result<Option<Waiter>, Full> {
        if self.waiting < queue_max {
            return Ok(None);
        }
        let full = Full { waited: false };
        let own = self.lines.get(&client).map_or(0, VecDeque::len);
        let longest = self.lines.values_mut().max_by_key(|line| line.len());
        // A line of one is nobody's backlog.
        let longest = longest.filter(|line| line.len() > own + 1).ok_or(full)?;
        let displaced = longest.pop_back();
        self.waiting -= 1;
        Ok(displaced)
    }
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod interleavings;

#[cfg(test)]
mod tests;
