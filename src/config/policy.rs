//! How are targets chosen, spared and looked after?

use std::net::SocketAddr;
use std::time::Duration;

/// How the next target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// Of two by chance the one with fewer requests in flight for its weight.
    LeastRequests,
    /// Of two by chance the one that answers sooner, for its requests in flight.
    PeakEwma,
    /// The same target for the same key, as long as it is not overburdened.
    Hash(HashBy),
}

impl Balance {
    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastRequests => "least_requests",
            Self::PeakEwma => "peak_ewma",
            Self::Hash(_) => "hash",
        }
    }
}

/// What of a request names its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashBy {
    /// Who asks.
    Client,
    /// The field `user`; without it as `Client`.
    User,
    /// The field `prompt_cache_key`; without it as `Conversation`.
    PromptCacheKey,
    /// How the messages begin.
    Conversation,
}

/// When a target rests because of how it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row, ≥ 1.
    pub failures: u32,
    /// Failures in percent of the attempts in `window`, 1 to 100.
    pub failure_percent: u32,
    /// Attempts in `window` before that is looked at.
    pub requests_min: u32,
    /// How far back attempts are counted.
    pub window: Duration,
    /// Time to the first event, or to the answer, from which an attempt counts as a failure.
    pub latency: Option<Duration>,
    /// How long it rests the first time.
    pub time: Duration,
    /// `time_max ≥ time`
    pub time_max: Duration,
    /// Targets of a pool that may rest at the same time, in percent.
    pub pool_percent_max: u32,
}

/// How much is asked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// Requests in flight at one target, ≥ 1.
    pub target_max: usize,
    /// Requests in flight at all targets of a pool, ≥ 1.
    pub pool_max: usize,
    /// Requests that may wait for one of them to end.
    pub queue_max: usize,
    /// How long they wait at most.
    pub queue_wait: Duration,
    /// Whether a target's own bound is found, up to `target_max`, by how it answers.
    pub adaptive: bool,
}

/// Asking a second target where the first is slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hedging {
    /// Whether that is done.
    pub enabled: bool,
    /// How many more attempts it may cost, in percent of the pool's requests.
    pub percent: u32,
    /// The least time before the second is asked.
    pub after_min: Duration,
}

/// How targets are looked after where no request does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Path that must answer; `None`: a connection is enough.
    pub path: Option<String>,
    /// How often.
    pub interval: Duration,
    /// `timeout ≤ interval`
    pub timeout: Duration,
    /// Good checks in a row after which a failed target is asked again, ≥ 1.
    pub healthy_after: u32,
    /// Bad checks in a row after which it is not, ≥ 1.
    pub unhealthy_after: u32,
}

/// How names of targets are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Name servers to ask; empty: the system's.
    pub servers: Vec<SocketAddr>,
    /// The least time an answer is used.
    pub ttl_min: Duration,
    /// `ttl_max ≥ ttl_min`
    pub ttl_max: Duration,
}

/// When the file is read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// Whether the file, and the files it names, are watched.
    pub watch: bool,
    /// How long they must have been quiet.
    pub debounce: Duration,
    /// `poll ≥ debounce`
    pub poll: Duration,
}
