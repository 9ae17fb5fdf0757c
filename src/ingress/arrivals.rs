//! Is a connection let in, and until when is it counted?
//!
//! pingora asks its filter as it accepts, before anything is spent on the connection,
//! and that is where it is counted. From then on the count belongs to whoever holds the
//! connection: a TLS stream carries it through its handshake, which no application
//! sees, and to its end; around a plaintext connection the application holds it. Both
//! are guards, so that it is given back whatever way the connection ends. Between the
//! filter and the guard pingora does nothing but set `TCP_NODELAY` and spawn the task.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::{ConnectionFilter, PreTlsProcess};
use pingora_core::protocols::l4::stream::Stream as Socket;
use pingora_core::protocols::{GetSocketDigest, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_core::upstreams::peer::{Tracer, Tracing};

use super::connections::{Caps, Open};
use super::{Ingress, preface};
use crate::gateway::Gateway;

/// Counts connections and turns away those above their caps.
pub struct Arrivals {
    gateway: Arc<Gateway>,
    open: Mutex<Open>,
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
    address: IpAddr,
}

/// What a copied tracer of a counted connection is: a connection is counted once.
#[derive(Debug)]
struct Uncounted;

impl Arrivals {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self {
            gateway,
            open: Mutex::default(),
        }
    }

    /// What is to be given back for a connection that the filter has let in.
    fn place(self: &Arc<Self>, connection: &dyn GetSocketDigest) -> Option<Place> {
        let digest = connection.get_socket_digest()?;
        let address = digest.peer_addr()?.as_inet()?.ip();
        Some(Place {
            arrivals: Arc::clone(self),
            address,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ConnectionFilter for Arrivals {
    async fn should_accept(&self, peer: Option<&SocketAddr>) -> bool {
        let Some(peer) = peer else {
            return true;
        };
        let caps = Caps::new(&self.gateway.snapshot.load().config.bounds);
        let load = &self.gateway.metrics.load;
        let entered = self.open().enter(peer.ip(), caps);
        match entered {
            Ok(()) => load.connections.inc(),
            Err(cap) => load.refused(cap).inc(),
        }
        entered.is_ok()
    }
}

#[async_trait]
impl PreTlsProcess for BeforeTls {
    async fn process(&self, socket: &mut Socket) -> pingora_core::Result<()> {
        socket.tracer = self.0.place(socket).map(|place| Tracer(Box::new(place)));
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
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let is_tls = stream.get_ssl_digest().is_some();
        let _place = (!is_tls).then(|| self.arrivals.place(&*stream));
        let stream = preface::awaited(stream, self.ingress.limit(|bounds| bounds.head_timeout));
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
        self.arrivals.open().leave(self.address);
        self.arrivals.gateway.metrics.load.connections.dec();
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
