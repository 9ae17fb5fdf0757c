//! What is kept, and what must go?
//!
//! Numbers and times only, no I/O: names come in, names that must go come out. The
//! order of going is the order of writing.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use super::ImageStats;
use super::id::ImageId;

/// An image is charged at least so many bytes: what a file takes on disk, and what
/// makes the bound of bytes a bound of the number of images too.
pub(super) const BYTES_CHARGED_MIN: u64 = 4096;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes_max: u64,
    pub(super) age_max: Duration,
}

/// Which images the store holds, as far as this process knows.
#[derive(Debug)]
pub(super) struct Index {
    bounds: Bounds,
    /// `entries` and `by_age` hold the same images.
    entries: HashMap<ImageId, Entry>,
    /// In the order of going.
    by_age: BTreeSet<(SystemTime, ImageId)>,
    /// = Σ `entries[..].bytes`
    bytes: u64,
    evictions: u64,
    /// Counts listings; an entry carries the one in which it was last known to exist.
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    bytes: u64,
    written: SystemTime,
    generation: u64,
}

impl Index {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: HashMap::new(),
            by_age: BTreeSet::new(),
            bytes: 0,
            evictions: 0,
            generation: 0,
        }
    }

    /// Counts an image that is about to be written, or written again.
    pub(super) fn insert(&mut self, id: ImageId, bytes: u64, written: SystemTime) {
        self.remove(id);
        let bytes = bytes.max(BYTES_CHARGED_MIN);
        let generation = self.generation;
        self.entries.insert(
            id,
            Entry {
                bytes,
                written,
                generation,
            },
        );
        self.by_age.insert((written, id));
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Forgets an image.
    pub(super) fn remove(&mut self, id: ImageId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.by_age.remove(&(entry.written, id));
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }

    /// From here on, what is inserted or found exists; the rest is in doubt.
    pub(super) fn begin_listing(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Counts an image that a listing showed.
    pub(super) fn found(&mut self, id: ImageId, bytes: u64, written: SystemTime) {
        // What was written while the listing ran is known better than it is listed.
        let is_newer_known = self
            .entries
            .get(&id)
            .is_some_and(|entry| entry.generation == self.generation && entry.written >= written);
        if !is_newer_known {
            self.insert(id, bytes, written);
        }
    }

    /// Forgets what the listing that is now over did not show.
    pub(super) fn end_listing(&mut self, generation: u64) {
        let gone: Vec<ImageId> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.generation < generation)
            .map(|(&id, _)| id)
            .collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// Whether something must go.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.bytes > self.bounds.bytes_max
            || self
                .by_age
                .first()
                .is_some_and(|&(written, _)| self.is_expired(written, now))
    }

    /// Forgets what must go, oldest first, and names it.
    pub(super) fn take_evicted(&mut self, now: SystemTime) -> Vec<ImageId> {
        let mut evicted = Vec::new();
        while self.is_over(now) {
            let Some(&(_, oldest)) = self.by_age.first() else {
                break;
            };
            self.remove(oldest);
            self.evictions += 1;
            evicted.push(oldest);
        }
        evicted
    }

    /// Whether an image is here and not too old.
    pub(super) fn has(&self, id: ImageId, now: SystemTime) -> bool {
        let entry = self.entries.get(&id);
        entry.is_some_and(|entry| !self.is_expired(entry.written, now))
    }

    /// Whether what was written then is too old now. A time to come is not: another
    /// machine's clock wrote it.
    pub(super) fn is_expired(&self, written: SystemTime, now: SystemTime) -> bool {
        now.duration_since(written)
            .is_ok_and(|age| age > self.bounds.age_max)
    }

    pub(super) fn stats(&self) -> ImageStats {
        ImageStats {
            bytes: self.bytes,
            count: self.entries.len() as u64,
            evictions: self.evictions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(hours: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + HOUR * hours
    }

    fn image(number: u8) -> ImageId {
        ImageId::of(&[b'G', b'I', b'F', b'8', b'9', b'a', number]).unwrap()
    }

    fn index(bytes_max: u64, hours_max: u32) -> Index {
        Index::new(Bounds {
            bytes_max,
            age_max: HOUR * hours_max,
        })
    }

    #[test]
    fn the_oldest_go_first_until_there_is_room() {
        let mut index = index(20_000, 1000);
        index.insert(image(2), 8_000, at(2));
        index.insert(image(1), 8_000, at(1));
        index.insert(image(3), 4_000, at(3));
        assert!(index.is_over(at(3)), "4,000 are charged as 4,096");
        assert_eq!(index.take_evicted(at(3)), [image(1)]);
        index.insert(image(4), 20_000, at(4));
        assert_eq!(index.take_evicted(at(4)), [image(2), image(3)]);
        let expected = ImageStats {
            bytes: 20_000,
            count: 1,
            evictions: 3,
        };
        assert_eq!(index.stats(), expected);
    }

    #[test]
    fn what_is_too_old_goes_even_if_there_is_room() {
        let mut index = index(1 << 30, 24);
        index.insert(image(1), 1, at(0));
        index.insert(image(2), 1, at(10));
        assert!(!index.is_over(at(24)));
        assert_eq!(index.take_evicted(at(25)), [image(1)]);
        assert!(!index.is_expired(at(99), at(1)), "a clock ahead of ours");
    }

    #[test]
    fn an_image_made_again_is_young_and_counted_once() {
        let mut index = index(1 << 30, 24);
        index.insert(image(1), 5_000, at(0));
        index.insert(image(1), 5_000, at(20));
        assert_eq!(index.take_evicted(at(25)), []);
        assert_eq!((index.stats().bytes, index.stats().count), (5_000, 1));
    }

    #[test]
    fn a_listing_is_the_truth_but_for_what_was_written_meanwhile() {
        let mut index = index(1 << 30, 24);
        index.insert(image(1), 5_000, at(1));
        index.insert(image(2), 5_000, at(1));
        let generation = index.begin_listing();
        index.insert(image(3), 5_000, at(3));
        index.found(image(2), 6_000, at(2));
        index.found(image(3), 5_000, at(0));
        index.found(image(4), 7_000, at(0));
        index.end_listing(generation);
        assert_eq!((index.stats().bytes, index.stats().count), (18_000, 3));
        let order: Vec<ImageId> = index.by_age.iter().map(|&(_, id)| id).collect();
        assert_eq!(order, [image(4), image(2), image(3)]);
    }
}
