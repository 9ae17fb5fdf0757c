//! What did the operator ask for?
//!
//! The file on disk (`config/read.rs`, `config/file.rs`) is checked as a whole
//! (`config/check.rs`) and becomes a [`Config`], in which every name resolves,
//! every number is in range and every duration has a value. What comes after
//! relies on that and never checks again.

/// The text of a file, read within bounds.
pub mod read;

/// The configuration as serde sees the file.
mod file;

/// `[server]`.
pub mod server;

/// `[bounds]` and `[attempts]`.
pub mod bounds;

/// How callers are told apart, and what they may ask for.
pub mod clients;

/// How much may be asked for, and where that is counted.
pub mod limits;

/// What answers cost.
pub mod costs;

/// What is answered from memory.
pub mod cache;

/// `[images]`.
pub mod images;

/// `[metrics]`.
pub mod metrics;
/// What is told to a collector.
pub mod otlp;

/// How a pool's targets are spoken to.
pub mod dialect;

/// How targets are chosen, spared and looked after.
pub mod policy;

/// Which pools can answer what.
mod operations;

/// What is told of each request.
pub mod log;

/// How each kind of text in it is read and written.
mod notation;

/// How lengths of time and amounts of bytes are written.
pub(crate) mod units;

/// Walks the spanned document and finds every problem with its place.
mod check;

/// What is wrong, where.
pub mod problem;

/// Where a key stands.
pub mod locate;

/// Which listeners can stand side by side.
pub mod listeners;

/// From the checked file to what runs.
mod build;

/// The configuration without its secrets.
mod redact;

/// Do two have the same secrets?
pub mod secrets;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::bounds::{Attempts, Bounds};
use self::cache::{Cache, CacheOverride};
use self::clients::{Anonymous, Auth, Clients, Key};
use self::costs::{Costs, Price};
use self::dialect::{Dialect, StreamUsage, Thinking, Unsupported};
use self::images::Images;
use self::limits::{Limit, Limiter, Shared};
use self::log::Log;
use self::metrics::Metrics;
use self::policy::{Balance, Check, Concurrency, Dns, Ejection, Hedging, Reload};
use self::problem::Problems;
use self::server::{Cors, Server};
use crate::names::{ModelId, PoolName, Secret};
use crate::operation::Operation;

#[cfg(test)]
pub(crate) use self::example::example;

/// The text of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What messages call it: the path of the file.
    pub name: &'a str,
    /// The text itself, TOML.
    pub text: &'a str,
}

/// Checks a configuration and makes it ready to run.
///
/// `env` looks up environment variables and `read` reads the files it names
/// (secrets, certificates): they come in so that nothing here depends on the
/// process it runs in.
///
/// # Errors
///
/// Every problem there is, in the order of the file.
pub fn load(
    source: Source<'_>,
    env: &dyn Fn(&str) -> Option<String>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Config, Problems> {
    let checked = check::check(source, &check::Outside { env, read })?;
    Ok(build::build(checked, source.text))
}

/// The JSON Schema of the file, for editors; files are checked along the same one.
#[must_use]
pub fn schema() -> serde_json::Value {
    file::schema()
}

/// The whole effective configuration, secrets as `***`.
#[must_use]
pub fn redacted(config: &Config) -> serde_json::Value {
    redact::redacted(config)
}

/// A whole, checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses, threads, TLS.
    pub server: Server,
    /// Bounds on what a caller may send, and how slowly.
    pub bounds: Bounds,
    /// How callers are told apart, and which of them may come in.
    pub clients: Clients,
    /// What callers without a key may ask for.
    pub anonymous: Anonymous,
    /// Whether callers show keys.
    pub auth: Auth,
    /// The keys that callers may show. Names and hashes are unique.
    pub keys: Vec<Key>,
    /// How much may be asked for, and by whom. Names are unique.
    pub limits: Vec<Limit>,
    /// How limits are kept, and tokens estimated.
    pub limiter: Limiter,
    /// What replicas count together; `None`: nothing.
    pub shared: Option<Shared>,
    /// How often a request is tried.
    pub attempts: Attempts,
    /// How names of targets are looked up.
    pub dns: Dns,
    /// When the file is read again.
    pub reload: Reload,
    /// What is answered from memory, for whom, and for how long.
    pub cache: Cache,
    /// How long it is remembered what was used.
    pub costs: Costs,
    /// Where generated images are kept.
    pub images: Images,
    /// Which web pages may call.
    pub cors: Cors,
    /// What is told of each request, where, and how.
    pub log: Log,
    /// How much metrics may tell.
    pub metrics: Metrics,
    /// What is told to a collector; `None`: nothing.
    pub otlp: Option<otlp::Otlp>,
    /// Pools of upstream targets, in the order of the file. Names are unique.
    pub pools: Vec<Pool>,
    /// Models, in the order of the file. Ids and aliases are unique among both.
    pub models: Vec<Model>,
    /// The first 12 hexadecimal digits of the BLAKE3 hash of the file's bytes, and, where
    /// there is one, of the bytes of the keys' file behind them.
    pub version: String,
}

/// One of `[[pools]]`.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// The protocol its targets speak.
    pub dialect: Dialect,
    /// The version of the upstream's API; present exactly where the dialect is Azure's.
    pub api_version: Option<String>,
    /// What becomes of what the dialect has no words for.
    pub unsupported: Unsupported,
    /// Whether it is asked to count the tokens of streams.
    pub stream_usage: StreamUsage,
    /// At least one.
    pub targets: Vec<Target>,
    /// The credential for all of its targets.
    pub api_key: ApiKey,
    /// PEM file of the certificate authorities that are trusted for this pool alone.
    pub ca: Option<PathBuf>,
    /// Which versions of HTTP are spoken.
    pub http: HttpVersion,
    /// Whether it is told which trace a request belongs to.
    pub traceparent: bool,
    /// How the next target is chosen.
    pub balance: Balance,
    /// How long a target that comes back gets less than its share.
    pub slow_start: Duration,
    /// When a target rests.
    pub ejection: Ejection,
    /// How much is asked at once.
    pub concurrency: Concurrency,
    /// Asking a second target where the first is slow.
    pub hedging: Hedging,
    /// How targets are looked after where no request does.
    pub check: Option<Check>,
    /// Deadlines, the defaults of `[timeouts]` already filled in.
    pub timeouts: Timeouts,
}

/// Where a pool's credential stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiKey {
    /// The pool needs none.
    None,
    /// Here it is.
    Known(Secret),
    /// It was named and is not there; the text says where it was looked for.
    Missing(String),
}

/// Which versions of HTTP a pool is spoken to with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/2 where TLS and ALPN agree on it, else HTTP/1.1.
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only; over plaintext with prior knowledge.
    Http2,
}

/// One upstream address of a pool.
#[derive(Debug, Clone)]
pub struct Target {
    /// `https` or `http`, host, optional port, path without a trailing slash.
    pub url: url::Url,
    /// Its share of the pool's requests, ≥ 1.
    pub weight: u32,
}

impl Target {
    /// What logs and metrics call it: `host:port`.
    #[must_use]
    pub fn label(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or(443);
        format!("{host}:{port}")
    }
}

/// Deadlines of an attempt and of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS together.
    pub connect: Duration,
    /// From the request to the first event of a stream.
    pub first_event: Duration,
    /// From the request to the end of an answer that is no stream.
    pub answer: Duration,
    /// Between two reads of a stream.
    pub event_gap: Duration,
    /// A whole stream.
    pub stream: Duration,
    /// All attempts of a request together.
    pub request: Duration,
    /// How long an unused upstream connection is kept.
    pub idle: Duration,
}

/// One of `[[models]]`.
#[derive(Debug, Clone)]
pub struct Model {
    /// Exact, or a pattern: a prefix followed by `*`.
    pub id: ModelId,
    /// Whether `id` is a pattern.
    pub is_pattern: bool,
    /// Other exact names.
    pub aliases: Vec<String>,
    /// In order of preference; at least one.
    pub pools: Vec<ModelPool>,
    /// Names of models that answer where none of its pools can. Each is routed.
    pub fallbacks: Vec<String>,
    /// Names of models that answer where the request is too long for it.
    pub context_fallbacks: Vec<String>,
    /// Names of models that answer where an upstream's policy refuses what was asked.
    pub policy_fallbacks: Vec<String>,
    /// Text or image.
    pub modality: Modality,
    /// What it can be asked for; at least one.
    pub operations: Vec<Operation>,
    /// How many requests one request to it counts as, ≥ 1.
    pub weight: u32,
    /// What its answers cost, where no pool of its says otherwise; `None`: nobody knows.
    pub price: Option<Price>,
    /// How many tokens an answer may have where the caller does not say and the dialect must,
    /// ≥ 1.
    pub max_tokens_default: u32,
    /// How it is told how hard to think, in Anthropic's dialect.
    pub thinking: Thinking,
    /// Who made it, for `/models`; the pool's name where the file is silent.
    pub owned_by: String,
    /// Unix seconds, for `/models`.
    pub created: i64,
    /// Deadlines that override its pools'.
    pub timeouts: TimeoutsOverride,
    /// What it says for itself of the cache.
    pub cache: CacheOverride,
}

/// A pool that can answer for a model.
#[derive(Debug, Clone)]
pub struct ModelPool {
    /// Index into [`Config::pools`].
    pub pool: usize,
    /// What that pool calls the model; `None`: what the caller called it is sent,
    /// except for an alias, where it is the model's id.
    pub name: Option<String>,
    /// What its answers cost there; `None`: as the model says.
    pub price: Option<Price>,
}

/// What a model makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
}

/// Deadlines a model sets for itself; `None` leaves the pool's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeoutsOverride {
    /// See [`Timeouts::connect`].
    pub connect: Option<Duration>,
    /// See [`Timeouts::first_event`].
    pub first_event: Option<Duration>,
    /// See [`Timeouts::answer`].
    pub answer: Option<Duration>,
    /// See [`Timeouts::event_gap`].
    pub event_gap: Option<Duration>,
    /// See [`Timeouts::stream`].
    pub stream: Option<Duration>,
    /// See [`Timeouts::request`].
    pub request: Option<Duration>,
}

#[cfg(test)]
mod example;
