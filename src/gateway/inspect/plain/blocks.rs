//! Where does a long string end?
//!
//! Read by blocks of 64 bytes, each as three masks of one bit a byte: quotes,
//! backslashes, control characters. Which quote is escaped follows from the masks by
//! arithmetic, so a block costs the same whatever stands in it, but for a look at each
//! escape. What is not plainly valid is left to the scanner that reads singly: it knows
//! where the fault is, and a body is refused at its first.
//!
//! Source of the arithmetic: Langdale and Lemire, "Parsing gigabytes of JSON per
//! second", 2019, section 3.1.1.

use wide::u8x16;

/// Bytes of a block, one for each bit of a mask.
const BLOCK: usize = 64;
/// The last of the control characters that no string holds as they are.
const LAST_CONTROL: u8 = 0x1F;
/// Every second bit, from the lowest.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// What whole blocks at the start of a string's rest tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway::inspect) enum Blocks {
    /// The closing quote stands behind so many bytes.
    End {
        /// Bytes before the quote.
        len: usize,
        /// Whether there is an escape among them.
        escaped: bool,
    },
    /// So many bytes are valid and no more whole block follows.
    More {
        /// Bytes that need not be read again.
        len: usize,
        /// Whether there is an escape among them.
        escaped: bool,
    },
    /// Something is not plainly valid.
    Doubt,
}

/// Reads whole blocks of what follows a string's opening quote.
pub(in crate::gateway::inspect) fn read(bytes: &[u8]) -> Blocks {
    let mut at = 0;
    let mut escaped = false;
    // 1 where the first byte of the next block is escaped by the last of this one.
    let mut carried = 0;
    while let Some((block, _)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk) {
        let masks = Masks::of(block);
        if masks.any() | carried == 0 {
            at += BLOCK;
            continue;
        }
        let (targets, next) = escape_targets(masks.backslashes, carried);
        let quotes = masks.quotes & !targets;
        // All bits below the closing quote, or all.
        let inside = quotes.wrapping_sub(1) & !quotes;
        let targets = targets & inside;
        // Nearly all escapes are of two bytes; how many differs from block to block, and a
        // loop over them would be guessed wrong each time.
        let others = if targets == 0 {
            0
        } else {
            targets & !(masks.quotes | masks.backslashes | letters(block))
        };
        if masks.controls & inside != 0 || !are_numbered(bytes, at, others) {
            return Blocks::Doubt;
        }
        escaped |= masks.backslashes & inside != 0;
        if quotes != 0 {
            let len = at + quotes.trailing_zeros() as usize;
            return Blocks::End { len, escaped };
        }
        carried = next;
        at += BLOCK;
    }
    // An escape that was begun is begun again.
    let len = at - usize::from(carried != 0);
    Blocks::More { len, escaped }
}

/// Which bytes are the second of an escape, and whether the next block's first is.
fn escape_targets(backslashes: u64, carried: u64) -> (u64, u64) {
    let backslashes = backslashes & !carried;
    let follows = (backslashes << 1) | carried;
    let odd_starts = backslashes & !EVEN & !follows;
    let (even_runs, overflow) = odd_starts.overflowing_add(backslashes);
    let targets = (EVEN ^ (even_runs << 1)) & follows;
    (targets, u64::from(overflow))
}

/// Which bytes are a letter or a stroke that makes an escape of two bytes.
fn letters(block: &[u8; BLOCK]) -> u64 {
    let (quarters, _) = block.as_chunks::<16>();
    let mut mask = 0;
    for (quarter, sixteen) in quarters.iter().enumerate() {
        let bytes = u8x16::new(*sixteen);
        let is = |letter| bytes.simd_eq(u8x16::splat(letter));
        let any = is(b'n') | is(b'/') | is(b'b') | is(b'f') | is(b'r') | is(b't');
        mask |= u64::from(any.to_bitmask()) << (quarter * 16);
    }
    mask
}

/// Whether each of these bytes, which follow a backslash, is a `u` before four digits.
fn are_numbered(bytes: &[u8], block_at: usize, mut targets: u64) -> bool {
    while targets != 0 {
        let at = block_at + targets.trailing_zeros() as usize;
        targets &= targets - 1;
        let digits = match bytes.get(at) {
            Some(b'u') => bytes.get(at + 1..at + 5),
            _ => None,
        };
        if !digits.is_some_and(|four| four.iter().all(u8::is_ascii_hexdigit)) {
            return false;
        }
    }
    true
}

/// One bit a byte, the first byte lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Masks {
    quotes: u64,
    backslashes: u64,
    controls: u64,
}

impl Masks {
    fn any(self) -> u64 {
        self.quotes | self.backslashes | self.controls
    }

    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self {
            quotes: 0,
            backslashes: 0,
            controls: 0,
        };
        let (quarters, _) = block.as_chunks::<16>();
        for (quarter, sixteen) in quarters.iter().enumerate() {
            let bytes = u8x16::new(*sixteen);
            let place = quarter * 16;
            let bits = |equal: u8x16| u64::from(equal.to_bitmask()) << place;
            masks.quotes |= bits(bytes.simd_eq(u8x16::splat(b'"')));
            masks.backslashes |= bits(bytes.simd_eq(u8x16::splat(b'\\')));
            let clipped = bytes.min(u8x16::splat(LAST_CONTROL));
            masks.controls |= bits(bytes.simd_eq(clipped));
        }
        masks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where the string ends, read singly; `None` where it is not plainly valid.
    fn singly(bytes: &[u8]) -> Option<(Option<usize>, bool)> {
        let mut at = 0;
        let mut escaped = false;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => return Some((Some(at), escaped)),
                b'\\' => {
                    escaped = true;
                    at += 1;
                    match bytes.get(at) {
                        None => return Some((None, escaped)),
                        Some(b'u') => {
                            let digits = bytes.get(at + 1..at + 5)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                        }
                        Some(letter) if b"\"\\/bfnrt".contains(letter) => {}
                        Some(_) => return None,
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
            at += 1;
        }
        Some((None, escaped))
    }

    /// Bytes among which what matters is frequent.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            6 => Just(b'a'),
            2 => Just(b'\\'),
            1 => Just(b'n'),
            1 => prop_oneof![Just(b'"'), Just(b'u'), Just(b'0'), Just(0x1F), Just(0xC3), Just(b' ')],
        ];
        let run = prop_oneof![
            Just(vec![b'a'; 40]),
            Just(b"\\\\".to_vec()),
            Just(b"\\n".to_vec()),
            Just(b"\\\"".to_vec()),
            Just(b"\\u00e9".to_vec()),
            prop::collection::vec(byte, 1..12),
        ];
        prop::collection::vec(run, 0..24).prop_map(|runs| runs.concat())
    }

    #[test]
    fn what_a_block_ends_in_is_escaped_in_the_next_and_no_further() {
        let text = "a".repeat(BLOCK - 1);
        let body = format!("{text}\\\"{text}\"{text}");
        let (len, escaped) = (2 * BLOCK, true);
        assert_eq!(read(body.as_bytes()), Blocks::End { len, escaped });
    }

    proptest! {
        #[test]
        fn blocks_agree_with_reading_singly(bytes in bytes()) {
            match read(&bytes) {
                Blocks::End { len, escaped } => {
                    prop_assert_eq!(singly(&bytes), Some((Some(len), escaped)));
                }
                Blocks::More { len, escaped } => {
                    let rest = singly(bytes.get(len..).unwrap());
                    let resumed = rest.map(|(end, more)| (end.map(|end| len + end), escaped | more));
                    prop_assert_eq!(singly(&bytes), resumed);
                    prop_assert!(bytes.len() - len < BLOCK + 1);
                }
                // Nothing valid may be doubted, but for an escape that the end cuts.
                Blocks::Doubt => {
                    let longer = [&bytes[..], b"0000\""].concat();
                    prop_assert!(singly(&bytes).is_none() || singly(&longer).is_none() || !bytes.contains(&b'"'));
                }
            }
        }

        #[test]
        fn masks_agree_with_looking_singly(bytes in prop::array::uniform32(any::<u8>())) {
            let block: [u8; BLOCK] = [bytes, bytes].concat().try_into().unwrap();
            let mask = |wanted: fn(u8) -> bool| {
                let bits = block.iter().enumerate();
                bits.fold(0, |mask, (bit, byte)| mask | (u64::from(wanted(*byte)) << bit))
            };
            let masks = Masks::of(&block);
            prop_assert_eq!(masks.quotes, mask(|byte| byte == b'"'));
            prop_assert_eq!(masks.backslashes, mask(|byte| byte == b'\\'));
            prop_assert_eq!(masks.controls, mask(|byte| byte < 0x20));
            prop_assert_eq!(letters(&block), mask(|byte| b"n/bfrt".contains(&byte)));
        }
    }
}
