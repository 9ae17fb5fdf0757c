//! Does an endpoint answer where no request asks it?
//!
//! Each target has one task that checks all of its endpoints side by side: a connection
//! of TCP, or a `GET` with the pool's credential, certificates and version of HTTP. Each
//! check makes a connection of its own and closes it, so it proves what a new connection
//! would meet, takes none from requests and delays none. Checks vary by a tenth in time,
//! so that replicas do not fall into step. They only say who is asked first: where all
//! fail, the least bad is asked all the same, because a broken check is more likely than
//! a pool that is down as a whole.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use futures_util::future::join_all;
use pingora_core::Error;
use pingora_core::connectors::http::v2;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::config::policy::Check;
use crate::gateway::pools::Pool;
use crate::gateway::pools::health::jittered;
use crate::gateway::pools::target::Endpoint;
use crate::sys;

/// What checks of a pool came to, since the process began.
#[derive(Debug, Default)]
pub struct Checks([AtomicU64; 4]);

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckOutcome {
    /// It passed.
    Passed,
    /// No connection, or it broke.
    Broken,
    /// It took too long.
    Timeout,
    /// A status of 400 or above.
    Status,
}

impl CheckOutcome {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Broken, Self::Timeout, Self::Status];

    /// The word for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Broken => "broken",
            Self::Timeout => "timeout",
            Self::Status => "status",
        }
    }
}

impl Checks {
    /// How many came to this.
    #[must_use]
    pub fn count(&self, outcome: CheckOutcome) -> u64 {
        let count = self.0.get(outcome as usize);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn add(&self, outcome: CheckOutcome) {
        if let Some(count) = self.0.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Makes connections for checks that ask for a path. It reads the system's certificates
/// when it is first needed, and keeps no connection.
#[derive(Default)]
pub(super) struct Connections(OnceLock<v2::Connector>);

impl Connections {
    fn connector(&self) -> &v2::Connector {
        self.0.get_or_init(|| v2::Connector::new(None))
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// Begins to check the pools that say so and can be used.
pub(super) fn spawn(pools: &[Arc<Pool>], connections: &Arc<Connections>, tasks: &mut JoinSet<()>) {
    let checked = |pool: &&Arc<Pool>| pool.check.is_some() && pool.unusable.is_none();
    for pool in pools.iter().filter(checked) {
        for target in 0..pool.targets.len() {
            tasks.spawn(keep_checked(
                Arc::downgrade(pool),
                target,
                Arc::clone(connections),
            ));
        }
    }
}

async fn keep_checked(pool: Weak<Pool>, target: usize, connections: Arc<Connections>) {
    loop {
        let pause = {
            let Some(pool) = pool.upgrade() else {
                return;
            };
            let (Some(target), Some(check)) = (pool.targets.get(target), &pool.check) else {
                return;
            };
            let endpoints = target.endpoints().clone();
            let checks = endpoints.iter().map(|endpoint| {
                let (pool, connections) = (&pool, &connections);
                async move { pool.checked(endpoint, check, connections).await }
            });
            join_all(checks).await;
            jittered(check.interval, sys::chance())
        };
        tokio::time::sleep(pause).await;
    }
}

impl Pool {
    /// Checks one endpoint, and lets it have the consequences.
    async fn checked(&self, endpoint: &Endpoint, check: &Check, connections: &Connections) {
        let asked = async {
            match &check.path {
                None => connect(endpoint).await,
                Some(path) => get(endpoint, path, connections.connector()).await,
            }
        };
        let asked = tokio::time::timeout(check.timeout, asked).await;
        let (outcome, cause) = match asked {
            Err(_) => (CheckOutcome::Timeout, "no answer in time".to_owned()),
            Ok(Err(error)) => (CheckOutcome::Broken, error),
            Ok(Ok(status)) if status >= 400 => (CheckOutcome::Status, format!("status {status}")),
            Ok(Ok(_)) => (CheckOutcome::Passed, String::new()),
        };
        self.state.checks.add(outcome);
        let now = sys::instant();
        let passed = outcome == CheckOutcome::Passed;
        if !passed && self.state.pulse.has_just_woken(now) {
            return;
        }
        let changed = endpoint.state.health.checked(passed, check, now);
        if changed {
            self.tell(endpoint, passed, &cause);
        }
    }

    fn tell(&self, endpoint: &Endpoint, passed: bool, cause: &str) {
        let (pool, target) = (self.name.as_str(), &*endpoint.label);
        let address = endpoint.address.to_string();
        if passed {
            tracing::info!(pool, target, address, "checks pass again");
        } else {
            tracing::warn!(pool, target, address, cause, "checks fail; asked last");
        }
    }
}

/// Whether a connection can be made; no status is as good as any.
async fn connect(endpoint: &Endpoint) -> Result<u16, String> {
    let connected = TcpStream::connect(endpoint.address).await;
    connected.map(|_| 0).map_err(|error| error.to_string())
}

/// The status that a path answers with.
async fn get(endpoint: &Endpoint, path: &str, connector: &v2::Connector) -> Result<u16, String> {
    let mut peer = HttpPeer::clone(&endpoint.peer);
    // A connection that carries one stream is not kept for others.
    peer.options.max_h2_streams = 1;
    let told = |error: Box<Error>| error.to_string();
    let head = endpoint.wire.get(path).map_err(told)?;
    let asked = async {
        let mut session: HttpSession = connector.new_http_session(&peer).await?;
        session.write_request_header(head).await?;
        session.finish_request_body().await?;
        session.read_response_header().await?;
        let status = session.response_header().map(|head| head.status.as_u16());
        session.shutdown().await;
        Ok(status)
    };
    let status: Result<Option<u16>, Box<Error>> = asked.await;
    status.map_err(told)?.ok_or_else(|| "no answer".to_owned())
}
