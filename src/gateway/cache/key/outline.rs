//! Where do the long values of a body end?
//!
//! The members of an object are hashed in the order of their keys, so each is stepped over
//! before it is gone into, and what lies deep would be stepped over once for each object
//! around it. So the body is gone through once before, and of whatever is long the end is
//! noted: strings, and the arrays and objects that are members of an object. What is short is
//! cheaper to step over than to look up. This is all that is kept of a body's structure, eight
//! bytes for each note.

use smallvec::SmallVec;

use crate::gateway::inspect::literal::Literal;

/// From so many bytes on, a value's end is noted.
const LONG_BYTES: usize = 32;
/// The deepest nesting that is followed, a hundred times what is usual. How deep a body may be
/// is configured; this is what it may cost here at most.
const DEPTH_MAX: usize = 8192;

/// A piece of a body. Bodies are of 1 GiB at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first byte.
    start: u32,
    /// The first byte behind it.
    end: u32,
}

impl Span {
    /// From a byte up to another; `None` beyond 4 GiB.
    pub(super) fn new(start: usize, end: usize) -> Option<Self> {
        Some(Self {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(end).ok()?,
        })
    }

    /// Where it begins.
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// Bytes of it.
    pub(super) fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// The bytes that it is a piece of, from its start to its end.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        let range = self.start as usize..self.end as usize;
        bytes.get(range).unwrap_or_default()
    }
}

/// The long values of a body, in the order in which they begin.
#[derive(Debug)]
pub(super) struct Outline {
    notes: SmallVec<[Span; 64]>,
}

impl Outline {
    /// Of a body that was inspected; `None` where it cannot have been, or is nested too deeply.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        let mut notes = SmallVec::new();
        // Of each open array and object, which note is its own.
        let mut open: SmallVec<[Option<usize>; 64]> = SmallVec::new();
        let mut is_member = false;
        let mut at = 0;
        while let Some(byte) = body.get(at) {
            match byte {
                b'"' => {
                    let Literal { len } = Literal::at(body.get(at..)?)?;
                    if len >= LONG_BYTES {
                        notes.push(Span::new(at, at + len)?);
                    }
                    at += len;
                    is_member = false;
                    continue;
                }
                b'{' | b'[' => {
                    open.push(is_member.then_some(notes.len()));
                    if is_member {
                        notes.push(Span::new(at, at)?);
                    }
                    if open.len() > DEPTH_MAX {
                        return None;
                    }
                }
                b'}' | b']' => {
                    if let Some(own) = open.pop()? {
                        close(&mut notes, own, at + 1)?;
                    }
                }
                _ => {}
            }
            is_member = match byte {
                b':' => true,
                b' ' | b'\n' | b'\r' | b'\t' => is_member,
                _ => false,
            };
            at += 1;
        }
        open.is_empty().then_some(Self { notes })
    }

    /// Where the value ends that begins at a byte, if it is noted; `next` is the first note that
    /// does not begin before it.
    #[inline]
    pub(super) fn end(&self, at: usize, next: usize) -> Option<usize> {
        let note = self.notes.get(next)?;
        (note.start() == at).then_some(note.end as usize)
    }

    /// The first note that does not begin before a byte, where it is none before `next`.
    pub(super) fn next_from(&self, at: usize, next: usize) -> usize {
        let later = self.notes.get(next..).unwrap_or_default();
        next + later.partition_point(|note| note.start() < at)
    }
}

/// Ends a note, or takes it back where it is of something short; so were those behind it.
fn close(notes: &mut SmallVec<[Span; 64]>, own: usize, end: usize) -> Option<()> {
    let note = notes.get_mut(own)?;
    *note = Span::new(note.start(), end)?;
    if end - note.start() < LONG_BYTES {
        notes.truncate(own);
    }
    Some(())
}
