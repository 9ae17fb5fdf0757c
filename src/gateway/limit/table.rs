//! How far has each window been used?
//!
//! A table of a fixed size: a count per caller and limit, and callers come without end. It
//! is made of sets of sixteen places behind a lock each; a key has its places in one of the
//! sets, which its hash names and nobody outside can foretell. Where a set is full, a window
//! that is full again makes room, since it says nothing; else the one that is used least. So
//! whoever is over a limit stays over it while a flood of others comes and goes, and all that
//! is forgotten is that somebody has asked a little. Windows of names that stand in the
//! configuration (keys, models, all together) go last: no flood can make more of those.
//!
//! A request takes from all of its windows or from none. All of its sets are locked, in one
//! order for everybody, then looked at, then written.

use smallvec::SmallVec;

use super::gcra::{Rate, Ticks, still_owed};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Places of a set: two cache lines of keys.
const WAYS: usize = 16;

/// Sets of one request that are locked without memory being asked for.
const SETS_INLINE: usize = 16;

/// The windows of everybody.
#[derive(Debug)]
pub struct Table {
    sets: Box<[Mutex<Set>]>,
    evictions: AtomicU64,
}

/// Sixteen windows. Where `keys[i]` is known, `windows[i]` is its state.
#[derive(Debug, Default)]
struct Set {
    keys: [u64; WAYS],
    windows: [State; WAYS],
}

/// The state of a window.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// When it is full again; before now, it says nothing.
    full: Ticks,
    /// Nanoseconds that were given back since ever, from a beginning that means nothing; of the
    /// calendar, the beginning alone, by which a window is told from one that was forgotten.
    given_back: u64,
    /// Its span, in nanoseconds.
    span: f32,
    /// Whether its subject stands in the configuration.
    named: bool,
}

/// One window, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<T> {
    /// What its owner knows it by.
    pub of: T,
    /// Whose it is, of which limit and kind.
    pub key: u64,
    /// Whether its subject stands in the configuration.
    pub named: bool,
    /// How fast it refills.
    pub rate: Rate,
    /// How much of it is asked for.
    pub cost: u64,
    /// Whether it refuses nobody.
    pub shadow: bool,
    /// When it is full, the request apart.
    pub full: Ticks,
    /// When it will be full with the request, or how long that has to wait.
    pub verdict: Result<Ticks, Ticks>,
    given_back: u64,
}

/// What was taken of a window, until it is settled.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// How fast it refills.
    pub rate: Rate,
    /// When all of it comes back by itself.
    until: Ticks,
    /// Whose it is.
    pub key: u64,
    cost: u64,
    given_back: u64,
    named: bool,
    /// Whether it refuses nobody.
    pub shadow: bool,
}

impl<T> Claim<T> {
    /// A claim that has not been looked at. More than the window ever holds is all of it, so
    /// that nobody is refused for ever.
    #[must_use]
    pub fn new(of: T, key: u64, rate: Rate, cost: u64) -> Self {
        Self {
            of,
            key,
            named: false,
            rate,
            cost: cost.min(rate.burst()),
            shadow: false,
            full: Ticks::default(),
            verdict: Err(Ticks::default()),
            given_back: 0,
        }
    }

    /// Whether it refuses its request.
    #[must_use]
    pub fn refuses(&self) -> bool {
        !self.shadow && self.verdict.is_err()
    }

    /// When it is full once the request has taken of it, where it does.
    #[must_use]
    pub fn full_with(&self) -> Ticks {
        self.verdict.unwrap_or(self.full)
    }

    /// What was taken, where it was.
    #[must_use]
    pub fn taken(&self) -> Option<Taken> {
        Some(Taken {
            rate: self.rate,
            until: self.verdict.ok()?,
            key: self.key,
            cost: self.cost,
            given_back: self.given_back,
            named: self.named,
            shadow: self.shadow,
        })
    }
}

impl Table {
    /// A table of at most so many windows.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        let sets = (keys_max / WAYS).max(1);
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            evictions: AtomicU64::new(0),
        }
    }

    /// Takes what is asked for of all windows, or, where one of them refuses, of none. What each
    /// of them says then stands in the claims, in an order of the table's.
    pub fn take<T>(&self, claims: &mut [Claim<T>], now: Ticks) -> bool {
        let mut sets = self.lock(claims);
        for (group, set) in self.groups_mut(claims).zip(&sets) {
            for claim in group {
                set.look(claim, now);
            }
        }
        if claims.iter().any(Claim::refuses) {
            return false;
        }
        for (group, set) in self.groups_mut(claims).zip(&mut sets) {
            for claim in group {
                let Ok(full) = claim.verdict else { continue };
                let state = State {
                    full,
                    given_back: claim.given_back,
                    span: span(claim.rate),
                    named: claim.named,
                };
                self.put(set, claim.key, state, now);
            }
        }
        true
    }

    /// Looks what each window would say, and takes nothing.
    pub fn look<T>(&self, claims: &mut [Claim<T>], now: Ticks) {
        for claim in claims {
            self.set(claim.key).look(claim, now);
        }
    }

    /// Makes good the difference between what was taken and what was used.
    pub fn settle(&self, taken: &Taken, used: u64, now: Ticks) {
        let mut set = self.set(taken.key);
        let known = set.state_mut(taken.key).map(|state| *state);
        if let Some(more) = used.checked_sub(taken.cost) {
            if more > 0 {
                let mut state = known.unwrap_or_else(|| State::begin(now));
                let from = taken.rate.from(now);
                state.full = state.full.max(from).plus(taken.rate.each().by(more));
                state.span = span(taken.rate);
                state.named = taken.named;
                self.put(&mut set, taken.key, state, now);
            }
            return;
        }
        let Some(state) = set.state_mut(taken.key) else {
            return;
        };
        let unused = taken.rate.each().by(taken.cost - used);
        if taken.rate.is_of_calendar() {
            // Time gives nothing back within a span, and all of it with the next. Where the
            // window was forgotten since, nobody knows whose it is that is taken of it.
            let is_known = state.given_back == taken.given_back;
            if is_known && taken.rate.is_of_this_span(taken.until, now) {
                state.full = state.full.less(unused).max(taken.rate.from(now));
            }
            return;
        }
        // Whatever was given back since moved our part, too, or may have.
        let since = state.given_back.wrapping_sub(taken.given_back);
        let until = taken.until.less(Ticks::nanos(since));
        let back = still_owed(unused, until, now);
        state.full = state.full.less(back);
        let rounded_up = back.nanoseconds().saturating_add(1);
        state.given_back = state.given_back.wrapping_add(rounded_up);
    }

    /// Writes when a window is full, as somebody says who knows better.
    pub fn mirror<T>(&self, claim: &Claim<T>, full: Ticks, now: Ticks) {
        let mut set = self.set(claim.key);
        let known = set.state_mut(claim.key).map(|state| *state);
        let mut state = known.unwrap_or_else(|| State::begin(now));
        state.full = full;
        state.span = span(claim.rate);
        state.named = claim.named;
        self.put(&mut set, claim.key, state, now);
    }

    /// When a window is full; the beginning of time where nothing is known of it.
    #[must_use]
    pub fn full(&self, key: u64) -> Ticks {
        let mut set = self.set(key);
        set.state_mut(key)
            .map(|state| state.full)
            .unwrap_or_default()
    }

    /// Forgets a window. True where somebody had taken of it.
    pub fn forget(&self, key: u64, now: Ticks) -> bool {
        let mut set = self.set(key);
        let state = set.state_mut(key);
        state.is_some_and(|state| std::mem::take(state).full > now)
    }

    /// How many windows are not full. For a look now and then: it takes every lock once.
    #[must_use]
    pub fn live(&self, now: Ticks) -> usize {
        let sets = self.sets.iter().map(locked);
        sets.map(|set| set.windows.iter().filter(|state| state.full > now).count())
            .sum()
    }

    /// How many windows that were not full had to make room.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// Locks the sets of all claims, each once and in one order, and sorts the claims so.
    fn lock<T>(&self, claims: &mut [Claim<T>]) -> Guards<'_> {
        claims.sort_unstable_by_key(|claim| claim.key);
        let groups = claims.chunk_by(|one, other| self.place(one.key) == self.place(other.key));
        groups
            .filter_map(|group| Some(self.set(group.first()?.key)))
            .collect()
    }

    /// Sorted claims, those of each set together.
    fn groups_mut<'c, T>(
        &self,
        claims: &'c mut [Claim<T>],
    ) -> impl Iterator<Item = &'c mut [Claim<T>]> {
        claims.chunk_by_mut(|one, other| self.place(one.key) == self.place(other.key))
    }

    /// The index of a key's set. It grows with the key.
    fn place(&self, key: u64) -> usize {
        let scaled = (u128::from(key) * self.sets.len() as u128) >> 64;
        #[expect(clippy::cast_possible_truncation, reason = "it is below a length")]
        let place = scaled as usize;
        place
    }

    fn set(&self, key: u64) -> MutexGuard<'_, Set> {
        #[expect(clippy::indexing_slicing, reason = "a place is below the length")]
        locked(&self.sets[self.place(key)])
    }

    /// Writes a window, in the place of another where there is no other.
    fn put(&self, set: &mut Set, key: u64, state: State, now: Ticks) {
        if let Some(known) = set.state_mut(key) {
            *known = state;
            return;
        }
        let places = set.keys.iter_mut().zip(&mut set.windows);
        let least = places.min_by(|(_, one), (_, other)| one.says_less(other, now));
        if let Some((key_there, there)) = least {
            if there.full > now {
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
            *key_there = key;
            *there = state;
        }
    }
}

/// The locked sets of a request, in the order of its claims.
type Guards<'a> = SmallVec<[MutexGuard<'a, Set>; SETS_INLINE]>;

fn locked(set: &Mutex<Set>) -> MutexGuard<'_, Set> {
    // Every write is whole before the next could panic.
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rank among windows, not a count"
)]
fn span(rate: Rate) -> f32 {
    rate.span().nanoseconds() as f32
}

impl Set {
    fn state_mut(&mut self, key: u64) -> Option<&mut State> {
        let place = self.keys.iter().position(|known| *known == key)?;
        self.windows.get_mut(place)
    }

    fn look<T>(&self, claim: &mut Claim<T>, now: Ticks) {
        let place = self.keys.iter().position(|known| *known == claim.key);
        let known = place.and_then(|place| self.windows.get(place)).copied();
        let state = known.unwrap_or_else(|| State::begin(now));
        claim.full = state.full;
        claim.given_back = state.given_back;
        claim.verdict = claim.rate.take(state.full, claim.cost, now);
    }
}

impl State {
    /// A window of which nothing has been taken. Where it stands in for one that was forgotten,
    /// whatever was taken of that is given back to nobody.
    fn begin(now: Ticks) -> Self {
        Self {
            given_back: now.nanoseconds(),
            ..Self::default()
        }
    }

    /// Whether less would be lost with this one than with the other.
    fn says_less(&self, other: &Self, now: Ticks) -> std::cmp::Ordering {
        let said = |state: &Self| (state.full > now, state.named, state.used(now));
        let (one, other) = (said(self), said(other));
        (one.0, one.1)
            .cmp(&(other.0, other.1))
            .then(one.2.total_cmp(&other.2))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a rank among windows, not a count"
    )]
    fn used(&self, now: Ticks) -> f32 {
        self.full.less(now).nanoseconds() as f32 / self.span.max(1.0)
    }
}

#[cfg(test)]
#[cfg(feature = "shuttle")]
mod interleavings;

#[cfg(test)]
mod tests;
