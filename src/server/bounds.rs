//! Which bounds are in force?
//!
//! What is written, within what the system allows; and whoever watches is told what came of that.

use super::{descriptors, memory};
use crate::config::Config;
use crate::config::bounds::Bounds;
use crate::gateway::exchange::events::StreamBreak;
use crate::gateway::record::metrics::Metrics;

/// Keeps bounds within what the system allows. Whatever configuration is used is to be fitted.
pub(super) fn fit(bounds: &mut Bounds) {
    descriptors::fit(bounds, descriptors::allowed());
    memory::fit(bounds, memory::allowed());
}

/// Tells what is in force, and begins what is told of it.
pub(super) fn tell(config: &Config, metrics: &Metrics) {
    metrics.begin(config, &StreamBreak::ALL.map(StreamBreak::as_str));
    let limits = &config.bounds;
    for (name, limit) in [
        ("body_bytes", limits.body_bytes_max),
        ("form_bytes", limits.form_bytes_max),
        ("inputs", limits.inputs_max),
        ("bodies_bytes", limits.bodies_bytes_max),
        ("memory_bytes", limits.memory_max),
        ("head_bytes", limits.head_bytes_max),
        ("head_fields", limits.head_fields_max),
        ("request_line_bytes", limits.request_line_bytes_max),
        ("json_depth", limits.json_depth_max),
        ("json_keys", limits.json_keys_max),
        ("connections", limits.connections_max),
        (
            "connections_per_address",
            limits.connections_per_address_max,
        ),
        ("connections_per_v6_56", limits.connections_per_v6_56_max),
        ("connections_per_v6_48", limits.connections_per_v6_48_max),
        ("h2_header_list_bytes", limits.h2_header_list_bytes_max),
        ("in_flight", limits.in_flight_max),
        ("in_flight_per_client", limits.in_flight_per_client_max),
    ] {
        metrics.limit(name, limit);
    }
    let accepts = usize::try_from(limits.accepts_per_second_max).unwrap_or(usize::MAX);
    metrics.limit("accepts_per_second", accepts);
    let streams = usize::try_from(limits.h2_streams_max).unwrap_or(usize::MAX);
    metrics.limit("h2_streams", streams);
    metrics.limit("attempts", config.attempts.max);
    metrics.limit("limiter_keys", config.limiter.keys_max);
    metrics.limit("usage_rows", config.costs.history_rows_max);
    metrics.limit("cache_entry_bytes", config.cache.entry_bytes_max);
    metrics.limit("cache_flight_bytes", config.cache.flight_bytes_max);
    let shared = config.cache.second_tier_bytes_max;
    metrics.limit("cache_second_tier_bytes", shared);
    metrics.limit("metric_series", config.metrics.series_max);
    metrics.limit("image_bytes", config.images.image_bytes_max);
    let store = usize::try_from(config.images.store_bytes_max).unwrap_or(usize::MAX);
    metrics.limit("image_store_bytes", store);
}
