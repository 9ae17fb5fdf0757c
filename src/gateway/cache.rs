//! Is the answer here, or on its way?
//!
//! Whole answers that ended well, by what was asked. Policy comes in with every question, as
//! for limits; what is kept stays over a reload, and is given up only where it no longer fits.

/// What are two requests the same by?
pub mod key;
/// What does a request allow?
pub mod control;
/// Which answers are kept, and for how long?
pub mod store;
/// What do replicas share of an answer?
pub mod second;
/// Is somebody asking the same already?
pub mod flights;
/// May an answer be kept?
pub mod admission;
/// How does a whole answer look as a stream?
pub mod replay;
/// How does a stream look as a whole answer?
pub mod assembly;
/// What is a caller told of it?
pub mod status;
/// How is JSON taken apart and put together without being read?
mod raw;

use std::time::Instant;

use crate::config::Config;
use control::{Allowed, Bypass};
use key::Key;
use status::Forward;
use store::{Found, State, Store};

/// What outlives a configuration.
#[derive(Debug)]
pub struct Cache {
    /// The answers that are kept.
    pub store: Store,
}

/// What memory has to say to a request.
#[derive(Debug)]
pub enum Verdict {
    /// It is not asked.
    Bypass(Bypass),
    /// Here is the answer.
    Hit(Found),
    /// Here is the answer; it is not fresh any more, so another is to be fetched beside.
    Stale(Found),
    /// An upstream is to be asked.
    Miss {
        /// Why.
        why: Forward,
        /// What may be given where none answers.
        spare: Option<Found>,
    },
}

impl Cache {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            store: Store::new(&config.cache),
        }
    }

    /// Follows a new configuration. What is kept stays as far as it fits, and goes where nothing
    /// is to be kept any more. Copies what is kept where `max_bytes` changes: not for a thread
    /// that requests wait for.
    pub fn apply(&self, config: &Config, now: Instant) {
        self.store.apply(&config.cache, now);
        let is_used =
            |model: &crate::config::Model| config.cache.policy.overridden(&model.cache).enabled;
        if !config.models.iter().any(is_used) {
            self.store.remove_all();
        }
    }

    /// Gives up all that is kept, for there is too little memory.
    pub fn forget_all(&self) {
        let _ = self.store.remove_all();
    }

    /// Looks an answer up, as far as the request allows.
    #[must_use]
    pub fn consult(&self, key: &Key, allowed: &Allowed, now: Instant) -> Verdict {
        if let Some(bypass) = allowed.bypass {
            return Verdict::Bypass(bypass);
        }
        let miss = |why| Verdict::Miss { why, spare: None };
        if !allowed.read {
            return miss(Forward::Request);
        }
        let Some(found) = self.store.get(key, now) else {
            return miss(Forward::Miss);
        };
        if allowed.age_max.is_some_and(|age_max| found.age > age_max) {
            return miss(Forward::Request);
        }
        match found.state {
            State::Fresh { .. } => Verdict::Hit(found),
            State::StaleRevalidate => Verdict::Stale(found),
            State::StaleIfError => Verdict::Miss {
                why: Forward::Stale,
                spare: Some(found),
            },
        }
    }
}

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
