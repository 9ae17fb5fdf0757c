//! Can answers be kept as it is said, and shared with whom it is said?

use std::time::Duration;

use super::Findings;
use super::bounds::{at_most, not_larger, size};
use super::node::Node;
use crate::config::file::cache::Cache;
use crate::config::notation::LengthOrZero;
use crate::config::units;

/// An answer is held in memory while it is written.
const ENTRY_BYTES_CEILING: u64 = 64 << 20;

/// The longest pause between two events: longer ones look like a stream that hangs.
const REPLAY_GAP_CEILING: Duration = Duration::from_secs(1);

/// Checks `[cache]`.
pub(super) fn check(root: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let Some(cache) = root.get("cache") else {
        return;
    };
    let default = Cache::default();
    let one = size(&cache, "entry_bytes_max", default.entry_bytes_max.0);
    let all = size(&cache, "max_bytes", default.max_bytes.0);
    not_larger(
        &cache,
        ("entry_bytes_max", one),
        ("max_bytes", all),
        findings,
    );
    for key in [
        "entry_bytes_max",
        "flight_bytes_max",
        "second_tier_bytes_max",
    ] {
        at_most(&cache, key, ENTRY_BYTES_CEILING, findings);
    }
    if let Some(node) = cache.get("replay_gap")
        && let Some(gap) = node.read::<LengthOrZero>()
        && gap > REPLAY_GAP_CEILING
    {
        let ceiling = units::duration_text(REPLAY_GAP_CEILING);
        findings.add(&node, format!("must be at most {ceiling}"));
    }
    shared_over_something(root, &cache, findings);
}

/// What replicas share needs a place to be shared in.
fn shared_over_something(root: &Node<'_, '_>, cache: &Node<'_, '_>, findings: &mut Findings<'_>) {
    let is_on = |node: &Node<'_, '_>| node.value().as_bool() == Some(true);
    let second_tier = cache.get("second_tier").filter(is_on);
    let redis = root.get("shared").and_then(|shared| shared.get("redis"));
    if let Some(node) = second_tier.as_ref().filter(|_| redis.is_none()) {
        findings.add(
            node,
            "has nothing to share answers over; set shared.redis, or write false",
        );
    }
    let lease = cache.get("lease");
    let is_some = |node: &Node<'_, '_>| {
        let length = node.read::<LengthOrZero>();
        length.is_some_and(|length| !length.is_zero())
    };
    if let Some(node) = lease.filter(|node| second_tier.is_none() && is_some(node)) {
        findings.add(
            &node,
            "lets others wait for an answer that they never see; add second_tier = true, or write \"0s\"",
        );
    }
}
