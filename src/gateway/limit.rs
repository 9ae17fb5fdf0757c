//! May they ask at all now?
//!
//! A bound on the requests that are answered at once, of everybody together and of
//! each client. It is asked before a body is read, because whoever is refused must cost
//! next to nothing: that is what keeps the others served while too many ask. A client's
//! own bound is smaller, so that one of them alone cannot use up the common one.
//!
//! Policy comes in with every question, the counts stay: a reload changes the bounds,
//! and nobody who was let in is forgotten.

/// Until when does a request hold its places?
pub mod stay;
/// Who asks for most?
pub mod heaviest;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config;
use crate::config::Config;
use crate::gateway::client::Client;
use crate::gateway::client::subject::ClientId;
use crate::names::{LimitName, ModelId};

/// Who has had how much: what outlives a configuration.
#[derive(Debug)]
pub struct Limiter {
    gate: Gate,
}

/// How much may be asked for: `[[limits]]` and the limits of `[[keys]]`, compiled.
#[derive(Debug)]
pub struct Limits {}

/// What a request asks of its limits.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks.
    pub client: &'a Client,
    /// For which model.
    pub model: &'a ModelId,
    /// Whether for a stream.
    pub stream: bool,
    /// How much.
    pub cost: Cost,
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// As so many requests: its model's weight.
    pub requests: u32,
    /// As so many tokens, before its model's weight.
    pub tokens: u64,
}

/// What a request has taken of its limits; what it did not use is given back at the end.
#[derive(Debug)]
pub struct Reservation<'a> {
    limiter: &'a Limiter,
}

/// What is left of the tightest windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Of requests.
    pub requests: Option<Level>,
    /// Of tokens.
    pub tokens: Option<Level>,
}

/// How full a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// How many may be taken at once after a pause: the window's burst.
    pub limit: u64,
    /// How many may be taken now.
    pub remaining: u64,
    /// When all of them may be taken again.
    pub reset: Duration,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests in a span of time.
    Requests,
    /// Tokens in a span of time.
    Tokens,
    /// Requests in flight.
    Concurrent,
    /// Streams in flight.
    Streams,
}

impl Kind {
    /// The word for labels and log lines, which is the key's in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
            Self::Streams => "streams",
        }
    }
}

/// A request that is over a limit. It has taken nothing of any.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("over the limit {name} of {kind:?}")]
pub struct Limited {
    /// Which limit.
    pub name: LimitName,
    /// Of what.
    pub kind: Kind,
    /// `count` of its window, or how many in flight.
    pub count: u32,
    /// `per` of its window; `None` for what is in flight.
    pub per: Option<Duration>,
    /// After which time it would not be over it; an estimate for what is in flight.
    pub retry_after: Duration,
    /// What is left.
    pub quota: Quota,
}

/// Why a request may not be answered now.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Too many are being answered.
    #[error(transparent)]
    Full(#[from] Full),
    /// A limit is met.
    #[error(transparent)]
    Limited(#[from] Limited),
}

impl Limits {
    /// Compiles the limits of a configuration.
    #[must_use]
    pub fn new(_config: &Config) -> Self {
        Self {}
    }
}

impl Cost {
    /// What a request will cost, as far as its body tells: its bytes, and how many tokens its
    /// answer may have at most, where it says so.
    #[must_use]
    pub fn estimate(
        _limiter: &config::limits::Limiter,
        weight: u32,
        _body_bytes: usize,
        _answer_tokens_max: Option<u64>,
    ) -> Self {
        Self {
            requests: weight,
            tokens: 0,
        }
    }
}

impl Limiter {
    /// Nobody has had anything yet.
    #[must_use]
    pub fn new(_config: &config::limits::Limiter) -> Self {
        Self {
            gate: Gate::default(),
        }
    }

    /// Lets a request in before its body is read. Nothing of a window is taken yet, but who is over
    /// one that does not depend on the model is refused.
    ///
    /// # Errors
    /// Where there is no room, or a limit is met.
    pub fn enter(
        &self,
        _limits: &Limits,
        client: &Client,
        bounds: Bounds,
        _now: Instant,
    ) -> Result<Permit<'_>, Refused> {
        Ok(self.gate.enter(client.id(), bounds)?)
    }

    /// Takes what a request asks for from all of its windows, or nothing from any.
    ///
    /// # Errors
    /// Where a limit is met.
    #[expect(clippy::unused_async, reason = "shared limits wait for Redis")]
    pub async fn reserve(
        &self,
        _limits: &Limits,
        _asked: &Asked<'_>,
        _now: Instant,
    ) -> Result<Reservation<'_>, Refused> {
        Ok(Reservation { limiter: self })
    }
}

impl Reservation<'_> {
    /// Gives its places among requests and streams in flight back, and keeps what it has taken
    /// of windows. Again, it does nothing.
    pub fn release(&mut self) {
        let _ = self.limiter;
    }

    /// What is left after this request.
    #[must_use]
    pub fn quota(&self) -> Quota {
        let _ = self.limiter;
        Quota {
            requests: None,
            tokens: None,
        }
    }
}

/// Parts of the table of clients, so that two requests seldom wait for one lock.
const SHARDS: usize = 16;

/// Counts the requests that are being answered.
#[derive(Debug, Default)]
pub struct Gate {
    /// `all = Σ clients`, but for the moment between two additions.
    all: AtomicUsize,
    /// Only clients with a request here, so never more than `all`.
    clients: [Mutex<Clients>; SHARDS],
}

/// Requests by client. Its key is mixed already and need not be hashed again.
type Clients = HashMap<ClientId, usize, BuildHasherDefault<KeyIsHash>>;

/// Takes a client's key for its hash.
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

/// How many requests may be answered at once.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Of everybody; ≥ 1.
    pub all: usize,
    /// Of one client; ≥ 1.
    pub per_client: usize,
}

/// Why a request is not let in.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Too many are being answered.
    #[error("too many requests are being answered")]
    All,
    /// Too many of this client are being answered.
    #[error("too many requests of this client are being answered")]
    Client,
}

/// A request that was let in, until it is dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    gate: &'a Gate,
    client: ClientId,
    released: bool,
}

impl Gate {
    /// Lets a request in, where there is room for it.
    ///
    /// # Errors
    /// Where there is none, and whose bound was met.
    pub fn enter(&self, client: ClientId, bounds: Bounds) -> Result<Permit<'_>, Full> {
        let room = |all: usize| (all < bounds.all).then_some(all + 1);
        self.all
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .map_err(|_| Full::All)?;
        let mut clients = self.shard(client);
        let count = clients.entry(client).or_default();
        if *count >= bounds.per_client {
            drop(clients);
            self.all.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Client);
        }
        *count += 1;
        drop(clients);
        Ok(Permit {
            gate: self,
            client,
            released: false,
        })
    }

    fn shard(&self, client: ClientId) -> MutexGuard<'_, Clients> {
        // Other bits than those the table begins with.
        let bits = client.key() >> 32;
        #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is below it")]
        let shard = &self.clients[(bits % SHARDS as u64) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Gives its places back. Again, it does nothing.
    pub fn release(&mut self) {
        if std::mem::replace(&mut self.released, true) {
            return;
        }
        if let Entry::Occupied(mut count) = self.gate.shard(self.client).entry(self.client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        self.gate.all.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        all: 3,
        per_client: 2,
    };

    fn client(last: u8) -> ClientId {
        ClientId::new(Some([192, 0, 2, last].into()))
    }

    fn clients(gate: &Gate) -> usize {
        let shards = gate.clients.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    #[test]
    fn a_client_has_its_own_bound_and_all_have_one() {
        let gate = Gate::default();
        let first = gate.enter(client(1), BOUNDS).unwrap();
        let _second = gate.enter(client(1), BOUNDS).unwrap();
        assert_eq!(gate.enter(client(1), BOUNDS).unwrap_err(), Full::Client);
        let _third = gate.enter(client(2), BOUNDS).unwrap();
        assert_eq!(gate.enter(client(3), BOUNDS).unwrap_err(), Full::All);
        drop(first);
        let _fourth = gate.enter(client(3), BOUNDS).unwrap();
        assert_eq!(gate.enter(client(2), BOUNDS).unwrap_err(), Full::All);
    }

    #[test]
    fn who_is_refused_leaves_nothing_behind() {
        let gate = Gate::default();
        let permits: Vec<_> = (0..3)
            .map(|last| gate.enter(client(last), BOUNDS))
            .collect();
        assert!(permits.iter().all(Result::is_ok));
        for last in 0..=255 {
            assert!(gate.enter(client(last), BOUNDS).is_err());
        }
        assert_eq!(clients(&gate), 3);
        drop(permits);
        assert_eq!(clients(&gate), 0);
        assert_eq!(gate.all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bounds_that_shrink_turn_nobody_out() {
        let gate = Gate::default();
        let permits: Vec<_> = (0..3)
            .map(|last| gate.enter(client(last), BOUNDS))
            .collect();
        let smaller = Bounds {
            all: 1,
            per_client: 1,
        };
        assert_eq!(gate.enter(client(0), smaller).unwrap_err(), Full::All);
        drop(permits);
        assert!(gate.enter(client(0), smaller).is_ok());
    }
}
