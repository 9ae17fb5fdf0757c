//! Where is a target, and what stands behind its name?
//!
//! A target is what the configuration names; an endpoint is one place where it is. A
//! target that is named by number has one endpoint for ever, one that is named by a
//! host name has as many as the name has addresses, and requests see endpoints only.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, Peer as _};
use prometheus::Histogram;

use crate::config::policy::Concurrency;
use crate::config::{self, ApiKey, HttpVersion};
use crate::gateway::pools::authority::Authorities;
use crate::gateway::pools::health::Health;
use crate::gateway::pools::latency::Latency;
use crate::gateway::pools::registry::{Located, Registry};
use crate::gateway::pools::resolve;
use crate::gateway::pools::room::Room;
use crate::gateway::pools::wire::Wire;
use crate::gateway::pools::wire::manner::Manner;
use crate::names::PoolName;

/// One address of a pool, as the configuration names it.
#[derive(Debug)]
pub struct Target {
    /// `host:port`, for logs and metrics.
    pub label: Arc<str>,
    /// Its share of the pool's requests.
    pub weight: u32,
    wire: Arc<Wire>,
    template: HttpPeer,
    pool: PoolName,
    /// What tells it from other targets of the pool: label and path.
    key: String,
    /// The name to look up; `None` where it is named by number.
    name: Option<Name>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
}

/// A target's host name, and what is known of it.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) host: String,
    pub(super) port: u16,
    /// Where it was last found, whatever configuration asked.
    pub(super) located: Arc<Located>,
}

/// One place where a target is.
#[derive(Debug)]
pub struct Endpoint {
    /// The target's label.
    pub label: Arc<str>,
    /// Its address.
    pub address: SocketAddr,
    /// The head of requests to it.
    pub wire: Arc<Wire>,
    /// Where it is, as the connector wants it.
    pub peer: Arc<HttpPeer>,
    /// What its connections are kept by: that of the peer, of which it takes a while to tell.
    pub connection_key: u64,
    /// What outlives the configuration.
    pub state: Arc<EndpointState>,
    /// Where it is counted how long its answers took, once there is one.
    pub took: OnceLock<Histogram>,
}

/// What outlives the configuration.
#[derive(Debug, Default)]
pub struct EndpointState {
    /// Whether it may be asked.
    pub health: Health,
    /// How soon it answers.
    pub latency: Latency,
    /// How much it takes at once.
    pub room: Room,
    in_flight: AtomicUsize,
}

/// A request counted as in flight at an endpoint, until dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Endpoint>);

impl Target {
    /// Compiles a target; its endpoints are known at once where it is named by number.
    pub(super) fn new(
        pool: &config::Pool,
        target: &config::Target,
        authorities: Option<&Authorities>,
        registry: &Registry,
    ) -> Self {
        let url = &target.url;
        let tls = url.scheme() == "https";
        let host = url.host_str().unwrap_or_default();
        let label = target.label();
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
        template.group_key = group_key(pool, authorities);
        let options = &mut template.options;
        options.alpn = match (pool.http, tls) {
            (HttpVersion::Auto, true) => ALPN::H2H1,
            (HttpVersion::Http2, _) => ALPN::H2,
            (HttpVersion::Auto, false) | (HttpVersion::Http1, _) => ALPN::H1,
        };
        options.max_h2_streams = 100;
        // How long connecting takes is bounded where it is awaited: a model may have a bound
        // of its own.
        options.idle_timeout = Some(pool.timeouts.idle);
        options.write_timeout = Some(pool.timeouts.event_gap);
        options.ca = authorities.map(|authorities| Arc::clone(&authorities.trusted));
        let key = match &pool.api_key {
            ApiKey::Known(secret) => Some(secret),
            ApiKey::None | ApiKey::Missing(_) => None,
        };
        let base_path = url.path().trim_end_matches('/');
        let literal = resolve::literal(url);
        let name = literal.is_none().then(|| Name {
            host: host.to_owned(),
            port: url.port_or_known_default().unwrap_or(443),
            located: registry.located(&label),
        });
        let built = Self {
            name,
            wire: Arc::new(Wire::new(base_path, &authority, Manner::of(pool), key)),
            key: format!("{label}{base_path}"),
            label: label.into(),
            weight: target.weight,
            template,
            pool: pool.name.clone(),
            endpoints: ArcSwap::default(),
        };
        match (literal, &built.name) {
            (Some(address), _) => built.locate(&[address], registry),
            // What was found before a new configuration is found at once in it.
            (None, Some(name)) => built.locate(&name.located.load(), registry),
            (None, None) => {}
        }
        built
    }

    /// The name to look up, where it has one.
    pub(super) fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// A number for one of its endpoints, the same in every process.
    pub(super) fn id(&self, endpoint: &Endpoint) -> u64 {
        first_bits(format!("{} {}", self.key, endpoint.address).as_bytes())
    }

    /// Where it is now; none until its name was resolved.
    pub fn endpoints(&self) -> Guard<Arc<Vec<Arc<Endpoint>>>> {
        self.endpoints.load()
    }

    /// Takes the addresses of its name. Those that it had keep their state.
    pub(super) fn locate(&self, addresses: &[SocketAddr], registry: &Registry) {
        let known = self.endpoints.load();
        let same = known.len() == addresses.len()
            && known
                .iter()
                .zip(addresses)
                .all(|(endpoint, address)| endpoint.address == *address);
        if same {
            return;
        }
        let endpoint = |address: &SocketAddr| {
            let mut peer = self.template.clone();
            peer._address = pingora_core::protocols::l4::socket::SocketAddr::Inet(*address);
            Arc::new(Endpoint {
                label: Arc::clone(&self.label),
                address: *address,
                wire: Arc::clone(&self.wire),
                connection_key: peer.reuse_hash(),
                peer: Arc::new(peer),
                state: registry.endpoint(&self.pool, &self.key, *address),
                took: OnceLock::new(),
            })
        };
        let endpoints = addresses.iter().map(endpoint).collect();
        self.endpoints.store(Arc::new(endpoints));
    }
}

impl Endpoint {
    /// Whether both are the same place of the same target.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// Whether it takes one more. Counted when it is connected to, so several who choose
    /// at the same instant may each have the last place.
    #[must_use]
    pub fn has_room(&self, bounds: &Concurrency) -> bool {
        self.state.room.has_room(self.state.in_flight(), bounds)
    }
}

impl InFlight {
    /// Counts a request in flight at this endpoint.
    #[must_use]
    pub fn at(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.state.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }

    /// Where it is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.state.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl EndpointState {
    /// Requests in flight now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// Whether connections to one can be used for the other.
#[must_use]
pub fn share_connections(a: &HttpPeer, b: &HttpPeer) -> bool {
    a.reuse_hash() == b.reuse_hash()
}

/// Which connections a pool may use again: those that were made for a pool of its name,
/// with the same trust and the same versions of HTTP.
fn group_key(pool: &config::Pool, authorities: Option<&Authorities>) -> u64 {
    let trust = authorities.map(|authorities| authorities.hash);
    first_bits(format!("{}/{:?}/{trust:?}", pool.name.as_str(), pool.http).as_bytes())
}

fn first_bits(of: &[u8]) -> u64 {
    let hash = blake3::hash(of);
    let mut first = [0; 8];
    first.copy_from_slice(hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
    u64::from_le_bytes(first)
}
