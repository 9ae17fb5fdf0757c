//! What does a request allow?
//!
//! The configuration says whose answers are kept; the body, whether another caller could be
//! given the answer (`user`, `store`, several choices that are to differ); and the caller, with
//! `cache-control`, whether it wants one from memory at all. `max-age=0` is `no-cache`: what
//! such a caller wants is another answer, and one that is on its way is none.
//!
//! `max-stale`, `min-fresh` and `only-if-cached` are not followed, as RFC 9111 leaves open: how
//! stale an answer may be is the operator's to say, and a question is asked to be answered.
//! `pragma` means nothing here. What is written wrongly is read as the stricter of its meanings.
//!
//! Source: RFC 9111, section 5.2.1.

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;

use crate::config::cache::{Cache, CachePolicy};
use crate::gateway::inspect::Ask;
use crate::operation::Operation;

/// What is drawn with where a request does not say: so it is with OpenAI, and nobody differs much.
const TEMPERATURE_UNSAID: f64 = 1.0;

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
    /// It is asked for somebody whom only the caller knows.
    User,
    /// More than one choice is asked for: they are to differ.
    Choices,
    /// Its `temperature` is above the bound.
    Temperature,
    /// Answers to what is asked for are not kept, or not as a stream.
    Endpoint,
}

/// What is asked, and by what its answers are kept.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What holds for everybody.
    pub config: &'a Cache,
    /// What holds for its model.
    pub policy: &'a CachePolicy,
    /// What is asked.
    pub ask: &'a Ask,
    /// Whether its caller has no key.
    pub is_anonymous: bool,
}

impl Allowed {
    /// Nothing, for this reason.
    #[must_use]
    pub fn nothing(bypass: Bypass) -> Self {
        Self {
            read: false,
            write: false,
            join: false,
            age_max: None,
            bypass: Some(bypass),
        }
    }

    /// What a request with these headers allows.
    #[must_use]
    pub fn of(facts: &Facts<'_>, headers: &HeaderMap) -> Self {
        if let Some(bypass) = facts.bypass() {
            return Self::nothing(bypass);
        }
        let wishes = Wishes::of(headers);
        if wishes.no_store {
            return Self::nothing(Bypass::NoStore);
        }
        let wants_another = wishes.no_cache || wishes.age_max == Some(Duration::ZERO);
        let Facts {
            config,
            policy,
            ask,
            is_anonymous: _,
        } = facts;
        Self {
            read: !wants_another,
            write: !ask.stream || policy.store_streams,
            join: !wants_another && policy.collapse && (!ask.stream || config.collapse_streams),
            age_max: wishes.age_max.filter(|_| !wants_another),
            bypass: None,
        }
    }
}

impl Facts<'_> {
    /// Why memory is not asked, whatever the caller says of it.
    fn bypass(&self) -> Option<Bypass> {
        let Self {
            config,
            policy,
            ask,
            is_anonymous,
        } = *self;
        let temperature = ask.temperature.unwrap_or(TEMPERATURE_UNSAID);
        let too_free = policy.temperature_max.is_some_and(|max| temperature > max);
        // Only of chats it is known how a stream is made of an answer, and an answer of a stream.
        let is_chat = ask.operation == Operation::Chat;
        let is_kept = ask.operation.is_kept() && (is_chat || !ask.stream);
        let reasons = [
            (!policy.enabled, Bypass::Disabled),
            (!is_kept, Bypass::Endpoint),
            (is_anonymous && !config.anonymous, Bypass::Anonymous),
            (ask.store, Bypass::Store),
            (ask.user.is_some(), Bypass::User),
            (ask.n.is_some_and(|n| n > 1), Bypass::Choices),
            (too_free, Bypass::Temperature),
        ];
        let reason = reasons.into_iter().find(|(holds, _)| *holds);
        reason.map(|(_, bypass)| bypass)
    }
}

impl Bypass {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Disabled,
        Self::Anonymous,
        Self::NoStore,
        Self::Store,
        Self::User,
        Self::Choices,
        Self::Temperature,
        Self::Endpoint,
    ];

    /// The word for the label and the header: a token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Anonymous => "anonymous",
            Self::NoStore => "no_store",
            Self::Store => "store",
            Self::User => "user",
            Self::Choices => "n",
            Self::Temperature => "temperature",
            Self::Endpoint => "endpoint",
        }
    }
}

/// What a caller says with `cache-control`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Wishes {
    no_cache: bool,
    no_store: bool,
    age_max: Option<Duration>,
}

impl Wishes {
    fn of(headers: &HeaderMap) -> Self {
        let mut wishes = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            // Also inside of quotes: what is read too much keeps more away from memory, not less.
            for directive in value.as_bytes().split(|byte| *byte == b',') {
                wishes.add(directive);
            }
        }
        wishes
    }

    fn add(&mut self, directive: &[u8]) {
        let mut parts = directive.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii();
        let argument = parts.next().map(<[u8]>::trim_ascii);
        if name.eq_ignore_ascii_case(b"no-cache") {
            self.no_cache = true;
        } else if name.eq_ignore_ascii_case(b"no-store") {
            self.no_store = true;
        } else if name.eq_ignore_ascii_case(b"max-age") {
            let age = Duration::from_secs(seconds(argument));
            self.age_max = Some(self.age_max.map_or(age, |before| before.min(age)));
        }
    }
}

/// An amount of seconds, in quotes or without; 0 where it is none.
fn seconds(argument: Option<&[u8]>) -> u64 {
    let text = argument.unwrap_or_default();
    let digits = match text.strip_prefix(b"\"") {
        Some(inside) => inside.strip_suffix(b"\"").unwrap_or_default(),
        None => text,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let number = |sum: u64, digit: &u8| {
        let sum = sum.saturating_mul(10);
        sum.saturating_add(u64::from(digit - b'0'))
    };
    digits.iter().fold(0, number)
}

#[cfg(test)]
mod tests;
