//! Which parts of the configuration does an answer depend on?
//!
//! What answered yesterday must not be told as today's answer where somebody else would be
//! asked today. So whatever says who is asked, and in which words, is hashed when the
//! configuration is read, and the hash is a part of what an answer is kept by. How long
//! somebody is waited for, how often they are asked and with which credential changes no
//! answer, and must not empty the cache. All that is configured is taken apart in full: a new
//! field does not compile until somebody has decided what it is.

use super::{Fallback, Fallbacks};
use crate::config::{Config, Modality, Model, ModelPool, Pool, Target};

/// What the hash is for, and the form of what is hashed: one that changes has another name.
const CONTEXT: &str = "spafe 2026-11-29 who answers for a model, form 3";

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
        // What it is asked for is a part of what its answers are kept by.
        operations: _,
        weight: _,
        // Whatever it costs, it is the same answer.
        price: _,
        max_tokens_default,
        thinking,
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
    // Where a dialect must say it, another number is another answer.
    parts.0.update(&max_tokens_default.to_le_bytes());
    parts.text(thinking.as_str());
    parts.number(pools.len());
    for ModelPool {
        pool,
        name,
        price: _,
    } in pools
    {
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
            api_version,
            unsupported,
            // What it is asked more changes no word of its answer.
            stream_usage: _,
            traceparent: _,
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
        self.text(dialect.as_str());
        self.text(api_version.as_deref().unwrap_or_default());
        self.text(unsupported.as_str());
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Source, load};
    use crate::gateway::pools::registry::Registry;
    use crate::gateway::record::metrics::Metrics;
    use crate::snapshot::Snapshot;

    const CONFIG: &str = r#"
[[pools]]
name = "p"
api_key = { env = "P" }
targets = [{ url = "http://127.0.0.1:1/v1" }, { url = "http://127.0.0.1:2/v1", weight = 2 }]
[[pools]]
name = "q"
targets = [{ url = "http://127.0.0.1:3/v1" }]
[[models]]
id = "m"
aliases = ["a"]
pools = ["p", { pool = "q", name = "vendor/m" }]
fallbacks = ["f"]
[[models]]
id = "f"
pools = ["q"]
"#;

    fn epoch(config: &str, model: &str) -> [u8; 32] {
        let source = Source {
            name: "epoch.toml",
            text: config,
        };
        let nothing = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let secret = |_: &str| Some(config.len().to_string());
        let config = load(source, &secret, &nothing).unwrap_or_else(|found| panic!("{found}"));
        let snapshot = Snapshot::new(config, &Registry::default(), &Metrics::new()).unwrap();
        snapshot.router.route(model).unwrap().epoch
    }

    /// What becomes of the epoch of `m` where a text of the configuration becomes another.
    #[track_caller]
    fn check(from: &str, to: &str, is_same: bool) {
        assert!(CONFIG.contains(from), "{from}");
        let changed = CONFIG.replacen(from, to, 1);
        let same = epoch(CONFIG, "m") == epoch(&changed, "m");
        assert_eq!(same, is_same, "{from} -> {to}");
    }

    #[test]
    fn whoever_is_asked_otherwise_is_another_epoch() {
        for (from, to) in [
            ("127.0.0.1:1", "127.0.0.1:9"),
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("127.0.0.1:1/v1", "127.0.0.1:1/v2"),
            ("http://127.0.0.1:1", "https://127.0.0.1:1"),
            (", { url = \"http://127.0.0.1:2/v1\", weight = 2 }", ""),
            ("127.0.0.1:3/v1", "127.0.0.1:3/v2"),
            ("vendor/m", "vendor/m2"),
            (", name = \"vendor/m\"", ""),
            (
                "[\"p\", { pool = \"q\", name = \"vendor/m\" }]",
                "[{ pool = \"q\", name = \"vendor/m\" }, \"p\"]",
            ),
            // In which words.
            (
                "name = \"p\"",
                "name = \"p\"\ndialect = \"azure\"\napi_version = \"1\"",
            ),
            ("name = \"p\"", "name = \"p\"\nunsupported = \"drop\""),
            ("id = \"m\"", "id = \"m\"\nmax_tokens_default = 7"),
            ("id = \"m\"", "id = \"m\"\nthinking = \"adaptive\""),
            ("name = \"p\"", "name = \"p\"\ndialect = \"anthropic\""),
            ("fallbacks = [\"f\"]", ""),
            ("fallbacks = [\"f\"]", "context_fallbacks = [\"f\"]"),
            ("fallbacks = [\"f\"]", "policy_fallbacks = [\"f\"]"),
            // How a fallback is asked.
            ("id = \"f\"\npools = [\"q\"]", "id = \"f\"\npools = [\"p\"]"),
            (
                "id = \"f\"\npools = [\"q\"]",
                "id = \"f\"\npools = [{ pool = \"q\", name = \"g\" }]",
            ),
        ] {
            check(from, to, false);
        }
    }

    #[test]
    fn whatever_changes_no_answer_is_the_same_epoch() {
        let of_pool = "name = \"p\"\nhttp = \"1.1\"\nbalance = \"least_requests\"\nslow_start = \"7s\"\n\
             ejection = { failures = 7 }\nconcurrency = { pool_max = 7 }\nhedging = { enabled = true }\n\
             check = { path = \"/v1\" }\ntimeouts = { answer = \"7s\" }";
        let of_model = "id = \"m\"\nweight = 7\nowned_by = \"o\"\ncreated = 2024-05-13\n\
             timeouts = { answer = \"7s\" }";
        for (from, to) in [
            ("weight = 2", "weight = 3"),
            ("{ env = \"P\" }", "{ env = \"Q\" }"),
            ("aliases = [\"a\"]", "aliases = [\"b\", \"c\"]"),
            ("name = \"p\"", of_pool),
            ("id = \"m\"", of_model),
            // In which order targets stand.
            (
                "127.0.0.1:1/v1\" }, { url = \"http://127.0.0.1:2",
                "127.0.0.1:2/v1\" }, { url = \"http://127.0.0.1:1",
            ),
            // What stands elsewhere.
            ("[[pools]]", "[attempts]\nbackoff_max = \"7s\"\n[[pools]]"),
            ("id = \"f\"", "id = \"f\"\nweight = 7"),
            // Fallbacks of a fallback are not followed.
            ("id = \"f\"", "id = \"f\"\nfallbacks = [\"m\"]"),
        ] {
            check(from, to, true);
        }
    }

    #[test]
    fn an_alias_is_of_the_epoch_of_its_model_and_another_model_is_not() {
        assert_eq!(epoch(CONFIG, "m"), epoch(CONFIG, "a"));
        assert_ne!(epoch(CONFIG, "m"), epoch(CONFIG, "f"));
    }
}
