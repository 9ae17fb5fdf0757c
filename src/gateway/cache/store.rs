//! Which answers are kept, and for how long?
//!
//! moka keeps them within a bound of bytes and decides who makes room: what was asked for
//! least. What an entry weighs is what it takes of the process's memory, so the map's own share
//! is in it; a body is copied to fit, for a slice would keep the whole of what it was cut from.
//!
//! An entry carries its own times, and whoever asks hands in `now`. moka's clock only clears
//! away what nobody may be given any more.

/// What is kept of an answer.
mod entry;
/// Where entries stand, within one bound of bytes.
mod shelf;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::key::Key;
use crate::config::cache::Cache as Config;
use crate::names::ModelId;
pub use entry::{Entry, State};
pub use shelf::Evictions;
use shelf::Shelf;

/// Entries that are looked at for the heaviest: more would hold the asker up for long.
const LOOK_MAX: usize = 100_000;

/// The answers that are kept.
pub struct Store {
    shelf: ArcSwap<Shelf>,
    entry_bytes_max: AtomicUsize,
    evictions: Arc<Evictions>,
    /// Held while a shelf is replaced.
    turn: Mutex<()>,
    /// How often what is kept was forgotten.
    forgotten: AtomicU64,
}

/// An answer that is kept, as it is now.
#[derive(Debug, Clone)]
pub struct Found {
    /// The answer.
    pub entry: Arc<Entry>,
    /// How old it is.
    pub age: Duration,
    /// What it may be given for.
    pub state: State,
}

/// Why an answer is not kept.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum Unkept {
    /// It is larger than one may be.
    #[error("an answer of {bytes} bytes is larger than one may be, {bytes_max}")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// What they may be.
        bytes_max: usize,
    },
    /// It was begun before what is kept was forgotten.
    #[error("it was begun before what is kept was forgotten")]
    Forgotten,
}

/// A time between two occasions on which what is kept was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era(u64);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Answers.
    pub entries: u64,
    /// What they weigh.
    pub bytes: u64,
    /// What they may weigh.
    pub bytes_max: u64,
}

/// An answer that is kept, and what it weighs.
#[derive(Debug, Clone)]
pub struct Heavy {
    /// What it is kept by.
    pub key: Key,
    /// The answer.
    pub entry: Arc<Entry>,
    /// What it weighs.
    pub bytes: u32,
}

impl Found {
    /// An answer that is kept elsewhere, if somebody may still be given it.
    #[must_use]
    pub fn of(entry: Entry, now: Instant) -> Option<Self> {
        Self::in_state(Arc::new(entry), now)
    }

    fn in_state(entry: Arc<Entry>, now: Instant) -> Option<Self> {
        let age = entry.age(now);
        let state = entry.state(age)?;
        Some(Self { entry, age, state })
    }
}

impl Store {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let evictions = Arc::new(Evictions::default());
        Self {
            shelf: ArcSwap::from_pointee(Shelf::new(config.max_bytes, &evictions)),
            entry_bytes_max: AtomicUsize::new(config.entry_bytes_max),
            evictions,
            turn: Mutex::new(()),
            forgotten: AtomicU64::new(0),
        }
    }

    /// What is kept under this key, if somebody may still be given it.
    #[must_use]
    pub fn get(&self, key: &Key, now: Instant) -> Option<Found> {
        let entry = self.shelf.load().get(key)?;
        Found::in_state(entry, now)
    }

    /// The present era.
    #[must_use]
    pub fn era(&self) -> Era {
        Era(self.forgotten.load(Ordering::Acquire))
    }

    /// As [`Self::put`], for an answer that was begun in this era: one of an earlier is not kept.
    ///
    /// # Errors
    /// Where it is too large, or of an earlier era.
    pub fn put_in(&self, era: Era, key: Key, entry: Entry) -> Result<(), Unkept> {
        if era != self.era() {
            return Err(Unkept::Forgotten);
        }
        self.put(key, entry)?;
        if era == self.era() {
            return Ok(());
        }
        // It was forgotten meanwhile, perhaps before it was there.
        self.remove(&key);
        Err(Unkept::Forgotten)
    }

    /// Keeps an answer, in place of what was kept under its key.
    ///
    /// # Errors
    /// Where it is too large.
    pub fn put(&self, key: Key, entry: Entry) -> Result<(), Unkept> {
        let bytes_max = self.entry_bytes_max.load(Ordering::Relaxed);
        let bytes = entry.body.len();
        if bytes > bytes_max {
            return Err(Unkept::TooLarge { bytes, bytes_max });
        }
        self.shelf.load().put(key, Arc::new(entry.fitted()));
        Ok(())
    }

    /// Forgets one answer.
    pub fn remove(&self, key: &Key) {
        self.shelf.load().remove(key);
    }

    /// Forgets all of them, and tells how many.
    pub fn remove_all(&self) -> u64 {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.shelf.load().remove_where(|_| true)
    }

    /// Forgets what this model has answered, and tells how many.
    pub fn remove_model(&self, model: &ModelId) -> u64 {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.shelf
            .load()
            .remove_where(|entry| entry.model == *model)
    }

    /// How much is kept. For a look now and then: what is over is cleared away first.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.shelf.load().sizes()
    }

    /// What had to go since the start, and why.
    #[must_use]
    pub fn evictions(&self) -> &Evictions {
        &self.evictions
    }

    /// The heaviest answers of the first 100,000 that are met, the heaviest first.
    #[must_use]
    pub fn heaviest(&self, count: usize) -> Vec<Heavy> {
        self.shelf.load().heaviest(count, LOOK_MAX)
    }

    /// Follows a new configuration. moka's bound is for good, so another one means another
    /// shelf, which takes over what fits, the newest first. What is put meanwhile may be lost.
    pub fn apply(&self, config: &Config, now: Instant) {
        let entry_bytes_max = config.entry_bytes_max;
        self.entry_bytes_max
            .store(entry_bytes_max, Ordering::Relaxed);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.shelf.load_full();
        if before.bytes_max() == config.max_bytes {
            return;
        }
        let after = Shelf::new(config.max_bytes, &self.evictions);
        let left = before.hand_over(&after, now);
        self.evictions.add_size(left);
        self.shelf.store(Arc::new(after));
    }
}

/// Without what is kept: those are answers to callers.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
