//! Which keys stand in the objects that are open?
//!
//! Nearly all stand as they are written, and are looked up in the body. Hardly any has an escape;
//! but a body may be made of nothing else and must cost no more to read than another. So what such
//! keys say is written into one place for all of them, which is given back as objects close.

use memchr::memchr;
use smallvec::SmallVec;

/// The keys of the open objects, outermost first.
pub(super) struct Keys<'a> {
    body: &'a [u8],
    all: Vec<Key>,
    /// What those with escapes say, one after the other.
    decoded: Vec<u8>,
}

/// Where a key stands: in the body, or in what is decoded.
#[derive(Clone, Copy)]
struct Key {
    start: usize,
    end: usize,
    is_decoded: bool,
}

/// Where the keys of an object begin.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    all: usize,
    decoded: usize,
}

/// The keys of one object.
pub(super) type Texts<'k> = SmallVec<[&'k [u8]; 16]>;

impl<'a> Keys<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        let (all, decoded) = (Vec::with_capacity(24), Vec::new());
        Self { body, all, decoded }
    }

    /// Where the keys of an object begin that is opened now.
    pub(super) fn mark(&self) -> Mark {
        let (all, decoded) = (self.all.len(), self.decoded.len());
        Mark { all, decoded }
    }

    /// How many there are from there on.
    pub(super) fn count(&self, from: Mark) -> usize {
        self.all.len() - from.all
    }

    /// Adds a key that stands there, between its quotes; `None` where half of a surrogate pair
    /// stands alone in it, which is no text.
    pub(super) fn push(&mut self, start: usize, end: usize, escaped: bool) -> Option<()> {
        let mut key = Key {
            start,
            end,
            is_decoded: escaped,
        };
        if escaped {
            let written = self.body.get(start..end)?;
            key.start = self.decoded.len();
            decode(written, &mut self.decoded)?;
            key.end = self.decoded.len();
        }
        self.all.push(key);
        Some(())
    }

    /// The last one.
    pub(super) fn last(&self) -> &str {
        let last = self.all.last().map(|key| self.bytes(*key));
        std::str::from_utf8(last.unwrap_or_default()).unwrap_or_default()
    }

    /// Those from there on.
    pub(super) fn texts(&self, from: Mark) -> Texts<'_> {
        let keys = self.all.get(from.all..).unwrap_or_default();
        keys.iter().map(|key| self.bytes(*key)).collect()
    }

    /// Forgets those from there on.
    pub(super) fn truncate(&mut self, from: Mark) {
        self.all.truncate(from.all);
        self.decoded.truncate(from.decoded);
    }

    fn bytes(&self, key: Key) -> &[u8] {
        let place = if key.is_decoded {
            &self.decoded
        } else {
            self.body
        };
        place.get(key.start..key.end).unwrap_or_default()
    }
}

/// Writes what a string says whose escapes are known to be right; `None` where half of a surrogate
/// pair stands alone.
fn decode(written: &[u8], to: &mut Vec<u8>) -> Option<()> {
    let mut rest = written;
    while let Some(at) = memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at)?;
        to.extend_from_slice(plain);
        let [_, named, behind @ ..] = escape else {
            return None;
        };
        rest = behind;
        to.push(match named {
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (letter, behind) = numbered(rest)?;
                rest = behind;
                let mut bytes = [0; 4];
                to.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
                continue;
            }
            itself => *itself,
        });
    }
    to.extend_from_slice(rest);
    Some(())
}

/// The letter of four digits, or of a pair of four each, and what stands behind it.
fn numbered(digits: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = unit(digits)?;
    if let Some(letter) = char::from_u32(first.into()) {
        return Some((letter, rest));
    }
    let (second, rest) = unit(rest.strip_prefix(b"\\u")?)?;
    let letter = char::decode_utf16([first, second]).next()?.ok()?;
    Some((letter, rest))
}

fn unit(digits: &[u8]) -> Option<(u16, &[u8])> {
    let (four, rest) = digits.split_first_chunk::<4>()?;
    let unit = four.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    });
    Some((unit?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn serde_reads_the_same(
            written in "([a-zé😀 ]{0,3}|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-fA-F]{2}|\\\\u[dD][89abAB][0-9a-f]{2}|\\\\u[dD][c-fC-F][0-9A-F]{2}|\\\\uD83D\\\\ude00|\\\\u20ac){0,8}",
        ) {
            let read = serde_json::from_str::<String>(&format!("\"{written}\"")).ok();
            let mut decoded = Vec::new();
            let done = decode(written.as_bytes(), &mut decoded);
            prop_assert_eq!(done.map(|()| decoded), read.map(String::into_bytes));
        }
    }

    #[test]
    fn what_is_decoded_goes_with_its_object() {
        let body = br"a\nb\nc";
        let mut keys = Keys::new(body);
        let outer = keys.mark();
        keys.push(0, 3, true).unwrap();
        let inner = keys.mark();
        keys.push(3, 6, true).unwrap();
        keys.push(6, 7, false).unwrap();
        assert_eq!(keys.texts(inner).as_slice(), [&b"b\n"[..], b"c"]);
        assert_eq!(keys.count(inner), 2);
        keys.truncate(inner);
        assert_eq!((keys.last(), keys.count(outer)), ("a\n", 1));
        keys.push(3, 6, true).unwrap();
        assert_eq!(keys.texts(outer).as_slice(), [b"a\n", b"b\n"]);
    }
}
