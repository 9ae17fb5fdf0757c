//! Is a connection let in, and until when is it counted?
//!
//! pingora asks its filter as it accepts, before anything is spent on the connection,
//! and that is where it is counted. From then on the count belongs to whoever holds the
//! connection: a TLS stream carries it through its handshake, which no application
//! sees, and to its end; around a plaintext connection the application holds it. Both
//! are guards, so that it is given back whatever way the connection ends. Between the
//! filter and the guard pingora does nothing but set `TCP_NODELAY` and spawn the task.
//!
//! Behind a balancer that speaks the PROXY protocol, every connection is the balancer's
//! until it has said whose it is. So all together are counted as they are accepted, and
//! the caller's networks once they are known; from there on everything else takes the
//! caller's address for the peer's.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::{ConnectionFilter, PreTlsProcess};
use pingora_core::protocols::l4::stream::Stream as Socket;
use pingora_core::protocols::{GetSocketDigest, SocketDigest, Stream, UniqueID};
use pingora_core::server::ShutdownWatch;
use pingora_core::upstreams::peer::{Tracer, Tracing};
use pingora_core::{ErrorType, OrErr};
use thiserror::Error;
use tokio::io::AsyncRead;

use super::connections::{Caps, Open};
use super::pace::{Pace, Steady};
use super::proxy_header::{self, HeaderError, Told};
use super::shaking::Shaking;
use super::{Ingress, http2, no_longer_awaited};
use crate::config::bounds::Bounds;
use crate::gateway::Gateway;
use crate::gateway::pressure::Pressure;
use crate::gateway::record::outcome::Cap;
use crate::gateway::record::outcome::arriving::{Handshake, Listener};
use crate::phase::Phase;
use crate::sys;
use crate::telemetry::NOT_LET_IN;

/// Counts connections and turns away those above their caps.
pub struct Arrivals {
    gateway: Arc<Gateway>,
    open: Mutex<Open>,
    shaking: Shaking,
    pace: Pace,
    /// Whether each connection begins with a PROXY protocol header.
    introduced: bool,
}

/// Counts the connections of TLS listeners, before their handshakes.
pub struct BeforeTls(pub Arc<Arrivals>);

/// The ingress, behind the count of its plaintext connections.
pub struct Counted {
    ingress: Arc<Ingress>,
    arrivals: Arc<Arrivals>,
}

/// An open connection, counted until this is dropped.
struct Place {
    arrivals: Arc<Arrivals>,
    /// `None`: nobody has said yet whose it is.
    address: Option<IpAddr>,
    /// Of a connection that speaks TLS: what tells whether its handshake is over.
    handshake: Option<Arc<SocketDigest>>,
}

/// What a copied tracer of a counted connection is: a connection is counted once.
#[derive(Debug)]
struct Uncounted;

/// Why a connection that was accepted is closed before anything else is read of it.
#[derive(Debug, Error)]
enum NotLetIn {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("no PROXY protocol header came in time")]
    TooSlow,
    #[error("the process ends")]
    Ending,
    #[error("too many connections of its network are open")]
    Full(Cap),
}

impl Arrivals {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let introduced = gateway.snapshot.load().config.server.proxy_protocol;
        Self {
            gateway,
            open: Mutex::default(),
            shaking: Shaking::default(),
            pace: Pace::new(Steady),
            introduced,
        }
    }

    /// What is to be given back for a connection that the filter has let in, once it is known
    /// whose it is; `None` where the filter could not count it.
    async fn place<S>(self: &Arc<Self>, connection: &mut S) -> Result<Option<Place>, NotLetIn>
    where
        S: AsyncRead + GetSocketDigest + UniqueID + Unpin + Send + ?Sized,
    {
        let Some(peer) = peer(connection) else {
            return Ok(None);
        };
        let mut place = Place {
            arrivals: Arc::clone(self),
            address: (!self.introduced).then_some(peer.ip()),
            handshake: None,
        };
        if self.introduced {
            let refused = &self.gateway.metrics.load;
            let entered = self.introduce(connection, peer.ip()).await;
            place.address = Some(entered.inspect_err(|why| match why {
                // Looks whether somebody listens, and no more.
                NotLetIn::Header(HeaderError::Silent) | NotLetIn::Ending => {}
                NotLetIn::Header(_) | NotLetIn::TooSlow => refused.proxy_headers_refused.inc(),
                NotLetIn::Full(cap) => refused.refused(*cap).inc(),
            })?);
        }
        Ok(Some(place))
    }

    /// Learns whose connection this is, and counts it as theirs.
    async fn introduce<S>(&self, connection: &mut S, peer: IpAddr) -> Result<IpAddr, NotLetIn>
    where
        S: AsyncRead + GetSocketDigest + UniqueID + Unpin + Send + ?Sized,
    {
        let allowed = self.gateway.snapshot.load().config.bounds.head_timeout;
        let outlook = &self.gateway.outlook;
        // Whoever connects has a request, and a header in front of it.
        let _busy = outlook.busy();
        let told = tokio::select! {
            biased;
            told = tokio::time::timeout(allowed, proxy_header::read(connection)) => told,
            () = no_longer_awaited(outlook.reached(Phase::Draining), true) => return Err(NotLetIn::Ending),
        };
        let address = match told.map_err(|_| NotLetIn::TooSlow)?? {
            Told::Nobody => peer,
            Told::Client(client) => {
                let digest = SocketDigest::from_raw_fd(connection.id());
                // It is new, so nothing stands there yet.
                let _ = digest.peer_addr.set(Some(client.into()));
                connection.set_socket_digest(digest);
                client.ip()
            }
        };
        let caps = self.caps(Some(address));
        if !self.is_steady(address) {
            return Err(NotLetIn::Full(Cap::Pace));
        }
        let learned = self.open().learn(address, caps);
        learned.map(|()| address).map_err(NotLetIn::Full)
    }

    fn caps(&self, address: Option<IpAddr>) -> Caps {
        let snapshot = self.gateway.snapshot.load();
        let caps = Caps::new(&snapshot.config.bounds);
        address.map_or(caps, |address| caps.of(address, &snapshot.clients))
    }

    fn admit(&self, address: Option<IpAddr>) -> Result<(), Cap> {
        if self.gateway.memory.pressure() == Pressure::Full {
            return Err(Cap::Memory);
        }
        let caps = self.caps(address);
        self.open().enter(address, caps)?;
        // Last, so that who is refused by a cap takes nobody's turn.
        let per_second = self
            .gateway
            .snapshot
            .load()
            .config
            .bounds
            .accepts_per_second_max;
        // An address by itself first, so that it cannot use up what all share.
        let is_steady = address.is_none_or(|address| self.is_steady(address))
            && NonZeroU32::new(per_second).is_none_or(|max| self.pace.admits(max));
        if !is_steady {
            self.open().leave(address);
            return Err(Cap::Pace);
        }
        Ok(())
    }

    /// Whether an address connects no more often than it may. A proxy's is many people's.
    fn is_steady(&self, address: IpAddr) -> bool {
        let snapshot = self.gateway.snapshot.load();
        let clients = &snapshot.clients;
        let per_second = pace_of_one(&snapshot.config.bounds);
        let limiter = &self.gateway.limiter;
        clients.is_proxy(address)
            || limiter.may_connect(&clients.at(address), per_second, sys::instant())
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often one address may connect in a second: its part of what all may, as of their
/// connections, and a sixteenth at least. Behind a balancer one address may have them all.
fn pace_of_one(bounds: &Bounds) -> u32 {
    let all = bounds.accepts_per_second_max;
    let share = (bounds.connections_max / bounds.connections_per_address_max.max(1)).clamp(1, 16);
    all / u32::try_from(share).unwrap_or(1)
}

fn peer<S: GetSocketDigest + ?Sized>(connection: &S) -> Option<SocketAddr> {
    let digest = connection.get_socket_digest()?;
    digest.peer_addr()?.as_inet().copied()
}

#[async_trait]
impl ConnectionFilter for Arrivals {
    async fn should_accept(&self, peer: Option<&SocketAddr>) -> bool {
        let Some(peer) = peer else {
            return true;
        };
        let load = &self.gateway.metrics.load;
        let admitted = self.admit((!self.introduced).then_some(peer.ip()));
        match admitted {
            Ok(()) => load.connections.inc(),
            Err(cap) => load.refused(cap).inc(),
        }
        admitted.is_ok()
    }
}

#[async_trait]
impl PreTlsProcess for BeforeTls {
    async fn process(&self, socket: &mut Socket) -> pingora_core::Result<()> {
        let arriving = &self.0.gateway.metrics.arriving;
        arriving.accepted(Listener::Tls).inc();
        let place = self.0.place(socket).await;
        let mut place = place.or_err(ErrorType::HandshakeError, NOT_LET_IN)?;
        if let Some(place) = &mut place {
            place.handshake = socket.get_socket_digest();
            self.0.shaking.begins(place.handshake.as_ref());
        }
        socket.tracer = place.map(|place| Tracer(Box::new(place)));
        Ok(())
    }
}

impl Counted {
    /// This ingress, for connections that these arrivals let in.
    #[must_use]
    pub fn new(ingress: Ingress, arrivals: Arc<Arrivals>) -> Self {
        Self {
            ingress: Arc::new(ingress),
            arrivals,
        }
    }
}

#[async_trait]
impl ServerApp for Counted {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let is_tls = stream.get_ssl_digest().is_some();
        let arriving = &self.arrivals.gateway.metrics.arriving;
        if is_tls {
            arriving.handshakes(Handshake::Done).inc();
            let digest = stream.get_socket_digest();
            self.arrivals.shaking.is_over(digest.as_ref());
        } else {
            arriving.accepted(Listener::Plain).inc();
        }
        let _place = if is_tls {
            None
        } else {
            self.arrivals.place(&mut *stream).await.ok()?
        };
        let allowed = self.ingress.limit(|bounds| bounds.head_timeout);
        let stream = http2::watched(stream, allowed, &self.arrivals.gateway);
        self.ingress.process_new(stream, shutdown).await
    }
}

impl Tracing for Place {
    fn on_connected(&self) {}

    fn on_disconnected(&self) {}

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(Uncounted)
    }
}

impl Tracing for Uncounted {
    fn on_connected(&self) {}

    fn on_disconnected(&self) {}

    fn boxed_clone(&self) -> Box<dyn Tracing> {
        Box::new(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let metrics = &self.arrivals.gateway.metrics;
        self.arrivals.open().leave(self.address);
        metrics.load.connections.dec();
        if self.arrivals.shaking.is_over(self.handshake.as_ref()) {
            metrics.arriving.handshakes(Handshake::Failed).inc();
        }
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arrivals")
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}
