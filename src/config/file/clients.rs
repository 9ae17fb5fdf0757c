//! What do `[clients]`, `[anonymous]`, `[auth]` and `[[keys]]` look like?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::costs::Budget;
use super::limits::Window;
use crate::config::notation::name::{File as FilePath, Label, ModelPattern};
use crate::config::notation::{Day, Digest, Network, Written};

/// How callers are told apart, and which of them may come in.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Clients {
    /// Networks of the proxies in front of this one, whose word about their own client is taken.
    pub(in crate::config) trusted_proxies: Vec<Written<Network>>,
    /// The header in which they say it.
    pub(in crate::config) forwarded_header: ForwardedHeader,
    /// Networks that may come in; empty: all.
    pub(in crate::config) allow: Vec<Written<Network>>,
    /// Networks that may not, whatever `allow` says.
    pub(in crate::config) deny: Vec<Written<Network>>,
    /// How many times the share of an IPv6 /64 its whole /56 has.
    #[schemars(range(min = 1, max = 256))]
    pub(in crate::config) v6_56_times: u32,
    /// How many times the share of an IPv6 /64 its whole /48 has.
    #[schemars(range(min = 1, max = 65536))]
    pub(in crate::config) v6_48_times: u32,
    /// Networks in which many people share an address.
    pub(in crate::config) shares: Vec<Share>,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
            allow: Vec::new(),
            deny: Vec::new(),
            v6_56_times: 4,
            v6_48_times: 16,
            shares: Vec::new(),
        }
    }
}

/// The header in which a proxy names its client.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses, the nearest last.
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// Networks whose addresses get more than one client's share.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "networks": ["203.0.113.0/24"], "times": 20 }))]
pub(in crate::config) struct Share {
    /// Where they are.
    #[schemars(length(min = 1))]
    pub(in crate::config) networks: Vec<Written<Network>>,
    /// How many times one client's share each of their addresses has.
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) times: u32,
}

/// What a caller without a key may ask for.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Anonymous {
    /// The largest `n`.
    #[schemars(range(min = 1))]
    pub(in crate::config) n_max: u32,
    /// The largest `best_of`.
    #[schemars(range(min = 1))]
    pub(in crate::config) best_of_max: u32,
    /// The largest `max_tokens` and `max_completion_tokens`.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_tokens_max: u32,
    /// The largest `top_logprobs`.
    pub(in crate::config) top_logprobs_max: u32,
    /// The most `tools`, and `functions`.
    pub(in crate::config) tools_max: u32,
    /// The longest side of an image, in pixels.
    #[schemars(range(min = 1))]
    pub(in crate::config) image_side_max: u32,
    /// What becomes of fields that the gateway does not know.
    pub(in crate::config) unknown_fields: UnknownFields,
}

impl Default for Anonymous {
    fn default() -> Self {
        Self {
            n_max: 8,
            best_of_max: 8,
            max_tokens_max: 65_536,
            top_logprobs_max: 20,
            tools_max: 128,
            image_side_max: 2048,
            unknown_fields: UnknownFields::Pass,
        }
    }
}

/// What becomes of unknown fields.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum UnknownFields {
    /// They go upstream as they are.
    Pass,
    /// The request is refused.
    Refuse,
}

/// Whether callers show keys.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Auth {
    /// Whether a caller needs one of `[[keys]]`.
    pub(in crate::config) keys: KeyUse,
    /// A file with more `[[keys]]`, read again when it changes.
    pub(in crate::config) keys_file: Option<Written<FilePath>>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            keys: KeyUse::Off,
            keys_file: None,
        }
    }
}

/// Whether a caller needs a key.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum KeyUse {
    /// Nobody is asked for one, and what is shown is not looked at.
    Off,
    /// Who shows one of them has its limits; anybody else is anonymous.
    Optional,
    /// Who shows none of them is refused.
    Required,
}

/// A key that a caller may show.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Key {
    /// What logs, metrics and messages call it.
    pub(in crate::config) name: Written<Label>,
    /// SHA-256 of the key, in hexadecimal digits; the key itself never stands in a file.
    pub(in crate::config) sha256: Written<Digest>,
    /// The day from whose beginning, in UTC, it is not taken any more; unset: never.
    pub(in crate::config) expires: Option<Written<Day>>,
    /// Ids of models, or patterns, that it may ask for; empty: all.
    #[serde(default)]
    pub(in crate::config) models: Vec<Written<ModelPattern>>,
    /// Requests in a span of time, beside what `[[limits]]` says; unset: no limit of its own.
    pub(in crate::config) requests: Option<Window>,
    /// Tokens in a span of time; unset: no limit of its own.
    pub(in crate::config) tokens: Option<Window>,
    /// Dollars in a span of the calendar; unset: no limit of its own.
    pub(in crate::config) cost: Option<Budget>,
    /// Requests in flight; unset: no limit of its own.
    #[schemars(range(min = 1))]
    pub(in crate::config) concurrent: Option<u32>,
    /// Streams in flight; unset: no limit of its own.
    #[schemars(range(min = 1))]
    pub(in crate::config) streams: Option<u32>,
}
