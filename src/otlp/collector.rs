//! How is a collector spoken to?
//!
//! One request an export: protobuf in a body, or the same in gRPC's frame, of which a single
//! question and its answer are all that is needed. What it says of that decides whether the same is worth
//! sending again.
//!
//! Source: OTLP 1.9, "OTLP/HTTP Response" and "OTLP/gRPC Response"; gRPC over HTTP/2.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use http_body::Body as _;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use thiserror::Error;

use crate::config::otlp::{Otlp as Config, Protocol};

/// What of an answer is read: it is a count and a sentence.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters of its own words that go into the log.
const WORDS_MAX: usize = 200;
/// The flag and the length before a message of gRPC's.
const FRAME_BYTES: usize = 5;

/// Why a collector cannot be spoken to.
#[derive(Debug, Error)]
pub enum CollectorError {
    /// A header that is sent with each export.
    #[error("cannot send the header {0}")]
    Header(String),
    /// The client.
    #[error("cannot be spoken to: {0}")]
    Client(reqwest::Error),
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

/// Whether what was not taken may be taken later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    Soon,
    /// Not before this has passed.
    After(Duration),
}

/// Why an export was not taken.
#[derive(Debug)]
pub(super) struct Refused {
    /// Whether the same may be taken later.
    pub(super) again: Again,
    /// In the log's words.
    pub(super) words: String,
}

/// Where exports go.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    protocol: Protocol,
    endpoint: String,
    headers: HeaderMap,
}

impl Signal {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }

    fn path(self, protocol: Protocol) -> &'static str {
        match (protocol, self) {
            (Protocol::Http, Self::Traces) => "/v1/traces",
            (Protocol::Http, Self::Metrics) => "/v1/metrics",
            (Protocol::Grpc, Self::Traces) => {
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
            }
            (Protocol::Grpc, Self::Metrics) => {
                "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
            }
        }
    }

    /// How many it has not taken, of an answer that says it took them.
    fn rejected(self, answer: &[u8]) -> u64 {
        let rejected = match self {
            Self::Traces => ExportTraceServiceResponse::decode(answer)
                .ok()
                .and_then(|answer| answer.partial_success)
                .map(|part| part.rejected_spans),
            Self::Metrics => ExportMetricsServiceResponse::decode(answer)
                .ok()
                .and_then(|answer| answer.partial_success)
                .map(|part| part.rejected_data_points),
        };
        rejected.map_or(0, |count| u64::try_from(count).unwrap_or(0))
    }
}

impl Refused {
    fn again(words: impl Into<String>) -> Self {
        Self {
            again: Again::Soon,
            words: words.into(),
        }
    }

    fn for_good(words: impl Into<String>) -> Self {
        Self {
            again: Again::Never,
            words: words.into(),
        }
    }

    /// An error of the client's, with what is behind it, and without the address.
    fn unspoken(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut words = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        Self::again(words)
    }
}

impl Collector {
    pub(super) fn new(config: &Config) -> Result<Self, CollectorError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let wrong = || CollectorError::Header(name.clone());
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let media_type = match config.protocol {
            Protocol::Http => "application/x-protobuf",
            Protocol::Grpc => {
                headers.insert(TE, HeaderValue::from_static("trailers"));
                "application/grpc"
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let builder = reqwest::Client::builder()
            .user_agent(concat!("spafe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // The environment is the command line's to read.
            .no_proxy()
            .timeout(config.timeout);
        let builder = match config.protocol {
            Protocol::Http => builder.http1_only(),
            Protocol::Grpc => builder.http2_prior_knowledge(),
        };
        // Where there is nothing to be trusted, a system without authorities is no fault.
        let builder = if config.endpoint.starts_with("https:") {
            builder
        } else {
            builder.tls_certs_only([])
        };
        Ok(Self {
            client: builder.build().map_err(CollectorError::Client)?,
            protocol: config.protocol,
            endpoint: config.endpoint.clone(),
            headers,
        })
    }

    /// Sends a message of this kind, and tells how much of it was not taken.
    pub(super) async fn export(
        &self,
        signal: Signal,
        message: &impl Message,
    ) -> Result<u64, Refused> {
        let address = format!("{}{}", self.endpoint, signal.path(self.protocol));
        let body = match self.protocol {
            Protocol::Http => Bytes::from(message.encode_to_vec()),
            Protocol::Grpc => framed(message),
        };
        let asked = self.client.post(address).headers(self.headers.clone());
        let answer = asked.body(body).send().await.map_err(Refused::unspoken)?;
        let answer: http::Response<reqwest::Body> = answer.into();
        let (head, body) = answer.into_parts();
        let (body, trailers) = read(body).await?;
        match self.protocol {
            Protocol::Http => http_answer(&head)?,
            Protocol::Grpc => grpc_answer(&head, trailers.as_ref())?,
        }
        Ok(match self.protocol {
            Protocol::Http => signal.rejected(&body),
            Protocol::Grpc => signal.rejected(body.get(FRAME_BYTES..).unwrap_or_default()),
        })
    }
}

/// A message as gRPC sends it: not compressed, and this long.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // It grows as it needs to.
    let _ = message.encode(&mut frame);
    frame.freeze()
}

/// The body of an answer, within bounds, and what stands behind it.
async fn read(mut body: reqwest::Body) -> Result<(Vec<u8>, Option<HeaderMap>), Refused> {
    let mut bytes = Vec::new();
    let mut trailers = None;
    loop {
        let frame = poll_fn(|ctx| Pin::new(&mut body).poll_frame(ctx)).await;
        let Some(frame) = frame else {
            return Ok((bytes, trailers));
        };
        match frame.map_err(Refused::unspoken)?.into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(Refused::for_good("its answer is too long to be one"));
        }
    }
}

fn http_answer(head: &http::response::Parts) -> Result<(), Refused> {
    let status = head.status.as_u16();
    let words = format!("it answered {status}");
    match status {
        200..=299 => Ok(()),
        429 | 502 | 503 | 504 => Err(Refused {
            again: retry_after(&head.headers).map_or(Again::Soon, Again::After),
            words,
        }),
        _ => Err(Refused::for_good(words)),
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    said.trim().parse().ok().map(Duration::from_secs)
}

fn grpc_answer(head: &http::response::Parts, trailers: Option<&HeaderMap>) -> Result<(), Refused> {
    const STATUS: &str = "grpc-status";
    let fields = trailers
        .filter(|trailers| trailers.contains_key(STATUS))
        .unwrap_or(&head.headers);
    let field = |name| fields.get(name).and_then(|value| value.to_str().ok());
    let Some(code) = field(STATUS) else {
        // What stands before it has answered, and is no collector.
        return http_answer(head).and(Err(Refused::for_good("it does not speak gRPC")));
    };
    if code == "0" {
        return Ok(());
    }
    let said: String = field("grpc-message")
        .unwrap_or_default()
        .chars()
        .take(WORDS_MAX)
        .collect();
    let words = format!("it answered {code} {said}");
    // Cancelled, too late, exhausted, aborted, out of range, unavailable, lost.
    match code {
        "1" | "4" | "8" | "10" | "11" | "14" | "15" => Err(Refused::again(words)),
        _ => Err(Refused::for_good(words)),
    }
}
