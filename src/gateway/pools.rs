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
/// Whom does a pool give?
mod pick;
/// How many may be in flight at a pool?
pub mod capacity;
/// Which endpoint is next?
pub mod balance;
/// May an endpoint be asked?
pub mod health;
/// How soon does an endpoint answer?
pub mod latency;
/// Was the process itself asleep?
mod pulse;
/// Who looks after pools where no request does?
pub mod tend;
/// How many requests may be in flight at a pool, and who waits for the next place?
pub mod slots;
/// How much does a target take at once?
pub mod room;
/// How are names looked up?
pub mod resolve;
/// Does an endpoint answer where no request asks it?
pub mod check;
/// How many more attempts may a pool be asked for?
pub mod budget;
/// How soon does a pool answer?
pub mod pace;
/// What stands in the head of every request to a target?
pub mod wire;
/// Which certificate authorities does a pool trust?
mod authority;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pingora_core::upstreams::peer::HttpPeer;
use thiserror::Error;

use crate::config::dialect::{Dialect, StreamUsage, Unsupported};
use crate::config::policy::{Balance, Check, Concurrency, Ejection, Hedging};
use crate::config::{self, ApiKey};
use crate::names::{PoolName, Secret};
use balance::Place;
use balance::turns::Turns;
use health::{EjectionReason, Learned, View};
use registry::{PoolState, Registry};
use slots::{Full, Places, Slot};
use target::{Endpoint, EndpointState, Target};

/// A pool as requests see it.
#[derive(Debug)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// What its targets speak.
    pub dialect: Dialect,
    /// What becomes of what they have no words for.
    pub unsupported: Unsupported,
    /// Whether it is asked to count the tokens of streams.
    pub stream_usage: StreamUsage,
    /// Whether it is told which trace a request belongs to.
    pub traceparent: bool,
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
    /// How endpoints are checked where no request asks them.
    pub check: Option<Check>,
    /// How much it is asked at once.
    pub concurrency: Concurrency,
    /// What outlives the configuration.
    pub state: Arc<PoolState>,
    ejection: Ejection,
    slow_start: Duration,
    /// How long the one request that tries whether a rest is over may take, before another
    /// one may: a silent target takes until the deadline of its first event to show it.
    probe_lasts: Duration,
    /// Another credential is in force, and what this one comes to says nothing of it.
    key_replaced: AtomicBool,
    turns: Turns,
    /// The endpoints of all targets, in their order.
    places: ArcSwap<Vec<Place>>,
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
    /// Its whole answer came, this long after it began.
    Answered(Duration),
    /// The first event of its stream did. How the stream ends is a lesson of its own.
    Began(Duration),
    /// Its stream came to its end.
    Completed,
    /// It failed by the endpoint's fault: no connection, broken, too slow, 5xx, no valid
    /// answer; or its stream broke after the commit.
    Failed,
    /// It said that it has too much to do; `None` where it did not say for how long.
    Busy(Option<Duration>),
    /// It answered, and has nothing left to give us for this long.
    Spent(Duration),
    /// It refused our credential.
    Refused,
}

/// How an endpoint's standing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It rests after failures, for this long, and what was one too many.
    Ejected(Duration, EjectionReason),
    /// It refused our credential, and rests.
    Refused,
    /// It rested, and is back.
    Returned,
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
        let read = |path| authority::read(&pool.name, path);
        let authorities = pool.ca.as_deref().map(read).transpose()?;
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
        let built = Self {
            name: pool.name.clone(),
            dialect: pool.dialect,
            unsupported: pool.unsupported,
            stream_usage: pool.stream_usage,
            traceparent: pool.traceparent,
            turns: Turns::new(pool.targets.iter().map(|target| target.weight)),
            targets,
            api_key,
            unusable,
            method: pool.balance,
            hedging: pool.hedging.clone(),
            check: pool.check.clone(),
            concurrency: pool.concurrency.clone(),
            state: registry.pool(&pool.name),
            ejection: pool.ejection.clone(),
            slow_start: pool.slow_start,
            probe_lasts: pool.ejection.time.max(pool.timeouts.first_event),
            key_replaced: AtomicBool::new(false),
            places: ArcSwap::default(),
        };
        built.place();
        Ok(built)
    }

    /// Takes the place of `old`, the pool of the same name before it. Whoever refused the
    /// old credential has not been asked with the new one yet.
    pub fn succeed(&self, old: &Self) {
        if self.api_key == old.api_key {
            return;
        }
        old.key_replaced.store(true, Ordering::Relaxed);
        for place in self.places.load().iter() {
            place.endpoint.state.health.credential_changed();
        }
    }

    /// Where its targets are, as far as that is known.
    pub fn peers(&self) -> Vec<Arc<HttpPeer>> {
        let places = self.places.load();
        let peer = |place: &Place| Arc::clone(&place.endpoint.peer);
        places.iter().map(peer).collect()
    }

    /// A place at the pool, to be held from before a target is chosen until the answer is
    /// over; one that is taken is waited for, in turn with other clients, for as long as
    /// the pool's `queue_wait` and the request's `deadline` allow.
    ///
    /// # Errors
    /// Where there is none and the queue is full, or none became free.
    pub async fn enter(&self, client: u64, deadline: Instant, now: Instant) -> Result<Slot, Full> {
        let places = Places {
            capacity: self.capacity(now),
            queue_max: self.concurrency.queue_max,
        };
        let patience = now.checked_add(self.concurrency.queue_wait);
        let until = patience.map_or(deadline, |patience| patience.min(deadline));
        self.state.slots.enter(client, places, until).await
    }

    /// Whether any target could be asked now.
    pub fn is_usable(&self, now: Instant) -> bool {
        let fit = |place: &Place| {
            let look = place.endpoint.state.health.look(now, self.view());
            look.verdict.may_be_asked()
        };
        self.unusable.is_none() && self.places.load().iter().any(fit)
    }

    /// When the first endpoint that cools down has done so; none where none does.
    pub fn cooling(&self, now: Instant) -> Option<Duration> {
        let places = self.places.load();
        let left = places
            .iter()
            .filter_map(|place| place.endpoint.state.health.cooling(now));
        left.min().filter(|_| self.unusable.is_none())
    }

    /// How an endpoint of it stands now, in one word.
    pub fn standing(&self, endpoint: &Endpoint, now: Instant) -> &'static str {
        if self.unusable.is_some() {
            return "unusable";
        }
        let look = endpoint.state.health.look(now, self.view());
        look.verdict.as_str()
    }

    /// Takes what an attempt taught about one of its endpoints.
    pub fn learn(
        &self,
        endpoint: &Endpoint,
        lesson: Lesson,
        now: Instant,
        chance: u64,
    ) -> Option<Change> {
        let EndpointState {
            health,
            room,
            latency,
            ..
        } = &*endpoint.state;
        if room.learn(lesson, endpoint.state.in_flight(), &self.concurrency, now) {
            self.state.slots.allow(self.capacity(now));
        }
        // Where nobody asks how soon it answers, nobody needs to know.
        if let Lesson::Answered(took) | Lesson::Began(took) = lesson
            && self.method == Balance::PeakEwma
        {
            latency.measured(took, now);
        }
        let learned = match lesson {
            Lesson::Answered(took) => health.answered(took, now, &self.ejection),
            Lesson::Began(took) => health.began(took, now, &self.ejection),
            Lesson::Completed => {
                health.completed(now, &self.ejection);
                Learned::Nothing
            }
            Lesson::Failed if self.state.pulse.has_just_woken(now) => Learned::Nothing,
            Lesson::Failed => health.failed(now, &self.ejection),
            Lesson::Busy(wait) => {
                health.busy(wait, now);
                Learned::Nothing
            }
            Lesson::Spent(wait) => {
                health.busy(Some(wait), now);
                Learned::Nothing
            }
            Lesson::Refused if self.key_replaced.load(Ordering::Relaxed) => Learned::Nothing,
            Lesson::Refused => {
                health.refused(now);
                return Some(Change::Refused);
            }
        };
        match learned {
            Learned::Nothing => None,
            Learned::Returned => Some(Change::Returned),
            Learned::Eject(reason) => self
                .eject(endpoint, now, chance)
                .map(|rest| Change::Ejected(rest, reason)),
        }
    }

    /// Takes the addresses of one of its targets' names.
    fn locate(&self, target: &Target, addresses: &[SocketAddr], registry: &Registry) {
        target.locate(addresses, registry);
        self.place();
    }

    /// Gathers the endpoints of all targets.
    fn place(&self) {
        self.places.rcu(|_| {
            let targets = self.targets.iter().enumerate();
            let places = targets.flat_map(|(number, target)| {
                let endpoints = target.endpoints();
                let share = u32::try_from(endpoints.len()).map_or(f64::INFINITY, f64::from);
                let place = |endpoint: &Arc<Endpoint>| Place {
                    endpoint: Arc::clone(endpoint),
                    target: number,
                    weight: f64::from(target.weight) / share,
                    id: target.id(endpoint),
                };
                endpoints.iter().map(place).collect::<Vec<_>>()
            });
            places.collect::<Vec<_>>()
        });
    }

    fn view(&self) -> View {
        View {
            checks: self.check.is_some(),
            slow_start: self.slow_start,
        }
    }

    /// Sends an endpoint to rest, if not too many do. One always may: in a pool of one it
    /// is asked all the same where no other pool is left, but only then.
    fn eject(&self, endpoint: &Endpoint, now: Instant, chance: u64) -> Option<Duration> {
        let percent = usize::try_from(self.ejection.pool_percent_max).unwrap_or(100);
        if percent == 0 {
            return None;
        }
        let one_at_a_time = self.state.ejecting.lock();
        let _one_at_a_time = one_at_a_time.unwrap_or_else(PoisonError::into_inner);
        let places = self.places.load();
        let others = places.iter().filter(|place| {
            !place.endpoint.is(endpoint) && place.endpoint.state.health.is_ejected()
        });
        let allowed = (places.len() * percent / 100).max(1);
        if others.count() >= allowed && !endpoint.state.health.is_ejected() {
            return None;
        }
        Some(endpoint.state.health.eject(now, &self.ejection, chance))
    }
}

#[cfg(test)]
mod tests;
