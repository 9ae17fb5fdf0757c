//! What do `[cache]` and a model's `cache` mean?

use super::bytes;
use crate::config::cache::{Cache, CacheOverride, CachePolicy, Scope};
use crate::config::file::cache as file;

pub(super) fn cache(file: file::Cache) -> Cache {
    let mut ignored_fields: Vec<Box<str>> = file
        .ignored_fields
        .into_iter()
        .map(|name| name.0.into())
        .collect();
    ignored_fields.sort_unstable();
    ignored_fields.dedup();
    Cache {
        policy: CachePolicy {
            enabled: file.enabled,
            ttl: file.ttl.0,
            scope: scope(file.scope),
            temperature_max: file.temperature_max,
            stale_while_revalidate: file.stale_while_revalidate.0,
            stale_if_error: file.stale_if_error.0,
            store_streams: file.store_streams,
            collapse: file.collapse,
        },
        max_bytes: file.max_bytes.0,
        entry_bytes_max: bytes(file.entry_bytes_max.0),
        anonymous: file.anonymous,
        ignored_fields,
        collapse_streams: file.collapse_streams,
        flight_bytes_max: bytes(file.flight_bytes_max.0),
        replay_gap: file.replay_gap.0,
        charge_tokens: file.charge_tokens,
        second_tier: file.second_tier,
        second_tier_bytes_max: bytes(file.second_tier_bytes_max.0),
        lease: file.lease.0,
    }
}

pub(super) fn own(file: &file::ModelCache) -> CacheOverride {
    CacheOverride {
        enabled: file.enabled,
        ttl: file.ttl.as_ref().map(|length| length.0),
        scope: file.scope.map(scope),
        temperature_max: file.temperature_max,
        stale_while_revalidate: file.stale_while_revalidate.as_ref().map(|length| length.0),
        stale_if_error: file.stale_if_error.as_ref().map(|length| length.0),
        store_streams: file.store_streams,
        collapse: file.collapse,
    }
}

fn scope(file: file::CacheScope) -> Scope {
    match file {
        file::CacheScope::PerKey => Scope::PerKey,
        file::CacheScope::PerClient => Scope::PerClient,
        file::CacheScope::Shared => Scope::Shared,
    }
}
