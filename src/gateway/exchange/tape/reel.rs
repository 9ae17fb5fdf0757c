//! What is on the tape, and who has read how far?
//!
//! Parts are numbered from the beginning. While the tape is kept, all of them are there and
//! anybody can start with the first; once more was read than may be kept, a part stays only
//! until every reader has it, and no longer than the bound allows.

use std::collections::VecDeque;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::gateway::body::Share;
use crate::gateway::exchange::events::{Mark, Next, StreamBreak};

/// How much may be kept for others.
#[derive(Debug)]
pub struct Keep {
    /// Of this stream.
    pub bytes_max: usize,
    /// Of the room that all answers have.
    pub share: Share,
}

/// The parts, and who has read how far.
#[derive(Debug)]
pub(super) struct Reel {
    /// Those numbered from `first` on: `first + parts.len()` were read.
    parts: VecDeque<Part>,
    first: u64,
    /// `kept_bytes = Σ part.bytes`
    kept_bytes: usize,
    /// `None`: there is one reader, and will be no other.
    keep: Option<Keep>,
    /// Whether everything is here, so that anybody can begin.
    is_open: bool,
    /// How often nothing came for a while.
    quiets: u64,
    end: Option<Result<Next, StreamBreak>>,
    /// How the stream stood at its beginning, and after the last part.
    start: Mark,
    mark: Mark,
    readers: SmallVec<[Option<Position>; 1]>,
}

/// What was read at once.
#[derive(Debug)]
struct Part {
    slices: SmallVec<[Bytes; 1]>,
    bytes: usize,
    mark: Mark,
}

/// How far one has read.
#[derive(Debug, Clone, Copy)]
struct Position {
    /// Number of the part that it reads next.
    part: u64,
    quiets: u64,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Slices, appended to what it gave.
    Slices(Mark),
    /// That nothing came for a while.
    Quiet,
    /// The end, or a break.
    End(Result<Next, StreamBreak>, Mark),
}

impl Reel {
    /// Nothing was read yet.
    pub(super) fn new(keep: Option<Keep>, start: Mark) -> Self {
        Self {
            parts: VecDeque::new(),
            first: 0,
            kept_bytes: 0,
            is_open: keep.is_some(),
            keep,
            quiets: 0,
            end: None,
            start,
            mark: start,
            readers: SmallVec::new(),
        }
    }

    /// Another reader, from the beginning; the first finds it whether anything is kept or not.
    pub(super) fn join(&mut self) -> Option<(usize, Mark)> {
        if !self.is_open && (self.first > 0 || !self.readers.is_empty()) {
            return None;
        }
        // Who comes to a break has nothing yet, and can still have a stream that does not break.
        if !self.readers.is_empty() && matches!(self.end, Some(Err(_))) {
            return None;
        }
        let position = Some(Position {
            part: self.first,
            quiets: self.quiets,
        });
        let free = self.readers.iter().position(Option::is_none);
        let number = free.unwrap_or(self.readers.len());
        match self.readers.get_mut(number) {
            Some(reader) => *reader = position,
            None => self.readers.push(position),
        }
        Some((number, self.start))
    }

    /// Whether one reads it, and nobody else ever will.
    pub(super) fn is_ones_own(&self) -> bool {
        !self.is_open && self.parts.is_empty() && self.readers.len() == 1
    }

    /// A reader goes, and what only it had not read with it.
    pub(super) fn leave(&mut self, number: usize) {
        if let Some(reader) = self.readers.get_mut(number) {
            *reader = None;
        }
        self.forget();
    }

    /// Appends what came, and how the stream stands then; true where somebody else may wait.
    pub(super) fn append(
        &mut self,
        slices: Vec<Bytes>,
        next: Result<Next, StreamBreak>,
        mark: Mark,
    ) -> bool {
        self.mark = mark;
        // What came with a break is good, too.
        if !slices.is_empty() {
            let bytes = slices.iter().map(Bytes::len).sum();
            let bytes = if self.has_room(bytes) { bytes } else { 0 };
            self.kept_bytes += bytes;
            self.parts.push_back(Part {
                slices: SmallVec::from_vec(slices),
                bytes,
                mark,
            });
        }
        match next {
            Ok(Next::Slices) => {}
            Ok(Next::Quiet) => self.quiets += 1,
            Ok(Next::End { .. }) | Err(_) => self.end(next),
        }
        self.readers.iter().flatten().count() > 1
    }

    /// Ends it, if it has not ended.
    pub(super) fn end(&mut self, next: Result<Next, StreamBreak>) {
        self.end.get_or_insert(next);
    }

    /// What a reader has not heard; nothing where it has heard all.
    pub(super) fn hear(&mut self, number: usize, out: &mut Vec<Bytes>) -> Option<Heard> {
        let reader = self.readers.get_mut(number)?.as_mut()?;
        let Some(ahead) = reader.part.checked_sub(self.first) else {
            return Some(Heard::End(Err(StreamBreak::Lagged), self.mark));
        };
        let part = usize::try_from(ahead).ok().and_then(|n| self.parts.get(n));
        if let Some(part) = part {
            reader.part += 1;
            out.extend(part.slices.iter().cloned());
            let mark = part.mark;
            // Only who reads the first of them can have been waited for.
            if ahead == 0 {
                self.forget();
            }
            return Some(Heard::Slices(mark));
        }
        if let Some(next) = self.end {
            return Some(Heard::End(next, self.mark));
        }
        let is_quiet = reader.quiets < self.quiets;
        reader.quiets = self.quiets;
        is_quiet.then_some(Heard::Quiet)
    }

    /// All slices, where it has ended well and everything is here.
    pub(super) fn whole(&self) -> Option<Vec<Bytes>> {
        let has_ended_well = matches!(self.end, Some(Ok(_)));
        let slices = self.parts.iter().flat_map(|part| &part.slices).cloned();
        (has_ended_well && self.is_open).then(|| slices.collect())
    }

    /// Makes room for so many more bytes: by forgetting what was kept for those who may yet
    /// join, and if need be what the slowest has not read. False where there is none at all.
    fn has_room(&mut self, bytes: usize) -> bool {
        loop {
            let kept_bytes = self.kept_bytes;
            let Some(keep) = &mut self.keep else {
                return false;
            };
            if kept_bytes + bytes <= keep.bytes_max && keep.share.grow(bytes).is_ok() {
                return true;
            }
            if std::mem::replace(&mut self.is_open, false) {
                self.forget();
            } else if !self.drop_first() {
                return false;
            }
        }
    }

    /// Lets go of what every reader has, unless others may join.
    fn forget(&mut self) {
        if self.is_open {
            return;
        }
        let read = self.first + self.parts.len() as u64;
        let slowest = self.readers.iter().flatten().map(|reader| reader.part);
        let slowest = slowest.min().unwrap_or(read);
        while self.first < slowest && self.drop_first() {}
    }

    fn drop_first(&mut self) -> bool {
        let Some(part) = self.parts.pop_front() else {
            return false;
        };
        self.first += 1;
        self.kept_bytes -= part.bytes;
        if let Some(keep) = &mut self.keep {
            keep.share.shrink(part.bytes);
        }
        true
    }
}

#[cfg(test)]
mod tests;
