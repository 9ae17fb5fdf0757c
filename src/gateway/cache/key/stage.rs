//! How are many small pieces hashed at the speed of a large one?
//!
//! BLAKE3 is quick where it gets many kibibytes at once, a multiple of a power of two, and
//! several times slower where it gets a word at a time. So small pieces are put together on a
//! stage of fixed size, and only whole stages are hashed; what is long goes by without being
//! copied, but for what fills up the stage before it.

use super::outline::Span;

/// Bytes that are hashed at once: as many blocks as the widest machines take. Of what is shorter
/// all is.
const STAGE_BYTES: usize = 16 * 1024;

/// Up to so many bytes, a piece is short.
const SHORT_BYTES: usize = 32;

/// A hash of what is put onto it, one piece after the other.
pub(super) struct Stage {
    domain: &'static [u8; blake3::KEY_LEN],
    /// Of what does not fit onto the stage at once; most does, and is hashed without one.
    hasher: Option<Box<blake3::Hasher>>,
    /// What is not hashed yet, at most `room` bytes.
    staged: Vec<u8>,
    room: usize,
}

impl Stage {
    /// Nothing yet. What is put onto it will be about as long as `expected`: for a little no
    /// more memory is touched than that.
    pub(super) fn new(domain: &'static [u8; blake3::KEY_LEN], expected: usize) -> Self {
        let room = expected.clamp(SHORT_BYTES, STAGE_BYTES);
        let staged = Vec::with_capacity(room);
        Self {
            domain,
            hasher: None,
            staged,
            room,
        }
    }

    /// Puts some bytes behind those that are there.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if bytes.len() <= self.left() {
            self.staged.extend_from_slice(bytes);
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
            if let Some(from) = from.filter(|from| from.len() <= self.left()) {
                let end = self.staged.len() + piece.len();
                self.staged.extend_from_slice(from);
                self.staged.truncate(end);
                return;
            }
        }
        self.put(piece.of(text));
    }

    /// Puts one byte.
    #[inline]
    pub(super) fn put_byte(&mut self, byte: u8) {
        if self.left() > 0 {
            self.staged.push(byte);
        } else {
            self.put_beyond(&[byte]);
        }
    }

    /// Puts bytes of which the stage has not room for all.
    #[cold]
    fn put_beyond(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        let begin = || Box::new(blake3::Hasher::new_keyed(self.domain));
        let mut hasher = self.hasher.take().unwrap_or_else(begin);
        if !self.staged.is_empty() {
            let (first, after) = rest.split_at_checked(self.left()).unwrap_or((rest, &[]));
            self.staged.extend_from_slice(first);
            hasher.update(&self.staged);
            self.staged.clear();
            rest = after;
        }
        let whole = rest.len() - rest.len() % self.room;
        let (now, later) = rest.split_at_checked(whole).unwrap_or((rest, &[]));
        hasher.update(now);
        self.staged.extend_from_slice(later);
        self.hasher = Some(hasher);
    }

    /// How many bytes were put, and their hash.
    pub(super) fn finish(self) -> (u64, blake3::Hash) {
        let Some(mut hasher) = self.hasher else {
            let hash = blake3::keyed_hash(self.domain, &self.staged);
            return (self.staged.len() as u64, hash);
        };
        hasher.update(&self.staged);
        (hasher.count(), hasher.finalize())
    }

    /// How many bytes there is room for.
    fn left(&self) -> usize {
        self.room - self.staged.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the hashes of these tests are for.
    static DOMAIN: [u8; blake3::KEY_LEN] = [7; blake3::KEY_LEN];

    /// Puts bytes in pieces of these sizes, in turn.
    fn put_in_pieces(stage: &mut Stage, bytes: &[u8], sizes: &[usize]) {
        let mut rest = bytes;
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            match *piece {
                [] => return,
                [byte] => stage.put_byte(byte),
                _ => stage.put(piece),
            }
            rest = after;
        }
    }

    #[test]
    fn it_makes_no_difference_in_which_pieces_something_is_put() {
        let bytes: Vec<u8> = (0..=250).cycle().take(5 * STAGE_BYTES + 77).collect();
        let expected = (bytes.len() as u64, blake3::keyed_hash(&DOMAIN, &bytes));
        for sizes in [
            &[1, 700, 3][..],
            &[STAGE_BYTES],
            &[STAGE_BYTES - 1, 1, STAGE_BYTES + 1],
            &[17, 3 * STAGE_BYTES + 5],
            &[100_000],
        ] {
            // Who expects too little is a little slower, and no more.
            for room in [0, 33, 1_000, STAGE_BYTES, usize::MAX] {
                let mut stage = Stage::new(&DOMAIN, room);
                put_in_pieces(&mut stage, &bytes, sizes);
                assert_eq!(stage.finish(), expected, "{sizes:?}, {room}");
            }
        }
    }
}
