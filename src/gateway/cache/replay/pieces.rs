//! Where may a text be cut?
//!
//! The text of a JSON string as it was written, escapes and all: each piece must be the
//! text of a string as well. So no cut falls inside a character or an escape, nor
//! between the two escapes of one character; half a pair that stands alone is one of its
//! own. Where there are blanks, a cut falls before one, as between a model's tokens.

/// The pieces of a text, together the same bytes: each of at least `bytes_min` and less than
/// twice that and one character, but for the last.
pub(super) fn pieces(text: &str, bytes_min: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at_checked(cut(rest.as_bytes(), bytes_min))?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Where the first piece ends.
fn cut(text: &[u8], bytes_min: usize) -> usize {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let is_blank = matches!(rest, [b' ', ..] | [b'\\', b'n' | b't', ..]);
        if at >= bytes_min && (is_blank || at >= 2 * bytes_min) {
            return at;
        }
        at += character_len(rest);
    }
    text.len()
}

/// How long the character is that begins here, as it is written.
fn character_len(text: &[u8]) -> usize {
    match text {
        [
            b'\\',
            b'u',
            b'd' | b'D',
            high,
            _,
            _,
            b'\\',
            b'u',
            b'd' | b'D',
            low,
            ..,
        ] if matches!(high, b'8' | b'9' | b'a' | b'b' | b'A' | b'B')
            && matches!(low, b'c'..=b'f' | b'C'..=b'F') =>
        {
            12
        }
        [b'\\', b'u', ..] => 6,
        [0xF0..=0xFF, ..] => 4,
        [0xE0..=0xFF, ..] => 3,
        [b'\\' | 0xC0..=0xFF, ..] => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::gateway::cache::generated::any_text;

    fn check(text: &str, bytes_min: usize, expected: &[&str]) {
        let found: Vec<&str> = pieces(text, bytes_min).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_stay_whole_where_there_are_words() {
        check("", 4, &[]);
        check("a", 4, &["a"]);
        check(
            "one two three",
            1,
            &["on", "e", " t", "wo", " t", "hr", "ee"],
        );
        check("one two three", 4, &["one two", " three"]);
        check("one two three", 3, &["one", " two", " three"]);
        check("one two three", 100, &["one two three"]);
        check(r"one\ntwo", 3, &["one", r"\ntwo"]);
        check("onetwothree", 3, &["onetwo", "three"]);
    }

    #[test]
    fn no_character_is_cut() {
        check("äöü", 1, &["ä", "ö", "ü"]);
        check("漢字仮名", 1, &["漢", "字", "仮", "名"]);
        check("🙂🙃", 1, &["🙂", "🙃"]);
        check(r"\\\\", 1, &[r"\\", r"\\"]);
        check(r#"\"\""#, 1, &[r#"\""#, r#"\""#]);
        check(r"\u00e4\u00F6", 1, &[r"\u00e4", r"\u00F6"]);
        check(
            r"\ud83d\ude42\uD83D\uDE43",
            1,
            &[r"\ud83d\ude42", r"\uD83D\uDE43"],
        );
    }

    #[test]
    fn half_a_pair_stands_alone() {
        check(r"\ud83d\ud83d\ude42", 1, &[r"\ud83d", r"\ud83d\ude42"]);
        check(r"\ude42\ud83d", 1, &[r"\ude42", r"\ud83d"]);
        check(r"\ud83dx\ude42", 1, &[r"\ud83d", r"x\ude42"]);
        check(r"\ud83d\u0041", 1, &[r"\ud83d", r"\u0041"]);
        check(r"\ud83d\\ude42", 1, &[r"\ud83d", r"\\", "ud", "e4", "2"]);
    }

    proptest! {
        #[test]
        fn pieces_are_texts_and_together_the_same(text in any_text(true), bytes_min in 1..60_usize) {
            let pieces: Vec<&str> = pieces(&text, bytes_min).collect();
            prop_assert_eq!(&pieces.concat(), &text);
            for (place, piece) in pieces.iter().enumerate() {
                let string = format!("\"{piece}\"");
                prop_assert!(serde_json::from_str::<&RawValue>(&string).is_ok(), "{}", string);
                prop_assert!(piece.len() < 2 * bytes_min + 12);
                prop_assert!(piece.len() >= bytes_min || place + 1 == pieces.len());
            }
            // Whatever half a pair the text has, no cut made another.
            let halves = |text: &str| serde_json::from_str::<String>(&format!("\"{text}\"")).is_err();
            prop_assert_eq!(pieces.iter().any(|piece| halves(piece)), halves(&text));
        }
    }
}
