//! What does the upstream say to one request, and how does it misbehave?
//!
//! A script is a value: a head, pieces of a body, and marks that say what happens
//! after how many bytes. The realistic answers are scripts too, so that a test which
//! cuts a stream cuts the very thing that `spafe simulate` sends.
//!
//! Bytes are counted in the body as a client of HTTP sees it, without the framing of
//! chunks or frames; in a raw script, where there is no framing, from the first byte.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

/// The answer to one request.
#[derive(Debug, Clone)]
pub struct Script {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Bytes)>,
    pub(super) framing: Framing,
    pub(super) head_delay: Duration,
    pub(super) head_gate: Option<Gate>,
    pub(super) pieces: Vec<Piece>,
    /// After how many bytes of the body which thing happens; in any order.
    pub(super) marks: Vec<(usize, Mark)>,
    pub(super) close_after: Option<Duration>,
}

/// A part of a body that leaves in one write, and as one chunk where chunks are used.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) delay: Duration,
    pub(super) bytes: Bytes,
}

/// How the client learns where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// `Content-Length`, with the true length.
    Length,
    /// `Content-Length`, with a length of the test's own.
    LengthClaimed(u64),
    /// `Transfer-Encoding: chunked`; on HTTP/2 the end of the stream.
    Chunked,
    /// Neither: the end of the connection is the end of the body.
    UntilClose,
    /// The pieces are all that is written: the head is one of them, or there is none.
    Verbatim,
}

/// What happens at a place in the body.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    Hold(Gate),
    Goaway,
    Fault(Fault),
}

/// What ends an answer before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection ends with a FIN, on TLS without `close_notify`.
    Cut,
    /// The connection ends with a RST; on HTTP/2 the stream does.
    Reset,
    /// Nothing more is sent, and the connection stays.
    Stall,
    /// A chunk size that is no number; on HTTP/2 the stream is reset.
    MalformedChunk,
}

/// A door in a script that stays shut until the test opens it.
///
/// This is how a test is sure of the moment without sleeping.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Script {
    /// An answer of `application/json` with `Content-Length`.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status, Framing::Length)
            .header("Content-Type", "application/json")
            .piece(body)
    }

    /// An answer of any media type with `Content-Length`.
    #[must_use]
    pub fn body(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(status, Framing::Length)
            .header("Content-Type", media_type)
            .piece(body)
    }

    /// A stream of events, each given as its data, and `[DONE]` after them.
    #[must_use]
    pub fn sse(events: &[&str]) -> Self {
        let events = events.iter().map(|data| format!("data: {data}\n\n"));
        Self::event_stream()
            .pieces(events.map(Bytes::from))
            .piece(DONE)
    }

    /// A stream of events whose bytes are these pieces and nothing else.
    #[must_use]
    pub fn sse_bytes(pieces: &[&[u8]]) -> Self {
        Self::event_stream().pieces(pieces.iter().map(|piece| Bytes::copy_from_slice(piece)))
    }

    /// These bytes are everything that is written: head, body, lies.
    ///
    /// The connection stays open for a next request unless [`Script::then_close`] or a
    /// fault says otherwise. HTTP/2 has no such thing; there the stream is reset.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(0, Framing::Verbatim).piece(bytes)
    }

    /// As [`Script::raw`], in writes of their own, for a head that comes byte by byte.
    #[must_use]
    pub fn raw_pieces(pieces: &[&[u8]]) -> Self {
        Self::new(0, Framing::Verbatim)
            .pieces(pieces.iter().map(|piece| Bytes::copy_from_slice(piece)))
    }

    /// Closes the connection (FIN) without an answer.
    #[must_use]
    pub fn close() -> Self {
        Self::new(0, Framing::Verbatim).cut_after(0)
    }

    /// Resets the connection (RST), on HTTP/2 the stream, without an answer.
    #[must_use]
    pub fn reset() -> Self {
        Self::new(0, Framing::Verbatim).reset_after(0)
    }

    /// Takes the request and never answers.
    #[must_use]
    pub fn stall() -> Self {
        Self::new(0, Framing::Verbatim).stall_after(0)
    }

    /// Adds a header, written as it stands; HTTP/2 lowers the case of the name.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = Bytes::copy_from_slice(value.as_ref());
        self.headers.push((name.to_owned(), value));
        self
    }

    /// Takes away every header of this name, in any case.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers
            .retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    /// Changes the status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Waits before the first byte of the answer.
    #[must_use]
    pub fn delay_head(mut self, delay: Duration) -> Self {
        self.head_delay = delay;
        self
    }

    /// Waits before the first byte of the answer until the gate opens.
    #[must_use]
    pub fn hold_head(mut self, gate: &Gate) -> Self {
        self.head_gate = Some(gate.clone());
        self
    }

    /// Waits before every piece of the body but the first.
    #[must_use]
    pub fn gap(mut self, gap: Duration) -> Self {
        for piece in self.pieces.iter_mut().skip(1) {
            piece.delay = gap;
        }
        self
    }

    /// Waits after `body_bytes` until the gate opens.
    #[must_use]
    pub fn hold_after(self, body_bytes: usize, gate: &Gate) -> Self {
        self.mark(body_bytes, Mark::Hold(gate.clone()))
    }

    /// Ends the connection (FIN) after `body_bytes`; at or past the body's length this
    /// means before the end of the body is told.
    #[must_use]
    pub fn cut_after(self, body_bytes: usize) -> Self {
        self.mark(body_bytes, Mark::Fault(Fault::Cut))
    }

    /// Ends the connection (RST), on HTTP/2 the stream, after `body_bytes`.
    #[must_use]
    pub fn reset_after(self, body_bytes: usize) -> Self {
        self.mark(body_bytes, Mark::Fault(Fault::Reset))
    }

    /// Sends nothing more after `body_bytes` and keeps the connection.
    #[must_use]
    pub fn stall_after(self, body_bytes: usize) -> Self {
        self.mark(body_bytes, Mark::Fault(Fault::Stall))
    }

    /// Writes a chunk size that is no number after `body_bytes`, then ends the connection.
    ///
    /// Only at the end of a piece is this where a size is due; inside one it is data
    /// followed by the wrong line end, which is malformed as well.
    #[must_use]
    pub fn malformed_chunk_after(self, body_bytes: usize) -> Self {
        self.mark(body_bytes, Mark::Fault(Fault::MalformedChunk))
    }

    /// Says after `body_bytes` that this connection takes no more requests, and goes on:
    /// GOAWAY on HTTP/2; on HTTP/1.1 the connection ends after the answer, unannounced.
    #[must_use]
    pub fn goaway_after(self, body_bytes: usize) -> Self {
        self.mark(body_bytes, Mark::Goaway)
    }

    /// Leaves out the last piece if it is `data: [DONE]`; the stream still ends in order.
    #[must_use]
    pub fn without_done(mut self) -> Self {
        if self.pieces.last().is_some_and(|last| last.bytes == DONE) {
            self.pieces.pop();
        }
        self
    }

    /// Leaves out the last piece, whatever it is; the answer still ends in order.
    #[must_use]
    pub fn without_last(mut self) -> Self {
        self.pieces.pop();
        self
    }

    /// Claims a `Content-Length` of one's own.
    #[must_use]
    pub fn content_length(mut self, claimed: u64) -> Self {
        self.framing = Framing::LengthClaimed(claimed);
        self
    }

    /// Sends the body in chunks, one a piece, instead of with `Content-Length`.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Tells no length: the end of the connection ends the body.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self
    }

    /// Closes the connection this long after the answer without having announced it: what
    /// a client that keeps connections takes for a good one and then finds dead.
    #[must_use]
    pub fn then_close(mut self, idle: Duration) -> Self {
        self.close_after = Some(idle);
        self
    }

    /// The bytes of the body, as far as the script is not broken off.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }

    pub(super) fn event_stream() -> Self {
        Self::new(200, Framing::Chunked)
            .header("Content-Type", "text/event-stream; charset=utf-8")
            .header("Cache-Control", "no-cache")
    }

    pub(super) fn piece(self, bytes: impl Into<Bytes>) -> Self {
        self.pieces([bytes.into()])
    }

    pub(super) fn piece_after(mut self, delay: Duration, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        self.pieces.push(Piece { delay, bytes });
        self
    }

    /// Whether the body begins so.
    pub(super) fn body_starts_with(&self, bytes: &[u8]) -> bool {
        let first = self.pieces.first();
        first.is_some_and(|piece| piece.bytes.starts_with(bytes))
    }

    /// Each piece as another text, where there is one; before any mark was made.
    pub(super) fn map_pieces(mut self, other: impl Fn(&[u8]) -> Option<String>) -> Self {
        for piece in &mut self.pieces {
            if let Some(text) = other(&piece.bytes) {
                piece.bytes = text.into();
            }
        }
        self
    }

    /// One more piece before all others.
    pub(super) fn first_piece(mut self, bytes: impl Into<Bytes>) -> Self {
        let first = Piece {
            delay: Duration::ZERO,
            bytes: bytes.into(),
        };
        self.pieces.insert(0, first);
        self
    }

    fn new(status: u16, framing: Framing) -> Self {
        Self {
            status,
            headers: Vec::new(),
            framing,
            head_delay: Duration::ZERO,
            head_gate: None,
            pieces: Vec::new(),
            marks: Vec::new(),
            close_after: None,
        }
    }

    fn pieces(mut self, pieces: impl IntoIterator<Item = Bytes>) -> Self {
        self.pieces.extend(pieces.into_iter().map(|bytes| Piece {
            delay: Duration::ZERO,
            bytes,
        }));
        self
    }

    fn mark(mut self, body_bytes: usize, mark: Mark) -> Self {
        self.marks.push((body_bytes, mark));
        self
    }
}

impl Gate {
    /// A gate that is shut.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everyone through, now and from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn opened(&self) {
        // The sender lives as long as this gate, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// The event after which OpenAI's streams end.
pub(super) const DONE: &str = "data: [DONE]\n\n";
