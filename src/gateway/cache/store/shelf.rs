//! Where do entries stand, within one bound of bytes?
//!
//! A cache of moka's, whose bound is for good. It writes into a log first and makes room when
//! that is looked through, after 64 entries or a third of a second: 64 large ones would be a
//! quarter of the bound. So it is told to look as soon as a sixteenth has been put.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::{Entry, Heavy, Sizes};
use crate::gateway::cache::key::Key;

/// What an entry takes beside its body and its names: the key, twice; moka's counters, times and
/// queues; the entry itself. Measured with a million of them, see `tests/soak/cache.rs`.
const OVERHEAD_BYTES: usize = 640;

/// The part of the bound that may be put before room is made for it.
const UNSWEPT_PART: u64 = 16;

/// What had to go since the start, and why.
#[derive(Debug, Default)]
pub struct Evictions {
    expired: AtomicU64,
    size: AtomicU64,
    removed: AtomicU64,
}

/// Entries within a bound.
pub(super) struct Shelf {
    entries: Cache<Key, Arc<Entry>>,
    bytes_max: u64,
    /// What has been put since room was made last.
    unswept_bytes: AtomicU64,
}

impl Shelf {
    pub(super) fn new(bytes_max: u64, evictions: &Arc<Evictions>) -> Self {
        let evictions = Arc::clone(evictions);
        let entries = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|_, entry: &Arc<Entry>| weight(entry))
            .expire_after(Until)
            .eviction_listener(move |_, _, cause| evictions.count(cause))
            .build();
        Self {
            entries,
            bytes_max,
            unswept_bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.entries.get(key)
    }

    pub(super) fn put(&self, key: Key, entry: Arc<Entry>) {
        let bytes = u64::from(weight(&entry));
        self.entries.insert(key, entry);
        let unswept = self.unswept_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unswept > self.bytes_max / UNSWEPT_PART {
            self.unswept_bytes.store(0, Ordering::Relaxed);
            self.entries.run_pending_tasks();
        }
    }

    pub(super) fn remove(&self, key: &Key) {
        self.entries.invalidate(key);
    }

    /// Removes every entry of which this is so, and tells how many.
    pub(super) fn remove_where(&self, is_so: impl Fn(&Entry) -> bool) -> u64 {
        let mut removed = 0;
        for (key, entry) in &self.entries {
            if is_so(&entry) {
                self.entries.invalidate(&*key);
                removed += 1;
            }
        }
        self.entries.run_pending_tasks();
        removed
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.entries.run_pending_tasks();
        Sizes {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            bytes_max: self.bytes_max,
        }
    }

    /// What is held, with what room has not been made for yet.
    #[cfg(test)]
    pub(super) fn bytes_unswept(&self) -> u64 {
        self.entries
            .iter()
            .map(|(_, entry)| u64::from(weight(&entry)))
            .sum()
    }

    /// The heaviest of the first entries that are met, the heaviest first.
    pub(super) fn heaviest(&self, count: usize, look_max: usize) -> Vec<Heavy> {
        let mut heaviest = BinaryHeap::new();
        for (key, entry) in self.entries.iter().take(look_max) {
            heaviest.push(Reverse(ByWeight(Heavy {
                key: *key,
                bytes: weight(&entry),
                entry,
            })));
            if heaviest.len() > count {
                heaviest.pop();
            }
        }
        let sorted = heaviest.into_sorted_vec();
        sorted
            .into_iter()
            .map(|Reverse(ByWeight(heavy))| heavy)
            .collect()
    }

    /// Gives what fits to another shelf, the newest first, and tells how many did not.
    pub(super) fn hand_over(&self, to: &Self, now: Instant) -> u64 {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(_, entry)| Reverse(entry.made));
        let (mut bytes, mut left) = (0, 0);
        for (key, entry) in entries {
            if entry.state(entry.age(now)).is_none() {
                continue;
            }
            let more = bytes + u64::from(weight(&entry));
            if more > to.bytes_max {
                left += 1;
                continue;
            }
            bytes = more;
            to.put(*key, entry);
        }
        to.entries.run_pending_tasks();
        left
    }
}

/// What an entry takes of memory, and a third more: where large answers come in the place of small
/// ones, the allocator keeps what was freed for a while, or for good beside what is still used.
fn weight(entry: &Entry) -> u32 {
    let names = entry.model.as_str().len() + entry.pool.as_str().len();
    let bytes = OVERHEAD_BYTES + names + entry.body.len();
    u32::try_from(bytes + bytes / 3).unwrap_or(u32::MAX)
}

/// An entry stays as long as somebody may be given it.
struct Until;

impl Until {
    fn left(entry: &Entry, now: Instant) -> Duration {
        entry.lifetime().saturating_sub(entry.age(now))
    }
}

impl Expiry<Key, Arc<Entry>> for Until {
    fn expire_after_create(
        &self,
        _: &Key,
        entry: &Arc<Entry>,
        created_at: Instant,
    ) -> Option<Duration> {
        Some(Self::left(entry, created_at))
    }

    /// Another answer in its place has times of its own.
    fn expire_after_update(
        &self,
        _: &Key,
        entry: &Arc<Entry>,
        updated_at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Self::left(entry, updated_at))
    }
}

/// Ordered by what they weigh.
struct ByWeight(Heavy);

impl PartialEq for ByWeight {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for ByWeight {}

impl PartialOrd for ByWeight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByWeight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.bytes.cmp(&other.0.bytes)
    }
}

impl Evictions {
    fn count(&self, cause: RemovalCause) {
        let count = match cause {
            RemovalCause::Expired => &self.expired,
            RemovalCause::Size => &self.size,
            RemovalCause::Explicit => &self.removed,
            // It is the same question's answer.
            RemovalCause::Replaced => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts those for which there was no room.
    pub(super) fn add_size(&self, count: u64) {
        self.size.fetch_add(count, Ordering::Relaxed);
    }

    /// Each cause with how many it made go.
    #[must_use]
    pub fn by_cause(&self) -> [(&'static str, u64); 3] {
        [
            ("expired", &self.expired),
            ("size", &self.size),
            ("removed", &self.removed),
        ]
        .map(|(cause, count)| (cause, count.load(Ordering::Relaxed)))
    }
}
