//! What does one of `[[pools]]` look like?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::upstreams::{Concurrency, Ejection, Hedging};
use super::{FileRef, seconds};
use crate::config::notation::name::{ApiVersion, File as FilePath, PoolLabel, Variable};
use crate::config::notation::place::{Path, TargetUrl};
use crate::config::notation::{Length, Written};

/// A pool of upstream targets that speak one dialect and share a credential.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Pool {
    /// Its name: models, metrics and the header `x-spafe-upstream` name it so.
    pub(in crate::config) name: Written<PoolLabel>,
    /// The protocol its targets speak.
    #[serde(default)]
    pub(in crate::config) dialect: Dialect,
    /// The version of the upstream's API, where the dialect is `azure` and only there.
    pub(in crate::config) api_version: Option<Written<ApiVersion>>,
    /// What becomes of a request that asks for something the dialect has no words for.
    #[serde(default)]
    pub(in crate::config) unsupported: Unsupported,
    /// Whether it is asked to count the tokens of a stream whose caller did not ask.
    #[serde(default)]
    pub(in crate::config) stream_usage: StreamUsage,
    /// Addresses that share the pool's requests.
    #[schemars(length(min = 1))]
    pub(in crate::config) targets: Vec<Target>,
    /// The credential for all targets; unset: none is sent.
    #[expect(
        dead_code,
        reason = "the check has looked it up already, with its place for messages"
    )]
    pub(in crate::config) api_key: Option<SecretRef>,
    /// Certificate authorities to trust for this pool instead of the system's, PEM.
    pub(in crate::config) ca: Option<FileRef>,
    /// Which versions of HTTP are spoken.
    #[serde(default)]
    pub(in crate::config) http: HttpVersion,
    /// Whether it is told which trace a request belongs to, where there is one.
    #[serde(default)]
    pub(in crate::config) traceparent: bool,
    /// How the next target is chosen.
    #[serde(default)]
    pub(in crate::config) balance: Balance,
    /// With `balance = "hash"`: what of a request names its target.
    #[serde(default)]
    pub(in crate::config) hash_by: HashBy,
    /// How long a target that comes back gets less than its share.
    #[serde(default = "slow_start")]
    pub(in crate::config) slow_start: Written<Length>,
    /// When a target rests; what is not said here stands in `[ejection]`.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(in crate::config) ejection: Ejection,
    /// How much is asked at once; what is not said here stands in `[concurrency]`.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(in crate::config) concurrency: Concurrency,
    /// Asking a second target where the first is slow; what is not said here stands in `[hedging]`.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(in crate::config) hedging: Hedging,
    /// How targets are looked after where no request does; unset: not at all.
    pub(in crate::config) check: Option<Check>,
    /// Deadlines that differ from `[timeouts]`.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(in crate::config) timeouts: PoolTimeouts,
}

/// The protocol a pool's targets speak.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Dialect {
    /// OpenAI chat completions.
    #[default]
    OpenAi,
    /// OpenAI chat completions as Azure has them: a deployment in the path, a version with it.
    Azure,
    /// OpenAI image generations.
    Images,
    /// Anthropic messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// OpenAI's Responses, for models that are served nowhere else.
    Responses,
}

/// What becomes of a request that asks for something the dialect has no words for.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Unsupported {
    /// Another pool is asked, or the caller is told which field it is.
    #[default]
    Refuse,
    /// The field is left out.
    Drop,
}

/// Whether a pool is asked to count the tokens of streams.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum StreamUsage {
    /// With `stream_options.include_usage`; who did not ask is not told.
    Ask,
    /// It is asked what its caller asks.
    #[default]
    Leave,
}

/// Which versions of HTTP a pool is spoken to with.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
pub(in crate::config) enum HttpVersion {
    /// HTTP/2 where TLS and ALPN agree on it, else HTTP/1.1.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// HTTP/1.1 only.
    #[serde(rename = "1.1")]
    Http1,
    /// HTTP/2 only; over plaintext with prior knowledge.
    #[serde(rename = "2")]
    Http2,
}

/// How the next target is chosen.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Balance {
    /// In turn, by weight.
    #[default]
    RoundRobin,
    /// Of two by chance the one with fewer requests in flight for its weight.
    LeastRequests,
    /// Of two by chance the one that answers sooner, for its requests in flight.
    PeakEwma,
    /// The same target for the same `hash_by`, as long as it is not overburdened.
    Hash,
}

/// What of a request names its target.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HashBy {
    /// Who asks.
    #[default]
    Client,
    /// The field `user`; without it as `client`.
    User,
    /// The field `prompt_cache_key`; without it as `conversation`.
    PromptCacheKey,
    /// How the messages begin, so that an upstream finds them in its own cache.
    Conversation,
}

/// How targets are looked after where no request does.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Check {
    /// Path that must answer with a status below 400, asked with the pool's credential; unset: a connection is enough.
    pub(in crate::config) path: Option<Written<Path>>,
    /// How often.
    #[serde(default = "interval")]
    pub(in crate::config) interval: Written<Length>,
    /// How long it may take; at most `interval`.
    #[serde(default = "timeout")]
    pub(in crate::config) timeout: Written<Length>,
    /// Good checks in a row after which a failed target is asked again.
    #[serde(default = "healthy_after")]
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) healthy_after: u32,
    /// Bad checks in a row after which it is not.
    #[serde(default = "unhealthy_after")]
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) unhealthy_after: u32,
}

/// One upstream address.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "url": "https://api.openai.com/v1" }))]
pub(in crate::config) struct Target {
    /// Where the paths of the dialect are appended: scheme, host, port if any, path.
    pub(in crate::config) url: Written<TargetUrl>,
    /// Its share of the pool's requests.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) weight: u32,
}

/// Where a secret stands: in an environment variable or in a file, never here.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    example = serde_json::json!({ "env": "OPENAI_API_KEY" }),
    extend("minProperties" = 1, "maxProperties" = 1)
)]
pub(in crate::config) struct SecretRef {
    /// Name of the environment variable.
    #[expect(dead_code, reason = "see Pool::api_key")]
    pub(in crate::config) env: Option<Written<Variable>>,
    /// Path of the file; blanks and line ends at its end are dropped.
    #[expect(dead_code, reason = "see Pool::api_key")]
    pub(in crate::config) file: Option<Written<FilePath>>,
}

/// Deadlines of one pool.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PoolTimeouts {
    /// TCP and TLS together.
    pub(in crate::config) connect: Option<Written<Length>>,
    /// From the request to the first event of a stream.
    pub(in crate::config) first_event: Option<Written<Length>>,
    /// From the request to the end of an answer that is no stream.
    pub(in crate::config) answer: Option<Written<Length>>,
    /// Between two reads of a stream.
    pub(in crate::config) event_gap: Option<Written<Length>>,
    /// A whole stream.
    pub(in crate::config) stream: Option<Written<Length>>,
    /// All attempts of a request together.
    pub(in crate::config) request: Option<Written<Length>>,
    /// How long an unused upstream connection is kept.
    pub(in crate::config) idle: Option<Written<Length>>,
}

fn one() -> u32 {
    1
}

fn slow_start() -> Written<Length> {
    seconds(10)
}

fn interval() -> Written<Length> {
    seconds(10)
}

fn timeout() -> Written<Length> {
    seconds(2)
}

fn healthy_after() -> u32 {
    2
}

fn unhealthy_after() -> u32 {
    3
}
