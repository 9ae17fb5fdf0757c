//! How does a request come in, and how does its connection go on?
//!
//! pingora accepts, speaks TLS and frames HTTP/1 and HTTP/2; here a head is read
//! under our deadlines, handed over, and the connection brought into a state in
//! which the next request on it can be trusted, or closed.

/// What wakes a connection that waits?
mod alarms;
/// Is a connection let in, and until when is it counted?
pub mod arrivals;
/// How many connections may be open, and how many of one network?
mod connections;
/// How many connections are accepted in a second?
mod pace;
/// Whom does a balancer say that it speaks for?
mod proxy_header;
/// What may a client do to a connection of HTTP/2?
mod http2;
/// Which TLS handshakes are not over?
mod shaking;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::Version;
use pingora_core::apps::{
    HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream,
};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use pingora_core::{Error, ErrorType};
use tokio::io::AsyncWriteExt;

use crate::config::bounds::Bounds;
use crate::deadline::{until, within};
use crate::gateway::Gateway;
use crate::gateway::refusal::Refusal;
use crate::phase::Phase;
use crate::sys;
use alarms::Alarms;

/// How long a connection that ends is still read and flushed, so that its client reads our answer;
/// one of HTTP/2 for as long.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long before that there is for a small body that nobody wants, so that its connection goes
/// on. What was sent with its head has come by then, from however far away.
const UNWANTED_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a process that ends waits for the first request of a connection it accepted. What was
/// sent is read in no time; this is for the way.
const LAST_HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// What one HTTP/2 stream may send before it is read: what HTTP/2 begins with, and as
/// much as an HTTP/1 body is read by.
const H2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// What all streams of a connection may send before they are read: sixteen full windows,
/// which is what a connection can make us hold beside the bodies that are counted.
const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// The application behind the listeners.
pub struct Ingress {
    gateway: Arc<Gateway>,
    options: HttpServerOptions,
}

impl Ingress {
    /// An ingress in front of `gateway`.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let snapshot = gateway.snapshot.load_full();
        let bounds = &snapshot.config.bounds;
        // These pingora takes once; all else is read anew for each request.
        let mut options = HttpServerOptions::default();
        // Counted are the requests that may follow the first.
        options.keepalive_request_limit = Some(bounds.requests_per_connection.saturating_sub(1));
        options.h2_idle_timeout = Some(bounds.h2_idle);
        Self { gateway, options }
    }

    /// A limit as it is in force.
    fn limit<T>(&self, of: impl FnOnce(&Bounds) -> T) -> T {
        of(&self.gateway.snapshot.load().config.bounds)
    }

    /// Reads a head under its deadline.
    async fn read_head(
        &self,
        session: &mut ServerSession,
        first: bool,
        alarms: &mut Alarms,
    ) -> Head {
        let allowed = if first {
            self.limit(|bounds| bounds.head_timeout)
        } else {
            self.limit(|bounds| bounds.next_head_timeout)
        };
        let Alarms { head, end, .. } = alarms;
        let read = tokio::select! {
            biased;
            read = session.read_request() => Some(read),
            () = head.after(allowed) => None,
            () = no_longer_awaited(end.reached(), first) => return Head::None,
        };
        let refusal = match read {
            Some(Ok(true)) => return Head::Read,
            Some(Err(error)) => match refusal_of(&error) {
                Some(refusal) => refusal,
                None => return Head::None,
            },
            None if first => Refusal::HeadTimeout,
            Some(Ok(false)) | None => return Head::None,
        };
        let peer = peer(session);
        let refused = self
            .gateway
            .refuse_head(session, &mut alarms.departure, peer, refusal);
        // Apart, as is all that is seldom: what a future may come to hold is moved with it.
        Box::pin(refused).await;
        Head::Refused
    }
}

/// Waits until the process ends without a head that is not here yet: an idle connection ends
/// with the process; what a new one, the first time, has sent is heard.
async fn no_longer_awaited(end: impl Future<Output = ()>, first: bool) {
    end.await;
    if first {
        tokio::time::sleep(LAST_HEAD_TIMEOUT).await;
    }
}

/// What became of a head.
enum Head {
    /// It is here.
    Read,
    /// There is none, and nobody to be told.
    None,
    /// It was none, and was answered.
    Refused,
}

#[async_trait]
impl HttpServerApp for Ingress {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        // It tells when to stop accepting; requests go by the gateway's outlook.
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let outlook = &self.gateway.outlook;
        if outlook.phase() >= Phase::Finishing
            && let ServerSession::H2(stream) = &mut session
        {
            // A client that has not heard that it is to go, or does not care. Nothing was begun,
            // so it may ask elsewhere: RFC 9113, 8.7.
            stream.shutdown_with_reason(h2::Reason::REFUSED_STREAM);
            return None;
        }
        session.set_write_timeout(Some(self.limit(|bounds| bounds.write_stall)));
        let first =
            session.get_keepalive_reuses_remaining() == self.options.keepalive_request_limit;
        // Whoever connects has a request; an idle connection may never have another.
        let mut busy = first.then(|| outlook.busy());
        let kept = Alarms::kept(&mut session);
        let mut alarms = kept.unwrap_or_else(|| Box::new(Alarms::new(outlook)));
        let head = self.read_head(&mut session, first, &mut alarms).await;
        let _busy = busy.get_or_insert_with(|| outlook.busy());
        match head {
            Head::Read => {}
            Head::None => return None,
            Head::Refused => {
                part(session, sys::instant() + DRAIN_TIMEOUT).await;
                return None;
            }
        }
        // What HTTP/1.0 calls keep-alive cannot frame a stream; pingora would promise it.
        let ends = outlook.is_leaving()
            || session.get_keepalive().is_none()
            || session.req_header().version == Version::HTTP_10;
        // pingora keeps a connection for ever unless it is told, and on every request.
        let keep_alive = self.limit(|bounds| bounds.keep_alive);
        session.set_keepalive((!ends).then_some(keep_alive.as_secs().max(1)));
        session.set_pipelining_enabled(true);
        let tls = session
            .digest()
            .is_some_and(|digest| digest.ssl_digest.is_some());
        let peer = peer(&session);
        let departure = &mut alarms.departure;
        let served = self.gateway.serve(&mut session, departure, peer, tls);
        if !served.await {
            // What has no framing is whole where it ends in order, and is reset.
            if session.req_header().version != Version::HTTP_10 {
                // It flushes first, for ever where the client takes nothing.
                let _ = within(DRAIN_TIMEOUT, pin!(session.shutdown())).await;
            }
            return None;
        }
        if goes_on(&mut session).await {
            let mut settings = HttpPersistentSettings::for_session(&session);
            settings.set_user_context(alarms);
            let reusable = session.finish().await.ok()??;
            return Some(ReusedHttpStream::from_reusable_stream(reusable, settings));
        }
        part(session, sys::instant() + DRAIN_TIMEOUT).await;
        None
    }

    fn h2_options(&self) -> Option<H2Options> {
        // Asked for each connection, so that a reload is heard by the next one.
        let bounds = &self.gateway.snapshot.load().config.bounds;
        let header_list_bytes_max = u32::try_from(bounds.h2_header_list_bytes_max);
        let header_list_bytes_max = header_list_bytes_max.unwrap_or(u32::MAX);
        let mut options = default_h2_options();
        options
            .max_concurrent_streams(bounds.h2_streams_max)
            .max_header_list_size(header_list_bytes_max)
            .initial_window_size(H2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// Whether the next request can be read from this connection.
///
/// Where an answer was ready before its body was read, it has ended the connection, and said so,
/// unless the door saw that the body is small and its end in no doubt. Then it is read here,
/// unheard, behind the answer: that is a third of the work of accepting another connection.
async fn goes_on(session: &mut ServerSession) -> bool {
    let ServerSession::H1(http1) = session else {
        return false;
    };
    if !http1.will_keepalive() {
        return false;
    }
    let read_away = within(UNWANTED_TIMEOUT, pin!(http1.drain_request_body())).await;
    matches!(read_away, Some(Ok(())))
}

/// Ends a connection, or a stream, so that its answer arrives.
///
/// Closing on unread bytes resets a connection, and its answer may be lost on the
/// way. So our end is closed first, and what the client still says is read, unheard,
/// until it has closed its own or has had its time.
async fn part(mut session: ServerSession, ends: Instant) {
    let parting = async {
        session.finish_body().await?;
        match session {
            ServerSession::H1(http1) => {
                let mut stream = http1.into_inner();
                // Whoever is gone already will not be heard either.
                if stream.shutdown().await.is_ok() {
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
                Ok(())
            }
            mut other => other.drain_request_body().await,
        }
    };
    let _ = until(ends, pin!(parting)).await;
}

fn peer(session: &ServerSession) -> Option<std::net::IpAddr> {
    Some(session.client_addr()?.as_inet()?.ip())
}

/// What a head that could not be read is told; `None` where nobody is there to be told.
fn refusal_of(error: &Error) -> Option<Refusal> {
    match error.etype() {
        ErrorType::InvalidHTTPHeader => {
            let cause = error.root_cause().to_string();
            let too_large =
                cause.contains("too many headers") || error.to_string().contains("larger than");
            Some(if too_large {
                Refusal::HeadersTooLarge
            } else {
                Refusal::MalformedHead
            })
        }
        ErrorType::ReadTimedout => Some(Refusal::HeadTimeout),
        ErrorType::ConnectionClosed | ErrorType::ReadError => None,
        _ => Some(Refusal::MalformedHead),
    }
}
