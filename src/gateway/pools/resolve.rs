//! Where is a target?
//!
//! Names are looked up in the background, and the request path sees addresses
//! only: a slow or broken resolver delays nobody. What was once found is kept
//! until something newer is found.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::gateway::pools::Pool;
use crate::gateway::pools::registry::Registry;

/// How often names are looked up.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often a name is looked up that was never found.
const INTERVAL_UNKNOWN: Duration = Duration::from_secs(2);
/// How often a reload that waits for names looks whether they are there.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// How long one look-up may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a URL that names one by number.
#[must_use]
pub fn literal(url: &url::Url) -> Option<SocketAddr> {
    let port = url.port_or_known_default()?;
    let address = match url.host()? {
        url::Host::Ipv4(address) => IpAddr::V4(address),
        url::Host::Ipv6(address) => IpAddr::V6(address),
        url::Host::Domain(_) => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// The look-ups of one pool's names. They end with it.
#[derive(Debug, Default)]
pub(super) struct Lookups(Mutex<Vec<AbortHandle>>);

impl Drop for Lookups {
    fn drop(&mut self) {
        let running = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for lookup in running {
            lookup.abort();
        }
    }
}

/// Looks up every named target of `pools`, again and again, for as long as they are in use.
pub fn spawn(pools: &[Arc<Pool>], registry: &Arc<Registry>) {
    for pool in pools {
        let targets = pool.targets.iter().enumerate();
        for (index, _) in targets.filter(|(_, target)| target.is_named) {
            let lookup = keep_located(Arc::downgrade(pool), index, Arc::clone(registry));
            let lookup = tokio::spawn(lookup).abort_handle();
            let running = pool.lookups.0.lock();
            running.unwrap_or_else(PoisonError::into_inner).push(lookup);
        }
    }
}

/// Waits until every name of `pools` was found, for at most so long.
pub async fn found(pools: &[Arc<Pool>], patience: Duration) {
    let is_missing = || {
        let mut targets = pools.iter().flat_map(|pool| &pool.targets);
        targets.any(|target| target.endpoints().is_empty())
    };
    let all = async {
        while is_missing() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    // A name that is not found is told by its look-up.
    let _ = tokio::time::timeout(patience, all).await;
}

async fn keep_located(pool: std::sync::Weak<Pool>, index: usize, registry: Arc<Registry>) {
    let mut told = false;
    loop {
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let Some(target) = pool.targets.get(index) else {
            return;
        };
        match lookup(&target.label).await {
            Ok(addresses) => {
                target.locate(&addresses, &registry);
                told = false;
            }
            Err(cause) if !told => {
                tracing::warn!(
                    pool = pool.name.as_str(),
                    address = &*target.label,
                    cause,
                    "target not resolved; its last known address stays in use, if there is one"
                );
                told = true;
            }
            Err(_) => {}
        }
        let pause = if target.endpoints().is_empty() {
            INTERVAL_UNKNOWN
        } else {
            INTERVAL
        };
        drop(pool);
        tokio::time::sleep(pause).await;
    }
}

async fn lookup(label: &str) -> Result<Vec<SocketAddr>, String> {
    match tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host(label)).await {
        Err(_) => Err(format!("no answer within {} s", LOOKUP_TIMEOUT.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(addresses)) => {
            let addresses: Vec<SocketAddr> = addresses.collect();
            if addresses.is_empty() {
                Err("the name has no address".to_owned())
            } else {
                Ok(addresses)
            }
        }
    }
}
