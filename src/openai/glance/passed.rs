//! And of an answer that is no chat?
//!
//! The same few things, each where its protocol has it. Long lists of numbers are skipped, and
//! whether there is anything in them is all that is asked.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Ending, Glance};
use crate::openai::Usage;
use crate::openai::details::cached;
use crate::operation::Operation;

/// What is looked at; the rest is only checked to be JSON.
#[derive(Deserialize)]
struct Passed<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    results: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    input_tokens: Option<&'a RawValue>,
}

/// Reads it; `None` where it is no whole JSON object.
pub(super) fn read(operation: Operation, body: &[u8]) -> Option<Glance> {
    let text = simdutf8::basic::from_utf8(body).ok()?;
    // serde would also read an array as a struct.
    if text.trim_ascii_start().as_bytes().first() != Some(&b'{') {
        return None;
    }
    let passed: Passed<'_> = serde_json::from_str(text).ok()?;
    let is = |object: &str| passed.object.is_some_and(|raw| raw.get() == object);
    let (is_completion, ending) = match operation {
        Operation::Completions => (is(r#""text_completion""#), choices(passed.choices)),
        Operation::Embeddings => (is(r#""list""#), list(passed.data)),
        Operation::Moderations | Operation::Rerank => (true, list(passed.results)),
        Operation::Responses => (is(r#""response""#), status(passed.status)),
        Operation::Images => (true, list(passed.data)),
        Operation::Counting => (is_count(passed.input_tokens), Ending::Complete),
        Operation::Chat | Operation::Speech | Operation::Transcriptions => (true, Ending::Complete),
    };
    Some(Glance {
        error: passed.error.is_some() || is(r#""error""#),
        is_completion,
        ending,
        usage: passed.usage.and_then(|raw| counted(raw.get())),
    })
}

/// Whether it is how many something is.
fn is_count(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| raw.get().parse::<u64>().is_ok())
}

/// Whether there is anything in a list.
fn list(raw: Option<&RawValue>) -> Ending {
    let inside = raw.and_then(|raw| raw.get().strip_prefix('['));
    match inside.map(|inside| inside.trim_ascii_start().starts_with(']')) {
        Some(false) => Ending::Complete,
        Some(true) | None => Ending::NoChoices,
    }
}

fn choices(raw: Option<&RawValue>) -> Ending {
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow)]
        finish_reason: Option<&'a RawValue>,
    }
    let Some(raw) = raw else {
        return Ending::NoChoices;
    };
    let Ok(choices) = serde_json::from_str::<Vec<Choice<'_>>>(raw.get()) else {
        return Ending::Odd;
    };
    let ending = |choice: &Choice<'_>| match choice.finish_reason.map(RawValue::get) {
        Some(r#""stop""#) => Ending::Complete,
        Some(r#""length""#) => Ending::Length,
        Some(r#""content_filter""#) => Ending::ContentFilter,
        Some(_) => Ending::Unknown,
        None => Ending::Unfinished,
    };
    let worst = choices.iter().map(ending).max();
    worst.unwrap_or(Ending::NoChoices)
}

fn status(raw: Option<&RawValue>) -> Ending {
    match raw.map(RawValue::get) {
        Some(r#""completed""#) => Ending::Complete,
        Some(r#""incomplete""#) => Ending::Length,
        Some(_) => Ending::Unfinished,
        None => Ending::Odd,
    }
}

/// The tokens that an answer counts, in either of the two languages that there are for it: some
/// upstreams speak both. Where only their sum is told, they are the question's.
#[must_use]
pub fn counted(usage: &str) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Counted {
        prompt_tokens: Option<u64>,
        input_tokens: Option<u64>,
        completion_tokens: Option<u64>,
        output_tokens: Option<u64>,
        total_tokens: Option<u64>,
        #[serde(default, deserialize_with = "cached")]
        prompt_tokens_details: u64,
        #[serde(default, deserialize_with = "cached")]
        input_tokens_details: u64,
    }
    if !usage.starts_with('{') {
        return None;
    }
    let counted: Counted = serde_json::from_str(usage).ok()?;
    let answer = counted.completion_tokens.or(counted.output_tokens);
    let question = counted.prompt_tokens.or(counted.input_tokens);
    let prompt_tokens = match (question, answer) {
        (Some(question), _) => question,
        (None, None) => counted.total_tokens?,
        (None, Some(answer)) => counted
            .total_tokens
            .unwrap_or(answer)
            .saturating_sub(answer),
    };
    let completion_tokens = answer.unwrap_or(0);
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: counted
            .total_tokens
            .unwrap_or(prompt_tokens.saturating_add(completion_tokens)),
        cached_tokens: counted
            .prompt_tokens_details
            .max(counted.input_tokens_details),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(operation: Operation, body: &str, expected: Option<(bool, bool, Ending)>) {
        let glance = Glance::of(operation, body.as_bytes());
        let found = glance.map(|it| (it.error, it.is_completion, it.ending));
        assert_eq!(found, expected, "{operation:?} {body}");
    }

    #[test]
    fn each_is_judged_by_its_own_shape() {
        use Ending::{Complete, Length, NoChoices, Odd, Unfinished, Unknown};
        use Operation::{Completions, Counting, Embeddings, Moderations, Rerank, Responses};
        for (operation, body, is_completion, ending) in [
            (
                Embeddings,
                r#"{"object":"list","data":[{}]}"#,
                true,
                Complete,
            ),
            (
                Embeddings,
                r#"{"object":"list","data":[ ]}"#,
                true,
                NoChoices,
            ),
            (Embeddings, r#"{"data":[{}]}"#, false, Complete),
            (Embeddings, r#"{"object":"list"}"#, true, NoChoices),
            (Moderations, r#"{"results":[{}]}"#, true, Complete),
            (Rerank, r#"{"results":{}}"#, true, NoChoices),
            (
                Responses,
                r#"{"object":"response","status":"completed"}"#,
                true,
                Complete,
            ),
            (
                Responses,
                r#"{"object":"response","status":"incomplete"}"#,
                true,
                Length,
            ),
            (
                Responses,
                r#"{"object":"response","status":"queued"}"#,
                true,
                Unfinished,
            ),
            (Responses, r#"{"object":"response"}"#, true, Odd),
            (Counting, r#"{"input_tokens":9}"#, true, Complete),
            (Counting, r#"{"input_tokens":"9"}"#, false, Complete),
            (Counting, "{}", false, Complete),
        ] {
            check(operation, body, Some((false, is_completion, ending)));
        }
        let text = |reason: &str| {
            format!(
                r#"{{"object":"text_completion","choices":[{{"finish_reason":"stop"}},{{"finish_reason":{reason}}}]}}"#
            )
        };
        for (reason, ending) in [
            (r#""stop""#, Complete),
            (r#""length""#, Length),
            ("null", Unfinished),
            (r#""tool_calls""#, Unknown),
        ] {
            check(Completions, &text(reason), Some((false, true, ending)));
        }
        let failed = r#"{"object":"response","status":"failed","error":{"message":"no"}}"#;
        check(Responses, failed, Some((true, true, Unfinished)));
        check(Responses, failed.strip_suffix('}').unwrap(), None);
        check(Embeddings, "[]", None);
    }

    #[test]
    fn tokens_are_counted_in_both_languages() {
        let check = |usage: &str, expected: Option<[u64; 3]>| {
            let found =
                counted(usage).map(|it| [it.prompt_tokens, it.completion_tokens, it.total_tokens]);
            assert_eq!(found, expected, "{usage}");
        };
        check(r#"{"prompt_tokens":8,"total_tokens":8}"#, Some([8, 0, 8]));
        check(
            r#"{"input_tokens":3,"output_tokens":4,"total_tokens":7}"#,
            Some([3, 4, 7]),
        );
        check(
            r#"{"prompt_tokens":3,"input_tokens":3,"completion_tokens":4,"output_tokens":4}"#,
            Some([3, 4, 7]),
        );
        check(r#"{"total_tokens":9}"#, Some([9, 0, 9]));
        check(r#"{"output_tokens":4,"total_tokens":9}"#, Some([5, 4, 9]));
        check(r#"{"type":"duration","seconds":9}"#, None);
        check("null", None);
        check("[1,2]", None);
    }
}
