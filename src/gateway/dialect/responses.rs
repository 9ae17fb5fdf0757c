//! How is OpenAI's Responses protocol spoken?
//!
//! For models that are served nowhere else. Shape: what was said is a list of items, of which a
//! message is one kind, a call and what came of it others; an answer is such a list, too. In a
//! stream every event names its kind, and the last one tells how the answer stands.
//! Nothing is kept there (`store`) unless the caller asks for it, which is what chat
//! completions do.
//!
//! Source: OpenAI's API reference, Responses and its streaming events.

/// What is asked?
pub(super) mod request;
/// How do messages become items?
mod input;
/// What may be called, and must anything be?
mod tools;
/// How does a whole answer read?
pub(super) mod answer;
/// How does a stream read?
pub(super) mod events;

use std::borrow::Cow;

use serde::Deserialize;

use super::written::{self, Tokens};

/// What was used.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    output_tokens: u64,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl Usage {
    fn tokens(self) -> Tokens {
        let read = self.input_tokens_details.unwrap_or_default();
        let written = self.output_tokens_details.unwrap_or_default();
        Tokens {
            prompt: self.input_tokens,
            cached: read.cached_tokens,
            cache_written: 0,
            completion: self.output_tokens,
            reasoning: Some(written.reasoning_tokens),
        }
    }
}

/// Why an answer is not whole.
#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
}

/// What an error says. In an event of its own it stands inside, or as the reference has it, beside
/// the event's type.
#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    error: Option<Box<Failure<'a>>>,
}

/// What codes say that are the request's own fault.
const OF_REQUESTS: [&str; 6] = [
    "invalid",
    "image",
    "context_length",
    "policy",
    "unsupported",
    "too_large",
];

impl Failure<'_> {
    /// As chat completions have it. Here only a code tells what class it is; what nobody knows is
    /// the upstream's, and another may be asked.
    fn written(&self) -> String {
        if let Some(inside) = &self.error {
            return inside.written();
        }
        let code = self.code.as_deref();
        let kind = match code.unwrap_or_default() {
            "rate_limit_exceeded" => "rate_limit_error",
            "insufficient_quota" => "insufficient_quota",
            "server_is_overloaded" | "slow_down" => "overloaded_error",
            "vector_store_timeout" => "timeout_error",
            code if OF_REQUESTS.iter().any(|word| code.contains(word)) => "invalid_request_error",
            _ => "server_error",
        };
        written::error(kind, code, self.message.as_deref().unwrap_or_default())
    }
}

/// Why an answer ended, in the words of chat completions. A reason that they have no word for
/// goes on as it is.
fn finish_reason<'a>(incomplete: Option<&'a Incomplete<'_>>, has_calls: bool) -> &'a str {
    match incomplete.and_then(|it| it.reason.as_deref()) {
        None if has_calls => "tool_calls",
        None => "stop",
        Some("max_output_tokens") => "length",
        Some(other) => other,
    }
}
