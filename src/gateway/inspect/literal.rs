//! Where does a string end that was read before?
//!
//! For whoever goes through a body once more, after it was inspected. Only the quote that ends
//! a string is looked for: what stands in it was judged then. Escapes are rare in short strings
//! and frequent in prose, so from the first one on it is read by blocks as the first time
//! (`plain/blocks.rs`).

use wide::u8x16;

use super::plain::blocks::{self, Blocks};

/// A string as it is written in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes, quotes included.
    pub len: usize,
    /// Whether an escape is among them.
    pub escaped: bool,
}

impl Literal {
    /// The string that begins with the first of these bytes, a quote; `None` where it does not
    /// end.
    #[must_use]
    #[inline]
    pub fn at(bytes: &[u8]) -> Option<Self> {
        let inside = bytes.strip_prefix(b"\"")?;
        let len = quote_or_backslash(inside);
        match inside.get(len)? {
            b'"' => Some(Self {
                len: len + 2,
                escaped: false,
            }),
            _ => Some(Self {
                len: escaped_len(inside, len)? + 2,
                escaped: true,
            }),
        }
    }
}

/// How many bytes stand before the quote that ends a string, with an escape behind so many.
#[inline(never)]
fn escaped_len(inside: &[u8], before_bytes: usize) -> Option<usize> {
    let mut at = before_bytes;
    match blocks::read(inside.get(at..)?) {
        Blocks::End { len, .. } => return Some(at + len),
        Blocks::More { len, .. } => at += len,
        Blocks::Doubt => {}
    }
    loop {
        at += quote_or_backslash(inside.get(at..)?);
        match inside.get(at)? {
            b'"' => return Some(at),
            _ => at += 2,
        }
    }
}

/// How many bytes stand before the first quote or backslash; all, where there is none.
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((sixteen, after)) = rest.split_first_chunk() {
        let sixteen = u8x16::new(*sixteen);
        let is = |byte| sixteen.simd_eq(u8x16::splat(byte));
        let found = (is(b'"') | is(b'\\')).to_bitmask();
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize;
        }
        rest = after;
    }
    let is_found = |byte: &u8| matches!(byte, b'"' | b'\\');
    let tail = rest.iter().position(is_found);
    bytes.len() - rest.len() + tail.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Its length, read singly.
    fn singly(bytes: &[u8]) -> Option<usize> {
        let mut at = 1;
        loop {
            match bytes.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    #[test]
    fn a_long_one_ends_at_its_quote_and_tells_of_its_escapes() {
        let (text, behind) = ("word ".repeat(20), "x".repeat(100));
        for (text, escaped) in [
            (text.clone(), false),
            (format!("{text}\\n{text}"), true),
            (format!("\\\"{text}"), true),
        ] {
            let len = text.len() + 2;
            let found = Literal::at(format!("\"{text}\"{behind}").as_bytes());
            assert_eq!(found, Some(Literal { len, escaped }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn its_end_is_found_whatever_stands_in_it_and_behind_it(
            text in "([a-zé ]{0,40}|\\\\[\"\\\\nu/]|\\\\u00e9){0,12}\"?[a\"\\\\ ]{0,20}",
        ) {
            let bytes = format!("\"{text}");
            let found = Literal::at(bytes.as_bytes()).map(|literal| literal.len);
            prop_assert_eq!(found, singly(bytes.as_bytes()), "{}", bytes);
        }

        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in "[a\"\\\\u]{0,80}") {
            let found = Literal::at(bytes.as_bytes());
            prop_assert_eq!(found.is_some(), bytes.starts_with('"') && singly(bytes.as_bytes()).is_some());
        }
    }
}
