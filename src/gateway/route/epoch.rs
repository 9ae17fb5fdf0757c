//! Which parts of the configuration does an answer depend on?
//!
//! What answered yesterday must not be told as today's answer where somebody else would be
//! asked today. So whatever says who is asked, and in which words, is hashed when the
//! configuration is read, and the hash is a part of what an answer is kept by. How long
//! somebody is waited for, how often they are asked and with which credential changes no
//! answer, and must not empty the cache. All that is configured is taken apart in full: a new
//! field does not compile until somebody has decided what it is.

use super::{Fallback, Fallbacks};
use crate::config::{Config, Dialect, Modality, Model, ModelPool, Pool, Target};

/// What the hash is for, and the form of what is hashed: one that changes has another name.
const CONTEXT: &str = "spafe 2026-07 who answers for a model, form 1";

/// A hash of all that an answer of this model depends on, beside what is asked.
///
/// The name that a pool is told stands in the plan's legs, where it is resolved; what is
/// configured of it counts here as well, since a fallback's legs are seen nowhere else.
pub(super) fn epoch(config: &Config, model: &Model, fallbacks: &Fallbacks) -> [u8; 32] {
    let Model {
        id,
        // It shows in the id.
        is_pattern: _,
        // What an alias is resolved to does, not who else is resolved to it.
        aliases: _,
        pools,
        // As they were found by the router, below.
        fallbacks: _,
        context_fallbacks: _,
        policy_fallbacks: _,
        modality,
        weight: _,
        owned_by: _,
        created: _,
        timeouts: _,
        // How long its answers are kept and for whom changes none of them.
        cache: _,
    } = model;
    let mut parts = Parts(blake3::Hasher::new_derive_key(CONTEXT));
    // The answer of an image model says it.
    parts.text(id.as_str());
    parts.text(match modality {
        Modality::Text => "text",
        Modality::Image => "image",
    });
    parts.number(pools.len());
    for ModelPool { pool, name } in pools {
        parts.pool(config.pools.get(*pool));
        parts.number(usize::from(name.is_some()));
        parts.text(name.as_deref().unwrap_or_default());
    }
    let Fallbacks {
        unavailable,
        context,
        policy,
    } = fallbacks;
    for list in [unavailable, context, policy] {
        parts.number(list.len());
        for Fallback { name, plan } in list {
            parts.text(name);
            parts.0.update(&plan.epoch);
        }
    }
    *parts.0.finalize().as_bytes()
}

/// Hashed one after the other, each with its length, so that no two lists look the same.
struct Parts(blake3::Hasher);

impl Parts {
    fn number(&mut self, number: usize) {
        self.0.update(&(number as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    fn pool(&mut self, pool: Option<&Pool>) {
        // The configuration's check has excluded a pool that is not there.
        let Some(pool) = pool else {
            return self.text("");
        };
        let Pool {
            name,
            dialect,
            targets,
            // A key may be replaced at any time, for the same account.
            api_key: _,
            ca: _,
            http: _,
            balance: _,
            slow_start: _,
            ejection: _,
            concurrency: _,
            hedging: _,
            check: _,
            timeouts: _,
        } = pool;
        self.text(name.as_str());
        self.text(match dialect {
            Dialect::OpenAi => "openai",
            Dialect::Images => "images",
        });
        // In which order they stand decides nothing.
        let address = |Target { url, weight: _ }: &'_ Target| url.as_str().to_owned();
        let mut addresses: Vec<String> = targets.iter().map(address).collect();
        addresses.sort_unstable();
        self.number(addresses.len());
        for address in &addresses {
            self.text(address);
        }
    }
}
