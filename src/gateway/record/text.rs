//! How does a text of somebody else's stand in a log?
//!
//! Short, and on one line of one terminal: what would move a cursor, colour a screen, turn the
//! direction of writing or begin another line is written out. Most texts are neither long nor
//! harmful, and cost a look.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest text of a log line.
pub const TEXT_BYTES_MAX: usize = 256;

/// Where a text was cut.
const CUT: char = '…';

/// The text, at most [`TEXT_BYTES_MAX`] bytes of it.
#[must_use]
pub fn bounded(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_BYTES_MAX && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let room = TEXT_BYTES_MAX - CUT.len_utf8();
    let mut short = String::with_capacity(TEXT_BYTES_MAX);
    // The last place at which it can be cut.
    let mut whole = 0;
    for c in text.chars() {
        if is_harmful(c) {
            // A text takes whatever is written into it.
            let _ = write!(short, "\\u{{{:x}}}", u32::from(c));
        } else {
            short.push(c);
        }
        if short.len() <= room {
            whole = short.len();
        } else if short.len() > TEXT_BYTES_MAX {
            short.truncate(whole);
            short.push(CUT);
            break;
        }
    }
    Cow::Owned(short)
}

/// What acts on a terminal, ends a line, or turns the direction of writing.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_told_whole_where_it_can_be() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(bounded(text), expected);
        }
        check("", "");
        check("a \"b\" = ü…", "a \"b\" = ü…");
        check("a\r\nb\tc", "a\\u{d}\\u{a}b\\u{9}c");
        check(
            "\u{1b}[31mred\u{9b}0m\u{7f}",
            "\\u{1b}[31mred\\u{9b}0m\\u{7f}",
        );
        check("a\u{202e}b\u{2028}c", "a\\u{202e}b\\u{2028}c");
        let exact = "x".repeat(256);
        check(&exact, &exact);
        check(&"x".repeat(257), &format!("{}…", "x".repeat(253)));
        check(&"ü".repeat(200), &format!("{}…", "ü".repeat(126)));
    }

    proptest! {
        #[test]
        fn no_text_is_long_or_acts_on_a_terminal(text in any::<Vec<char>>()) {
            let text: String = text.into_iter().cycle().take(600).collect();
            let told = bounded(&text);
            prop_assert!(told.len() <= TEXT_BYTES_MAX);
            prop_assert!(!told.chars().any(is_harmful));
        }
    }
}
