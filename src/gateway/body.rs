//! What did they send?
//!
//! The whole body, since the model usually stands behind the messages and a
//! retry needs all of it. It is read within a bound of bytes and of time: the
//! first byte soon, and from then on not slower than a floor averaged over ten
//! seconds, so that a slow sender cannot hold memory for as long as it likes.

/// How much may all bodies hold together?
mod budget;

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use pingora_core::protocols::http::ServerSession;
use thiserror::Error;

use crate::config::bounds::Bounds;
use crate::deadline::{until, within};
use crate::gateway::door::Framing;
pub use budget::{Budget, Share, Spent};

/// Over how long the floor of the rate is averaged.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// What is reserved on a sender's word, once the beginning has come.
const RESERVED_BYTES_MAX: usize = 1024 * 1024;

/// A whole body, of a request or an answer. Its bytes count as held for as long as this is.
#[derive(Debug)]
pub struct Held {
    bytes: Bytes,
    share: Share,
}

/// Why there is no body.
#[derive(Debug, Error)]
pub enum BodyError {
    /// It passed the bound.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// It was too slow.
    #[error("the body was too slow: {read_bytes} bytes so far")]
    TooSlow {
        /// What had come.
        read_bytes: usize,
    },
    /// All bodies together are as large as they may be.
    #[error("no room for the body: {held_bytes} bytes of bodies are held")]
    NoRoom {
        /// What is held of all of them.
        held_bytes: usize,
    },
    /// Its framing was broken.
    #[error("the body's framing is broken: {0}")]
    Malformed(Box<pingora_core::Error>),
    /// The sender left in the middle.
    #[error("the client left after {read_bytes} bytes of the body")]
    Gone {
        /// What had come.
        read_bytes: usize,
    },
}

/// Reads the whole body.
///
/// # Errors
/// Where it does not come whole, within its bounds.
pub async fn read(
    session: &mut ServerSession,
    framing: Framing,
    bounds: &Bounds,
    budget: &Arc<Budget>,
    now: impl Fn() -> Instant,
) -> Result<Held, BodyError> {
    let no_room = || BodyError::NoRoom {
        held_bytes: budget.held_bytes(),
    };
    let mut share = budget.share(bounds.bodies_bytes_max);
    // Told before it is sent, and not taken on its word: only what arrives is counted.
    if !share.could_grow(framing.length.unwrap_or(0)) {
        return Err(no_room());
    }
    // From here on a body that is not read to its end came too slowly, or was too much.
    session.set_close_on_response_before_downstream_finish(true);
    if framing.awaits_continue {
        // pingora takes any word before the end of a body for the last of its connection.
        let keep_alive = session.get_keepalive();
        let told = session.write_continue_response();
        let told = within(bounds.write_stall, pin!(told)).await;
        if !matches!(told, Some(Ok(()))) {
            return Err(BodyError::Gone { read_bytes: 0 });
        }
        session.set_keepalive(keep_alive);
    }
    let mut whole = Collected::default();
    let mut window = Window {
        ends: now() + bounds.body_first_byte_timeout,
        read_bytes: 0,
        floor_bytes: 1,
    };
    loop {
        let read = until(window.ends, pin!(session.read_request_body())).await;
        let Some(read) = read else {
            if window.read_bytes < window.floor_bytes {
                return Err(BodyError::TooSlow {
                    read_bytes: whole.len(),
                });
            }
            window = Window::next(now(), bounds);
            continue;
        };
        match read {
            Ok(None) => return Ok(whole.finish(share)),
            Ok(Some(part)) => {
                if whole.len() + part.len() > framing.bytes_max {
                    return Err(BodyError::TooLarge {
                        bytes_max: framing.bytes_max,
                    });
                }
                share.grow(part.len()).map_err(|Spent| no_room())?;
                // An empty part is what comes before, between and behind chunks, however slowly.
                let (is_first, read_bytes) = (whole.len() == 0 && !part.is_empty(), part.len());
                whole.push(part, framing.length);
                if session.is_body_done() {
                    return Ok(whole.finish(share));
                }
                if is_first {
                    window = Window::next(now(), bounds);
                }
                window.read_bytes += read_bytes;
            }
            Err(error) => return Err(failed(error, whole.len())),
        }
    }
}

impl Held {
    /// A body that holds this share.
    #[must_use]
    pub fn new(bytes: Bytes, share: Share) -> Self {
        Self { bytes, share }
    }

    /// For an answer to this request that can pass through where there is no room.
    #[must_use]
    pub fn share_of_answer(&self) -> Share {
        self.share.for_answer()
    }

    /// For an answer that is made into another, and so must be held.
    #[must_use]
    pub fn share_beside(&self) -> Share {
        self.share.beside()
    }
}

impl Deref for Held {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
impl From<Bytes> for Held {
    /// A body that came from nobody and counts as nobody's.
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes, Arc::new(Budget::default()).share(0))
    }
}

/// A span of time in which a number of bytes must come.
struct Window {
    ends: Instant,
    read_bytes: usize,
    floor_bytes: usize,
}

impl Window {
    fn next(now: Instant, bounds: &Bounds) -> Self {
        let seconds = usize::try_from(RATE_WINDOW.as_secs()).unwrap_or(usize::MAX);
        Self {
            ends: now + RATE_WINDOW,
            read_bytes: 0,
            floor_bytes: bounds.body_rate_min.saturating_mul(seconds),
        }
    }
}

/// The parts so far: one is kept as it came, more are put together.
#[derive(Default)]
struct Collected {
    first: Bytes,
    rest: Option<BytesMut>,
}

impl Collected {
    fn len(&self) -> usize {
        self.rest.as_ref().map_or(self.first.len(), BytesMut::len)
    }

    fn push(&mut self, part: Bytes, announced: Option<usize>) {
        if self.first.is_empty() && self.rest.is_none() {
            self.first = part;
            return;
        }
        let first = &self.first;
        let rest = self.rest.get_or_insert_with(|| {
            // As much as was announced, so that it need not grow, but little on a word
            // alone: what is never written to is not backed by memory.
            let came = first.len() + part.len();
            let honest = came.saturating_mul(4).max(RESERVED_BYTES_MAX);
            let mut rest = BytesMut::with_capacity(announced.unwrap_or(came * 2).min(honest));
            rest.extend_from_slice(first);
            rest
        });
        rest.extend_from_slice(&part);
    }

    fn finish(self, share: Share) -> Held {
        Held::new(self.rest.map_or(self.first, BytesMut::freeze), share)
    }
}

fn failed(error: Box<pingora_core::Error>, read_bytes: usize) -> BodyError {
    use pingora_core::ErrorType;
    match error.etype() {
        ErrorType::ReadTimedout => BodyError::TooSlow { read_bytes },
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::H2Error => {
            BodyError::Gone { read_bytes }
        }
        _ => BodyError::Malformed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> Share {
        Arc::new(Budget::default()).share(0)
    }

    #[test]
    fn a_body_of_one_part_is_not_copied() {
        let part = Bytes::from_static(b"{}");
        let mut whole = Collected::default();
        whole.push(part.clone(), None);
        assert_eq!(whole.finish(share()).as_ptr(), part.as_ptr());
    }

    #[test]
    fn room_is_made_for_what_came_and_not_for_what_was_announced() {
        const ANNOUNCED: usize = 1 << 30;
        let mut whole = Collected::default();
        let mut sent = Vec::new();
        for part in [&b"{\"messages\":"[..], b"[]", &vec![b' '; 100_000]] {
            whole.push(Bytes::copy_from_slice(part), Some(ANNOUNCED));
            sent.extend_from_slice(part);
            let room = whole.rest.as_ref().map_or(0, BytesMut::capacity);
            let honest = RESERVED_BYTES_MAX.max(whole.len() * 4);
            assert!(room <= honest, "{room} bytes for {}", whole.len());
        }
        assert_eq!(*whole.finish(share()), sent);
    }
}
