//! What of a question did the upstream remember?
//!
//! Shape: `{"cached_tokens": n, …}`, the value of `prompt_tokens_details` or, where items are
//! answered, `input_tokens_details`. Source: OpenAI's API reference, "Usage".
//!
//! Upstreams leave it out, say `null`, or have their own mind about it, and a count that is read
//! for its own sake must not cost the counts beside it: what is no such object remembers nothing.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// What is read of it.
#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    cached_tokens: Option<&'a RawValue>,
}

/// The number of tokens in it.
pub(super) fn cached<'de, D: Deserializer<'de>>(details: D) -> Result<u64, D::Error> {
    let raw = <&RawValue>::deserialize(details)?;
    // A list of one would be taken for the object.
    let object = raw.get().starts_with('{').then_some(raw.get());
    let details: Option<Details<'_>> = object.and_then(|text| serde_json::from_str(text).ok());
    let count = details.and_then(|details| details.cached_tokens?.get().parse().ok());
    Ok(count.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crate::openai::Usage;

    fn check(details: &str, expected: u64) {
        let usage =
            format!(r#"{{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11{details}}}"#);
        let usage: Usage = serde_json::from_str(&usage).unwrap();
        assert_eq!(usage.prompt_tokens, 9, "{details}");
        assert_eq!(usage.cached_tokens, expected, "{details}");
    }

    #[test]
    fn what_was_remembered_is_read_and_nothing_else_is_lost_over_it() {
        check("", 0);
        check(r#","prompt_tokens_details":{"cached_tokens":7}"#, 7);
        check(
            r#","prompt_tokens_details":{"audio_tokens":0, "cached_tokens" : 7 }"#,
            7,
        );
        check(r#","prompt_tokens_details":null"#, 0);
        check(r#","prompt_tokens_details":{}"#, 0);
        check(r#","prompt_tokens_details":{"cached_tokens":null}"#, 0);
        check(r#","prompt_tokens_details":{"cached_tokens":"7"}"#, 0);
        check(r#","prompt_tokens_details":{"cached_tokens":-7}"#, 0);
        check(r#","prompt_tokens_details":[7]"#, 0);
        check(r#","prompt_tokens_details":7"#, 0);
    }

    #[test]
    fn it_is_not_written() {
        let usage = Usage {
            cached_tokens: 7,
            ..Usage::default()
        };
        assert_eq!(
            serde_json::to_string(&usage).unwrap(),
            r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#
        );
    }
}
