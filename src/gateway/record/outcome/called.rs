//! What was called, as it is counted?

use crate::gateway::door::Endpoint;
use crate::operation::Operation;

/// What a request called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    /// Nothing that is there.
    Nothing,
    /// What a model is asked for.
    Operation(Operation),
    /// A chat, in Anthropic's words.
    Messages,
    /// The list of models, or one of them.
    Models,
    /// A generated image.
    Images,
    /// A page for people, or what belongs to one.
    Page,
    /// What a browser asks before it asks.
    Preflight,
}

impl From<&Endpoint> for Called {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::Operation(operation) => Self::Operation(*operation),
            Endpoint::Messages => Self::Messages,
            Endpoint::Models | Endpoint::Model(_) => Self::Models,
            Endpoint::Image(_) => Self::Images,
            Endpoint::Page(_) => Self::Page,
            Endpoint::Preflight(_) => Self::Preflight,
        }
    }
}

impl Called {
    /// How many there are.
    pub const COUNT: usize = 6 + Operation::ALL.len();

    /// Its number, below [`Self::COUNT`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Messages => 1,
            Self::Models => 2,
            Self::Images => 3,
            Self::Page => 4,
            Self::Preflight => 5,
            Self::Operation(operation) => 6 + operation as usize,
        }
    }

    /// The word for the label: an operation's is the one that the configuration has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Operation(operation) => operation.name(),
            Self::Messages => "messages",
            Self::Models => "models",
            Self::Images => "images",
            Self::Page => "page",
            Self::Preflight => "preflight",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_number_and_a_word_of_its_own() {
        let others = [
            Called::Nothing,
            Called::Messages,
            Called::Models,
            Called::Images,
            Called::Page,
            Called::Preflight,
        ];
        let operations = Operation::ALL.map(Called::Operation);
        let all = || others.iter().chain(&operations);
        let numbers: BTreeSet<usize> = all().map(|called| called.index()).collect();
        let words: BTreeSet<&str> = all().map(|called| called.as_str()).collect();
        assert_eq!(numbers, (0..Called::COUNT).collect());
        assert_eq!(words.len(), Called::COUNT);
    }
}
