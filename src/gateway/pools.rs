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
/// How are names looked up?
mod resolve;
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
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use thiserror::Error;

use crate::config::policy::{Balance, Check, Ejection, Hedging};
use crate::config::{self, ApiKey, Dialect};
use crate::names::{PoolName, Secret};
use balance::Place;
use balance::turns::Turns;
use health::{Learned, Verdict, View};
use registry::{PoolState, Registry};
use target::{Endpoint, Target};

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
    /// How endpoints are checked where no request asks them.
    pub check: Option<Check>,
    /// What outlives the configuration.
    pub state: Arc<PoolState>,
    ejection: Ejection,
    slow_start: Duration,
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
        let authorities = match &pool.ca {
            Some(path) => Some(authority::read(&pool.name, path)?),
            None => None,
        };
        let targets = pool
            .targets
            .iter()
            .map(|target| Target::new(pool, target, authorities.clone(), registry))
            .collect();
        let (api_key, unusable) = match &pool.api_key {
            ApiKey::None => (None, None),
            ApiKey::Known(secret) => (Some(secret.clone()), None),
            ApiKey::Missing(place) => (None, Some(format!("its secret is missing: {place}"))),
        };
        let built = Self {
            name: pool.name.clone(),
            dialect: pool.dialect,
            turns: Turns::new(pool.targets.iter().map(|target| target.weight)),
            targets,
            api_key,
            unusable,
            method: pool.balance,
            hedging: pool.hedging.clone(),
            check: pool.check.clone(),
            state: registry.pool(&pool.name),
            ejection: pool.ejection.clone(),
            slow_start: pool.slow_start,
            places: ArcSwap::default(),
        };
        built.place();
        Ok(built)
    }

    /// The endpoint to ask next: by the pool's balance, in the state that is `wanted`, and
    /// none that was tried. [`Verdict::Fit`] is what serves; [`Verdict::Ejected`] is for
    /// where nobody else is left, and gives the least bad one. Who cools down or refused our
    /// credential is never given: asking can only fail.
    pub fn pick(
        &self,
        tried: &[Arc<Endpoint>],
        wanted: Verdict,
        choice: Choice,
        now: Instant,
    ) -> Option<Arc<Endpoint>> {
        if self.unusable.is_some() {
            return None;
        }
        let places = self.places.load();
        let place = if wanted == Verdict::Fit {
            self.fit(&places, tried, choice, now)
        } else {
            self.least_bad(&places, tried, choice, now)
        };
        place.map(|place| Arc::clone(&place.endpoint))
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
        let health = &endpoint.state.health;
        let learned = match lesson {
            Lesson::Answered(took) => {
                endpoint.state.latency.measured(took, now);
                health.answered(took, now, &self.ejection)
            }
            Lesson::Failed if self.state.pulse.has_just_woken(now) => Learned::Nothing,
            Lesson::Failed => health.failed(now, &self.ejection),
            Lesson::Busy(wait) => {
                health.busy(wait, now);
                Learned::Nothing
            }
            Lesson::Refused => {
                health.refused(now);
                return Some(Change::Refused);
            }
        };
        match learned {
            Learned::Nothing => None,
            Learned::Returned => Some(Change::Returned),
            Learned::Eject => self.eject(endpoint, now, chance),
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

    /// Who serves next. Health says who may be asked, the balance who of them is.
    fn fit<'a>(
        &self,
        places: &'a [Place],
        tried: &[Arc<Endpoint>],
        choice: Choice,
        now: Instant,
    ) -> Option<&'a Place> {
        let mut due = None;
        let mut fit = Vec::with_capacity(if places.len() > 1 { places.len() } else { 0 });
        let mut growing = Vec::new();
        for place in places.iter().filter(|place| !place.is_among(tried)) {
            let look = place.endpoint.state.health.look(now, self.view());
            match look.verdict {
                // The others have nobody to stand behind.
                Verdict::Fit if places.len() == 1 => return Some(place),
                Verdict::Fit if place.is_in_share(look.share, choice.chance) => fit.push(place),
                Verdict::Fit => growing.push(place),
                Verdict::Due => due = due.or(Some(place)),
                _ => {}
            }
        }
        // A request that failed already does not try whether a rest is over, if it need not.
        let may_try = tried.is_empty() || (fit.is_empty() && growing.is_empty());
        if let Some(due) = due.filter(|_| may_try)
            && due.endpoint.state.health.claim(now, self.ejection.time)
        {
            return Some(due);
        }
        let offered = if fit.is_empty() { growing } else { fit };
        balance::choose(self.method, &self.turns, &offered, choice, now)
    }

    /// Who is asked where nobody is fit: of those that are equally bad, by the balance.
    fn least_bad<'a>(
        &self,
        places: &'a [Place],
        tried: &[Arc<Endpoint>],
        choice: Choice,
        now: Instant,
    ) -> Option<&'a Place> {
        let in_need = places.iter().filter(|place| {
            let look = place.endpoint.state.health.look(now, self.view());
            look.verdict.may_be_asked_in_need() && !place.is_among(tried)
        });
        let judged = in_need.map(|place| (place.endpoint.state.health.badness(now), place));
        let judged: Vec<_> = judged.collect();
        let least = judged.iter().map(|(badness, _)| *badness).min()?;
        let equal = judged.iter().filter(|(badness, _)| *badness == least);
        let offered: Vec<&Place> = equal.map(|(_, place)| *place).collect();
        balance::choose(self.method, &self.turns, &offered, choice, now)
    }

    /// Sends an endpoint to rest, if not too many do. One always may: in a pool of one it
    /// is asked all the same where no other pool is left, but only then.
    fn eject(&self, endpoint: &Endpoint, now: Instant, chance: u64) -> Option<Change> {
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
        let rest = endpoint.state.health.eject(now, &self.ejection, chance);
        Some(Change::Ejected(rest))
    }
}

impl Place {
    fn is_among(&self, tried: &[Arc<Endpoint>]) -> bool {
        tried.iter().any(|tried| tried.is(&self.endpoint))
    }

    /// Whether it takes part in this choice, while it grows into its share.
    fn is_in_share(&self, share: f64, chance: u64) -> bool {
        share >= 1.0 || balance::fraction(balance::upper(balance::mix(chance ^ self.id))) < share
    }
}

#[cfg(test)]
mod tests;
