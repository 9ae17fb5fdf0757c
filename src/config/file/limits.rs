//! What do `[[limits]]`, `[limiter]` and `[shared]` look like?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FileRef;
use super::costs::Budget;
use super::pool::SecretRef;
use crate::config::notation::name::{Label, ModelPattern};
use crate::config::notation::place::RedisUrl;
use crate::config::notation::{Length, Written};

/// How much may be asked for, and by whom.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limit {
    /// What messages, logs and metrics call it.
    pub(in crate::config) name: Written<Label>,
    /// What is counted apart.
    pub(in crate::config) by: By,
    /// Whom it concerns.
    #[serde(default)]
    pub(in crate::config) callers: Callers,
    /// Ids of models, or patterns, that it concerns; empty: all.
    #[serde(default)]
    pub(in crate::config) models: Vec<Written<ModelPattern>>,
    /// Requests in a span of time; unset: any number.
    pub(in crate::config) requests: Option<Window>,
    /// Tokens in a span of time, of questions and answers; unset: any number.
    pub(in crate::config) tokens: Option<Window>,
    /// Dollars in a span of the calendar, by `price`; unset: any number.
    pub(in crate::config) cost: Option<Budget>,
    /// Requests in flight; unset: any number.
    #[schemars(range(min = 1))]
    pub(in crate::config) concurrent: Option<u32>,
    /// Streams in flight; unset: any number.
    #[schemars(range(min = 1))]
    pub(in crate::config) streams: Option<u32>,
    /// Where it is counted.
    #[serde(default)]
    pub(in crate::config) scope: Scope,
    /// Whether it is only reported who would have been refused.
    #[serde(default)]
    pub(in crate::config) shadow: bool,
}

/// So many in any span of time: at most `burst` at once, and `count` each `per` for good.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "count": 60, "per": "1m" }))]
pub(in crate::config) struct Window {
    /// How many.
    #[schemars(range(min = 1))]
    pub(in crate::config) count: u32,
    /// In which time, up to 31 days.
    pub(in crate::config) per: Written<Length>,
    /// How many at once after a pause; unset: `count`.
    #[schemars(range(min = 1))]
    pub(in crate::config) burst: Option<u32>,
}

/// What is counted apart.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub(in crate::config) enum By {
    /// Each caller: its key, or else its address.
    #[serde(rename = "client")]
    Client,
    /// Each key; callers without one are not counted.
    #[serde(rename = "key")]
    Key,
    /// Each model.
    #[serde(rename = "model")]
    Model,
    /// Each model of each caller.
    #[serde(rename = "client+model")]
    ClientModel,
    /// Nothing: all together.
    #[serde(rename = "global")]
    Global,
}

/// Whom a limit concerns.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Callers {
    /// Everybody.
    #[default]
    All,
    /// Those without a key.
    Anonymous,
    /// Those with one.
    Keys,
}

/// Where a limit is counted.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Scope {
    /// In each process by itself.
    #[default]
    Local,
    /// In all replicas together, over `[shared] redis`.
    Shared,
}

/// How limits are kept, and tokens estimated.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Limiter {
    /// Counts that are kept; beyond them those that say least are forgotten.
    #[schemars(range(min = 1024, max = 10_000_000))]
    pub(in crate::config) keys_max: u32,
    /// Bytes of a question that are taken for one token, before its upstream has counted.
    #[schemars(range(min = 1, max = 1024))]
    pub(in crate::config) bytes_per_token: u32,
    /// Tokens that are reserved for an answer whose question sets no `max_tokens`.
    pub(in crate::config) output_tokens: u32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            keys_max: 100_000,
            bytes_per_token: 4,
            output_tokens: 1_000,
        }
    }
}

/// What replicas count together.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Shared {
    /// Redis or Valkey, without its password; unset: nothing is shared.
    pub(in crate::config) redis: Option<Written<RedisUrl>>,
    /// Its password; unset: none.
    pub(in crate::config) password: Option<SecretRef>,
    /// Certificate authorities to trust for it instead of the system's, PEM.
    pub(in crate::config) ca: Option<FileRef>,
    /// Whether it is a node of a cluster.
    pub(in crate::config) cluster: bool,
    /// What names of callers are hashed with, the same in all replicas; needed with `redis`.
    pub(in crate::config) secret: Option<SecretRef>,
    /// What all of its keys begin with, in braces, so that a cluster keeps them together.
    pub(in crate::config) hash_tag: Written<Label>,
    /// How many processes share a limit while it is away; unset: as many as were last seen.
    #[schemars(range(min = 1, max = 10_000))]
    pub(in crate::config) replicas: Option<u32>,
    /// How long it may take.
    pub(in crate::config) timeout: Written<Length>,
    /// Failures in a row after which it is not asked for a while.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) failures: u32,
    /// For how long.
    pub(in crate::config) rest: Written<Length>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            redis: None,
            password: None,
            ca: None,
            cluster: false,
            secret: None,
            hash_tag: Written("spafe".to_owned()),
            replicas: None,
            timeout: Written(std::time::Duration::from_millis(20)),
            failures: 5,
            rest: super::seconds(1),
        }
    }
}
