//! How is a pool spoken to?
//!
//! Which protocol its targets speak, and what becomes of what cannot be said in it. How it
//! is spoken stands in `gateway/dialect.rs`.

/// The protocol a pool's targets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenAi,
    /// OpenAI chat completions as Azure has them: a deployment in the path, a version with it.
    Azure,
    /// OpenAI image generations.
    Images,
    /// Anthropic messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// OpenAI's Responses.
    Responses,
}

impl Dialect {
    /// Whether an answer in it may have pictures among its words, as bytes.
    #[must_use]
    pub fn shows_pictures(self) -> bool {
        matches!(self, Self::Gemini)
    }

    /// What the file calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure",
            Self::Images => "images",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Responses => "responses",
        }
    }
}

/// Whether a pool is asked to count the tokens of a stream that is not to tell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamUsage {
    /// It is asked; what it tells goes to those who asked, and into metrics and limits.
    Ask,
    /// It is asked what its caller asks.
    Leave,
}

impl StreamUsage {
    /// What the file calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Leave => "leave",
        }
    }
}

/// What becomes of a request that asks for something its pool's dialect has no words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsupported {
    /// Another pool is asked, or the caller is told which field it is.
    Refuse,
    /// The field is left out.
    Drop,
}

impl Unsupported {
    /// What the file calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Drop => "drop",
        }
    }
}

/// How a model is told how hard to think, in Anthropic's dialect and in Google's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// By a number of tokens.
    Budget,
    /// By a word. Models of Anthropic's that want this take neither `temperature` nor `top_p`;
    /// models of Google's that do want their signatures back.
    Adaptive,
}

impl Thinking {
    /// What the file calls it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Adaptive => "adaptive",
        }
    }
}
