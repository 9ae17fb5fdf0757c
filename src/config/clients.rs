//! How are callers told apart, and what may they ask for?

use std::path::PathBuf;

use ipnet::IpNet;

use super::limits::{Allowance, lists};
use crate::names::KeyName;

/// `[clients]`
#[derive(Debug, Clone)]
pub struct Clients {
    /// Proxies in front of this one, whose word about their own client is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say it.
    pub forwarded_header: ForwardedHeader,
    /// Who may come in; empty: all.
    pub allow: Vec<IpNet>,
    /// Who may not, whatever `allow` says.
    pub deny: Vec<IpNet>,
    /// How many times the share of an IPv6 /64 its whole /56 has, ≥ 1.
    pub v6_56_times: u32,
    /// How many times the share of an IPv6 /64 its whole /48 has, `≥ v6_56_times`.
    pub v6_48_times: u32,
    /// Networks in which many people share an address.
    pub shares: Vec<Share>,
}

/// The header in which a proxy names its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `Forwarded`
    Forwarded,
}

/// Networks whose addresses get more than one client's share.
#[derive(Debug, Clone)]
pub struct Share {
    /// Where they are.
    pub networks: Vec<IpNet>,
    /// How many times one client's share each of their addresses has, ≥ 1.
    pub times: u32,
}

/// `[anonymous]`
#[derive(Debug, Clone, Copy)]
pub struct Anonymous {
    /// The largest `n`.
    pub n_max: u32,
    /// The largest `best_of`.
    pub best_of_max: u32,
    /// The largest `max_tokens` and `max_completion_tokens`.
    pub max_tokens_max: u64,
    /// The largest `top_logprobs`.
    pub top_logprobs_max: u32,
    /// The most `tools`, and `functions`.
    pub tools_max: u32,
    /// The longest side of an image, in pixels.
    pub image_side_max: u32,
    /// Whether fields that the gateway does not know are refused.
    pub unknown_fields_refused: bool,
}

/// `[auth]`, with the keys of both files.
#[derive(Debug, Clone)]
pub struct Auth {
    /// Whether a caller needs a key.
    pub keys: KeyUse,
    /// Where more keys were read from.
    pub keys_file: Option<PathBuf>,
}

/// Whether a caller needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Nobody is asked for one.
    Off,
    /// Who shows none is anonymous.
    Optional,
    /// Who shows none is refused.
    Required,
}

/// One of `[[keys]]`.
#[derive(Debug, Clone)]
pub struct Key {
    /// What logs, metrics and messages call it; unique.
    pub name: KeyName,
    /// SHA-256 of the key; unique.
    pub sha256: [u8; 32],
    /// Unix seconds from which it is not taken any more.
    pub expires: Option<i64>,
    /// Ids of models, or patterns, that it may ask for; empty: all.
    pub models: Vec<String>,
    /// Limits of its own.
    pub allowance: Allowance,
}

impl Key {
    /// Whether it may ask for the model that is called this.
    #[must_use]
    pub fn may_ask_for(&self, model: &str) -> bool {
        lists(&self.models, model)
    }
}
