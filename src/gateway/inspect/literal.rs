//! Where does a string end that was read before?
//!
//! For whoever goes through a body once more, after it was inspected: a string's end is
//! found by the same blocks, and what is not as inspection left it is no string.

use super::plain::blocks::{self, Blocks};
use super::plain::plain_len;

/// A string as it is written in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes, quotes included.
    pub len: usize,
}

impl Literal {
    /// The string that begins with the first of these bytes, a quote.
    #[must_use]
    pub fn at(bytes: &[u8]) -> Option<Self> {
        let inside = bytes.strip_prefix(b"\"")?;
        let mut at = 0;
        let mut may_be_long = true;
        loop {
            at += plain_len(inside.get(at..)?);
            match inside.get(at)? {
                b'"' => return Some(Self { len: at + 2 }),
                b'\\' if may_be_long => {
                    may_be_long = false;
                    match blocks::read(inside.get(at..)?) {
                        Blocks::End { len, .. } => return Some(Self { len: at + len + 2 }),
                        Blocks::More { len, .. } => at += len,
                        Blocks::Doubt => {}
                    }
                }
                b'\\' => at += 2,
                _ => return None,
            }
        }
    }
}
