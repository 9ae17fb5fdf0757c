//! How far does ordinary text reach?
//!
//! Nearly all bytes of a body are ordinary bytes of strings, so what a body costs is
//! decided here. Short strings are skipped eight bytes at a time. Long ones are read in
//! blocks of 64 as bit masks (`plain/blocks.rs`), so that prose full of escapes costs
//! hardly more than prose without. Neither has a branch for each byte.

/// Long strings, by blocks.
pub(super) mod blocks;

/// How many bytes at the start are ordinary bytes of a string: no quote, no
/// backslash, no control character.
pub(super) fn plain_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    // Most strings are short keys and names.
    for _ in 0..2 {
        let Some((word, after)) = rest.split_first_chunk::<8>() else {
            break;
        };
        let marks = special_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return bytes.len() - rest.len() + marks.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    // Without a branch inside, the compiler makes vector instructions of this.
    while let Some((block, after)) = rest.split_first_chunk::<32>() {
        if block
            .iter()
            .fold(false, |any, byte| any | is_special(*byte))
        {
            break;
        }
        rest = after;
    }
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let marks = special_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return bytes.len() - rest.len() + marks.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let tail = rest.iter().position(|byte| is_special(*byte));
    bytes.len() - rest.len() + tail.unwrap_or(rest.len())
}

/// How many bytes at the start are escapes of two bytes, such as `\\n`.
pub(super) fn escapes_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some(([b'\\', letter], after)) = rest.split_first_chunk::<2>() {
        if !matches!(
            letter,
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't'
        ) {
            break;
        }
        rest = after;
    }
    bytes.len() - rest.len()
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Sets the top bit of each special byte of a word.
///
/// The subtractions borrow from the byte above a hit, so that only the lowest mark is
/// to be trusted; it is the one that is used.
fn special_marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & TOPS;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    below(word, 0x20) | equal(b'"') | equal(b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_ordinary_or_special_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let special = byte < b' ' || byte == b'"' || byte == b'\\';
            for before in 0..100 {
                let mut bytes = vec![b'a'; before + 1];
                bytes[before] = byte;
                let expected = if special { before } else { before + 1 };
                assert_eq!(plain_len(&bytes), expected, "{byte:#04x} behind {before}");
            }
        }
    }
}
