//! What does one of `[[models]]` look like?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cache::ModelCache;
use super::costs::Price;
use crate::config::notation::name::{ModelAlias, ModelPattern, PoolLabel, Words};
use crate::config::notation::{Day, Length, Written};

/// A model that callers can ask for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Model {
    /// Its exact name, or a pattern: a prefix followed by `*`.
    pub(in crate::config) id: Written<ModelPattern>,
    /// Other exact names.
    #[serde(default)]
    pub(in crate::config) aliases: Vec<Written<ModelAlias>>,
    /// Pools in order of preference.
    #[schemars(length(min = 1))]
    pub(in crate::config) pools: Vec<PoolRef>,
    /// Models that answer in its place where none of its pools can.
    #[serde(default)]
    pub(in crate::config) fallbacks: Vec<Written<ModelAlias>>,
    /// Models that answer where the request is too long for it.
    #[serde(default)]
    pub(in crate::config) context_fallbacks: Vec<Written<ModelAlias>>,
    /// Models that answer where an upstream's policy refuses what was asked.
    #[serde(default)]
    pub(in crate::config) policy_fallbacks: Vec<Written<ModelAlias>>,
    /// What it makes.
    #[serde(default)]
    pub(in crate::config) modality: Modality,
    /// What it can be asked for; unset: `chat.completions`, of an image model also
    /// `images.generations`.
    #[schemars(length(min = 1))]
    pub(in crate::config) endpoints: Option<Vec<Endpoint>>,
    /// How many requests one request to it counts as, and its tokens as many times.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) weight: u32,
    /// What its answers cost; unset: nobody knows, and nothing is counted.
    pub(in crate::config) price: Option<Price>,
    /// How many tokens an answer may have where the caller does not say and the dialect must.
    #[serde(default = "max_tokens_default")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max_tokens_default: u32,
    /// How it is told how hard to think, where a pool's dialect is `anthropic`.
    #[serde(default)]
    pub(in crate::config) thinking: Thinking,
    /// Who made it, for the list of models; unset: the name of its first pool.
    pub(in crate::config) owned_by: Option<Written<Words>>,
    /// The day it appeared, for the list of models; unset: 1970-01-01.
    pub(in crate::config) created: Option<Written<Day>>,
    /// Deadlines that differ from its pools'.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(in crate::config) timeouts: ModelTimeouts,
    /// What is different for its answers in `[cache]`.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub(in crate::config) cache: ModelCache,
}

/// A pool that can answer for a model.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum PoolRef {
    /// A pool that calls the model by its id.
    Name(Written<PoolLabel>),
    /// A pool that calls it otherwise.
    Renamed(RenamedPoolRef),
}

/// A pool, and what it calls the model.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RenamedPoolRef {
    /// Name of the pool.
    pub(in crate::config) pool: Written<PoolLabel>,
    /// What that pool calls the model; unset: its id.
    pub(in crate::config) name: Option<Written<Words>>,
    /// What its answers cost there; unset: as the model says.
    pub(in crate::config) price: Option<Price>,
}

/// What a model makes.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Modality {
    /// Text.
    #[default]
    Text,
    /// Images.
    Image,
}

/// How a model is told how hard to think.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Thinking {
    /// By a number of tokens.
    #[default]
    Budget,
    /// By a word; it takes neither `temperature` nor `top_p`.
    Adaptive,
}

/// What a model can be asked for, by the path below `/v1`.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub(in crate::config) enum Endpoint {
    /// Chats.
    #[serde(rename = "chat.completions")]
    Chat,
    /// Text that goes on behind a prompt.
    #[serde(rename = "completions")]
    Completions,
    /// Texts as vectors.
    #[serde(rename = "embeddings")]
    Embeddings,
    /// Images, in their own protocol.
    #[serde(rename = "images.generations")]
    Images,
    /// `OpenAI`'s responses.
    #[serde(rename = "responses")]
    Responses,
    /// Text read aloud.
    #[serde(rename = "audio.speech")]
    Speech,
    /// Speech written down.
    #[serde(rename = "audio.transcriptions")]
    Transcriptions,
    /// What of a text is harmful.
    #[serde(rename = "moderations")]
    Moderations,
    /// Which documents fit a query.
    #[serde(rename = "rerank")]
    Rerank,
}

/// Deadlines of one model.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ModelTimeouts {
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
}

fn one() -> u32 {
    1
}

/// What every model takes that is served over Anthropic's protocol; many would take more.
fn max_tokens_default() -> u32 {
    8192
}
