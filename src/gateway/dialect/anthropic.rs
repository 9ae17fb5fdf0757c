//! How is Anthropic's Messages protocol spoken?
//!
//! Shape: one `system` beside turns that alternate between `user` and `assistant`, each a list of
//! blocks: text, images, documents, calls of tools (`tool_use`) and their results, which stand in
//! the user's turn. The number of tokens an answer may have must be said.
//!
//! Source: Anthropic's API reference, Messages and Streaming, version 2023-06-01, with
//! structured outputs (`output_config.format`) and effort.

/// What is asked?
pub(super) mod request;
/// How do messages become turns?
mod messages;
/// How do parts of a message become blocks?
mod parts;
/// What may be called, and must anything be?
mod tools;
/// How does a whole answer read?
pub(super) mod answer;
/// How does a stream read?
pub(super) mod events;

use serde::Deserialize;

use super::written::Tokens;

/// What was used.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
}

/// What the tokens of an answer are, of which these are a part.
#[derive(Debug, Clone, Copy, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl Usage {
    /// The same, with what is told later in its place. Counts are of all so far.
    fn and(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_read_input_tokens: later
                .cache_read_input_tokens
                .or(self.cache_read_input_tokens),
            cache_creation_input_tokens: later
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        }
    }

    /// As OpenAI counts: what was remembered is a part of the question there.
    fn tokens(self) -> Tokens {
        let cached = self.cache_read_input_tokens.unwrap_or(0);
        let cache_written = self.cache_creation_input_tokens.unwrap_or(0);
        let fresh = self.input_tokens.unwrap_or(0);
        let details = self.output_tokens_details;
        Tokens {
            prompt: fresh.saturating_add(cached).saturating_add(cache_written),
            cached,
            cache_written,
            completion: self.output_tokens.unwrap_or(0),
            reasoning: details.and_then(|details| details.thinking_tokens),
        }
    }
}

/// Why an answer ended, in OpenAI's words. A reason that is not known goes on as it is: what it
/// means nobody here can say.
fn finish_reason(stop_reason: &str) -> &str {
    match stop_reason {
        "end_turn" | "stop_sequence" | "pause_turn" => "stop",
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        other => other,
    }
}
