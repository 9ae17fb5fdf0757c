//! How do several callers read one stream?
//!
//! Over a tape. Nobody pumps: whoever has read what is there reads on from the upstream for
//! everybody, so a stream that one caller reads costs no task and no waking, and one that
//! nobody reads is not read. What was read stays on the tape for those who come later, up to
//! a bound; past it nobody can join any more, and a part is kept only until the slowest has
//! it. A reader that falls behind by more than the bound is told so and is not waited for.

/// What is on the tape, and who has read how far?
mod reel;

use std::pin::pin;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard as StdGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Mutex, Notify};

use crate::gateway::exchange::events::{EventStream, Mark, Next, StreamBreak};
use crate::gateway::idiom::Telling;
use crate::gateway::pools::slots::Slot;
use crate::gateway::record::transcript::Transcript;
use crate::sse::without_usage::WithoutUsage;
pub use reel::Keep;
use reel::{Heard, Reel};

/// One stream, and what of it is kept.
pub struct Tape {
    /// `None` once it has ended.
    stream: Mutex<Option<Running>>,
    reel: StdMutex<Reel>,
    /// Something was read, by somebody else.
    turned: Notify,
    /// What is to be done when it has ended.
    at_end: StdMutex<Option<AtEnd>>,
    /// Whether it counts tokens though nobody may have asked for that.
    tells_usage: bool,
}

/// What is to be done when a stream has ended, once and before its end is told: with all that
/// it has said, where it has ended well and all of it was kept.
pub type AtEnd = Box<dyn FnOnce(Option<Vec<Bytes>>) + Send>;

/// A stream that has not ended, and its place at the pool.
struct Running {
    stream: Box<EventStream>,
    _place: Option<Slot>,
}

/// One caller's way along the tape.
pub struct Reader {
    tape: Arc<Tape>,
    number: usize,
    mark: Mark,
    /// The stream's end, if it was this one that came to it.
    ended: Option<Running>,
    /// Withholds the event that counts tokens, from who did not ask for it.
    without_usage: Option<WithoutUsage>,
    /// Puts it into the caller's words; `None`: it is.
    telling: Option<Box<Telling>>,
    /// Hears what passes by, for a trace.
    heard: Option<Box<Transcript>>,
}

impl Tape {
    /// A tape of which nothing was read, and its first reader; `keep` is what is kept for
    /// others, none where nobody else may join.
    #[must_use]
    pub fn new(
        stream: Box<EventStream>,
        place: Option<Slot>,
        keep: Option<Keep>,
        at_end: Option<AtEnd>,
    ) -> Arc<Self> {
        Arc::new(Self {
            at_end: StdMutex::new(at_end),
            tells_usage: stream.tells_usage(),
            reel: StdMutex::new(Reel::new(keep, stream.mark())),
            stream: Mutex::new(Some(Running {
                stream,
                _place: place,
            })),
            turned: Notify::new(),
        })
    }

    /// Reads it from its beginning; `None` where that is not kept any more.
    #[must_use]
    pub fn join(self: &Arc<Self>) -> Option<Reader> {
        let (number, mark) = self.reel().join()?;
        Some(Reader {
            tape: Arc::clone(self),
            number,
            mark,
            ended: None,
            without_usage: None,
            telling: None,
            heard: None,
        })
    }

    fn reel(&self) -> StdGuard<'_, Reel> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Whether it counts tokens though its reader may not have asked for that.
    #[must_use]
    pub fn tells_usage(&self) -> bool {
        self.tape.tells_usage
    }

    /// The same without the event that only counts tokens.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.without_usage = Some(WithoutUsage::default());
        self
    }

    /// The same in the caller's words.
    #[must_use]
    pub fn told(mut self, telling: Option<Telling>) -> Self {
        self.telling = telling.map(Box::new);
        self
    }

    /// Has what passes by heard; or, given nothing, gives back what was.
    pub fn heard_by(&mut self, heard: Option<Box<Transcript>>) -> Option<Box<Transcript>> {
        std::mem::replace(&mut self.heard, heard)
    }

    fn hear_out(&mut self, slices: &[Bytes]) {
        if let Some(heard) = &mut self.heard {
            for slice in slices {
                heard.answer(slice);
            }
        }
    }

    /// Waits for what comes next; whole events are appended to `out`. A call that is dropped
    /// has taken nothing.
    ///
    /// # Errors
    /// Where the stream breaks, or has gone on too far without this reader.
    pub async fn next(&mut self, out: &mut Vec<Bytes>) -> Result<Next, StreamBreak> {
        if self.telling.is_none() {
            let from = out.len();
            let next = self.next_in_chunks(out).await;
            self.hear_out(out.get(from..).unwrap_or_default());
            return next;
        }
        let mut chunks = Vec::new();
        let next = self.next_in_chunks(&mut chunks).await;
        self.hear_out(&chunks);
        let Some(telling) = &mut self.telling else {
            return next;
        };
        for slice in &chunks {
            let fed = telling.feed(slice, out);
            fed.map_err(|_| StreamBreak::Malformed)?;
        }
        if let Ok(Next::End { .. }) = next {
            telling.end(out);
            return Ok(Next::End { add_done: false });
        }
        next
    }

    async fn next_in_chunks(&mut self, out: &mut Vec<Bytes>) -> Result<Next, StreamBreak> {
        if self.without_usage.is_none() {
            return self.next_of_all(out).await;
        }
        let mut all = Vec::new();
        let next = self.next_of_all(&mut all).await;
        if let Some(filter) = &mut self.without_usage {
            for slice in &all {
                filter.feed(slice, out);
            }
        }
        if !matches!(next, Ok(Next::Slices | Next::Quiet))
            && let Some(filter) = self.without_usage.take()
        {
            filter.end(out);
        }
        next
    }

    async fn next_of_all(&mut self, out: &mut Vec<Bytes>) -> Result<Next, StreamBreak> {
        loop {
            if let Some(next) = self.hear(out) {
                return next;
            }
            let tape = Arc::clone(&self.tape);
            let mut running = if let Ok(running) = tape.stream.try_lock() {
                running
            } else {
                // Somebody else reads.
                let mut turned = pin!(tape.turned.notified());
                turned.as_mut().enable();
                if let Some(next) = self.hear(out) {
                    return next;
                }
                tokio::select! {
                    biased;
                    () = turned => continue,
                    running = tape.stream.lock() => running,
                }
            };
            // Whoever read before may have let go in between.
            if let Some(next) = self.hear(out) {
                return next;
            }
            if tape.reel().is_ones_own() {
                return self.read_own(&mut running, out).await;
            }
            self.read(&tape, &mut running).await;
        }
    }

    /// Reads on, for nobody else.
    async fn read_own(
        &mut self,
        running: &mut Option<Running>,
        out: &mut Vec<Bytes>,
    ) -> Result<Next, StreamBreak> {
        let Some(Running { stream, .. }) = running else {
            return Err(StreamBreak::Cut);
        };
        let next = stream.next(out).await;
        self.mark = stream.mark();
        self.look_for_end(next, running);
        next
    }

    /// Reads on for everybody.
    async fn read(&mut self, tape: &Tape, running: &mut Option<Running>) {
        let Some(Running { stream, .. }) = running else {
            tape.reel().end(Err(StreamBreak::Cut));
            return;
        };
        let mut slices = Vec::new();
        let next = stream.next(&mut slices).await;
        let others_wait = tape.reel().append(slices, next, stream.mark());
        self.look_for_end(next, running);
        if others_wait {
            tape.turned.notify_waiters();
        }
    }

    fn look_for_end(&mut self, next: Result<Next, StreamBreak>, running: &mut Option<Running>) {
        if matches!(next, Ok(Next::Slices | Next::Quiet)) {
            return;
        }
        self.ended = running.take();
        let mut at_end = self
            .tape
            .at_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(at_end) = at_end.take() {
            at_end(self.tape.reel().whole());
        }
    }

    /// What is there and was not heard by this one.
    fn hear(&mut self, out: &mut Vec<Bytes>) -> Option<Result<Next, StreamBreak>> {
        let heard = self.tape.reel().hear(self.number, out)?;
        let (next, mark) = match heard {
            Heard::Slices(mark) => (Ok(Next::Slices), mark),
            Heard::Quiet => (Ok(Next::Quiet), self.mark),
            // Where the stream stands by now is nothing to one that is behind.
            Heard::End(Err(StreamBreak::Lagged), _) => (Err(StreamBreak::Lagged), self.mark),
            Heard::End(next, mark) => (next, mark),
        };
        self.mark = mark;
        Some(next)
    }

    /// Where this reader stands.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// Reads to the end, up to a number of bytes, and tells all that was read from the beginning.
    ///
    /// # Errors
    /// Where the stream breaks, or is longer.
    pub async fn read_out(mut self, bytes_max: usize) -> Result<Vec<Bytes>, StreamBreak> {
        let slices = self.read_to_end(bytes_max).await?;
        self.finish().await;
        Ok(slices)
    }

    /// The same, for one who looks at it behind its end.
    ///
    /// # Errors
    /// As [`Self::read_out`].
    pub async fn read_to_end(&mut self, bytes_max: usize) -> Result<Vec<Bytes>, StreamBreak> {
        let mut slices = Vec::new();
        loop {
            let next = self.next(&mut slices).await?;
            if slices.iter().map(Bytes::len).sum::<usize>() > bytes_max {
                return Err(StreamBreak::Lagged);
            }
            if let Next::End { .. } = next {
                return Ok(slices);
            }
        }
    }

    /// Gives the upstream's connection back, if it was this reader that came to the end.
    pub async fn finish(mut self) {
        if let Some(Running { stream, .. }) = self.ended.take() {
            stream.finish().await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tape.reel().leave(self.number);
    }
}
