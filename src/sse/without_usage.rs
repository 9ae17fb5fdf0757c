//! How does a stream read that does not tell its tokens?
//!
//! Callers who wait for the same answer get the same events, and not all of them asked
//! for the one at the end that only counts tokens: `choices` empty, `usage` told. Some
//! clients fall over it (`chunk.choices[0]`). So it is withheld from who did not ask.
//! All other bytes go out as they came; none waits longer than until the empty line
//! of its event, which is when it is known what the event is.

use bytes::Bytes;

use super::ends::Ends;
use super::event::only_tells_usage;
use super::held::Held;

/// What waits for the end of its event. Counts of tokens take some hundred bytes, so
/// what is longer is no such event, and goes out as it comes.
const EVENT_BYTES_MAX: usize = 16 * 1024;

/// Withholds the event that only counts tokens.
#[derive(Debug, Default)]
pub struct WithoutUsage {
    ends: Ends,
    /// What came since the last event's end. Empty while `passing`.
    held: Held,
    /// The unfinished event is too long to wait for, and goes out as it comes.
    passing: bool,
    /// The last event was withheld, and so is the second half of its CRLF.
    withheld: bool,
}

impl WithoutUsage {
    /// Takes the next slice and appends to `out` what may go out now, in order, shared
    /// and not copied.
    pub fn feed(&mut self, slice: &Bytes, out: &mut Vec<Bytes>) {
        let mut at = self.ends.tail(slice);
        // What goes out of this slice in one piece begins here.
        let mut run = if self.withheld { at } else { 0 };
        while let Some(length) = self.ends.event(slice.get(at..).unwrap_or_default()) {
            let start = at;
            at += length;
            let event = slice.get(start..at).unwrap_or_default();
            self.withheld = self.is_withheld(event);
            if self.withheld {
                self.held = Held::default();
                push(out, slice, run, start);
                run = at;
            } else {
                self.held.drain_into(out);
            }
        }
        push(out, slice, run, at);
        if at < slice.len() {
            self.held.push(slice.slice(at..));
        }
        self.passing |= self.held.len() > EVENT_BYTES_MAX;
        if self.passing {
            self.held.drain_into(out);
        }
    }

    /// The stream is over: what waits for its empty line goes out without, unless it is
    /// what would have been withheld.
    pub fn end(mut self, out: &mut Vec<Bytes>) {
        if !self.is_withheld(&[]) {
            self.held.drain_into(out);
        }
    }

    /// Whether the event that ends with these bytes only counts tokens.
    fn is_withheld(&mut self, end: &[u8]) -> bool {
        if std::mem::take(&mut self.passing) {
            false
        } else if self.held.len() != 0 {
            only_tells_usage(&self.held.joined(end))
        } else {
            only_tells_usage(end)
        }
    }
}

fn push(out: &mut Vec<Bytes>, slice: &Bytes, start: usize, end: usize) {
    if start < end {
        out.push(slice.slice(start..end));
    }
}
