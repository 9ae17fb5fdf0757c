//! What does a stream bring next, and how does it end?
//!
//! An explicit state machine around the upstream's connection. It hands out whole
//! events as the slices that came in. Its end is judged, not assumed: `[DONE]` is
//! an end, an end of the connection is one only if every choice had finished, and
//! everything else is a break that the caller is told about.

/// How does a stream break?
mod broken;

use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::Sleep;

use crate::gateway::exchange::failure::{AttemptError, from_error_object};
use crate::gateway::exchange::putting::Putting;
use crate::gateway::exchange::source::Source;
use crate::gateway::exchange::upstream::Upstream;
use crate::openai::Usage;
use crate::sse::{First, Scanner};
use crate::sys;
pub use broken::StreamBreak;

/// What waits for the end of its event; past it the bytes go out as they come.
pub(super) const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// How long the end of the connection is waited for behind `[DONE]`, to reuse it.
const TAIL_TIMEOUT: Duration = Duration::from_millis(100);

/// A stream whose first event has come.
pub struct EventStream {
    upstream: Upstream,
    /// Puts what comes into OpenAI's words, before the scanner sees it; `None`: it is.
    putting: Option<Box<Putting>>,
    /// It was asked to count tokens though its caller did not ask for that.
    asked_for_usage: bool,
    /// The upstream has ended.
    is_over: bool,
    scanner: Scanner,
    source: Source,
    /// Read with the first event, not yet handed out.
    ready: Vec<Bytes>,
    times: Times,
    /// When the last slice came, or the caller was told that there is none.
    came: Instant,
    told: Instant,
    /// Fires at the earliest when something may be too late.
    timer: Pin<Box<Sleep>>,
    choices: u32,
}

/// How long a stream may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Between two slices.
    pub gap: Duration,
    /// Until the caller is told that nothing came.
    pub quiet: Duration,
    /// The whole stream.
    pub ends: Instant,
}

/// What a stream brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Slices to forward.
    Slices,
    /// Nothing for a while, and the caller may be told so.
    Quiet,
    /// Its end; true where `[DONE]` is missing and is to be added.
    End {
        /// Whether every choice had finished and only the terminator lacks.
        add_done: bool,
    },
}

/// How a stream stands behind what was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Whether it ends where an event ends, so that one of ours may follow.
    pub at_boundary: bool,
    /// Whether `[DONE]` or an error was among it: whoever reads that takes the answer for over.
    pub said_its_last: bool,
    /// How many events there were.
    pub events: u64,
    /// The tokens it told of.
    pub usage: Option<Usage>,
}

/// What reading came to.
enum Read {
    /// A slice, the end, or a break.
    Part(Result<Option<Bytes>, AttemptError>),
    /// Nothing for a while.
    Quiet,
}

impl EventStream {
    /// A stream of which nothing has been read.
    pub(super) fn open(upstream: Upstream, source: Source, times: Times, choices: u32) -> Self {
        let now = sys::instant();
        Self {
            upstream,
            putting: None,
            asked_for_usage: false,
            is_over: false,
            source,
            scanner: Scanner::new(EVENT_BYTES_MAX),
            ready: Vec::new(),
            timer: Box::pin(tokio::time::sleep(times.gap.min(times.quiet))),
            times,
            came: now,
            told: now,
            choices,
        }
    }

    /// The same stream, asked to count tokens or not.
    pub(super) fn asked_for_usage(mut self, asked: bool) -> Self {
        self.asked_for_usage = asked;
        self
    }

    /// The same stream, of events that have types, of which one of these ends an answer.
    pub(super) fn typed(mut self, last: &'static [&'static str]) -> Self {
        self.scanner = self.scanner.typed(last, self.choices);
        self
    }

    /// The same stream, put into OpenAI's words on its way.
    pub(super) fn put(mut self, putting: Option<Box<Putting>>) -> Self {
        self.putting = putting;
        self
    }

    /// The same stream with its first event read and found good. One of another dialect that has
    /// begun by then, and said nothing yet, is good, too: it may think for long before it speaks.
    pub(super) async fn with_first_event(
        mut self,
        deadline: Instant,
    ) -> Result<Self, AttemptError> {
        loop {
            match &self.scanner.facts().first_event {
                Some(First::Chunk | First::Oversized) => return Ok(self),
                Some(First::Error(error)) => {
                    return Err(from_error_object(error, &self.source.pool));
                }
                Some(First::Done) => return Err(AttemptError::Invalid("an empty stream")),
                Some(First::NotJson) => {
                    return Err(AttemptError::Invalid("a first event that is no chunk"));
                }
                None => {
                    if let Some(error) = self.putting.as_ref().and_then(|it| it.failed()) {
                        return Err(error.clone());
                    }
                }
            }
            let mut ready = std::mem::take(&mut self.ready);
            match self.upstream.body(deadline, "no first event").await {
                Ok(Some(slice)) => self.take(slice, &mut ready).await,
                Ok(None) => {
                    return Err(AttemptError::Broken(
                        "ended before its first event".to_owned(),
                    ));
                }
                Err(AttemptError::Timeout(what)) => {
                    let opening = self.putting.as_mut().map(|putting| putting.open());
                    let opening = opening.filter(|opening| !opening.is_empty());
                    let opening = opening.ok_or(AttemptError::Timeout(what))?;
                    self.scanner.feed(opening, &mut ready);
                }
                Err(error) => return Err(error),
            }
            self.ready = ready;
        }
    }

    /// Waits for what comes next; whole events are appended to `out`. A call that is dropped
    /// has taken nothing.
    ///
    /// # Errors
    /// Where the stream breaks. What had been appended before stays valid.
    pub async fn next(&mut self, out: &mut Vec<Bytes>) -> Result<Next, StreamBreak> {
        let next = self.read_on(out).await;
        match next {
            Ok(Next::End { .. }) => self.source.completed(),
            // Our own bounds and our own store are no fault of whoever sends it.
            Ok(Next::Slices | Next::Quiet)
            | Err(StreamBreak::TooLong | StreamBreak::NoRoom | StreamBreak::Unkept) => {}
            Err(broken) => self.source.broke(&broken.as_str()),
        }
        next
    }

    async fn read_on(&mut self, out: &mut Vec<Bytes>) -> Result<Next, StreamBreak> {
        if !self.ready.is_empty() {
            out.append(&mut self.ready);
            self.came = sys::instant();
            self.told = self.came;
            return Ok(Next::Slices);
        }
        // Who waited for a picture to be kept has left.
        if self.putting.as_ref().is_some_and(|it| it.is_unshown()) {
            self.show(out).await;
            if !out.is_empty() {
                return Ok(Next::Slices);
            }
        }
        loop {
            let facts = self.scanner.facts();
            if facts.done {
                // Whatever is said behind it, an error has ended the answer.
                return if facts.error {
                    Err(StreamBreak::Failed)
                } else {
                    Ok(Next::End { add_done: false })
                };
            }
            if let Some(error) = self.putting.as_ref().and_then(|it| it.failed()) {
                return Err(StreamBreak::of(error));
            }
            if self.is_over {
                return self.ended();
            }
            match self.read().await? {
                Read::Part(Ok(Some(slice))) => {
                    self.take(slice, out).await;
                    if !out.is_empty() {
                        return Ok(Next::Slices);
                    }
                }
                Read::Part(Ok(None)) => {
                    self.is_over = true;
                    self.take_end(out);
                    if !out.is_empty() {
                        return Ok(Next::Slices);
                    }
                }
                Read::Part(Err(AttemptError::Invalid(_))) => return Err(StreamBreak::Malformed),
                Read::Part(Err(_)) => return Err(StreamBreak::Cut),
                Read::Quiet => return Ok(Next::Quiet),
            }
        }
    }

    /// Takes a slice of the upstream's; whole events are appended to `out`.
    async fn take(&mut self, slice: Bytes, out: &mut Vec<Bytes>) {
        let Some(putting) = &mut self.putting else {
            return self.scanner.feed(slice, out);
        };
        putting.take(&slice);
        self.show(out).await;
    }

    /// Appends what was put into other words, once its pictures are kept.
    async fn show(&mut self, out: &mut Vec<Bytes>) {
        let Some(putting) = &mut self.putting else {
            return;
        };
        let said = putting.shown(sys::instant()).await;
        if !said.is_empty() {
            self.scanner.feed(said, out);
        }
    }

    /// Takes the end of the connection, of which a dialect may make something.
    fn take_end(&mut self, out: &mut Vec<Bytes>) {
        let said = self.putting.as_mut().map(|putting| putting.end());
        if let Some(said) = said.filter(|said| !said.is_empty()) {
            self.scanner.feed(said, out);
        }
    }

    /// The next slice of the upstream's, within gap and end.
    ///
    /// One timer serves the whole stream: it is set anew when it fires early, and not
    /// for every event, of which there are thousands for each time it fires.
    async fn read(&mut self) -> Result<Read, StreamBreak> {
        let Times { gap, quiet, ends } = self.times;
        let read = self.upstream.next_part();
        tokio::pin!(read);
        loop {
            tokio::select! {
                biased;
                part = &mut read => {
                    self.came = sys::instant();
                    self.told = self.came;
                    if self.came >= ends {
                        return Err(StreamBreak::TooLong);
                    }
                    return Ok(Read::Part(part));
                }
                () = &mut self.timer => {}
            }
            let now = sys::instant();
            if now >= ends {
                return Err(StreamBreak::TooLong);
            }
            if now >= self.came + gap {
                return Err(StreamBreak::Stalled);
            }
            let is_quiet = now >= self.told + quiet;
            if is_quiet {
                self.told = now;
            }
            let due = (self.came + gap).min(self.told + quiet).min(ends);
            self.timer.as_mut().reset(due.into());
            if is_quiet {
                return Ok(Read::Quiet);
            }
        }
    }

    /// Judges an end of the connection without `[DONE]`.
    fn ended(&self) -> Result<Next, StreamBreak> {
        let facts = self.scanner.facts();
        if facts.error {
            return Err(StreamBreak::Failed);
        }
        let complete = facts.every_choice_finished(self.choices)
            && (self.scanner.held_bytes() == 0 || self.scanner.held_is_done());
        if complete && self.scanner.at_boundary() {
            Ok(Next::End { add_done: true })
        } else {
            Err(StreamBreak::Unterminated)
        }
    }

    /// Whether it counts tokens though its callers may not have asked for that.
    #[must_use]
    pub fn tells_usage(&self) -> bool {
        self.putting.is_some() || self.asked_for_usage
    }

    /// How it stands behind what was handed out.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let facts = self.scanner.facts();
        Mark {
            at_boundary: self.scanner.at_boundary(),
            said_its_last: facts.done || facts.error,
            events: facts.events,
            usage: facts.usage,
        }
    }

    /// Gives the connection back, if its end comes soon.
    pub async fn finish(mut self) {
        let deadline = sys::instant() + TAIL_TIMEOUT;
        let end = self.upstream.body(deadline, "the end").await;
        // Only the end itself: more bytes would belong to nobody.
        if matches!(end, Ok(None)) {
            self.upstream.release().await;
        }
    }
}
