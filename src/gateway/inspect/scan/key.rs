//! What does a key say that is written with escapes?
//!
//! Hardly any is. But a body may be made of nothing else, and costs no more to read than another:
//! one that is decoded takes its room and no more.

/// The text of a string whose escapes are known to be right; `None` where half of a surrogate
/// pair stands alone, which is no text.
pub(super) fn decoded(written: &str) -> Option<String> {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut letters = escape.chars();
        let named = letters.next()?;
        rest = letters.as_str();
        text.push(match named {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (numbered, behind) = numbered(rest)?;
                rest = behind;
                numbered
            }
            itself => itself,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The letter of four digits, or of a pair of four each, and what stands behind it.
fn numbered(digits: &str) -> Option<(char, &str)> {
    let (first, rest) = unit(digits)?;
    if let Some(letter) = char::from_u32(first.into()) {
        return Some((letter, rest));
    }
    let (second, rest) = unit(rest.strip_prefix("\\u")?)?;
    let letter = char::decode_utf16([first, second]).next()?.ok()?;
    Some((letter, rest))
}

fn unit(digits: &str) -> Option<(u16, &str)> {
    let (digits, rest) = digits.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
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
            prop_assert_eq!(decoded(&written), read);
        }
    }
}
