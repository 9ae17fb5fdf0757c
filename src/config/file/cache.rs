//! What do `[cache]` and a model's `cache` look like?

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::seconds;
use crate::config::notation::name::Member;
use crate::config::notation::{Length, LengthOrZero, Size, Written};

/// What is answered from memory, for whom, and for how long.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, and none excludes another"
)]
pub(in crate::config) struct Cache {
    /// Whether answers are kept, and shared while they are on their way.
    pub(in crate::config) enabled: bool,
    /// Bytes of all answers that are kept; the least used go first.
    pub(in crate::config) max_bytes: Written<Size>,
    /// Bytes of one answer that is kept; at most `max_bytes`.
    pub(in crate::config) entry_bytes_max: Written<Size>,
    /// How long an answer is fresh.
    pub(in crate::config) ttl: Written<Length>,
    /// How long after `ttl` an answer is still given while another is fetched; `0s`: not at all.
    pub(in crate::config) stale_while_revalidate: Written<LengthOrZero>,
    /// How long after `ttl` an answer is still given where no upstream answers; `0s`: not at all.
    pub(in crate::config) stale_if_error: Written<LengthOrZero>,
    /// Who shares answers.
    pub(in crate::config) scope: CacheScope,
    /// Whether callers without a key are answered from it.
    pub(in crate::config) anonymous: bool,
    /// Top-level members that requests may differ in and still be the same.
    pub(in crate::config) ignored_fields: Vec<Written<Member>>,
    /// The highest `temperature` whose answers are kept; unset: any.
    #[schemars(range(min = 0, max = 2), example = 1.0)]
    pub(in crate::config) temperature_max: Option<f64>,
    /// Whether the same request in flight twice asks an upstream once.
    pub(in crate::config) collapse: bool,
    /// Whether streams do so, too.
    pub(in crate::config) collapse_streams: bool,
    /// Bytes of a stream on its way that are kept for those who join it later.
    pub(in crate::config) flight_bytes_max: Written<Size>,
    /// Whether answers that came as a stream are kept, too.
    pub(in crate::config) store_streams: bool,
    /// The pause between two events of an answer that is played again.
    pub(in crate::config) replay_gap: Written<LengthOrZero>,
    /// Whether tokens of answers that no upstream was asked for count in limits.
    pub(in crate::config) charge_tokens: bool,
    /// Whether replicas share answers, over `[shared] redis`.
    pub(in crate::config) second_tier: bool,
    /// Bytes of one answer that is shared.
    pub(in crate::config) second_tier_bytes_max: Written<Size>,
    /// How long one replica may make an answer for all; `0s`: each makes its own.
    pub(in crate::config) lease: Written<LengthOrZero>,
}

impl Default for Cache {
    fn default() -> Self {
        let zero = || Written(Duration::ZERO);
        Self {
            enabled: true,
            max_bytes: Written(64 << 20),
            entry_bytes_max: Written(256 << 10),
            ttl: seconds(300),
            stale_while_revalidate: zero(),
            stale_if_error: zero(),
            scope: CacheScope::PerKey,
            anonymous: true,
            ignored_fields: Vec::new(),
            temperature_max: None,
            collapse: true,
            collapse_streams: true,
            flight_bytes_max: Written(1 << 20),
            store_streams: false,
            replay_gap: zero(),
            charge_tokens: false,
            second_tier: false,
            second_tier_bytes_max: Written(1 << 20),
            lease: zero(),
        }
    }
}

/// Who shares answers.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum CacheScope {
    /// Each key has its own, and all callers without one share theirs.
    PerKey,
    /// Each key has its own, and each caller without one.
    PerClient,
    /// Everybody.
    Shared,
}

/// What is different for the answers of one model.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ModelCache {
    /// Whether answers are kept, and shared while they are on their way.
    pub(in crate::config) enabled: Option<bool>,
    /// How long an answer is fresh.
    pub(in crate::config) ttl: Option<Written<Length>>,
    /// Who shares answers.
    pub(in crate::config) scope: Option<CacheScope>,
    /// The highest `temperature` whose answers are kept.
    #[schemars(range(min = 0, max = 2), example = 1.0)]
    pub(in crate::config) temperature_max: Option<f64>,
    /// How long after `ttl` an answer is still given while another is fetched.
    pub(in crate::config) stale_while_revalidate: Option<Written<LengthOrZero>>,
    /// How long after `ttl` an answer is still given where no upstream answers.
    pub(in crate::config) stale_if_error: Option<Written<LengthOrZero>>,
    /// Whether answers that came as a stream are kept, too.
    pub(in crate::config) store_streams: Option<bool>,
    /// Whether the same request in flight twice asks an upstream once.
    pub(in crate::config) collapse: Option<bool>,
}
