//! Who could answer, and in which state are they?
//!
//! A pool is policy (targets, credential, deadlines), compiled with the
//! configuration and replaced with it. What pools and targets lived through
//! (failures, requests in flight) is state, kept beside the configuration in a
//! [`Registry`] by name, so that a new configuration neither forgets nor doubles it.

/// Where is a target?
pub mod target;
/// What outlives the configuration?
pub mod registry;
/// Which target is next?
pub mod balance;
/// May a target be asked?
pub mod health;
/// How many requests may be in flight at a pool, and who waits for the next place?
pub mod slots;
/// How much does a target take at once?
pub mod room;
/// How are names looked up?
pub mod resolve;
/// How many more attempts may a pool be asked for?
pub mod budget;
/// How soon does a pool answer?
pub mod pace;
/// What stands in the head of every request to a target?
pub mod wire;
/// Which certificate authorities does a pool trust?
mod authority;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_core::upstreams::peer::{HttpPeer, Peer as _};
use thiserror::Error;

use crate::config::policy::{Balance, Concurrency, Hedging};
use crate::config::{self, ApiKey, Dialect};
use crate::names::{PoolName, Secret};
use balance::RoundRobin;
use health::Verdict;
use registry::{PoolState, Registry};
use resolve::Lookups;
use slots::{Full, Places, Slot};
use target::{Endpoint, EndpointState, Target};

/// A pool as requests see it.
#[derive(Debug)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// What its targets speak.
    pub dialect: Dialect,
    /// Its targets, at least one.
    pub targets: Vec<Target>,
    /// The credential; `None` where none is needed.
    pub api_key: Option<Secret>,
    /// Why the pool is not used at all.
    pub unusable: Option<String>,
    /// How the next target is chosen.
    pub method: Balance,
    /// Asking a second target where the first is slow.
    pub hedging: Hedging,
    /// How much it is asked at once.
    pub concurrency: Concurrency,
    /// What outlives the configuration.
    pub state: Arc<PoolState>,
    turns: RoundRobin,
    lookups: Lookups,
}

/// What a choice among targets depends on besides their state.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// What the pool's `hash_by` names of the request, hashed.
    pub key: u64,
    /// Chance.
    pub chance: u64,
}

/// What an attempt taught about its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lesson {
    /// It committed, this long after it began.
    Answered(Duration),
    /// It failed by the endpoint's fault: no connection, broken, too slow, 5xx, no valid
    /// answer; or its stream broke after the commit.
    Failed,
    /// It said that it has too much to do; `None` where it did not say for how long.
    Busy(Option<Duration>),
    /// It refused our credential.
    Refused,
}

/// How an endpoint's standing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It rests after failures, for this long.
    Ejected(Duration),
    /// It refused our credential, and rests.
    Refused,
}

/// Why a pool could not be built.
#[derive(Debug, Error)]
pub enum PoolError {
    /// The file with its certificate authorities cannot be used.
    #[error(
        "pool {pool}: cannot use the certificate authorities in {path}: {reason}; give a PEM file with at least one certificate"
    )]
    CertificateAuthority {
        /// The pool.
        pool: PoolName,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Pool {
    /// Compiles a pool; state that is already known is taken from `registry`.
    ///
    /// # Errors
    /// Where the pool's certificate authorities cannot be read.
    pub fn new(pool: &config::Pool, registry: &Registry) -> Result<Self, PoolError> {
        let authorities = match &pool.ca {
            Some(path) => Some(authority::read(&pool.name, path)?),
            None => None,
        };
        let targets = pool
            .targets
            .iter()
            .map(|target| Target::new(pool, target, authorities.as_ref(), registry))
            .collect();
        let (api_key, unusable) = match &pool.api_key {
            ApiKey::None => (None, None),
            ApiKey::Known(secret) => (Some(secret.clone()), None),
            ApiKey::Missing(place) => (None, Some(format!("its secret is missing: {place}"))),
        };
        Ok(Self {
            name: pool.name.clone(),
            dialect: pool.dialect,
            turns: RoundRobin::new(pool.targets.iter().map(|target| target.weight)),
            targets,
            api_key,
            unusable,
            method: pool.balance,
            hedging: pool.hedging.clone(),
            concurrency: pool.concurrency.clone(),
            state: registry.pool(&pool.name),
            lookups: Lookups::default(),
        })
    }

    /// Takes the place of `old`, the pool of the same name before it. Whoever refused the
    /// old credential has not been asked with the new one yet.
    pub fn succeed(&self, old: &Self) {
        if self.api_key == old.api_key {
            return;
        }
        for target in &self.targets {
            for endpoint in target.endpoints().iter() {
                endpoint.state.health.credential_changed();
            }
        }
    }

    /// Where its targets are, as far as that is known.
    pub fn peers(&self) -> impl Iterator<Item = Arc<HttpPeer>> {
        self.targets.iter().flat_map(|target| {
            let endpoints = target.endpoints();
            let peers = endpoints.iter().map(|endpoint| Arc::clone(&endpoint.peer));
            peers.collect::<Vec<_>>()
        })
    }

    /// A place at the pool, to be held from before a target is chosen until the answer is
    /// over; one that is taken is waited for, in turn with other clients, for as long as
    /// the pool's `queue_wait` and the request's `deadline` allow.
    ///
    /// # Errors
    /// Where there is none and the queue is full, or none became free.
    pub async fn enter(&self, client: u64, deadline: Instant, now: Instant) -> Result<Slot, Full> {
        let places = Places {
            in_flight_max: self.capacity(now),
            queue_max: self.concurrency.queue_max,
        };
        let patience = now.checked_add(self.concurrency.queue_wait);
        let until = patience.map_or(deadline, |patience| patience.min(deadline));
        self.state.slots.enter(client, places, until).await
    }

    /// How many may be in flight: what those who may be asked take together, up to
    /// `pool_max`. So that whoever has a place finds a target with room, and waits in the
    /// one queue where none has any. Where nobody may be asked there is nothing to wait
    /// for, and it is for the choice of a target to say so.
    pub fn capacity(&self, now: Instant) -> usize {
        let Concurrency { pool_max, .. } = self.concurrency;
        let room = |wanted: Verdict| -> usize {
            let endpoints = self.targets.iter().map(Target::endpoints);
            endpoints.fold(0, |sum, endpoints| {
                let wanted =
                    |endpoint: &&Arc<Endpoint>| endpoint.state.health.verdict(now) == wanted;
                let bounds = endpoints.iter().filter(wanted);
                bounds.fold(sum, |sum: usize, endpoint| {
                    sum.saturating_add(endpoint.state.room.bound(&self.concurrency))
                })
            })
        };
        let asked = [Verdict::Fit, Verdict::Ejected].into_iter().map(room);
        let room = asked.into_iter().find(|room| *room > 0);
        room.map_or(pool_max, |room| room.min(pool_max))
    }

    /// The endpoint to ask next: by the pool's balance, in the state that is `wanted`, and
    /// none that was tried. One without room is named only where no other is there, which
    /// says whom to wait for; whoever has a place at the pool asks it for room once more.
    pub fn pick(
        &self,
        tried: &[Arc<Endpoint>],
        wanted: Verdict,
        _choice: Choice,
        now: Instant,
    ) -> Option<Arc<Endpoint>> {
        if self.unusable.is_some() {
            return None;
        }
        let first = self.turns.next();
        let find = |room: bool| {
            let targets = self.turns.order(first);
            let mut targets = targets.filter_map(|index| self.targets.get(index));
            targets.find_map(|target| {
                let endpoints = target.endpoints();
                let fits = |endpoint: &&Arc<Endpoint>| {
                    endpoint.state.health.verdict(now) == wanted
                        && !tried.iter().any(|tried| tried.is(endpoint))
                        && (!room || endpoint.has_room(&self.concurrency))
                };
                endpoints.iter().find(fits).map(Arc::clone)
            })
        };
        find(true).or_else(|| find(false))
    }

    /// Whether any target could be asked now.
    pub fn is_usable(&self, now: Instant) -> bool {
        let fit = |endpoint: &Arc<Endpoint>| endpoint.state.health.verdict(now) == Verdict::Fit;
        self.unusable.is_none()
            && self
                .targets
                .iter()
                .any(|target| target.endpoints().iter().any(fit))
    }

    /// Takes what an attempt taught about one of its endpoints.
    pub fn learn(
        &self,
        endpoint: &Endpoint,
        lesson: Lesson,
        now: Instant,
        _chance: u64,
    ) -> Option<Change> {
        let EndpointState { health, room, .. } = &*endpoint.state;
        if room.learn(lesson, endpoint.state.in_flight(), &self.concurrency, now) {
            self.state.slots.allow(self.capacity(now));
        }
        match lesson {
            Lesson::Answered(_) => health.succeeded(),
            Lesson::Failed if health.failed(now) => {
                return Some(Change::Ejected(Duration::from_secs(10)));
            }
            Lesson::Refused => {
                health.refused(now);
                return Some(Change::Refused);
            }
            Lesson::Failed | Lesson::Busy(_) => {}
        }
        None
    }
}

/// Whether connections to one can be used for the other.
#[must_use]
pub fn share_connections(a: &HttpPeer, b: &HttpPeer) -> bool {
    a.reuse_hash() == b.reuse_hash()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::config::HttpVersion;

    #[test]
    fn a_pool_that_is_made_again_knows_where_its_targets_are() {
        let mut config = config::example("").pools.remove(0);
        config.targets[0].url = url::Url::parse("http://up.test:80/v1").unwrap();
        let registry = Registry::default();
        let first = Pool::new(&config, &registry).unwrap();
        assert_eq!(first.peers().count(), 0);
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        first.targets[0].locate(&[address], &registry);
        let peer = |pool: &Pool| pool.peers().next().unwrap();
        let again = Pool::new(&config, &registry).unwrap();
        assert!(share_connections(&peer(&first), &peer(&again)));
        // Another trust, or another version, is another connection.
        config.http = HttpVersion::Http1;
        let other = Pool::new(&config, &registry).unwrap();
        assert!(!share_connections(&peer(&first), &peer(&other)));
        drop((first, again, other));
        let forgetful = Pool::new(&config, &registry).unwrap();
        assert_eq!(forgetful.peers().count(), 0);
    }
}
