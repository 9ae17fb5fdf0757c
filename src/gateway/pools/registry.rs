//! What outlives the configuration?
//!
//! The state of pools and endpoints, kept by name, so that a new configuration neither
//! forgets nor doubles it. The registry itself holds nothing: what no pool in force and
//! no request on its way uses any more is gone. It owns the tasks that look after the
//! pools in force, and there is one set of them, however often the configuration changes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use tokio::task::JoinSet;

use crate::gateway::pools::budget::Budget;
use crate::gateway::pools::check::{Checks, Connections};
use crate::gateway::pools::pace::Pace;
use crate::gateway::pools::pulse::Pulse;
use crate::gateway::pools::resolve::lookups::Lookups;
use crate::gateway::pools::slots::Slots;
use crate::gateway::pools::target::EndpointState;
use crate::gateway::shared::kept::Kept;
use crate::names::PoolName;
use crate::otlp;

/// The state of every pool and endpoint in use.
#[derive(Debug, Default)]
pub struct Registry {
    pools: Mutex<HashMap<PoolName, Weak<PoolState>>>,
    endpoints: Mutex<HashMap<(PoolName, String, SocketAddr), Weak<EndpointState>>>,
    located: Mutex<HashMap<String, Weak<Located>>>,
    pulse: Arc<Pulse>,
    connections: Arc<Connections>,
    tasks: Mutex<JoinSet<()>>,
    /// What replicas share.
    pub shared: Kept,
    /// What came of looking names up.
    pub lookups: Lookups,
    /// What collectors are told.
    pub otlp: otlp::kept::Kept,
}

/// The addresses that a name had when it was last found; none before that.
pub(super) type Located = ArcSwap<Vec<SocketAddr>>;

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
    /// What its checks came to.
    pub checks: Checks,
    /// The pulse of the process.
    pub(super) pulse: Arc<Pulse>,
    /// Held while it is decided whether one more endpoint may rest.
    pub(super) ejecting: Mutex<()>,
    /// Its places, and who waits for one.
    pub slots: Arc<Slots>,
}

impl Registry {
    /// Replaces the tasks that look after pools; those before end here.
    pub(super) fn tend(&self, tasks: JoinSet<()>) {
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
    }

    /// The pulse of the process.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// What makes connections for checks.
    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// The state of a pool.
    pub(super) fn pool(&self, name: &PoolName) -> Arc<PoolState> {
        kept(&self.pools, name.clone(), || PoolState {
            pulse: self.pulse(),
            ..PoolState::default()
        })
    }

    /// Where the target of this label was last found.
    pub(super) fn located(&self, label: &str) -> Arc<Located> {
        kept(&self.located, label.to_owned(), Located::default)
    }

    /// The state of a target's endpoint; `target` tells it from others of its pool.
    pub(super) fn endpoint(
        &self,
        pool: &PoolName,
        target: &str,
        address: SocketAddr,
    ) -> Arc<EndpointState> {
        let key = (pool.clone(), target.to_owned(), address);
        kept(&self.endpoints, key, EndpointState::default)
    }

    /// Forgets the names of what is gone.
    pub fn sweep(&self) {
        sweep(&self.pools);
        sweep(&self.endpoints);
        sweep(&self.located);
    }
}

/// What is known by this key, or a new one. Forgets what nobody uses any more.
fn kept<K: std::hash::Hash + Eq, S>(
    known: &Mutex<HashMap<K, Weak<S>>>,
    key: K,
    new: impl FnOnce() -> S,
) -> Arc<S> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(state) = known.get(&key).and_then(Weak::upgrade) {
        return state;
    }
    known.retain(|_, state| state.strong_count() > 0);
    let state = Arc::new(new());
    known.insert(key, Arc::downgrade(&state));
    state
}

fn sweep<K: std::hash::Hash + Eq, S>(known: &Mutex<HashMap<K, Weak<S>>>) {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.retain(|_, state| state.strong_count() > 0);
}
