//! Do two configurations have the same secrets?
//!
//! What says how a configuration differs from another must not show its secrets, nor leave out
//! that one was replaced: a file that a secret is read from changes without a word of the
//! configuration. So it is told that they differ, and nothing of how.

use super::{ApiKey, Config};
use crate::names::Secret;

/// Whether any secret of one is another in the other, or is only in one of them.
#[must_use]
pub fn differ(before: &Config, after: &Config) -> bool {
    pools(before) != pools(after)
        || shared(before) != shared(after)
        || exports(before) != exports(after)
        || callers(before) != callers(after)
}

/// What each caller's key is known by, whatever their order is.
fn callers(config: &Config) -> Vec<(&str, &[u8; 32])> {
    let keys = config.keys.iter();
    let mut hashes: Vec<_> = keys.map(|key| (key.name.as_str(), &key.sha256)).collect();
    hashes.sort_unstable();
    hashes
}

/// The credential of each pool, whatever their order is.
fn pools(config: &Config) -> Vec<(&str, &ApiKey)> {
    let pools = config.pools.iter();
    let mut keys: Vec<_> = pools
        .map(|pool| (pool.name.as_str(), &pool.api_key))
        .collect();
    keys.sort_by_key(|(name, _)| *name);
    keys
}

fn shared(config: &Config) -> Option<(Option<&Secret>, &Secret)> {
    let shared = config.shared.as_ref()?;
    Some((shared.password.as_ref(), &shared.secret))
}

fn exports(config: &Config) -> Option<&[(String, Secret)]> {
    config.otlp.as_ref().map(|otlp| otlp.headers.as_slice())
}
