//! What does a request allow?

use std::time::Duration;

/// What a request allows. Where it is not answered from memory at all, it allows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Whether it may be answered from memory.
    pub read: bool,
    /// Whether its answer may be kept.
    pub write: bool,
    /// Whether it may share the answer to another one that is on its way, and have its own shared.
    pub join: bool,
    /// How old an answer from memory may be.
    pub age_max: Option<Duration>,
    /// Why memory is not asked.
    pub bypass: Option<Bypass>,
}

/// Why memory is not asked, and its answer is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bypass {
    /// Its model's answers are not kept.
    Disabled,
    /// Its caller has no key, and such callers are not answered from memory.
    Anonymous,
    /// The caller says `cache-control: no-store`.
    NoStore,
    /// The upstream is to keep its answer.
    Store,
    /// It is asked for an end user, who is its caller's and unknown here.
    User,
    /// More than one choice is asked for: they are to differ.
    Choices,
    /// Its `temperature` is above the bound.
    Temperature,
}

impl Bypass {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 7] = [
        Self::Disabled,
        Self::Anonymous,
        Self::NoStore,
        Self::Store,
        Self::User,
        Self::Choices,
        Self::Temperature,
    ];

    /// The word for the label and the header: a token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Anonymous => "anonymous",
            Self::NoStore => "no-store",
            Self::Store => "store",
            Self::User => "user",
            Self::Choices => "n",
            Self::Temperature => "temperature",
        }
    }
}
