//! How many requests are being answered?
//!
//! Of everybody together, and of whatever a bound counts apart: a caller, a key, a model.
//! Only what is in flight is here, so the counts need no bound of their own, and none is
//! ever forgotten. A request takes a place everywhere or nowhere: the shards of all of its
//! counts are locked in one order, then looked at, then written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

use smallvec::SmallVec;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Parts of the table, so that two requests seldom wait for one lock.
const SHARDS: usize = 16;

/// Counts of one request that are kept without memory being asked for.
const COUNTS_INLINE: usize = 6;

/// Counts the requests that are being answered.
#[derive(Debug, Default)]
pub struct Gate {
    all: AtomicUsize,
    /// Only counts of requests that are here: each is ≥ 1.
    shards: [Mutex<Counts>; SHARDS],
}

/// Requests by what they are counted as.
type Counts = HashMap<u64, u32, BuildHasherDefault<KeyIsHash>>;

/// The keys of the counts that a request is in.
pub type Places = SmallVec<[u64; COUNTS_INLINE]>;

/// A count, and how far it may go.
#[derive(Debug, Clone, Copy)]
pub struct Claim<T> {
    /// What its owner knows it by.
    pub of: T,
    /// What is counted. Nobody outside can foretell it.
    pub key: u64,
    /// How many there may be, ≥ 1.
    pub max: u32,
    /// Whether it refuses nobody.
    pub shadow: bool,
    /// How many there are, the request apart.
    pub there: u32,
}

/// The locked counts of a request, and the request apart.
pub struct Locked<'a>(SmallVec<[MutexGuard<'a, Counts>; COUNTS_INLINE]>);

impl<T> Claim<T> {
    /// A claim that has not been looked at.
    #[must_use]
    pub fn new(of: T, key: u64, max: u32) -> Self {
        let (shadow, there) = (false, 0);
        Self {
            of,
            key,
            max,
            shadow,
            there,
        }
    }

    /// Whether there is no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.there >= self.max
    }

    /// Whether it refuses its request.
    #[must_use]
    pub fn refuses(&self) -> bool {
        !self.shadow && self.is_full()
    }
}

impl Gate {
    /// Takes one of so many places of all. False where there is none.
    pub fn enter(&self, max: usize) -> bool {
        let room = |all: usize| (all < max).then_some(all + 1);
        let entered = self
            .all
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room);
        entered.is_ok()
    }

    /// Gives it back.
    pub fn leave(&self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }

    /// Locks the counts of all claims, which are sorted by that, and looks how many there are.
    pub fn look<T>(&self, claims: &mut [Claim<T>]) -> Locked<'_> {
        claims.sort_unstable_by_key(|claim| (shard(claim.key), claim.key));
        let mut locked = Locked(SmallVec::new());
        for group in claims.chunk_by_mut(|one, other| shard(one.key) == shard(other.key)) {
            let Some(first) = group.first() else { continue };
            let counts = self.counts(first.key);
            for claim in group {
                claim.there = counts.get(&claim.key).copied().unwrap_or(0);
            }
            locked.0.push(counts);
        }
        locked
    }

    /// Gives places back.
    pub fn give_back(&self, places: &mut Places) {
        for key in places.drain(..) {
            if let Entry::Occupied(mut count) = self.counts(key).entry(key) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
    }

    /// How many there are now.
    #[must_use]
    pub fn there(&self, key: u64) -> u32 {
        self.counts(key).get(&key).copied().unwrap_or(0)
    }

    fn counts(&self, key: u64) -> MutexGuard<'_, Counts> {
        #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is below it")]
        let counts = &self.shards[shard(key)];
        counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Locked<'_> {
    /// Takes a place of each claim that has room; those of shadows that have none are left.
    pub fn take<T>(mut self, claims: &[Claim<T>]) -> Places {
        let mut places = Places::new();
        let groups = claims.chunk_by(|one, other| shard(one.key) == shard(other.key));
        for (group, counts) in groups.zip(&mut self.0) {
            for claim in group.iter().filter(|claim| !claim.is_full()) {
                *counts.entry(claim.key).or_default() += 1;
                places.push(claim.key);
            }
        }
        places
    }
}

/// Other bits than those the tables begin with.
fn shard(key: u64) -> usize {
    ((key >> 32) % SHARDS as u64) as usize
}

/// Takes a key for its hash: it is one.
#[derive(Debug, Default)]
struct KeyIsHash(u64);

impl Hasher for KeyIsHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only numbers are written, below.
        debug_assert!(bytes.is_empty());
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys that are in one shard and in several.
    fn key(number: u64) -> u64 {
        (number % 3) << 32 | number
    }

    fn take(gate: &Gate, claims: &[(u64, u32)]) -> Option<Places> {
        let mut claims: Vec<_> = claims
            .iter()
            .map(|(number, max)| Claim::new((), key(*number), *max))
            .collect();
        let locked = gate.look(&mut claims);
        let is_refused = claims.iter().any(Claim::refuses);
        (!is_refused).then(|| locked.take(&claims))
    }

    fn counts(gate: &Gate) -> usize {
        let shards = gate.shards.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn keys_are_spread_over_all_shards_by_bits_of_their_own() {
        let gate = Gate::default();
        for number in 0..10 * SHARDS as u64 {
            let mut claims = [Claim::new((), number << 32, 1)];
            gate.look(&mut claims).take(&claims);
        }
        for shard in &gate.shards {
            assert_eq!(shard.lock().unwrap().len(), 10);
        }
        assert_eq!(shard(0xFFFF_FFFF), 0);
    }

    #[test]
    fn a_place_everywhere_or_nowhere() {
        let gate = Gate::default();
        let mut first = take(&gate, &[(1, 2), (2, 1), (4, 9)]).unwrap();
        assert!(take(&gate, &[(1, 2), (2, 1)]).is_none());
        assert_eq!((gate.there(key(1)), gate.there(key(2))), (1, 1));
        let mut second = take(&gate, &[(1, 2), (4, 9)]).unwrap();
        assert!(take(&gate, &[(4, 9), (1, 2)]).is_none());
        gate.give_back(&mut first);
        gate.give_back(&mut first);
        assert_eq!((gate.there(key(1)), gate.there(key(2))), (1, 0));
        assert!(take(&gate, &[(2, 1)]).is_some());
        gate.give_back(&mut second);
    }

    #[test]
    fn who_is_refused_leaves_nothing_behind() {
        let gate = Gate::default();
        let mut held = take(&gate, &[(1, 1)]).unwrap();
        for number in 2..500 {
            assert!(take(&gate, &[(number, 9), (1, 1)]).is_none());
        }
        assert_eq!(counts(&gate), 1);
        gate.give_back(&mut held);
        assert_eq!(counts(&gate), 0);
    }

    #[test]
    fn a_shadow_refuses_nobody_and_counts_as_though_it_did() {
        let gate = Gate::default();
        let mut claims = [Claim::new((), key(1), 1), Claim::new((), key(2), 9)];
        for claim in &mut claims {
            claim.shadow = true;
        }
        let mut first = gate.look(&mut claims).take(&claims);
        let mut second = gate.look(&mut claims).take(&claims);
        assert_eq!((first.len(), second.len()), (2, 1));
        assert_eq!(gate.there(key(1)), 1);
        gate.give_back(&mut first);
        gate.give_back(&mut second);
        assert_eq!(counts(&gate), 0);
    }

    #[test]
    fn all_have_one_bound() {
        let gate = Gate::default();
        assert!(gate.enter(2) && gate.enter(2));
        assert!(!gate.enter(2) && !gate.enter(1));
        gate.leave();
        assert!(gate.enter(2));
    }

    fn come_and_go(gate: &Gate, own: u64) {
        if let Some(mut places) = take(gate, &[(1, 3), (7, 2), (own, 1)]) {
            assert!(gate.there(key(1)) <= 3 && gate.there(key(7)) <= 2);
            gate.give_back(&mut places);
        }
    }

    #[test]
    fn eight_threads_never_share_a_place() {
        let gate = Gate::default();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let gate = &gate;
                scope.spawn(move || (0..2000).for_each(|_| come_and_go(gate, number + 10)));
            }
        });
        assert_eq!(counts(&gate), 0);
    }
}
