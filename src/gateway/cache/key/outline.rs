//! Where do the long values of a body end?
//!
//! The members of an object are hashed in the order of their keys, so each is stepped over
//! before it is gone into, and what lies deep would be stepped over once for each object
//! around it. So the body is gone through once before, and of whatever is long the end is
//! noted: strings, and the arrays and objects that are members of an object. What is short is
//! cheaper to step over than to look up. This is all that is kept of a body's structure, eight
//! bytes for each note.

use crate::gateway::inspect::literal::Literal;

/// From so many bytes on, a value's end is noted.
const LONG_BYTES: usize = 32;
/// The deepest nesting that is followed, a hundred times what is usual. How deep a body may be
/// is configured; this is what it may cost here at most.
const DEPTH_MAX: usize = 8192;

/// A piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first byte.
    start: u32,
    /// The first byte behind it, `≥ start`.
    end: u32,
}

impl Span {
    /// From a byte up to another, of what is not larger than [`Outline::of`] takes it.
    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self {
            start: number(start),
            end: number(end),
        }
    }

    /// Where it begins.
    #[inline]
    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    /// Bytes of it.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The bytes that it is a piece of, from its start to its end.
    #[inline]
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        let range = self.start as usize..self.end as usize;
        bytes.get(range).unwrap_or_default()
    }
}

/// Where a long value ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Note {
    value: Span,
    /// Which note is the first behind it.
    next: u32,
}

impl Note {
    /// The first byte behind the value.
    #[inline]
    pub(super) fn end(self) -> usize {
        self.value.end as usize
    }

    /// The first note of what stands behind it.
    #[inline]
    pub(super) fn next(self) -> usize {
        self.next as usize
    }
}

/// The long values of a body, in the order in which they begin.
#[derive(Debug)]
pub(super) struct Outline {
    notes: Vec<Note>,
}

impl Outline {
    /// Of a body that was inspected; `None` where it cannot have been, or is nested too deeply.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        u32::try_from(body.len()).ok()?;
        let mut notes = Vec::with_capacity(64);
        // Of each open array and object, which note is its own.
        let mut open: Vec<Option<usize>> = Vec::with_capacity(16);
        let mut at = 0;
        while let Some(byte) = body.get(at) {
            if open.len() > DEPTH_MAX {
                return None;
            }
            match byte {
                b'"' => {
                    let Literal { len, .. } = Literal::at(body.get(at..)?)?;
                    if len >= LONG_BYTES {
                        note(&mut notes, Span::new(at, at + len));
                    }
                    at += len;
                    continue;
                }
                b':' => {
                    at += 1 + space_len(body.get(at + 1..)?);
                    if let Some(b'{' | b'[') = body.get(at) {
                        open.push(Some(notes.len()));
                        note(&mut notes, Span::new(at, at));
                        at += 1;
                    }
                    continue;
                }
                b'{' | b'[' => open.push(None),
                b'}' | b']' => {
                    if let Some(own) = open.pop()? {
                        close(&mut notes, own, at + 1)?;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        open.is_empty().then_some(Self { notes })
    }

    /// What is noted of the value that begins at a byte; `next` is the first note that does not
    /// begin before it.
    #[inline]
    pub(super) fn note(&self, at: usize, next: usize) -> Option<Note> {
        let note = self.notes.get(next)?;
        (note.value.start() == at).then_some(*note)
    }
}

/// Notes a value that holds no other which is noted, or of which that is not known yet.
fn note(notes: &mut Vec<Note>, value: Span) {
    let next = number(notes.len() + 1);
    notes.push(Note { value, next });
}

/// Ends the note of an array or object, or takes it back where that is short; so were those
/// behind it.
fn close(notes: &mut Vec<Note>, own: usize, end: usize) -> Option<()> {
    let next = number(notes.len());
    let note = notes.get_mut(own)?;
    let value = Span::new(note.value.start(), end);
    *note = Note { value, next };
    if value.len() < LONG_BYTES {
        notes.truncate(own);
    }
    Some(())
}

/// A number of bytes, or of anything of which a body has less than bytes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an outline is made of bodies below 4 GiB only"
)]
#[inline]
fn number(of: usize) -> u32 {
    of as u32
}

/// How much white space is first.
#[inline]
fn space_len(bytes: &[u8]) -> usize {
    let is_none = |byte: &u8| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    bytes.iter().position(is_none).unwrap_or(bytes.len())
}
