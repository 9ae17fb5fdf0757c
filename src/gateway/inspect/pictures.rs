//! How much is asked, where pictures are asked with?
//!
//! Text is reckoned by its bytes. A picture that stands in a question as base64 has many more of
//! them than a model sees in it: one of 600 kB would be reserved as 150,000 tokens and shut its
//! caller out, so each counts as the same number. Nothing is decoded. What has a space in it or
//! is no ASCII is text that only looks like one, and counts by its bytes.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memmem};

/// What a picture counts as. Models see one as 85 to 1,600 tokens, by its size and detail.
pub(super) const PICTURE_TOKENS: u64 = 1000;

/// What stands before the bytes of a picture: the end of a data URL's head.
static BASE64: LazyLock<Finder<'static>> = LazyLock::new(|| memmem::Finder::new(";base64,"));

/// How many tokens a question is taken for.
#[must_use]
pub fn question_tokens(body: &[u8], bytes_per_token: u32) -> u64 {
    let (mut text, mut pictures) = (body.len() as u64, 0_u64);
    let mut rest = body;
    while let Some(at) = BASE64.find(rest) {
        let value = rest.get(at + BASE64.needle().len()..).unwrap_or_default();
        let (value, after) = value.split_at(memchr(b'"', value).unwrap_or(value.len()));
        if value.is_ascii() && memchr(b' ', value).is_none() {
            text = text.saturating_sub(value.len() as u64);
            pictures += 1;
        }
        // Behind the whole value, whatever it is: each byte is looked at once.
        rest = after;
    }
    let text = text.div_ceil(u64::from(bytes_per_token.max(1)));
    text.saturating_add(pictures.saturating_mul(PICTURE_TOKENS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_counts_as_one_however_large_it_is() {
        let large = "A/b+".repeat(150_000);
        let url = |bytes: &str| format!(r#"{{"url":"data:image/png;base64,{bytes}"}}"#);
        let around = url("").len() as u64;
        let cases = [
            (url(&large), around, 1),
            (url(&large.replace('/', "\\/")), around, 1),
            (url(&large) + &url("AA=="), 2 * around, 2),
            (url(";base64,;base64,"), around, 1),
            (url("these are words"), around + 15, 0),
            (url("言葉"), around + 6, 0),
            ("words".to_owned(), 5, 0),
        ];
        for (body, text, pictures) in cases {
            let expected = text.div_ceil(4) + pictures * PICTURE_TOKENS;
            let start: String = body.chars().take(60).collect();
            assert_eq!(question_tokens(body.as_bytes(), 4), expected, "{start}");
        }
        assert_eq!(
            question_tokens(b"data:;base64,AAAA", 1),
            13 + PICTURE_TOKENS
        );
    }
}
