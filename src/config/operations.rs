//! Which pools can answer what?
//!
//! Chats are put into every dialect's words. Anything else goes through as it came, so the
//! pool must speak the caller's own protocol: all of it, or, where it makes images, that, or
//! what of it has a path for each deployment.

use super::Modality;
use super::dialect::Dialect;
use crate::operation::Operation;

impl Dialect {
    /// Whether its targets can be asked for this.
    #[must_use]
    pub fn answers(self, operation: Operation) -> bool {
        match self {
            // What is asked in Anthropic's words goes to who speaks them.
            Self::Anthropic => matches!(operation, Operation::Chat | Operation::Counting),
            Self::OpenAi => operation != Operation::Counting,
            Self::Azure => !matches!(
                operation,
                Operation::Responses
                    | Operation::Moderations
                    | Operation::Rerank
                    | Operation::Counting
            ),
            Self::Images => matches!(operation, Operation::Chat | Operation::Images),
            Self::Gemini | Self::Responses => operation == Operation::Chat,
        }
    }

    /// The dialect that the file calls so.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::OpenAi,
            Self::Azure,
            Self::Images,
            Self::Anthropic,
            Self::Gemini,
            Self::Responses,
        ];
        all.into_iter().find(|dialect| dialect.as_str() == name)
    }
}

impl Modality {
    /// What a model is asked for that does not say.
    pub(super) fn operations(self) -> Vec<Operation> {
        match self {
            Self::Text => vec![Operation::Chat],
            Self::Image => vec![Operation::Chat, Operation::Images],
        }
    }
}
