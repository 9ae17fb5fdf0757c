//! What did an upstream say, and what of it may be passed on?
//!
//! Its own words, without what is ours in them. And what they are about: a request that
//! is too long for one model, or that one vendor's policy refuses, may be answered by
//! another, and no status tells these apart from other refusals.

use http::StatusCode;

use crate::gateway::pools::Pool;
use crate::gateway::refusal::UpstreamRefusal;
use crate::openai::UpstreamError;

/// What of an upstream's message is passed on.
const MESSAGE_BYTES_MAX: usize = 1024;

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The request is too long for the model.
    Context,
    /// Somebody's policy forbids an answer.
    Policy,
    /// Anything else.
    Other,
}

/// Words of vendors whose models were asked too much at once, in codes and in messages.
///
/// Of a question alone, or with the answer that it leaves no room for. That an answer is to be
/// longer than any the model gives is another matter, however short the question.
const CONTEXT: (&[&str], &[&str]) = (
    &[
        "context_length",
        "context_window",
        "string_above_max_length",
        "context_size",
    ],
    &[
        "context length",
        "context window",
        // Anthropic, where the answer does not fit behind the question.
        "context limit",
        // llama.cpp.
        "context size",
        "prompt is too long",
        // Amazon's Bedrock; of its own models the second one.
        "input is too long",
        "input tokens exceed",
        "too many tokens",
        // Gemini; at Vertex with the number behind it.
        "maximum number of tokens",
        "input token count is",
        "reduce the length of the messages",
        // xAI.
        "maximum prompt length",
        // vLLM, SGLang and Hugging Face's server.
        "maximum model length",
        "exceeds the maximum allowed length",
        "`inputs` tokens + `max_new_tokens`",
        // Qwen, Kimi and GLM.
        "range of input length",
        "model token limit",
        "prompt exceeds max length",
    ],
);
/// Words of vendors whose policy forbids an answer.
///
/// OpenAI's code `invalid_prompt` is none of them: others say that of a body that they cannot
/// read, and what is meant stands in the message.
const POLICY: (&[&str], &[&str]) = (
    &[
        "content_policy",
        "content_filter",
        "moderation",
        "responsibleai",
        // OpenAI, of what could be an attack.
        "cyber_policy",
        // Qwen, whose own interface writes it in one word.
        "data_inspection",
        "datainspection",
    ],
    &[
        "content policy",
        "content management policy",
        "safety system",
        "usage policies",
        // OpenAI's models that think, in three ways.
        "usage policy",
        "limited access to this content",
        "cybersecurity risk",
        "requires moderation",
        // Anthropic; Amazon's Bedrock.
        "blocked by content filter",
        "blocked by our content filter",
        // Vertex.
        "responsible ai practices",
        // xAI.
        "violates usage guidelines",
        // DeepSeek, Qwen and Kimi.
        "content exists risk",
        "inappropriate content",
        "considered high risk",
    ],
);

/// What an error of this status is about, by code, type and message.
pub(super) fn about(status: StatusCode, error: Option<&UpstreamError>) -> About {
    // 403 is what some say of an input that their moderation has flagged.
    let (Some(error), 400 | 403 | 413 | 422) = (error, status.as_u16()) else {
        return About::Other;
    };
    let lower = |text: Option<&String>| text.map(|text| text.to_ascii_lowercase());
    let codes = [lower(error.code.as_ref()), lower(error.kind.as_ref())];
    let message = lower(error.message.as_ref()).unwrap_or_default();
    let says = |(in_codes, in_message): (&[&str], &[&str])| {
        let of_codes = codes.iter().flatten();
        of_codes
            .clone()
            .any(|code| in_codes.iter().any(|word| code.contains(word)))
            || in_message.iter().any(|word| message.contains(word))
    };
    if says(CONTEXT) {
        About::Context
    } else if says(POLICY) {
        About::Policy
    } else {
        About::Other
    }
}

/// What a caller is told of an upstream's refusal.
pub(super) fn refusal(
    status: StatusCode,
    error: Option<&UpstreamError>,
    pool: &Pool,
) -> UpstreamRefusal {
    let word = |text: Option<&str>| {
        text.filter(|text| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()))
            .map(|text| cleaned(text, pool))
    };
    let message = error.and_then(|error| error.message.as_deref());
    UpstreamRefusal {
        status,
        message: message.map_or_else(
            || "The upstream of this model refused the request and did not say why. Check the request's fields against the model's documentation.".to_owned(),
            |message| cleaned(message, pool),
        ),
        param: word(error.and_then(|error| error.param.as_deref())),
        code: word(error.and_then(|error| error.code.as_deref())),
    }
}

/// What stands in the place of what is nobody's business.
const REMOVED: &str = "[removed]";
/// What ids of organisations and projects, and keys, begin with.
const IDS: [&str; 3] = ["org-", "proj_", "sk-"];

/// An upstream's words without what is ours: credential, hosts, organisation ids.
fn cleaned(text: &str, pool: &Pool) -> String {
    let mut text = text.to_owned();
    let key = pool.api_key.as_ref().map(crate::names::Secret::expose);
    let hosts = pool.targets.iter().flat_map(|target| {
        let name = target
            .label
            .rsplit_once(':')
            .map_or(&*target.label, |(name, _)| name);
        [&*target.label, name]
    });
    for ours in key.into_iter().chain(hosts).filter(|ours| !ours.is_empty()) {
        if text.contains(ours) {
            text = text.replace(ours, REMOVED);
        }
    }
    let mut clean = without_ids(&text);
    let mut end = clean.len().min(MESSAGE_BYTES_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean.truncate(end);
    clean
}

/// The text without ids, wherever they begin: upstreams put whole JSON into a message, too.
fn without_ids(text: &str) -> String {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ')' | ']' | '}');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_inside = false;
    while let Some(first) = rest.chars().next() {
        let is_id = !is_inside && IDS.iter().any(|begin| rest.starts_with(begin));
        let bytes = if is_id {
            rest.find(ends).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (this, behind) = rest.split_at_checked(bytes).unwrap_or((rest, ""));
        clean.push_str(if is_id { REMOVED } else { this });
        is_inside = goes_on(first);
        rest = behind;
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_removed_wherever_they_stand() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(without_ids(text), expected);
        }
        check("", "");
        check("sk-ab**yz", "[removed]");
        check("of org-1a, or 'proj_2b'.", "of [removed], or '[removed]'.");
        check(
            r#"{"organization":"org-1a","key":"sk-2b"} ü"#,
            r#"{"organization":"[removed]","key":"[removed]"} ü"#,
        );
        check("key=sk-1a\nnext", "key=[removed]\nnext");
        check(
            "a task-force, X-Org-Id, x-org-id",
            "a task-force, X-Org-Id, x-org-id",
        );
    }

    fn check(status: u16, code: &str, message: &str, expected: About) {
        let error = UpstreamError {
            message: Some(message.to_owned()),
            code: Some(code.to_owned()),
            ..UpstreamError::default()
        };
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(about(status, Some(&error)), expected, "{code}: {message}");
    }

    #[test]
    fn what_vendors_say_of_length_is_understood() {
        check(400, "context_length_exceeded", "", About::Context);
        check(400, "exceed_context_size_error", "", About::Context);
        for message in [
            "This model's maximum context length is 8192 tokens.",
            "prompt is too long: 210000 tokens > 200000 maximum",
            // Anthropic.
            "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease them",
            // Gemini, and at Vertex.
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "The input token count is 40000 but model only supports up to 32768.",
            // Bedrock: Anthropic's models and Amazon's.
            "Input is too long for requested model.",
            "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
            // Mistral.
            "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
            // DeepSeek.
            "This model's maximum context length is 65536 tokens. However, you requested 70000",
            // xAI.
            "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
            // Cohere.
            "too many tokens: size limit exceeded by 11 tokens.",
            // Groq and Cerebras.
            "Please reduce the length of the messages or completion.",
            // Qwen, Kimi, MiniMax and GLM.
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
            "Invalid request: Your request exceeded model token limit: 8192",
            "invalid params, context window exceeds limit",
            "Prompt exceeds max length",
            // Servers of open models.
            "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
            "Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens).",
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.",
            "the request exceeds the available context size (4096 tokens), try increasing it",
        ] {
            check(400, "invalid_request_error", message, About::Context);
        }
        check(413, "", "Input exceeds the context window", About::Context);
        check(500, "context_length_exceeded", "", About::Other);
    }

    #[test]
    fn what_vendors_say_of_their_policies_is_understood() {
        for code in [
            "content_policy_violation",
            "content_filter",
            "moderation_blocked",
            "cyber_policy",
            "data_inspection_failed",
            "DataInspectionFailed",
        ] {
            check(400, code, "", About::Policy);
        }
        for message in [
            // OpenAI.
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            "Invalid prompt: we've limited access to this content for safety reasons.",
            "This content was flagged for possible cybersecurity risk.",
            "Your request was rejected as a result of our safety system.",
            // Azure.
            "The response was filtered due to Azure's content management policy.",
            // Anthropic.
            "Output blocked by content filtering policy",
            // Bedrock.
            "This request has been blocked by our content filters.",
            // Vertex.
            "The prompt has words that violate Google's Responsible AI practices.",
            // DeepSeek, Qwen and Kimi.
            "Content Exists Risk",
            "Input data may contain inappropriate content.",
            "The request was rejected because it was considered high risk",
        ] {
            check(400, "invalid_prompt", message, About::Policy);
        }
        for message in [
            "openai/gpt-4o requires moderation on OpenRouter.",
            // xAI.
            "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
        ] {
            check(403, "403", message, About::Policy);
        }
    }

    #[test]
    fn what_another_model_would_refuse_as_well_is_about_neither() {
        check(403, "", "The project does not have access", About::Other);
        for (code, message) in [
            ("invalid_value", "temperature must be at most 2"),
            // OpenRouter, of a body that is not in its form.
            ("invalid_prompt", "Invalid Responses API request"),
            // An answer that is longer than any: OpenAI, Anthropic, Bedrock.
            (
                "invalid_value",
                "max_tokens is too large: 99999. This model supports at most 16384 completion tokens.",
            ),
            (
                "invalid_request_error",
                "max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens",
            ),
            (
                "",
                "The maximum tokens you requested exceeds the model limit of 32768.",
            ),
            // A body with more messages than are counted.
            (
                "array_above_max_length",
                "Invalid 'messages': array too long.",
            ),
        ] {
            check(400, code, message, About::Other);
        }
    }
}
