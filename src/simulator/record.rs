//! What exactly arrived, when, and how did it end?
//!
//! A test of a proxy is a question about the other side: which bytes came, over which
//! connection, and when did the proxy let go. So everything a request is made of is kept
//! as it came, and a test can await what has not happened yet. The record is a ring: the
//! oldest requests make room, and it is off unless asked for, so nothing grows for ever.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::now;

/// How much of the past is kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests; the oldest is forgotten first. As many connections are remembered.
    pub requests_max: usize,
    /// Bytes of all bodies together; the oldest body is forgotten first, its hash stays.
    pub bodies_bytes_max: usize,
}

/// One request as it arrived, and what became of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its place in the order of arrival, from 0.
    pub number: usize,
    /// The connection it came over, from 0.
    pub connection: usize,
    /// Whether the connection had carried a request before.
    pub reused: bool,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub version: http::Version,
    /// The head byte for byte, blank line included. On HTTP/2, which has no such text: one
    /// line a field, pseudo-headers first.
    pub head: Bytes,
    /// The method.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// Whom the client called: `Host`, on HTTP/2 `:authority`; empty if neither was sent.
    pub authority: String,
    /// Names in the case in which they came, in order; on HTTP/2 without pseudo-headers.
    pub headers: Vec<(String, Bytes)>,
    /// The body, without chunk framing. Empty once it was forgotten, see [`Bounds`].
    pub body: Bytes,
    /// The length of the body that arrived.
    pub body_bytes: usize,
    /// The BLAKE3 hash of the body; equal to that of no bytes until it arrived.
    pub body_hash: blake3::Hash,
    /// When the head was there.
    pub arrived: Instant,
    /// When the body was there as a whole.
    pub complete: Option<Instant>,
    /// Why it was no request: the constant text of the 400 it got.
    pub malformed: Option<&'static str>,
    /// When the peer let go before it had the answer.
    pub aborted: Option<Instant>,
    /// When the last byte of the answer was written.
    pub answered: Option<Instant>,
}

/// One accepted connection.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its place in the order of acceptance, from 0.
    pub number: usize,
    /// The name the client asked for in TLS.
    pub server_name: Option<String>,
    /// When it was accepted, and on TLS shaken hands over.
    pub opened: Instant,
    /// When it ended, from whichever side.
    pub closed: Option<Instant>,
}

/// What was awaited did not happen in time.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{awaited} did not happen within {} s; the record holds {seen}", WAIT_MAX.as_secs())]
pub struct NotSeen {
    awaited: String,
    seen: String,
}

/// No test waits longer than this for the other side.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Takes down what the connections see.
#[derive(Debug)]
pub(super) struct Recorder {
    bounds: Option<Bounds>,
    book: Mutex<Book>,
    changed: watch::Sender<()>,
    connections: AtomicUsize,
}

#[derive(Debug, Default)]
struct Book {
    requests: VecDeque<Request>,
    connections: VecDeque<Connection>,
    /// The number of the next request.
    begun: usize,
    /// The number of the request that `next_request` gives out next.
    unread: usize,
    /// The sum of the lengths of the bodies in `requests`.
    bodies_bytes: usize,
}

/// A connection while it is open; its end is recorded when this is dropped.
#[derive(Debug)]
pub(super) struct Open {
    recorder: Arc<Recorder>,
    pub(super) number: usize,
}

/// The line of one request in the record.
#[derive(Debug)]
pub(super) struct Entry {
    recorder: Arc<Recorder>,
    /// `None`: nothing is recorded.
    number: Option<usize>,
}

impl Request {
    /// The first value of the header of this name, in any case, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(present, _)| present.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    pub(super) fn new(connection: usize, version: http::Version, head: Bytes) -> Self {
        Self {
            number: 0,
            connection,
            reused: false,
            version,
            head,
            method: String::new(),
            target: String::new(),
            authority: String::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            body_bytes: 0,
            body_hash: blake3::hash(&[]),
            arrived: now(),
            complete: None,
            malformed: None,
            aborted: None,
            answered: None,
        }
    }
}

impl Recorder {
    pub(super) fn new(bounds: Option<Bounds>) -> Self {
        Self {
            bounds,
            book: Mutex::default(),
            changed: watch::Sender::new(()),
            connections: AtomicUsize::new(0),
        }
    }

    pub(super) fn opened(self: &Arc<Self>, server_name: Option<String>) -> Open {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        if let Some(bounds) = self.bounds {
            self.change(|book| {
                if book.connections.len() >= bounds.requests_max {
                    book.connections.pop_front();
                }
                book.connections.push_back(Connection {
                    number,
                    server_name,
                    opened: now(),
                    closed: None,
                });
            });
        }
        Open {
            recorder: Arc::clone(self),
            number,
        }
    }

    pub(super) fn begin(self: &Arc<Self>, request: &Request) -> Entry {
        let number = self.bounds.map(|bounds| {
            self.change(|book| {
                let number = book.begun;
                book.begun += 1;
                book.requests.push_back(Request {
                    number,
                    ..request.clone()
                });
                if book.requests.len() > bounds.requests_max
                    && let Some(oldest) = book.requests.pop_front()
                {
                    book.bodies_bytes -= oldest.body.len();
                }
                number
            })
        });
        Entry {
            recorder: Arc::clone(self),
            number,
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.book().requests.iter().cloned().collect()
    }

    pub(super) fn connections(&self) -> Vec<Connection> {
        self.book().connections.iter().cloned().collect()
    }

    /// The next request in order that is whole, malformed or aborted.
    pub(super) async fn next_request(&self) -> Result<Request, NotSeen> {
        self.until("a next request", |book| {
            let unread = book.unread;
            let next = book.requests.iter().find(|req| req.number >= unread)?;
            let settled = next.complete.or(next.aborted).is_some() || next.malformed.is_some();
            let next = settled.then(|| next.clone())?;
            book.unread = next.number + 1;
            Some(next)
        })
        .await
    }

    /// The moment that `of` gives for the request of this number.
    pub(super) async fn moment(
        &self,
        awaited: &str,
        number: usize,
        of: impl Fn(&Request) -> Option<Instant>,
    ) -> Result<Instant, NotSeen> {
        self.until(&format!("{awaited} of request {number}"), |book| {
            let request = book.requests.iter().find(|req| req.number == number)?;
            of(request)
        })
        .await
    }

    pub(super) async fn connection_closed(&self, number: usize) -> Result<Instant, NotSeen> {
        self.until(&format!("the end of connection {number}"), |book| {
            let connection = book.connections.iter().find(|open| open.number == number)?;
            connection.closed
        })
        .await
    }

    async fn until<T>(
        &self,
        awaited: &str,
        mut look: impl FnMut(&mut Book) -> Option<T>,
    ) -> Result<T, NotSeen> {
        // Subscribed before the first look: a change in between wakes the loop.
        let mut changed = self.changed.subscribe();
        let seen = async {
            loop {
                if let Some(found) = look(&mut self.book()) {
                    return found;
                }
                // The sender is ours, so this cannot fail.
                let _ = changed.changed().await;
            }
        };
        let timed = tokio::time::timeout(WAIT_MAX, seen).await;
        timed.map_err(|_| NotSeen {
            awaited: awaited.to_owned(),
            seen: self.book().to_string(),
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let result = change(&mut self.book());
        self.changed.send_replace(());
        result
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A change is complete or not begun: a panic elsewhere leaves the book readable.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The whole body is here.
    pub(super) fn body(&self, body: &Bytes) {
        let Some(bounds) = self.recorder.bounds else {
            return;
        };
        let hash = blake3::hash(body);
        self.change(|request| {
            request.body = body.clone();
            request.body_bytes = body.len();
            request.body_hash = hash;
            request.complete = Some(now());
        });
        self.recorder
            .change(|book| book.keep(body.len(), bounds.bodies_bytes_max));
    }

    pub(super) fn malformed(&self, reason: &'static str) {
        self.change(|request| request.malformed = Some(reason));
    }

    pub(super) fn aborted(&self) {
        self.change(|request| request.aborted = Some(now()));
    }

    pub(super) fn answered(&self) {
        self.change(|request| request.answered = Some(now()));
    }

    fn change(&self, change: impl FnOnce(&mut Request)) {
        let Some(number) = self.number else { return };
        self.recorder.change(|book| {
            if let Some(request) = book.requests.iter_mut().rfind(|req| req.number == number) {
                change(request);
            }
        });
    }
}

impl Book {
    /// Counts a body that was added and forgets the oldest ones beyond the bound.
    fn keep(&mut self, added_bytes: usize, bodies_bytes_max: usize) {
        self.bodies_bytes += added_bytes;
        for request in &mut self.requests {
            if self.bodies_bytes <= bodies_bytes_max {
                return;
            }
            self.bodies_bytes -= request.body.len();
            request.body = Bytes::new();
        }
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests", self.begun)?;
        for req in self.requests.iter().rev().take(8).rev() {
            write!(f, "; {}: {} {}", req.number, req.method, req.target)?;
            write!(f, " on connection {}", req.connection)?;
            for (word, moment) in [
                ("whole", req.complete),
                ("aborted", req.aborted),
                ("answered", req.answered),
            ] {
                if moment.is_some() {
                    write!(f, ", {word}")?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.recorder.bounds.is_none() {
            return;
        }
        self.recorder.change(|book| {
            let mut open = book.connections.iter_mut();
            if let Some(connection) = open.rfind(|open| open.number == self.number) {
                connection.closed = Some(now());
            }
        });
    }
}
