//! What names the target of a request where the balancer hashes?
//!
//! Who asks, or what of the body the pool's `hash_by` says.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::config::policy::{Balance, HashBy};
use crate::gateway::exchange::Question;

/// How much of a conversation names it: enough to hold a system prompt's beginning, and
/// little enough to be the same when the conversation has gone on.
const CONVERSATION_BYTES: usize = 512;

/// The number by which a target is chosen.
pub(super) fn key(question: &Question, method: Balance) -> u64 {
    let Balance::Hash(by) = method else {
        return 0;
    };
    let ask = &question.ask;
    let mut hasher = DefaultHasher::new();
    let mut named = |what: &[u8]| {
        what.hash(&mut hasher);
        hasher.finish()
    };
    match (by, &ask.user, &ask.prompt_cache_key) {
        (HashBy::User, Some(user), _) => named(user.as_bytes()),
        (HashBy::PromptCacheKey, _, Some(cache_key)) => named(cache_key.as_bytes()),
        (HashBy::Client | HashBy::User, ..) => question.client,
        (HashBy::PromptCacheKey | HashBy::Conversation, ..) => {
            let messages = question.body.get(ask.messages_span.clone());
            let messages = messages.unwrap_or_default();
            named(messages.get(..CONVERSATION_BYTES).unwrap_or(messages))
        }
    }
}
