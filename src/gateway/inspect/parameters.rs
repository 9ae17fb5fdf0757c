//! What may be said to an operation that is no chat?
//!
//! The parameters that are documented of each: other spellings of them are refused, and,
//! where the operator wants that, whatever is none of them. Few of them are acted on.
//!
//! Sources: OpenAI's API reference; of `rerank` what Cohere, Jina and vLLM have in common.

use super::field::Field;
use crate::operation::Operation;

/// The parameters of one operation.
pub(super) struct Parameters {
    /// All that are documented.
    pub(super) names: &'static [&'static str],
    /// Those that are acted on, beside those that chats have, too.
    acted_on: &'static [Field],
}

impl Parameters {
    /// The parameter of this name, where it is acted on.
    pub(super) fn field(&self, key: &str) -> Option<Field> {
        self.acted_on
            .iter()
            .copied()
            .find(|field| field.name() == key)
    }
}

/// Those of an operation. Those of chats stand in `keys.rs`.
#[expect(
    clippy::too_many_lines,
    reason = "a table: one operation after the other"
)]
pub(super) fn parameters(operation: Operation) -> Parameters {
    match operation {
        Operation::Chat => Parameters {
            names: &[],
            acted_on: &[],
        },
        Operation::Completions => Parameters {
            names: &[
                "model",
                "prompt",
                "best_of",
                "echo",
                "frequency_penalty",
                "logit_bias",
                "logprobs",
                "max_tokens",
                "n",
                "presence_penalty",
                "seed",
                "stop",
                "stream",
                "stream_options",
                "suffix",
                "temperature",
                "top_p",
                "user",
            ],
            acted_on: &[Field::Prompt],
        },
        Operation::Embeddings => Parameters {
            names: &["model", "input", "dimensions", "encoding_format", "user"],
            acted_on: &[Field::Input],
        },
        Operation::Images => Parameters {
            names: &[
                "model",
                "prompt",
                "background",
                "moderation",
                "n",
                "output_compression",
                "output_format",
                "partial_images",
                "quality",
                "response_format",
                "size",
                "stream",
                "style",
                "user",
            ],
            acted_on: &[Field::Prompt],
        },
        Operation::Responses => Parameters {
            names: &[
                "model",
                "background",
                "conversation",
                "include",
                "input",
                "instructions",
                "max_output_tokens",
                "max_tool_calls",
                "metadata",
                "parallel_tool_calls",
                "previous_response_id",
                "prompt",
                "prompt_cache_key",
                "prompt_cache_retention",
                "reasoning",
                "safety_identifier",
                "service_tier",
                "store",
                "stream",
                "stream_options",
                "temperature",
                "text",
                "tool_choice",
                "tools",
                "top_logprobs",
                "top_p",
                "truncation",
                "user",
            ],
            acted_on: &[
                Field::Input,
                Field::Prompt,
                Field::MaxOutputTokens,
                Field::Background,
                Field::PreviousResponseId,
                Field::Conversation,
            ],
        },
        Operation::Speech => Parameters {
            names: &[
                "model",
                "input",
                "instructions",
                "response_format",
                "speed",
                "stream_format",
                "voice",
            ],
            acted_on: &[Field::Input, Field::StreamFormat],
        },
        Operation::Transcriptions => Parameters {
            names: &[
                "model",
                "file",
                "chunking_strategy",
                "include[]",
                "known_speaker_names[]",
                "known_speaker_references[]",
                "language",
                "prompt",
                "response_format",
                "stream",
                "temperature",
                "timestamp_granularities[]",
            ],
            acted_on: &[Field::File],
        },
        Operation::Moderations => Parameters {
            names: &["model", "input"],
            acted_on: &[Field::Input],
        },
        Operation::Rerank => Parameters {
            names: &[
                "model",
                "query",
                "documents",
                "max_chunks_per_doc",
                "max_tokens_per_doc",
                "rank_fields",
                "return_documents",
                "top_n",
                "truncate_prompt_tokens",
                "user",
            ],
            acted_on: &[Field::Query, Field::Documents],
        },
        // Anthropic's.
        Operation::Counting => Parameters {
            names: &[
                "model",
                "messages",
                "cache_control",
                "output_config",
                "system",
                "thinking",
                "tool_choice",
                "tools",
            ],
            acted_on: &[],
        },
    }
}
