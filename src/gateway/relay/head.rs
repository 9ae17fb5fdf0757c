//! What stands in the head of every answer?
//!
//! Answers' heads are built here, never forwarded: this list is all a client gets
//! to see of an upstream. Refusals carry the same fields as answers, so that a
//! browser can read an error as well as a success.

/// What is told of a page of ours?
pub mod page;

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AGE, ALLOW, CACHE_CONTROL,
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER, TRANSFER_ENCODING, VARY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::response::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use pingora_http::ResponseHeader;

use crate::gateway::cache::status::CacheStatus;
use crate::gateway::client::ClientError;
use crate::gateway::door::AllowOrigin;
use crate::gateway::idiom::{Idiom, Voice};
use crate::gateway::limit::Quota;
use crate::gateway::record::id::RequestId;
use crate::gateway::record::millis::put_millis;
use crate::gateway::refusal::Refusal;
use crate::gateway::relay::quota;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's clients look for the same.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const MODEL: HeaderName = HeaderName::from_static("x-spafe-model");
const UPSTREAM: HeaderName = HeaderName::from_static("x-spafe-upstream");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-spafe-attempts");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const CONFIG: HeaderName = HeaderName::from_static("x-spafe-config");
const EXPLAIN: HeaderName = HeaderName::from_static("x-spafe-explain");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What a page may read of an answer's head.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, request-id, x-spafe-model, x-spafe-upstream, x-spafe-attempts, x-spafe-config, x-spafe-explain, server-timing, \
     retry-after, retry-after-ms, x-should-retry, cache-status, age, x-ratelimit-limit-requests, \
     x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, \
     x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, x-ratelimit-limit-cost, \
     x-ratelimit-remaining-cost, x-ratelimit-reset-cost",
);
/// How long a browser may remember a preflight, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// Fields of the fullest head.
const FIELDS: usize = 24;

/// What most answers are.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What all answers to a request have in common.
#[derive(Debug, Clone)]
pub struct Common {
    /// The request's id.
    pub id: RequestId,
    /// In which protocol it is answered.
    pub idiom: Idiom,
    /// What the answer says about origins.
    pub origin: AllowOrigin,
    /// Whether the client understands chunks; HTTP/1.0 gets the end of the connection instead.
    pub chunks: bool,
    /// The version of the configuration, where answers shall tell it.
    pub version: Option<HeaderValue>,
    /// What is left of the caller's limits.
    pub quota: Quota,
    /// What memory had to do with it, where that was asked.
    pub cache: Option<CacheStatus>,
    /// Whether it was asked why it is answered like this.
    pub asks_why: bool,
    /// Why, where the caller may know.
    pub explained: Option<HeaderValue>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The model that answered.
    pub model: &'a str,
    /// The pool.
    pub pool: &'a str,
    /// How many were asked.
    pub attempts: usize,
    /// Time that passed here.
    pub gateway: Duration,
    /// Time spent with upstreams.
    pub upstream: Duration,
}

impl Common {
    /// Of an answer of which nothing else is known yet.
    #[must_use]
    pub fn new(
        id: RequestId,
        origin: AllowOrigin,
        chunks: bool,
        version: Option<HeaderValue>,
    ) -> Self {
        Self {
            id,
            idiom: Idiom::default(),
            origin,
            chunks,
            version,
            quota: Quota::default(),
            cache: None,
            asks_why: false,
            explained: None,
        }
    }

    /// Who is told anything beside the answer, and how.
    #[must_use]
    pub fn voice(&self) -> Voice {
        Voice {
            idiom: self.idiom,
            id: self.id.clone(),
        }
    }

    /// The head of an answer from a model.
    #[must_use]
    pub fn answer(
        &self,
        length: Option<usize>,
        media_type: HeaderValue,
        provenance: Provenance<'_>,
    ) -> ResponseHeader {
        let mut head = self.begin(StatusCode::OK);
        head.headers.insert(CONTENT_TYPE, media_type);
        self.put_length(&mut head, length);
        provenance.put(&mut head);
        ResponseHeader::from(head)
    }

    /// The head of a stream. `provenance` is not known where it leaves before an upstream answered.
    #[must_use]
    pub fn stream(&self, provenance: Option<Provenance<'_>>) -> ResponseHeader {
        let mut head = self.begin(StatusCode::OK);
        head.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        head.headers
            .insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        self.put_length(&mut head, None);
        if let Some(provenance) = provenance {
            provenance.put(&mut head);
        }
        ResponseHeader::from(head)
    }

    /// The head of JSON that is ours.
    #[must_use]
    pub fn own_json(&self, length: usize) -> ResponseHeader {
        let mut head = self.begin(StatusCode::OK);
        head.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.put_length(&mut head, Some(length));
        ResponseHeader::from(head)
    }

    /// The head of a generated image; a content-addressed one never changes.
    #[must_use]
    pub fn image(
        &self,
        kind: &'static str,
        etag: &str,
        length: usize,
        known: bool,
    ) -> ResponseHeader {
        let status = if known {
            StatusCode::NOT_MODIFIED
        } else {
            StatusCode::OK
        };
        let mut head = self.begin(status);
        put_text(&mut head, ETAG, etag);
        head.headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        if !known {
            head.headers
                .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            self.put_length(&mut head, Some(length));
        }
        ResponseHeader::from(head)
    }

    /// The answer to a preflight.
    #[must_use]
    pub fn preflight(&self, wished: Option<&HeaderValue>) -> ResponseHeader {
        let mut head = self.begin(StatusCode::NO_CONTENT);
        if self.origin != AllowOrigin::Foreign {
            head.headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET, HEAD, POST, OPTIONS"),
            );
            head.headers
                .insert(ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
            if let Some(wished) = wished {
                head.headers
                    .insert(ACCESS_CONTROL_ALLOW_HEADERS, wished.clone());
            }
        }
        ResponseHeader::from(head)
    }

    /// The head of a refusal.
    #[must_use]
    pub fn refusal(
        &self,
        refusal: &Refusal,
        status: StatusCode,
        length: usize,
        attempts: usize,
    ) -> ResponseHeader {
        let mut head = self.begin(status);
        head.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.put_length(&mut head, Some(length));
        if let Refusal::MethodNotAllowed { allow } = refusal {
            head.headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Refusal::Client(ClientError::InvalidKey) = refusal {
            head.headers
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = refusal.retry_after() {
            // Both rounded up: whoever comes back then is not too early.
            let whole = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            head.headers.insert(RETRY_AFTER, whole.max(1).into());
            let ms = wait.as_nanos().div_ceil(1_000_000).max(1);
            let ms = u64::try_from(ms).unwrap_or(u64::MAX);
            head.headers.insert(RETRY_AFTER_MS, ms.into());
        }
        if attempts > 0 {
            head.headers.insert(ATTEMPTS, attempts.into());
        }
        if (attempts > 0 && refusal.was_retried_here()) || refusal.is_of_a_budget() {
            head.headers
                .insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        ResponseHeader::from(head)
    }

    fn begin(&self, status: StatusCode) -> Parts {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = status;
        head.headers.reserve(FIELDS);
        head.headers.insert(REQUEST_ID, self.id.header());
        if self.idiom == Idiom::Anthropic {
            head.headers.insert(ANTHROPIC_REQUEST_ID, self.id.header());
        }
        head.headers
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        head.headers
            .insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let allowed = match &self.origin {
            AllowOrigin::Any => Some(HeaderValue::from_static("*")),
            AllowOrigin::This(origin) => Some(origin.clone()),
            AllowOrigin::Foreign => None,
        };
        if self.origin != AllowOrigin::Any {
            head.headers
                .insert(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(allowed) = allowed {
            head.headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            head.headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        if let Some(version) = &self.version {
            head.headers.insert(CONFIG, version.clone());
        }
        if let Some(explained) = &self.explained {
            head.headers.insert(EXPLAIN, explained.clone());
        }
        quota::put(&mut head, &self.quota);
        if let Some(status) = &self.cache {
            head.headers.insert(CACHE_STATUS, status.value());
            if let Some(age) = status.age() {
                head.headers.insert(AGE, age.as_secs().into());
            }
        }
        head
    }

    /// The framing of the body: its length, chunks, or the connection's end.
    fn put_length(&self, head: &mut Parts, length: Option<usize>) {
        match length {
            Some(length) => {
                head.headers.insert(CONTENT_LENGTH, length.into());
            }
            None if self.chunks => {
                let chunked = HeaderValue::from_static("chunked");
                head.headers.insert(TRANSFER_ENCODING, chunked);
            }
            None => {}
        }
    }
}

impl Provenance<'_> {
    fn put(&self, head: &mut Parts) {
        put_text(head, MODEL, self.model);
        put_text(head, UPSTREAM, self.pool);
        head.headers.insert(ATTEMPTS, self.attempts.into());
        let mut timing = Vec::with_capacity(64);
        timing.extend_from_slice(b"gateway;dur=");
        put_millis(&mut timing, self.gateway);
        timing.extend_from_slice(b", upstream;dur=");
        put_millis(&mut timing, self.upstream);
        put_text(head, SERVER_TIMING, &timing);
    }
}

/// A field whose value is text of ours; a name that no field can carry is left out.
fn put_text(head: &mut Parts, name: HeaderName, text: impl AsRef<[u8]>) {
    if let Ok(value) = HeaderValue::from_bytes(text.as_ref()) {
        head.headers.insert(name, value);
    }
}
