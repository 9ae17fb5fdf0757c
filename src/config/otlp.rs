//! `[otlp]`: what is told to a collector of OpenTelemetry's, and how.

use std::time::Duration;

use crate::names::Secret;

/// `[otlp]`, where it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Otlp {
    /// `http://` or `https://`, host, optional port, path without a trailing slash.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Sent with each export: a name in lower case, and what it says.
    pub headers: Vec<(String, Secret)>,
    /// How long one export may take.
    pub timeout: Duration,
    /// The share of requests whose spans are sent, from 0 to 1.
    pub traces: f64,
    /// What a caller's own word on that is worth.
    pub parent: Parent,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// How often.
    pub interval: Duration,
    /// What this service is called there.
    pub service_name: String,
    /// What else is said of it.
    pub attributes: Vec<(String, String)>,
    /// Bytes of each question and each answer that go into spans; `None`: nothing of them does.
    pub content_bytes: Option<usize>,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protobuf in an HTTP request.
    Http,
    /// gRPC.
    Grpc,
}

/// What a caller's own word on sampling is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// It decides.
    Follow,
    /// Nothing.
    Ignore,
}

impl Otlp {
    /// Whether any request may leave spans.
    #[must_use]
    pub fn has_traces(&self) -> bool {
        self.traces > 0.0 || self.parent == Parent::Follow
    }
}

impl Protocol {
    /// The word of the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

impl Parent {
    /// The word of the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Ignore => "ignore",
        }
    }
}
