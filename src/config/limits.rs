//! How much may be asked for, and where is that counted?

use std::path::PathBuf;
use std::time::Duration;

use crate::money::Usd;
use crate::names::{LimitName, Secret};

/// One of `[[limits]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What messages, logs and metrics call it; unique.
    pub name: LimitName,
    /// What is counted apart.
    pub by: By,
    /// Whom it concerns.
    pub callers: Callers,
    /// Ids of models, or patterns, that it concerns; empty: all.
    pub models: Vec<String>,
    /// How much.
    pub allowance: Allowance,
    /// Where it is counted.
    pub scope: Scope,
    /// Whether it refuses nobody.
    pub shadow: bool,
}

impl Limit {
    /// Whether it concerns the model that is called this.
    #[must_use]
    pub fn concerns(&self, model: &str) -> bool {
        lists(&self.models, model)
    }
}

/// Whether a list of ids and patterns has a model: no list is all, and a pattern is a prefix
/// and a star.
#[must_use]
pub fn lists(models: &[String], model: &str) -> bool {
    let fits = |listed: &String| match listed.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => model == listed,
    };
    models.is_empty() || models.iter().any(fits)
}

/// How much of each kind; `None`: any number. At least one of them is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a span of time.
    pub requests: Option<Window>,
    /// Tokens in a span of time.
    pub tokens: Option<Window>,
    /// Dollars in a span of the calendar, in billionths.
    pub cost: Option<Window>,
    /// Requests in flight, ≥ 1.
    pub concurrent: Option<u32>,
    /// Streams in flight, ≥ 1.
    pub streams: Option<u32>,
}

/// So many in any span `t`: at most `burst + t · count / per`; or, of the calendar, so many in
/// each `per` since [`Window::ORIGIN_UNIX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// ≥ 1; of the calendar, ≤ [`Window::CALENDAR_MAX`]
    pub count: u64,
    /// From one millisecond to 31 days.
    pub per: Duration,
    /// ≥ 1; of the calendar, as `count`.
    pub burst: u64,
    /// Whether nothing comes back before the span is over, and all of it then.
    pub calendar: bool,
}

impl Window {
    /// Monday, 1970-01-05 in UTC: days begin at midnight from there, and weeks on Mondays.
    pub const ORIGIN_UNIX: Duration = Duration::from_hours(4 * 24);

    /// The most of a span of the calendar: a million dollars, in billionths.
    pub const CALENDAR_MAX: u64 = 1_000_000_000_000_000;

    /// So many dollars in each such span of the calendar.
    #[must_use]
    pub fn budget(usd: Usd, per: Duration) -> Self {
        let nanos = usd.as_nanos().clamp(1, Self::CALENDAR_MAX);
        Self {
            count: nanos,
            per,
            burst: nanos,
            calendar: true,
        }
    }
}

/// What is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Each caller: its key, or else its address.
    Client,
    /// Each key.
    Key,
    /// Each model.
    Model,
    /// Each model of each caller.
    ClientModel,
    /// Nothing: all together.
    Global,
}

impl By {
    /// As it stands in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Key => "key",
            Self::Model => "model",
            Self::ClientModel => "client+model",
            Self::Global => "global",
        }
    }
}

/// Whom a limit concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Everybody.
    All,
    /// Those without a key.
    Anonymous,
    /// Those with one.
    Keys,
}

/// Where a limit is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In this process.
    Local,
    /// In all replicas together.
    Shared,
}

/// `[limiter]`
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    /// Counts that are kept.
    pub keys_max: usize,
    /// Bytes of a question that are taken for one token, ≥ 1.
    pub bytes_per_token: u32,
    /// Tokens reserved for an answer whose question sets no bound.
    pub output_tokens: u32,
}

/// `[shared]`, where `redis` is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// `redis://` or `rediss://`, without a password.
    pub redis: String,
    /// The password.
    pub password: Option<Secret>,
    /// Certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether it is a node of a cluster.
    pub cluster: bool,
    /// What names of callers are hashed with.
    pub secret: Secret,
    /// What all keys begin with, without its braces.
    pub hash_tag: String,
    /// How many processes share a limit while it is away; `None`: as many as were last seen.
    pub replicas: Option<u32>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Failures in a row after which it is not asked, ≥ 1.
    pub failures: u32,
    /// For how long it is not asked then.
    pub rest: Duration,
}
