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
        }
    }
}
