//! How are many small pieces hashed at the speed of a large one?
//!
//! BLAKE3 is quick where it gets many kibibytes at once, a multiple of a power of two, and
//! several times slower where it gets a word at a time. So small pieces are put together on a
//! stage of fixed size, and only whole stages are hashed; what is long goes by without being
//! copied, but for what fills up the stage before it.

use super::outline::Span;

/// Bytes that are hashed at once: as many blocks as the widest machines take.
const STAGE_BYTES: usize = 16 * 1024;

/// Up to so many bytes, a piece is short.
const SHORT_BYTES: usize = 32;

/// A hash of what is put onto it, one piece after the other.
pub(super) struct Stage {
    hasher: blake3::Hasher,
    staged: [u8; STAGE_BYTES],
    /// Bytes of `staged` that are not hashed yet.
    len: usize,
}

impl Stage {
    /// Nothing yet.
    pub(super) fn new(hasher: blake3::Hasher) -> Self {
        Self {
            hasher,
            staged: [0; STAGE_BYTES],
            len: 0,
        }
    }

    /// Puts some bytes behind those that are there.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.staged.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        } else {
            self.put_beyond(bytes);
        }
    }

    /// Puts a piece of a text. What is short is nearly all there is, and is copied with what
    /// stands behind it, since a copy of a fixed length is a fraction of one of any.
    #[inline]
    pub(super) fn put_piece(&mut self, text: &[u8], piece: Span) {
        if piece.len() <= SHORT_BYTES {
            let from = text.get(piece.start()..);
            let from = from.and_then(<[u8]>::first_chunk::<SHORT_BYTES>);
            let room = self.staged.get_mut(self.len..);
            let to = room.and_then(<[u8]>::first_chunk_mut::<SHORT_BYTES>);
            if let (Some(from), Some(to)) = (from, to) {
                *to = *from;
                self.len += piece.len();
                return;
            }
        }
        self.put(piece.of(text));
    }

    /// Puts one byte.
    #[inline]
    pub(super) fn put_byte(&mut self, byte: u8) {
        if let Some(place) = self.staged.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        } else {
            self.put(&[byte]);
        }
    }

    /// Puts bytes of which the stage has not room for all.
    #[cold]
    fn put_beyond(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.len > 0 {
            let room = self.staged.get_mut(self.len..).unwrap_or_default();
            let (first, after) = rest.split_at_checked(room.len()).unwrap_or((rest, &[]));
            room.copy_from_slice(first);
            self.hasher.update(&self.staged);
            rest = after;
        }
        let whole = rest.len() - rest.len() % STAGE_BYTES;
        let (now, later) = rest.split_at_checked(whole).unwrap_or((rest, &[]));
        self.hasher.update(now);
        if let Some(place) = self.staged.get_mut(..later.len()) {
            place.copy_from_slice(later);
        }
        self.len = later.len();
    }

    /// How many bytes were put, and their hash.
    pub(super) fn finish(&mut self) -> (u64, blake3::Hash) {
        let rest = self.staged.get(..self.len).unwrap_or_default();
        self.hasher.update(rest);
        (self.hasher.count(), self.hasher.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_makes_no_difference_in_which_pieces_something_is_put() {
        let bytes: Vec<u8> = (0..=250).cycle().take(5 * STAGE_BYTES + 77).collect();
        let expected = blake3::hash(&bytes);
        for sizes in [
            &[1, 700, 3][..],
            &[STAGE_BYTES],
            &[STAGE_BYTES - 1, 1, STAGE_BYTES + 1],
            &[0, 3 * STAGE_BYTES + 5, 17],
            &[100_000],
        ] {
            let mut stage = Stage::new(blake3::Hasher::new());
            let mut rest = &bytes[..];
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                stage.put(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            assert_eq!(stage.finish(), (bytes.len() as u64, expected), "{sizes:?}");
        }
    }
}
