//! What is answered from memory, for whom, and for how long?

use std::time::Duration;

/// `[cache]`
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the file, and none excludes another"
)]
pub struct Cache {
    /// What holds for every model that does not say otherwise.
    pub policy: CachePolicy,
    /// Bytes of all answers that are kept, ≥ `entry_bytes_max`.
    pub max_bytes: u64,
    /// Bytes of one answer that is kept.
    pub entry_bytes_max: usize,
    /// Whether callers without a key are answered from it.
    pub anonymous: bool,
    /// Top-level members of a body that two requests may differ in and still be the same; sorted,
    /// and none that decides what is asked.
    pub ignored_fields: Vec<Box<str>>,
    /// Whether streams, too, share an answer that is on its way.
    pub collapse_streams: bool,
    /// Bytes of a stream on its way that are kept for those who join it later.
    pub flight_bytes_max: usize,
    /// The pause between two events of an answer that is played again; may be none.
    pub replay_gap: Duration,
    /// Whether tokens of answers that nobody was asked for count in limits.
    pub charge_tokens: bool,
    /// Whether replicas share answers; then [`Config::shared`](super::Config::shared) is there.
    pub second_tier: bool,
    /// Bytes of one answer that is shared.
    pub second_tier_bytes_max: usize,
    /// How long one replica may make an answer for all; zero: each makes its own.
    pub lease: Duration,
}

/// What a model's answers are kept by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CachePolicy {
    /// Whether its answers are kept, and shared while they are on their way.
    pub enabled: bool,
    /// How long an answer is fresh, > 0.
    pub ttl: Duration,
    /// Who shares answers.
    pub scope: Scope,
    /// The highest `temperature` whose answers are kept, 0 to 2; `None`: any.
    pub temperature_max: Option<f64>,
    /// How long after that it is still given while another is fetched.
    pub stale_while_revalidate: Duration,
    /// How long after that it is still given where no upstream answers.
    pub stale_if_error: Duration,
    /// Whether answers that came as a stream are kept, too.
    pub store_streams: bool,
    /// Whether the same request in flight twice asks an upstream once.
    pub collapse: bool,
}

/// What a model says for itself; `None` leaves what `[cache]` says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CacheOverride {
    /// See [`CachePolicy::enabled`].
    pub enabled: Option<bool>,
    /// See [`CachePolicy::ttl`].
    pub ttl: Option<Duration>,
    /// See [`CachePolicy::scope`].
    pub scope: Option<Scope>,
    /// See [`CachePolicy::temperature_max`].
    pub temperature_max: Option<f64>,
    /// See [`CachePolicy::stale_while_revalidate`].
    pub stale_while_revalidate: Option<Duration>,
    /// See [`CachePolicy::stale_if_error`].
    pub stale_if_error: Option<Duration>,
    /// See [`CachePolicy::store_streams`].
    pub store_streams: Option<bool>,
    /// See [`CachePolicy::collapse`].
    pub collapse: Option<bool>,
}

/// Who shares answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Each key has its own, and all callers without one share theirs.
    PerKey,
    /// Each key has its own, and each caller without one.
    PerClient,
    /// Everybody.
    Shared,
}

impl CachePolicy {
    /// The same, but for what a model says for itself.
    #[must_use]
    pub fn overridden(self, own: &CacheOverride) -> Self {
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
        Self {
            enabled: enabled.unwrap_or(self.enabled),
            ttl: ttl.unwrap_or(self.ttl),
            scope: scope.unwrap_or(self.scope),
            temperature_max: temperature_max.or(self.temperature_max),
            stale_while_revalidate: stale_while_revalidate.unwrap_or(self.stale_while_revalidate),
            stale_if_error: stale_if_error.unwrap_or(self.stale_if_error),
            store_streams: store_streams.unwrap_or(self.store_streams),
            collapse: collapse.unwrap_or(self.collapse),
        }
    }
}

impl Scope {
    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerKey => "per_key",
            Self::PerClient => "per_client",
            Self::Shared => "shared",
        }
    }
}
