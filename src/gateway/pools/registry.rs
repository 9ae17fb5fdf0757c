//! What outlives the configuration?
//!
//! The state of pools and endpoints, kept by name, so that a new configuration neither
//! forgets nor doubles it. The registry itself holds nothing: what no pool in force and
//! no request on its way uses any more is gone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::gateway::pools::budget::Budget;
use crate::gateway::pools::pace::Pace;
use crate::gateway::pools::slots::Slots;
use crate::gateway::pools::target::EndpointState;
use crate::names::PoolName;

/// The state of every pool and endpoint in use.
#[derive(Debug, Default)]
pub struct Registry {
    pools: Mutex<HashMap<PoolName, Weak<PoolState>>>,
    endpoints: Mutex<HashMap<(PoolName, String, SocketAddr), Weak<EndpointState>>>,
}

/// What a pool has lived through.
#[derive(Debug, Default)]
pub struct PoolState {
    /// What pays for attempts beyond a request's first.
    pub retries: Budget,
    /// What pays for second attempts beside a first.
    pub hedges: Budget,
    /// How soon whole answers come.
    pub answers: Pace,
    /// How soon first events come.
    pub first_events: Pace,
    /// Its places, and who waits for one.
    pub slots: Arc<Slots>,
}

impl Registry {
    /// The state of a pool.
    pub(super) fn pool(&self, name: &PoolName) -> Arc<PoolState> {
        kept(&self.pools, name.clone())
    }

    /// The state of a target's endpoint; `target` tells it from others of its pool.
    pub(super) fn endpoint(
        &self,
        pool: &PoolName,
        target: &str,
        address: SocketAddr,
    ) -> Arc<EndpointState> {
        kept(&self.endpoints, (pool.clone(), target.to_owned(), address))
    }

    /// Where a target was found last, as far as anybody still uses that.
    pub(super) fn addresses(&self, pool: &PoolName, target: &str) -> Vec<SocketAddr> {
        let endpoints = self.endpoints.lock();
        let endpoints = endpoints.unwrap_or_else(PoisonError::into_inner);
        let mut addresses: Vec<SocketAddr> = endpoints
            .iter()
            .filter(|((of, name, _), state)| {
                of == pool && name == target && state.strong_count() > 0
            })
            .map(|((_, _, address), _)| *address)
            .collect();
        addresses.sort_unstable();
        addresses
    }

    /// Forgets the names of what is gone.
    pub fn sweep(&self) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|_, state| state.strong_count() > 0);
        drop(pools);
        let endpoints = self.endpoints.lock();
        let mut endpoints = endpoints.unwrap_or_else(PoisonError::into_inner);
        endpoints.retain(|_, state| state.strong_count() > 0);
    }
}

/// What is known by this key, or a new one. Forgets what nobody uses any more.
fn kept<K: std::hash::Hash + Eq, S: Default>(known: &Mutex<HashMap<K, Weak<S>>>, key: K) -> Arc<S> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(state) = known.get(&key).and_then(Weak::upgrade) {
        return state;
    }
    known.retain(|_, state| state.strong_count() > 0);
    let state = Arc::new(S::default());
    known.insert(key, Arc::downgrade(&state));
    state
}
