//! What waits for the end of its event?
//!
//! Slices as they came, mostly none or one. An upstream that sends its event byte by
//! byte would make a million of them, each keeping the buffer it was cut from; so
//! beyond a few they are copied together, each byte at most once.

use bytes::{Bytes, BytesMut};

/// More slices than this are copied together.
const SLICES_MAX: usize = 16;

/// Bytes of an unfinished event, in order.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What came first, copied together.
    copied: BytesMut,
    /// What came after that, at most [`SLICES_MAX`] slices, none empty.
    slices: Vec<Bytes>,
    /// Bytes of both.
    len: usize,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, slice: Bytes) {
        self.len += slice.len();
        if self.slices.len() == SLICES_MAX {
            for slice in self.slices.drain(..) {
                self.copied.extend_from_slice(&slice);
            }
        }
        self.slices.push(slice);
    }

    pub(super) fn drain_into(&mut self, out: &mut Vec<Bytes>) {
        if !self.copied.is_empty() {
            out.push(std::mem::take(&mut self.copied).freeze());
        }
        out.append(&mut self.slices);
        self.len = 0;
    }

    /// A copy of all of it with `end` after it.
    pub(super) fn joined(&self, end: &[u8]) -> Vec<u8> {
        let mut joined = Vec::with_capacity(self.len + end.len());
        joined.extend_from_slice(&self.copied);
        for slice in &self.slices {
            joined.extend_from_slice(slice);
        }
        joined.extend_from_slice(end);
        joined
    }
}
