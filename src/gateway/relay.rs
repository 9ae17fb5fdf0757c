//! How does it reach the client?
//!
//! JSON at once, or events as they come, each slice as it was read. Nothing is
//! serialised anew, and what breaks off says so: before the head with a status,
//! inside a stream with an event of its own, and where neither can be said
//! honestly by breaking the framing, which every client library notices.

/// What stands in the head of every answer.
pub mod head;
/// How is a caller told what is left?
mod quota;
/// Is the client still there?
pub mod departure;
/// How do events leave that are all here?
pub mod ready;

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Version};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;

use crate::deadline::within;
use crate::gateway::exchange::Through;
use crate::gateway::exchange::events::{Next, StreamBreak};
use crate::gateway::exchange::tape::Reader;
use crate::gateway::idiom::Voice;
use crate::gateway::limit::stay::Stay;
use crate::gateway::refusal::Refusal;
use crate::sys;
use departure::{Departure, Parting};

/// A write this large is cut, so that progress is seen within it.
const WRITE_BYTES_MAX: usize = 128 * 1024;
const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

/// How an answer reached its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Whole.
    Complete,
    /// It was broken off, and the client was told.
    Broken(StreamBreak),
    /// The client left or stopped taking.
    Gone,
}

/// What was delivered, for the record.
#[derive(Debug, Clone, Copy)]
pub struct Delivered {
    /// How it ended.
    pub how: Delivery,
    /// Bytes of the body that the connection took.
    pub bytes: u64,
    /// When the first of them was.
    pub first_byte: Option<Instant>,
    /// Whether a missing `[DONE]` was added.
    pub done_added: bool,
    /// Whether the framing was brought to its end, so that the connection can go on.
    pub orderly: bool,
}

/// What a stream begins with.
pub struct Opening {
    /// Its head, if that has not left.
    pub head: Option<ResponseHeader>,
    /// How its caller is told anything beside it.
    pub voice: Voice,
}

impl Delivered {
    fn new() -> Self {
        Self {
            how: Delivery::Gone,
            bytes: 0,
            first_byte: None,
            done_added: false,
            orderly: false,
        }
    }

    /// Whether a caller that was told the length sees the end behind this part.
    fn ends_with(&self, part: &Bytes, length: Option<usize>) -> bool {
        length.is_some_and(|length| self.bytes + part.len() as u64 >= length as u64)
    }

    async fn write(
        &mut self,
        session: &mut ServerSession,
        part: Bytes,
        end: bool,
    ) -> Result<(), Left> {
        let mut rest = part;
        while rest.len() > WRITE_BYTES_MAX {
            let next = rest.split_to(WRITE_BYTES_MAX);
            self.write_piece(session, next, false).await?;
        }
        self.write_piece(session, rest, end).await?;
        self.orderly = end;
        if self.first_byte.is_none() {
            self.first_byte = Some(sys::instant());
        }
        Ok(())
    }

    async fn write_piece(
        &mut self,
        session: &mut ServerSession,
        piece: Bytes,
        end: bool,
    ) -> Result<(), Left> {
        let bytes = piece.len() as u64;
        let stall = session.get_write_timeout().filter(|_| end);
        unstalled(stall, session.write_response_body(piece, end)).await?;
        self.bytes += bytes;
        Ok(())
    }
}

/// The client left, or takes nothing any more.
struct Left;

/// Bounds a write that pingora does not: it watches over the bytes of a body, and not
/// over heads, ends and flushes.
async fn unstalled<T>(
    stall: Option<Duration>,
    write: impl Future<Output = pingora_core::Result<T>>,
) -> Result<(), Left> {
    let written = match stall {
        Some(stall) => within(stall, pin!(write)).await.ok_or(Left)?,
        None => write.await,
    };
    written.map(drop).map_err(|_| Left)
}

async fn write_head(session: &mut ServerSession, head: ResponseHeader) -> Result<(), Left> {
    let stall = session.get_write_timeout();
    unstalled(stall, session.write_response_header(Box::new(head))).await
}

/// Ends a connection in the middle of an answer. What waits in our buffer still goes
/// out, unless the client takes nothing.
async fn break_off(session: &mut ServerSession) {
    if let Some(http1) = session.as_http1()
        && http1.req_header().version == Version::HTTP_10
    {
        // An orderly end is that of the answer.
        sys::reset_at_end(http1.stream());
        return;
    }
    let stall = session.get_write_timeout();
    let ended = async {
        session.shutdown().await;
        Ok(())
    };
    // Broken off it is, told or not.
    let _ = unstalled(stall, ended).await;
}

/// Sends an answer that is all here.
pub async fn whole(session: &mut ServerSession, head: ResponseHeader, body: Bytes) -> Delivered {
    let mut delivered = Delivered::new();
    // pingora leaves it out in HTTP/1 only.
    let is_unwanted = session
        .as_http2()
        .is_some_and(|http2| http2.req_header().method == Method::HEAD);
    if write_head(session, head).await.is_err() {
        return delivered;
    }
    let body = if is_unwanted { Bytes::new() } else { body };
    if delivered.write(session, body, true).await.is_ok() {
        delivered.how = Delivery::Complete;
    }
    delivered
}

/// Passes a large JSON answer through. The places of `stay` are given back before its last byte leaves.
pub async fn through(
    session: &mut ServerSession,
    departure: &mut Departure,
    head: ResponseHeader,
    answer: &mut Through,
    stay: &mut Stay<'_>,
) -> Delivered {
    let mut delivered = Delivered::new();
    if write_head(session, head).await.is_err() {
        return delivered;
    }
    let (begin, share) = answer.begin();
    for part in begin {
        if delivered.ends_with(&part, answer.length) {
            stay.release();
        }
        if delivered.write(session, part, false).await.is_err() {
            return delivered;
        }
    }
    drop(share);
    loop {
        let next = tokio::select! {
            biased;
            next = answer.next() => next,
            parting = departure.watch(session) => {
                if parting == Parting::Process {
                    stay.release();
                    break_off(session).await;
                    delivered.how = Delivery::Broken(StreamBreak::Stopped);
                }
                return delivered;
            }
        };
        match next {
            Ok(Some(part)) => {
                if delivered.ends_with(&part, answer.length) {
                    stay.release();
                }
                if delivered.write(session, part, false).await.is_err() {
                    return delivered;
                }
            }
            Ok(None) => break,
            Err(_) => {
                stay.release();
                break_off(session).await;
                delivered.how = Delivery::Broken(StreamBreak::Cut);
                return delivered;
            }
        }
    }
    stay.release();
    let stall = session.get_write_timeout();
    if unstalled(stall, session.finish_body()).await.is_ok() {
        delivered.how = Delivery::Complete;
    }
    delivered
}

/// Sends the events of a stream as they come. The places of `stay` are given back before the last of them
/// leaves: a caller looks no further than `[DONE]`, or an error.
pub async fn events(
    session: &mut ServerSession,
    departure: &mut Departure,
    opening: Opening,
    stream: &mut Reader,
    stay: &mut Stay<'_>,
) -> Delivered {
    let mut delivered = Delivered::new();
    let Opening { head, voice } = opening;
    if let Some(head) = head
        && write_head(session, head).await.is_err()
    {
        return delivered;
    }
    let mut slices = Vec::new();
    loop {
        let next = tokio::select! {
            biased;
            next = stream.next(&mut slices) => next,
            parting = departure.watch(session) => match parting {
                Parting::Client => return delivered,
                Parting::Process => Err(StreamBreak::Stopped),
            },
        };
        let mark = stream.mark();
        if mark.said_its_last || !matches!(next, Ok(Next::Slices | Next::Quiet)) {
            stay.release();
            // Zeros are no count: what has passed by is counted at the end.
            if let Some(usage) = mark.usage.filter(|usage| usage.all() > 0) {
                stay.settle_usage(usage, sys::instant());
            }
        }
        for slice in slices.drain(..) {
            if delivered.write(session, slice, false).await.is_err() {
                return delivered;
            }
        }
        match next {
            Ok(Next::Slices) => {}
            Ok(Next::Quiet) => {
                let comment = mark.at_boundary.then(|| voice.idiom.sign_of_life());
                if let Some(comment) = comment
                    && delivered.write(session, comment, false).await.is_err()
                {
                    return delivered;
                }
            }
            Ok(Next::End { add_done }) => {
                delivered.done_added = add_done;
                let last = if add_done { DONE } else { Bytes::new() };
                if delivered.write(session, last, true).await.is_ok() {
                    delivered.how = Delivery::Complete;
                }
                return delivered;
            }
            Err(broken) => {
                let at_boundary = mark.at_boundary;
                let told = broken_off(session, &mut delivered, broken, at_boundary, &voice).await;
                delivered.how = if told.is_ok() {
                    Delivery::Broken(broken)
                } else {
                    Delivery::Gone
                };
                return delivered;
            }
        }
    }
}

/// Tells a client that a stream with a head but no events has failed.
pub async fn failed_stream(session: &mut ServerSession, event: Bytes) -> Delivered {
    let mut delivered = Delivered::new();
    if delivered.write(session, event, true).await.is_ok() {
        delivered.how = Delivery::Complete;
    }
    delivered
}

/// A comment that keeps a waiting stream's connection alive.
pub async fn comment(session: &mut ServerSession, opening: Opening) -> bool {
    let comment = opening.voice.idiom.sign_of_life();
    if let Some(head) = opening.head
        && write_head(session, head).await.is_err()
    {
        return false;
    }
    session.write_response_body(comment, false).await.is_ok()
}

/// Ends a broken stream: an event of its own and an orderly end without `[DONE]`, or,
/// in the middle of an event that was too large to be held back, no end at all.
async fn broken_off(
    session: &mut ServerSession,
    delivered: &mut Delivered,
    broken: StreamBreak,
    at_boundary: bool,
    voice: &Voice,
) -> Result<(), Left> {
    if !at_boundary {
        break_off(session).await;
        return Ok(());
    }
    let told = told_of(broken).map(|refusal| voice.refusal_event(&refusal));
    delivered
        .write(session, told.unwrap_or_default(), true)
        .await
}

/// What a caller is told of a stream that breaks; `None` where the upstream has told it.
#[must_use]
pub fn told_of(broken: StreamBreak) -> Option<Refusal> {
    Some(match broken {
        StreamBreak::Stalled | StreamBreak::TooLong => Refusal::UpstreamTimeout,
        StreamBreak::Malformed => Refusal::UpstreamInvalidResponse,
        StreamBreak::Stopped => Refusal::Stopping,
        StreamBreak::Lagged | StreamBreak::NoRoom => Refusal::Overloaded,
        StreamBreak::Unkept => Refusal::Internal,
        StreamBreak::Cut | StreamBreak::Unterminated => Refusal::UpstreamUnavailable,
        StreamBreak::Failed => return None,
    })
}
