//! What does `[otlp]` look like?

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pool::SecretRef;
use super::seconds;
use crate::config::notation::name::{Label, Words};
use crate::config::notation::place::CollectorUrl;
use crate::config::notation::{Length, Size, Written};

/// What is told to a collector of OpenTelemetry's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Otlp {
    /// Where it is, without the paths of OTLP.
    pub(in crate::config) endpoint: Written<CollectorUrl>,
    /// How it is spoken to.
    #[serde(default)]
    pub(in crate::config) protocol: Protocol,
    /// Fields that are sent with each export.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "the check has looked them up already, with their secrets"
    )]
    pub(in crate::config) headers: Vec<Header>,
    /// How long one export may take.
    #[serde(default = "timeout")]
    pub(in crate::config) timeout: Written<Length>,
    /// The share of requests whose spans are sent, from 0 to 1.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub(in crate::config) traces: f64,
    /// What a caller's own word on that is worth.
    #[serde(default)]
    pub(in crate::config) parent: Parent,
    /// Whether metrics are sent.
    #[serde(default)]
    pub(in crate::config) metrics: bool,
    /// How often metrics are sent.
    #[serde(default = "interval")]
    pub(in crate::config) interval: Written<Length>,
    /// What this service is called there.
    #[serde(default = "service_name")]
    pub(in crate::config) service_name: Written<Words>,
    /// What else is said of it.
    #[serde(default)]
    pub(in crate::config) attributes: Vec<Attribute>,
    /// Whether spans tell what was asked and answered.
    #[serde(default)]
    pub(in crate::config) content: bool,
    /// Bytes of each question and of each answer that they tell, with `content`.
    #[serde(default = "content_bytes_max")]
    pub(in crate::config) content_bytes_max: Written<Size>,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Protocol {
    /// Protobuf in an HTTP request.
    #[default]
    Http,
    /// gRPC.
    Grpc,
}

/// What a caller's own word on sampling is worth.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Parent {
    /// It decides, either way; who says nothing is sampled by `traces`.
    Follow,
    /// Nothing: `traces` alone decides.
    #[default]
    Ignore,
}

/// A field that is sent with each export.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "authorization", "value": { "env": "OTLP_AUTHORIZATION" } }))]
pub(in crate::config) struct Header {
    /// Its name.
    #[expect(dead_code, reason = "see Otlp::headers")]
    pub(in crate::config) name: Written<Label>,
    /// What it says.
    #[expect(dead_code, reason = "see Otlp::headers")]
    pub(in crate::config) value: SecretRef,
}

/// Something that is said of the service.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "deployment.environment.name", "value": "production" }))]
pub(in crate::config) struct Attribute {
    /// Its name.
    pub(in crate::config) name: Written<Label>,
    /// What it is.
    pub(in crate::config) value: Written<Words>,
}

fn timeout() -> Written<Length> {
    seconds(10)
}

fn interval() -> Written<Length> {
    Written(Duration::from_mins(1))
}

fn service_name() -> Written<Words> {
    Written("spafe".to_owned())
}

fn content_bytes_max() -> Written<Size> {
    Written(16 << 10)
}
