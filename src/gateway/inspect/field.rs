//! Which fields does the gateway act on?

/// The fields the gateway acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `model`
    Model,
    /// `messages`
    Messages,
    /// `stream`
    Stream,
    /// `n`
    N,
    /// `max_tokens`
    MaxTokens,
    /// `max_completion_tokens`
    MaxCompletionTokens,
    /// `user`
    User,
    /// `prompt_cache_key`
    PromptCacheKey,
    /// `stream_options`
    StreamOptions,
    /// `store`
    Store,
    /// `temperature`
    Temperature,
    /// `size`, of image models
    Size,
    /// `quality`, of image models
    Quality,
    /// `style`, of image models
    Style,
    /// `seed`, of image models
    Seed,
    /// `best_of`
    BestOf,
    /// `top_logprobs`
    TopLogprobs,
    /// `tools`
    Tools,
    /// `functions`, what `tools` were before
    Functions,
    /// `max_output_tokens`, of responses
    MaxOutputTokens,
    /// `input`, of most operations but chats
    Input,
    /// `prompt`, of completions and images
    Prompt,
    /// `query`, of what is to be ranked by it
    Query,
    /// `documents`, which are to be ranked
    Documents,
    /// `background`, of responses that are asked for later
    Background,
    /// `previous_response_id`, of responses that go on with what an upstream keeps
    PreviousResponseId,
    /// `conversation`, the same
    Conversation,
    /// `stream_format`, of speech
    StreamFormat,
    /// `file`, of what is to be written down
    File,
}

impl Field {
    /// The key, as callers write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Messages => "messages",
            Self::Stream => "stream",
            Self::N => "n",
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::User => "user",
            Self::PromptCacheKey => "prompt_cache_key",
            Self::StreamOptions => "stream_options",
            Self::Store => "store",
            Self::Temperature => "temperature",
            Self::Size => "size",
            Self::Quality => "quality",
            Self::Style => "style",
            Self::Seed => "seed",
            Self::BestOf => "best_of",
            Self::TopLogprobs => "top_logprobs",
            Self::Tools => "tools",
            Self::Functions => "functions",
            Self::MaxOutputTokens => "max_output_tokens",
            Self::Input => "input",
            Self::Prompt => "prompt",
            Self::Query => "query",
            Self::Documents => "documents",
            Self::Background => "background",
            Self::PreviousResponseId => "previous_response_id",
            Self::Conversation => "conversation",
            Self::StreamFormat => "stream_format",
            Self::File => "file",
        }
    }
}
