//! Which connection carries a request?
//!
//! An idle one where there is one, else a new one. Making one is pingora's, and so is
//! keeping those of HTTP/2, which carry many requests at once; those of HTTP/1.1 wait
//! in a place of our own. Which kind is looked for first is decided here, because making a
//! connection takes a state of twenty kilobytes that a request on an idle one need not
//! carry.

/// Which connections wait for their next request?
mod idle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora_core::connectors::http::v2;
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v1::client::HttpSession as Http1;
use pingora_core::protocols::http::v2::client::Http2Session;
use pingora_core::upstreams::peer::{HttpPeer, Peer};
use pingora_core::{Error, ErrorType};

use crate::gateway::pools::target::Endpoint;
use crate::sys;
use idle::Idle;

/// Idle upstream connections kept of each version of HTTP, all pools together.
pub(super) const IDLE_CONNECTIONS_MAX: usize = 1024;

/// All upstream connections that no request is on.
pub(super) struct Connections {
    tcp: TransportConnector,
    http1: Arc<Idle>,
    http2: v2::Connector,
}

/// A connection before a request is on it.
pub(super) enum Link {
    /// All of a connection.
    Http1(Stream),
    /// One stream of a connection.
    Http2(Box<Http2Session>),
}

impl Connections {
    /// No connection yet, and so many idle ones of each version of HTTP later.
    pub(super) fn new(idle_max: usize) -> Self {
        let options = ConnectorOptions::new(idle_max);
        Self {
            tcp: TransportConnector::new(Some(options.clone())),
            http1: Arc::new(Idle::new(idle_max)),
            http2: v2::Connector::new(Some(options)),
        }
    }

    /// A connection to this endpoint, and whether others used it before.
    pub(super) async fn take(
        &self,
        endpoint: &Endpoint,
        now: Instant,
    ) -> Result<(Link, bool), Box<Error>> {
        let alpn = &endpoint.peer.options.alpn;
        if alpn.get_max_http_version() == 2
            && let Some(session) = self.http2.reused_http_session(&*endpoint.peer).await?
        {
            return Ok((Link::Http2(Box::new(session)), true));
        }
        if alpn.get_min_http_version() == 1
            && let Some(stream) = self.http1.take(endpoint.connection_key, now)
        {
            return Ok((Link::Http1(stream), true));
        }
        self.make(endpoint).await
    }

    /// A new connection to this endpoint, whatever there is.
    pub(super) async fn make(&self, endpoint: &Endpoint) -> Result<(Link, bool), Box<Error>> {
        let peer = &endpoint.peer;
        let link = if peer.options.alpn.get_max_http_version() == 2 {
            let made = Box::pin(self.http2.new_http_session::<HttpPeer, ()>(peer)).await?;
            match made {
                HttpSession::H1(session) => Link::Http1(session.into_inner()),
                HttpSession::H2(session) => Link::Http2(Box::new(session)),
                HttpSession::Custom(()) => return Err(Error::new(ErrorType::InternalError)),
            }
        } else {
            Link::Http1(Box::pin(self.tcp.new_stream(&**peer)).await?)
        };
        Ok((link, false))
    }

    /// Takes back an HTTP/1.1 connection, if it can carry another request.
    pub(super) async fn give_back_http1(
        &self,
        mut session: Http1,
        endpoint: &Endpoint,
        idle: Duration,
    ) {
        session.respect_keepalive();
        if let Some(stream) = session.reuse().await {
            let now = sys::instant();
            self.http1.put(endpoint.connection_key, stream, now, idle);
        }
    }

    /// How many of HTTP/1.1 no request is on. Those of HTTP/2 nobody tells.
    pub(super) fn idle(&self) -> usize {
        self.http1.count()
    }

    /// Closes the connections to this peer that no request is on.
    pub(super) fn close_idle(&self, peer: &HttpPeer) {
        self.http1.close(peer.reuse_hash());
        while self.http2.idle_pool().get(&peer.reuse_hash()).is_some() {}
    }

    /// Takes back an HTTP/2 stream, finished or not; an unfinished one is reset.
    pub(super) fn give_back_http2(&self, session: Http2Session, peer: &HttpPeer, idle: Duration) {
        self.http2.release_http_session(session, peer, Some(idle));
    }
}
