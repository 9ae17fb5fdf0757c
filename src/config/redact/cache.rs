//! What may an operator see of the cache's configuration?

use serde_json::{Value, json};

use crate::config::cache::{Cache, CacheOverride, CachePolicy, Scope};
use crate::config::units::{duration_text, size_text};

pub(super) fn cache(cache: &Cache) -> Value {
    let Cache {
        policy,
        max_bytes,
        entry_bytes_max,
        anonymous,
        ignored_fields,
        collapse_streams,
        flight_bytes_max,
        replay_gap,
        charge_tokens,
        second_tier,
        second_tier_bytes_max,
        lease,
    } = cache;
    let CachePolicy {
        enabled,
        ttl,
        scope,
        temperature_max,
        stale_while_revalidate,
        stale_if_error,
        store_streams,
        collapse,
    } = *policy;
    json!({
        "enabled": enabled,
        "max_bytes": size_text(*max_bytes),
        "entry_bytes_max": size_text(*entry_bytes_max as u64),
        "ttl": duration_text(ttl),
        "stale_while_revalidate": duration_text(stale_while_revalidate),
        "stale_if_error": duration_text(stale_if_error),
        "scope": scope.as_str(),
        "anonymous": anonymous,
        "ignored_fields": ignored_fields,
        "temperature_max": temperature_max,
        "collapse": collapse,
        "collapse_streams": collapse_streams,
        "flight_bytes_max": size_text(*flight_bytes_max as u64),
        "store_streams": store_streams,
        "replay_gap": duration_text(*replay_gap),
        "charge_tokens": charge_tokens,
        "second_tier": second_tier,
        "second_tier_bytes_max": size_text(*second_tier_bytes_max as u64),
        "lease": duration_text(*lease),
    })
}

pub(super) fn own(own: &CacheOverride) -> Value {
    let CacheOverride {
        enabled,
        ttl,
        scope,
        temperature_max,
        stale_while_revalidate,
        stale_if_error,
        store_streams,
        collapse,
    } = *own;
    json!({
        "enabled": enabled,
        "ttl": ttl.map(duration_text),
        "scope": scope.map(Scope::as_str),
        "temperature_max": temperature_max,
        "stale_while_revalidate": stale_while_revalidate.map(duration_text),
        "stale_if_error": stale_if_error.map(duration_text),
        "store_streams": store_streams,
        "collapse": collapse,
    })
}
