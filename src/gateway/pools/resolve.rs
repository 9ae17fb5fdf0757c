//! Where is a target?
//!
//! Names are looked up in the background, and the request path sees addresses only: a
//! slow or broken name server delays nobody. An answer is used for as long as it says
//! it is good, within bounds; what was once found is kept until something newer is found,
//! for an address that worked a minute ago is better than none. All addresses of a name
//! are endpoints of their own. The system's own look-up would not tell how long an answer
//! is good, and blocks a thread for as long as the name server pleases.

/// How is a name server asked?
mod ask;
/// What came of looking names up?
pub mod lookups;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::policy::Dns;
use crate::gateway::pools::Pool;
use crate::gateway::pools::registry::Registry;
use crate::gateway::pools::target::{Name, Target};
use ask::{Answer, ask};
use lookups::Unfound;

/// Addresses of one name that are used. Large services give eight; a name with hundreds
/// would make of one target a pool of its own.
const ADDRESSES_MAX: usize = 64;
/// How soon it is tried again after a failure, and for a name that was never found.
const RETRY_MAX: Duration = Duration::from_secs(5);
const RETRY_UNKNOWN: Duration = Duration::from_secs(1);

/// Which name is looked up, for whom.
pub(super) struct Search {
    pub(super) pool: Weak<Pool>,
    pub(super) target: usize,
    pub(super) registry: Weak<Registry>,
    pub(super) dns: Arc<Dns>,
}

/// The address of a URL that names one by number.
#[must_use]
pub(super) fn literal(url: &url::Url) -> Option<SocketAddr> {
    let port = url.port_or_known_default()?;
    let address = match url.host()? {
        url::Host::Ipv4(address) => IpAddr::V4(address),
        url::Host::Ipv6(address) => IpAddr::V6(address),
        url::Host::Domain(_) => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// Looks a target's name up, again and again, for as long as it is in use. `looked_up` is
/// dropped after the first time.
pub(super) async fn keep_located(search: Search, looked_up: mpsc::Sender<()>) {
    let mut looked_up = Some(looked_up);
    let mut told = Told::default();
    while let Some(pause) = search.once(&mut told).await {
        looked_up.take();
        tokio::time::sleep(pause).await;
    }
}

impl Search {
    /// Looks it up once, and tells when to do so again; never, where it is not in use any more.
    async fn once(&self, told: &mut Told) -> Option<Duration> {
        let pool = self.pool.upgrade()?;
        let registry = self.registry.upgrade()?;
        let target = pool.targets.get(self.target)?;
        let name = target.name()?;
        let known = name.located.load_full();
        let found = ask(&name.host, &self.dns.servers)
            .await
            .and_then(|answer| addresses(answer, name, &known));
        registry.lookups.count(&found);
        Some(match found {
            Ok(found) => {
                told.found(&pool, target, &found);
                name.located.store(Arc::new(found.addresses.clone()));
                pool.locate(target, &found.addresses, &registry);
                found.good_for.clamp(self.dns.ttl_min, self.dns.ttl_max)
            }
            Err(cause) => {
                told.failed(&pool, target, &cause.to_string());
                if known.is_empty() {
                    RETRY_UNKNOWN
                } else {
                    self.dns.ttl_min.min(RETRY_MAX)
                }
            }
        })
    }
}

/// What is to be used of an answer.
struct Found {
    /// At least one, in a fixed order: servers rotate theirs, which is no change.
    addresses: Vec<SocketAddr>,
    /// How many more there were.
    ignored: usize,
    good_for: Duration,
}

/// The addresses to use. Where only one family was answered for, what is known of the
/// other stays; what this machine has no way to is left out, unless nothing else is there.
fn addresses(answer: Answer, name: &Name, known: &[SocketAddr]) -> Result<Found, Unfound> {
    let mut found = answer.addresses;
    if found.is_empty() {
        return Err(Unfound::Empty);
    }
    let stays = |address: &IpAddr| match address {
        IpAddr::V4(_) => answer.unanswered.v4,
        IpAddr::V6(_) => answer.unanswered.v6,
    };
    found.extend(known.iter().map(SocketAddr::ip).filter(stays));
    found.sort_unstable();
    found.dedup();
    if found.iter().any(|address| has_route(*address)) {
        found.retain(|address| has_route(*address));
    }
    let ignored = found.len().saturating_sub(ADDRESSES_MAX);
    found.truncate(ADDRESSES_MAX);
    let place = |address: IpAddr| SocketAddr::new(address, name.port);
    Ok(Found {
        addresses: found.into_iter().map(place).collect(),
        ignored,
        good_for: answer.good_for,
    })
}

/// Whether the system would know where to send a packet; none is sent.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = match address {
        IpAddr::V4(_) => ([0_u8; 4], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    UdpSocket::bind(any).is_ok_and(|socket| socket.connect((address, 9)).is_ok())
}

/// What was told of a name, so that a line is written where something changed and only there.
#[derive(Default)]
struct Told {
    failing: bool,
    ignored: bool,
}

impl Told {
    fn found(&mut self, pool: &Pool, target: &Target, found: &Found) {
        let (pool, address) = (pool.name.as_str(), &*target.label);
        if std::mem::take(&mut self.failing) {
            tracing::info!(pool, address, "target resolved again");
        }
        let endpoints = target.endpoints();
        let before = endpoints.iter().map(|endpoint| endpoint.address);
        if !endpoints.is_empty() && !before.eq(found.addresses.iter().copied()) {
            tracing::info!(pool, address, now = ?found.addresses, "target has moved");
        }
        if found.ignored > 0 && !std::mem::replace(&mut self.ignored, true) {
            tracing::warn!(
                pool,
                address,
                ignored = found.ignored,
                "the name has more than {ADDRESSES_MAX} addresses; the rest is not used"
            );
        }
    }

    fn failed(&mut self, pool: &Pool, target: &Target, cause: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                pool = pool.name.as_str(),
                address = &*target.label,
                cause,
                "target not resolved; its last known addresses stay in use, if there are any"
            );
        }
    }
}

#[cfg(test)]
mod tests;
