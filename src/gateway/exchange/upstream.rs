//! How is one upstream spoken to?
//!
//! A connection with one request on it. Dropping it cancels: HTTP/1.1 closes the
//! connection, HTTP/2 resets the stream. Only [`Upstream::release`] gives an HTTP/1.1
//! connection back for reuse, and pingora takes it only if the answer was read to
//! its end and nothing unasked-for follows.
//!
//! Over HTTP/1.1 head and body are written by ourselves, in one go: pingora's
//! client flushes after the head, which costs a packet and a system call for each
//! request. Reading stays pingora's.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode, header};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v1::client::HttpSession as Http1;
use pingora_core::protocols::http::v2::client::Http2Session;
use pingora_core::{Error, ErrorType};
use pingora_http::ResponseHeader;
use tokio::io::AsyncWriteExt;

use crate::deadline::{until, within};
use crate::gateway::exchange::connections::{Connections, Link};
use crate::gateway::exchange::failure::AttemptError;
use crate::gateway::exchange::stale::is_stale;
use crate::gateway::exchange::word::Word;
use crate::gateway::pools::target::{Endpoint, InFlight};
use crate::gateway::pools::wire::{Varying, Wire};
use crate::gateway::splice::Spliced;

/// Bodies up to this size are copied behind the head, to leave in one packet or few.
const JOINED_BYTES_MAX: usize = 16 * 1024;
/// Size of an answer's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Fields of an answer's head.
const FIELDS_MAX: usize = 100;
/// Interim answers (1xx) before the answer.
const INTERIM_MAX: usize = 8;
/// How long an answer is waited for when the upstream stopped taking our body.
const EARLY_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection with one request on it.
pub(super) struct Upstream {
    /// `None` only once it was given back. Boxed, because an upstream is handed on several
    /// times and this is most of a kilobyte.
    session: Option<Box<HttpSession>>,
    connections: Arc<Connections>,
    idle_timeout: Duration,
    in_flight: InFlight,
}

/// A connection that waits for its request.
pub(super) struct Connected {
    link: Link,
    /// Whether others used it before.
    pub(super) reused: bool,
    in_flight: InFlight,
}

/// Why a request was not answered, and whether the connection was just stale.
pub(super) struct SendError {
    /// The error.
    pub error: AttemptError,
    /// A reused connection died before a byte of the answer: the other side had
    /// closed it already, and a fresh one may do.
    pub stale: bool,
}

impl From<AttemptError> for SendError {
    fn from(error: AttemptError) -> Self {
        Self {
            error,
            stale: false,
        }
    }
}

/// What is sent.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    /// The fixed part of the head.
    pub wire: &'a Wire,
    /// The rest of it.
    pub varying: Varying<'a>,
    /// The body.
    pub body: &'a Spliced,
}

impl Connected {
    /// Connects, or takes an idle connection; `fresh` never takes an idle one.
    pub(super) async fn to(
        connections: &Connections,
        endpoint: &Arc<Endpoint>,
        fresh: bool,
        now: Instant,
    ) -> Result<Self, SendError> {
        let in_flight = InFlight::at(endpoint);
        let taken = if fresh {
            connections.make(endpoint).await
        } else {
            connections.take(endpoint, now).await
        };
        let (link, reused) = taken.map_err(|error| SendError {
            // Before its first stream a new connection fails as a connection does.
            stale: !fresh && *error.etype() == ErrorType::H2Error,
            error: AttemptError::spoken(&error),
        })?;
        Ok(Self {
            link,
            reused,
            in_flight,
        })
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(
        self,
        request: Request<'_>,
        connections: &Arc<Connections>,
        idle_timeout: Duration,
    ) -> Result<Upstream, SendError> {
        let Self {
            link,
            reused,
            in_flight,
        } = self;
        let (session, written) = match link {
            Link::Http1(mut stream) => {
                let written = write_http1(&mut stream, request).await;
                (HttpSession::H1(Http1::new(stream)), written)
            }
            Link::Http2(mut session) => {
                let written = write_http2(&mut session, request).await;
                (HttpSession::H2(*session), written)
            }
        };
        let mut upstream = Upstream {
            session: Some(Box::new(session)),
            connections: Arc::clone(connections),
            idle_timeout,
            in_flight,
        };
        let mut interim = 0;
        let answered = match written {
            Ok(()) => upstream.read_head(&mut interim).await,
            // Not even the head left, and pingora has nothing to read an answer from.
            Err(write_error) if !upstream.is_asked() => Err(write_error),
            // It may have answered and closed without reading all of our body.
            Err(write_error) => {
                let read = upstream.read_head(&mut interim);
                match within(EARLY_ANSWER_TIMEOUT, pin!(read)).await {
                    // How a connection ended is told better by what was read.
                    Some(read) => read,
                    None => Err(write_error),
                }
            }
        };
        answered.map_err(|error| SendError {
            stale: reused && interim == 0 && is_stale(&error),
            error: AttemptError::spoken(&error),
        })?;
        upstream.head_is_sound()?;
        Ok(upstream)
    }
}

impl Upstream {
    /// Reads the answer's head and counts the interim ones before it.
    async fn read_head(&mut self, interim: &mut usize) -> Result<(), Box<Error>> {
        while *interim <= INTERIM_MAX {
            let Some(session) = &mut self.session else {
                break;
            };
            session.read_response_header().await?;
            let informational = self.status().is_informational();
            if !informational || self.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(());
            }
            *interim += 1;
        }
        Error::e_explain(ErrorType::InvalidHTTPHeader, "too many interim answers")
    }

    /// Whether the head of the request is on its way.
    fn is_asked(&self) -> bool {
        match self.session.as_deref() {
            Some(HttpSession::H2(http2)) => http2.request_header().is_some(),
            _ => true,
        }
    }

    /// Whether the head is within its bounds and leaves no doubt about where the answer ends.
    fn head_is_sound(&self) -> Result<(), AttemptError> {
        let headers = self.headers();
        if headers.len() > FIELDS_MAX {
            return Err(AttemptError::Invalid("too many fields in its head"));
        }
        if let Some(HttpSession::H1(http1)) = self.session.as_deref() {
            let raw = http1.get_headers_raw_bytes();
            if raw.len() > HEAD_BYTES_MAX {
                return Err(AttemptError::Invalid("its head is too large"));
            }
            // pingora drops the length where both are given, so the bytes are asked.
            let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
            let chunked = codings.next();
            let only =
                chunked.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
            if !only || codings.next().is_some() {
                return Err(AttemptError::Invalid("a transfer coding other than chunks"));
            }
            let names_length = |line: &[u8]| {
                line.get(..15)
                    .is_some_and(|name| name.eq_ignore_ascii_case(b"content-length:"))
            };
            if chunked.is_some() && raw.split(|byte| *byte == b'\n').any(names_length) {
                return Err(AttemptError::Invalid("both a length and chunks"));
            }
        }
        let identity = headers
            .get(header::CONTENT_ENCODING)
            .is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
        if identity {
            Ok(())
        } else {
            Err(AttemptError::Invalid("an encoding we did not ask for"))
        }
    }

    /// The answer's status.
    pub(super) fn status(&self) -> StatusCode {
        self.head()
            .map_or(StatusCode::BAD_GATEWAY, |head| head.status)
    }

    /// What it says of keeping its answer.
    pub(super) fn word(&self) -> Word {
        let cache_control = self.headers().get_all(header::CACHE_CONTROL);
        Word {
            status: self.status(),
            cache_control: cache_control.iter().cloned().collect(),
        }
    }

    /// The answer's fields.
    pub(super) fn headers(&self) -> &HeaderMap {
        static NONE: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
        match self.head() {
            Some(head) => &head.headers,
            None => &NONE,
        }
    }

    fn head(&self) -> Option<&ResponseHeader> {
        self.session.as_ref()?.response_header()
    }

    /// Whether its media type is this one.
    pub(super) fn has_type(&self, wanted: &str) -> bool {
        self.headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| {
                let kind = value.as_bytes().split(|byte| *byte == b';').next();
                kind.unwrap_or_default()
                    .trim_ascii()
                    .eq_ignore_ascii_case(wanted.as_bytes())
            })
    }

    /// The length the answer announces.
    pub(super) fn length(&self) -> Option<usize> {
        self.headers()
            .get(header::CONTENT_LENGTH)?
            .to_str()
            .ok()?
            .parse()
            .ok()
    }

    /// The next part of the body; `None` at its end.
    pub(super) async fn body(
        &mut self,
        deadline: Instant,
        what: &'static str,
    ) -> Result<Option<Bytes>, AttemptError> {
        until(deadline, pin!(self.next_part()))
            .await
            .unwrap_or(Err(AttemptError::Timeout(what)))
    }

    /// The next part of the body, whenever it comes.
    pub(super) async fn next_part(&mut self) -> Result<Option<Bytes>, AttemptError> {
        let Some(session) = &mut self.session else {
            return Ok(None);
        };
        let part = session.read_response_body().await;
        part.map_err(|error| AttemptError::spoken(&error))
    }

    /// Whether the body has been read to its end.
    pub(super) fn is_done(&mut self) -> bool {
        let session = self.session.as_deref_mut();
        session.is_none_or(HttpSession::response_done)
    }

    /// Gives the connection back for the next request.
    pub(super) async fn release(mut self) {
        let is_http1 = |session: &mut Box<HttpSession>| matches!(**session, HttpSession::H1(_));
        let session = self.session.take_if(is_http1).map(|session| *session);
        if let Some(HttpSession::H1(session)) = session {
            let endpoint = self.in_flight.endpoint();
            self.connections
                .give_back_http1(session, endpoint, self.idle_timeout)
                .await;
        }
    }
}

impl Drop for Upstream {
    /// HTTP/1.1 closes; a stream of HTTP/2 ends, and its connection stays with the others.
    fn drop(&mut self) {
        let session = self.session.take().map(|session| *session);
        if let Some(HttpSession::H2(session)) = session {
            let peer = &self.in_flight.endpoint().peer;
            self.connections
                .give_back_http2(session, peer, self.idle_timeout);
        }
    }
}

async fn write_http1(stream: &mut Stream, request: Request<'_>) -> Result<(), Box<Error>> {
    let body = request.body;
    let joined = body.len <= JOINED_BYTES_MAX;
    let mut head = request
        .wire
        .http1(request.varying, if joined { body.len } else { 0 });
    let failed = |error| Error::because(ErrorType::WriteError, "sending the request", error);
    if joined {
        for part in body.parts() {
            head.extend_from_slice(part);
        }
        stream.write_all(&head).await.map_err(failed)?;
    } else {
        let [asked, rest] = body.more.clone();
        let all = head
            .freeze()
            .chain(body.head.clone())
            .chain(body.name.clone());
        stream
            .write_all_buf(&mut all.chain(body.tail.clone()).chain(asked).chain(rest))
            .await
            .map_err(failed)?;
    }
    stream.flush().await.map_err(failed)
}

async fn write_http2(session: &mut Http2Session, request: Request<'_>) -> Result<(), Box<Error>> {
    let head = request.wire.http2(request.varying)?;
    session.write_request_header(head, false)?;
    for part in request.body.parts() {
        session.write_request_body(part.clone(), false).await?;
    }
    session.finish_request_body()
}
