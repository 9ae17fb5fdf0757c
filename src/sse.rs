//! Where do events end, and what do they say?
//!
//! A stream goes to the client as the slices that came in, but only whole events of
//! it: so a break can be followed by an error event of its own, and no client sees
//! half a chunk. The scanner is an explicit state machine over slices. However the
//! same bytes are cut, it forwards the same bytes and finds the same facts; slices
//! are shared, not copied, and what an event says is read only as far as the relay
//! needs it (`sse/event.rs`).
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. A line
//! ends with LF, CRLF or CR, an event with an empty line.

/// What does one event say?
mod event;
/// And one that has a type?
mod typed;
/// What waits for the end of its event?
mod held;
/// Where does the next event end?
mod ends;
/// What did a stream say that is over?
pub mod finished;
/// What does each event say, one after the other?
pub mod split;
/// How does a stream read that does not tell its tokens?
pub mod without_usage;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use memchr::memchr2;

use self::event::Event;
use self::held::Held;
use crate::openai::Usage;

/// Splits a stream into what may go out and what must wait.
#[derive(Debug)]
pub struct Scanner {
    /// Events longer than this go out as they come and are not read.
    event_bytes_max: usize,
    /// What came since the last event's end. Empty while `passing`.
    held: Held,
    /// Bytes since the last event's end, those that went out while `passing` included.
    event_bytes: usize,
    /// The unfinished event is too long to wait for, and goes out as it comes.
    passing: bool,
    line: Line,
    /// Where events have types.
    typed: Option<Typed>,
    facts: Facts,
}

/// A stream of events that have types.
#[derive(Debug, Clone, Copy)]
struct Typed {
    /// Those of which one ends an answer.
    last: &'static [&'static str],
    /// How many answers there are.
    answers: u32,
}

/// Where in a line the scanner stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// At its start.
    Start,
    /// At its start, after a CR; an LF here still belongs to the line before.
    AfterCr,
    /// Inside.
    Inside,
}

/// What was found in all events so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Events with data.
    pub events: u64,
    /// What the first event with data is.
    pub first_event: Option<First>,
    /// `data: [DONE]` was seen, or an error, behind which nothing is of the answer.
    pub done: bool,
    /// An event with an error object was seen.
    pub error: bool,
    /// An event was longer than the bound; nothing in it was read.
    pub oversized: bool,
    /// The largest counts of tokens that were told.
    pub usage: Option<Usage>,
    /// Which choices have their `finish_reason`.
    pub finished: Choices,
    /// How many events were of a type that ends an answer.
    pub ended: u32,
}

/// What the first event with data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// A JSON object without an error.
    Chunk,
    /// A JSON object that tells of an error; the object, which
    /// [`UpstreamError::read`](crate::openai::UpstreamError::read) understands.
    Error(Bytes),
    /// `[DONE]`.
    Done,
    /// Longer than the bound, and not read.
    Oversized,
    /// Anything else.
    NotJson,
}

/// A set of choices by index, up to [`Choices::INDEX_MAX`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choices(u128);

impl Scanner {
    /// A scanner at the start of a stream.
    ///
    /// Units: `event_bytes_max` in bytes; what waits is never more.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            held: Held::default(),
            event_bytes: 0,
            passing: false,
            line: Line::Start,
            typed: None,
            facts: Facts::default(),
        }
    }

    /// The same of a stream whose events have types, and which is over when `answers` of them
    /// are of one of the types in `last`. What stands behind those is nobody's, as behind
    /// `[DONE]`, which ends it as well.
    #[must_use]
    pub fn typed(mut self, last: &'static [&'static str], answers: u32) -> Self {
        self.typed = Some(Typed { last, answers });
        self
    }

    /// Takes the next slice and appends to `out` what may go out now, in order. Nothing
    /// does behind `[DONE]`, where it would be taken for the next answer, or for nothing; nor
    /// behind an error, where a `[DONE]` would say that all is there.
    pub fn feed(&mut self, mut slice: Bytes, out: &mut Vec<Bytes>) {
        if self.facts.done {
            return self.end(&slice, out);
        }
        let whole = self.scan(&slice);
        if whole > 0 {
            self.held.drain_into(out);
            out.push(slice.split_to(whole));
        }
        if self.facts.done {
            return;
        }
        if !slice.is_empty() {
            self.held.push(slice);
        }
        if self.event_bytes > self.event_bytes_max && !self.passing {
            self.facts.add_oversized();
            self.passing = true;
        }
        if self.passing {
            self.held.drain_into(out);
        }
    }

    /// Behind the last event, where only the second half of its CRLF is left to come.
    fn end(&mut self, slice: &Bytes, out: &mut Vec<Bytes>) {
        if self.line == Line::AfterCr && slice.first() == Some(&b'\n') {
            out.push(slice.slice(..1));
        }
        if !slice.is_empty() {
            self.line = Line::Start;
        }
    }

    /// What was found so far.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Bytes that wait for the end of their event.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Whether what went out ends where an event ends, so that an event of our own may follow.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        !self.passing
    }

    /// Whether what waits is `data: [DONE]` that only lacks its empty line: some
    /// upstreams end so, and mean it.
    #[must_use]
    pub fn held_is_done(&self) -> bool {
        /// `data: [DONE]` with its line end, and room for more fields.
        const DONE_BYTES_MAX: usize = 64;
        self.held.len() <= DONE_BYTES_MAX && event::read(&self.held.joined(&[])) == Event::Done
    }

    /// Reads a slice line by line; returns how much of it belongs to whole events.
    fn scan(&mut self, slice: &[u8]) -> usize {
        let mut at = 0;
        let mut event_start = 0;
        let mut whole = 0;
        if self.line == Line::AfterCr && slice.first() == Some(&b'\n') {
            at = 1;
            self.line = Line::Start;
            if self.event_bytes == 0 {
                // The second half of the CRLF that ended the last event.
                event_start = 1;
                whole = 1;
            }
        }
        while let Some(length) = memchr2(b'\n', b'\r', slice.get(at..).unwrap_or_default()) {
            let blank = length == 0 && self.line != Line::Inside;
            at += length + 1;
            let cr = slice.get(at - 1) == Some(&b'\r');
            let crlf = cr && slice.get(at) == Some(&b'\n');
            self.line = if cr && at == slice.len() {
                Line::AfterCr
            } else {
                Line::Start
            };
            if blank {
                self.event(slice, event_start, at);
                whole = at + usize::from(crlf);
                event_start = whole;
                if self.facts.done {
                    break;
                }
            }
            at += usize::from(crlf);
        }
        if self.facts.done {
            return whole;
        }
        if at < slice.len() {
            self.line = Line::Inside;
        }
        self.event_bytes += slice.len() - event_start;
        whole
    }

    /// Reads the event that ends before `end`, empty line included. It begins at
    /// `start`, or in what is held.
    fn event(&mut self, slice: &[u8], start: usize, end: usize) {
        let event_bytes = std::mem::take(&mut self.event_bytes) + (end - start);
        let passed = std::mem::take(&mut self.passing);
        if passed {
            return;
        }
        if event_bytes > self.event_bytes_max {
            self.facts.add_oversized();
        } else if start == 0 && self.held.len() != 0 {
            let end = slice.get(..end).unwrap_or_default();
            let event = self.held.joined(end);
            self.facts.add(&event, self.typed);
        } else {
            let event = slice.get(start..end).unwrap_or_default();
            self.facts.add(event, self.typed);
        }
    }
}

impl Facts {
    /// Whether each of `n` choices had its `finish_reason`.
    #[must_use]
    pub fn every_choice_finished(&self, n: u32) -> bool {
        self.finished.count() >= n.max(1)
    }

    /// Reads an event that is whole.
    fn add(&mut self, event: &[u8], typed: Option<Typed>) {
        let event = match (self.first_event.is_some(), typed) {
            (is_known, Some(Typed { last, answers })) => {
                let (event, is_last) = typed::read(event, last, is_known);
                self.ended += u32::from(is_last);
                self.done |= is_last && self.ended >= answers;
                event
            }
            (true, None) => event::glance(event),
            (false, None) => event::read(event),
        };
        let first = match event {
            Event::Blank => return,
            Event::Done => {
                self.done = true;
                First::Done
            }
            Event::NotJson => First::NotJson,
            Event::Error(error) => {
                self.error = true;
                // Some say the end behind it, as if all were well. Where events have types, one of
                // those ends an answer.
                self.done |= typed.is_none();
                First::Error(Bytes::from(error.into_owned()))
            }
            Event::Chunk(news) => {
                self.finished.0 |= news.finished.0;
                self.usage = match (news.usage, self.usage) {
                    (Some(told), Some(before)) => Some(told.larger(before)),
                    (told, before) => told.or(before),
                };
                First::Chunk
            }
        };
        self.events += 1;
        self.first_event.get_or_insert(first);
    }

    /// Counts an event that is too long to be read.
    fn add_oversized(&mut self) {
        self.oversized = true;
        self.events += 1;
        self.first_event.get_or_insert(First::Oversized);
    }
}

impl Choices {
    /// A choice of a greater index is not counted; OpenAI allows 128 choices.
    pub const INDEX_MAX: u32 = 127;

    /// How many choices are in the set.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    fn insert(&mut self, index: u32) {
        self.0 |= 1_u128.checked_shl(index).unwrap_or(0);
    }
}
