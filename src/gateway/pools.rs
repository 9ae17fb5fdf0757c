//! Who could answer, and in which state are they?
//!
//! A pool is policy (targets, credential, deadlines), compiled with the
//! configuration and replaced with it. What a target lived through (failures,
//! requests in flight, its resolved address) is state, kept beside the
//! configuration in a [`Registry`] by pool and address, so that a new
//! configuration neither forgets nor doubles it.

/// Which target is next?
pub mod balance;
/// May a target be asked?
pub mod health;
/// Where is a target?
pub mod resolve;
/// What stands in the head of every request to a target?
pub mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::HttpPeer;
use thiserror::Error;

use crate::config::{self, ApiKey, Dialect, HttpVersion};
use crate::names::{PoolName, Secret};
use balance::RoundRobin;
use health::Health;
use wire::Wire;

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
    balance: RoundRobin,
}

/// One address of a pool.
#[derive(Debug)]
pub struct Target {
    /// `host:port`, for logs and metrics.
    pub label: String,
    /// The head of requests to it.
    pub wire: Wire,
    /// What outlives the configuration.
    pub state: Arc<TargetState>,
    template: HttpPeer,
    peer: ArcSwapOption<HttpPeer>,
}

/// What outlives the configuration.
#[derive(Debug, Default)]
pub struct TargetState {
    /// Whether it may be asked.
    pub health: Health,
    in_flight: AtomicUsize,
}

/// A request counted as in flight at a target, until dropped.
#[derive(Debug)]
pub struct InFlight(Arc<TargetState>);

/// The state of every target that was ever configured, by pool and address.
#[derive(Debug, Default)]
pub struct Registry(Mutex<HashMap<(PoolName, String), Arc<TargetState>>>);

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
            Some(path) => Some(certificate_authorities(&pool.name, path)?),
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
        Ok(Self {
            name: pool.name.clone(),
            dialect: pool.dialect,
            balance: RoundRobin::new(pool.targets.iter().map(|target| target.weight)),
            targets,
            api_key,
            unusable,
        })
    }

    /// The target to ask next: in turn by weight, known by address, in the state that is
    /// `wanted`, and none that was tried.
    pub fn pick(
        &self,
        was_tried: impl Fn(usize) -> bool,
        wanted: health::Verdict,
        now: Instant,
    ) -> Option<usize> {
        if self.unusable.is_some() {
            return None;
        }
        let first = self.balance.next();
        self.balance.order(first).find(|index| {
            self.targets.get(*index).is_some_and(|target| {
                !was_tried(*index)
                    && target.peer.load().is_some()
                    && target.state.health.verdict(now) == wanted
            })
        })
    }

    /// Whether any target could be asked now.
    pub fn is_usable(&self, now: Instant) -> bool {
        self.unusable.is_none()
            && self.targets.iter().any(|target| {
                target.peer.load().is_some()
                    && target.state.health.verdict(now) == health::Verdict::Fit
            })
    }
}

impl Target {
    fn new(
        pool: &config::Pool,
        target: &config::Target,
        authorities: Option<Arc<CaType>>,
        registry: &Registry,
    ) -> Self {
        let url = &target.url;
        let tls = url.scheme() == "https";
        let port = url.port_or_known_default().unwrap_or(443);
        let host = url.host_str().unwrap_or_default();
        let label = format!("{host}:{port}");
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let unresolved = SocketAddr::from(([0, 0, 0, 0], 0));
        // An empty SNI would switch certificate verification off.
        let sni = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let mut template = HttpPeer::new(unresolved, tls, sni);
        // What `ca` trusts must never be reused by a pool that trusts something else.
        template.group_key = group_key(&pool.name);
        let options = &mut template.options;
        options.alpn = match (pool.http, tls) {
            (HttpVersion::Auto, true) => ALPN::H2H1,
            (HttpVersion::Http2, _) => ALPN::H2,
            (HttpVersion::Auto, false) | (HttpVersion::Http1, _) => ALPN::H1,
        };
        options.max_h2_streams = 100;
        options.connection_timeout = Some(pool.timeouts.connect);
        options.total_connection_timeout = Some(pool.timeouts.connect);
        options.idle_timeout = Some(pool.timeouts.idle);
        options.write_timeout = Some(pool.timeouts.event_gap);
        options.ca = authorities;
        let key = match &pool.api_key {
            ApiKey::Known(secret) => Some(secret),
            ApiKey::None | ApiKey::Missing(_) => None,
        };
        let base_path = url.path().trim_end_matches('/');
        let built = Self {
            wire: Wire::new(base_path, &authority, pool.dialect, key),
            state: registry.state(&pool.name, &label),
            label,
            template,
            peer: ArcSwapOption::empty(),
        };
        if let Some(address) = resolve::literal(url) {
            built.locate(address);
        }
        built
    }

    /// Where it is, as the connector wants it; `None` until it was resolved.
    pub fn peer(&self) -> Option<Arc<HttpPeer>> {
        self.peer.load_full()
    }

    /// Takes a resolved address; the same one again changes nothing.
    pub fn locate(&self, address: SocketAddr) {
        let known = self.peer.load();
        if known
            .as_ref()
            .is_some_and(|peer| peer._address.as_inet() == Some(&address))
        {
            return;
        }
        let mut peer = self.template.clone();
        peer._address = pingora_core::protocols::l4::socket::SocketAddr::Inet(address);
        self.peer.store(Some(Arc::new(peer)));
    }
}

impl InFlight {
    /// Counts a request in flight at this target.
    #[must_use]
    pub fn at(state: &Arc<TargetState>) -> Self {
        state.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TargetState {
    /// Requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

impl Registry {
    fn state(&self, pool: &PoolName, label: &str) -> Arc<TargetState> {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(states.entry((pool.clone(), label.to_owned())).or_default())
    }
}

fn group_key(pool: &PoolName) -> u64 {
    let hash = blake3::hash(pool.as_str().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
    u64::from_le_bytes(first)
}

fn certificate_authorities(
    pool: &PoolName,
    path: &std::path::Path,
) -> Result<Arc<CaType>, PoolError> {
    use pingora_core::utils::tls::{WrappedX509, parse_x509};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let fail = |reason: String| PoolError::CertificateAuthority {
        pool: pool.clone(),
        path: path.display().to_string(),
        reason,
    };
    let certificates: Vec<CertificateDer<'_>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| fail(error.to_string()))?;
    if certificates.is_empty() {
        return Err(fail("it holds no certificate".to_owned()));
    }
    let mut roots = rustls::RootCertStore::empty();
    let mut parsed = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        // The store parses without panicking; what follows may rely on it.
        roots
            .add(certificate.clone())
            .map_err(|error| fail(error.to_string()))?;
        parsed.push(WrappedX509::new(certificate.to_vec(), parse_x509));
    }
    Ok(Arc::from(parsed))
}
