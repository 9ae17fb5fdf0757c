//! What happened?
//!
//! The steps return facts, and this step alone turns them into metrics and the
//! one line a request leaves in the log. Nothing is counted or logged per chunk.

/// What is a request called?
pub mod id;
/// What failed last?
pub mod failures;
/// The metrics, by name.
pub mod metrics;
/// What is counted apart.
pub mod outcome;

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::gateway::cache::status::CacheStatus;
use crate::gateway::client::Client;
use crate::gateway::limit::Kind;
use crate::gateway::route::Plan;
use crate::names::{LimitName, PoolName};
use crate::sys::Now;
use crate::telemetry::RequestLog;
use id::RequestId;
use metrics::{LegMetrics, Metrics};
use outcome::{Class, Shed};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered as asked.
    Served,
    /// Refused here, or by the upstream for the caller's own fault.
    Refused,
    /// No attempt succeeded.
    UpstreamFailed,
    /// A stream ended before its time; the word says how.
    StreamBroken(&'static str),
    /// The caller left.
    ClientGone,
}

impl Outcome {
    /// The word for metrics and log lines.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::StreamBroken(_) => "stream_broken",
            Self::ClientGone => "client_gone",
        }
    }
}

/// One attempt, for the log line.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRecord {
    /// The pool that was asked.
    #[serde(serialize_with = "as_text")]
    pub pool: PoolName,
    /// The target in it.
    pub target: String,
    /// What came of it.
    pub outcome: &'static str,
    /// The upstream's status, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From its begin to its end, or to its commit.
    pub duration_ms: f64,
    /// The error's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Whether it was given up while its target may have been at work.
    #[serde(skip)]
    pub cut_off: bool,
}

/// The facts of one request, gathered on its way.
#[derive(Debug)]
pub struct RequestRecord {
    began: Now,
    /// Its id.
    pub id: RequestId,
    /// Who asked.
    pub client: Client,
    /// What was called.
    pub endpoint: &'static str,
    /// Method and path of a request that the door refused, at most 128 characters.
    pub refused: Option<String>,
    /// Who might have answered.
    pub plan: Option<Arc<Plan>>,
    /// Who did, counted by pool.
    pub leg: Option<Arc<LegMetrics>>,
    /// Every attempt in order.
    pub attempts: Vec<AttemptRecord>,
    /// Time spent with upstreams before the first byte of the answer.
    pub upstream: Duration,
    /// Time spent waiting for the request's body.
    pub body: Duration,
    /// The status the caller saw; 499 where the caller left before one was sent.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Which error the caller saw.
    pub code: Option<String>,
    /// Which bound on what is done at once it met.
    pub shed: Option<Shed>,
    /// Which limit it met, and of what.
    pub limited: Option<(LimitName, Kind)>,
    /// What memory had to do with its answer, where that was asked.
    pub cache: Option<CacheStatus>,
    /// Which limits it would have met if they were no shadows, and of what.
    pub shadowed: Vec<(LimitName, Kind)>,
    /// When the first byte of the answer was handed to the connection.
    pub first_byte: Option<Instant>,
    /// Events of the answer.
    pub events: u64,
    /// Whether events were asked for.
    pub stream: bool,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Tokens of the prompt, where the upstream told.
    pub tokens_in: Option<u64>,
    /// Tokens of the answer, where the upstream told.
    pub tokens_out: Option<u64>,
    /// Of both, where it did not.
    pub estimated: Option<(u64, u64)>,
}

/// The log line, field by field.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    request_id: &'a str,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    endpoint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    attempts: usize,
    status: u16,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<&'a str>,
    stream: bool,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<f64>,
    upstream_ms: f64,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_out: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tried: &'a [AttemptRecord],
}

impl RequestRecord {
    /// A record that begins now.
    #[must_use]
    pub fn begin(now: Now, id: RequestId, client: Client) -> Self {
        Self {
            began: now,
            id,
            client,
            endpoint: "none",
            refused: None,
            plan: None,
            leg: None,
            attempts: Vec::new(),
            upstream: Duration::ZERO,
            body: Duration::ZERO,
            status: 0,
            outcome: Outcome::Served,
            code: None,
            shed: None,
            limited: None,
            cache: None,
            shadowed: Vec::new(),
            first_byte: None,
            events: 0,
            stream: false,
            bytes_in: 0,
            bytes_out: 0,
            tokens_in: None,
            tokens_out: None,
            estimated: None,
        }
    }

    /// When the request began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began.instant
    }

    /// The time of day when it began.
    #[must_use]
    pub fn began_wall(&self) -> std::time::SystemTime {
        self.began.wall
    }

    /// The tokens it used, as far as that is known.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let told = self.tokens_in.into_iter().chain(self.tokens_out);
        told.fold(0, u64::saturating_add)
    }

    /// Counts the request and writes its line.
    pub fn finish(&self, now: Instant, metrics: &Metrics, log: &RequestLog) {
        self.count(now, metrics);
        if log.is_on() {
            log.write(self.line(now, log.is_json()));
        }
    }

    fn count(&self, now: Instant, metrics: &Metrics) {
        let class = Class::of(self.status, self.outcome == Outcome::ClientGone);
        match (&self.leg, &self.plan) {
            (Some(leg), _) => leg.requests(class).inc(),
            (None, Some(plan)) => plan.metrics.unpooled(class).inc(),
            (None, None) => metrics.unrouted(class).inc(),
        }
        if let Some(code) = &self.code {
            metrics.error(code);
        }
        if let Some(key) = &self.client.key {
            let tokens = [("in", self.tokens_in), ("out", self.tokens_out)];
            metrics.keys.count(&key.name, class, tokens);
        }
        if let Some((limit, kind)) = &self.limited {
            metrics.limiter.refused(limit, *kind);
        }
        for (limit, kind) in &self.shadowed {
            metrics.limiter.shadow_refused(limit, *kind);
        }
        if let Some(shed) = self.shed {
            metrics.load.shed(shed).inc();
        }
        if let Outcome::StreamBroken(kind) = self.outcome {
            metrics.stream_broken(kind);
        }
        let Some(plan) = &self.plan else {
            return;
        };
        let model = &plan.metrics;
        model.duration.observe(seconds(now, self.began.instant));
        if let Some(status) = self.cache {
            metrics.cache.request(&model.cache, status);
        }
        model.bytes_in.inc_by(self.bytes_in);
        model.bytes_out.inc_by(self.bytes_out);
        model.tokens((self.tokens_in, self.tokens_out), self.estimated);
        if let Some(first_byte) = self.first_byte {
            let to_first_byte = first_byte.saturating_duration_since(self.began.instant);
            model.first_byte.observe(to_first_byte.as_secs_f64());
            let overhead = to_first_byte.saturating_sub(self.upstream + self.body);
            metrics.overhead.observe(overhead.as_secs_f64());
        }
    }

    fn line(&self, now: Instant, json: bool) -> Vec<u8> {
        let last = self.attempts.last();
        let line = Line {
            time: timestamp(self.began.wall),
            request_id: self.id.as_str(),
            client: self.client.to_string(),
            key: self.client.key.as_ref().map(|key| key.name.as_str()),
            endpoint: self.endpoint,
            asked: self.refused.as_deref(),
            model: self.plan.as_ref().map(|plan| plan.model.as_str()),
            pool: last.map(|attempt| attempt.pool.as_str()),
            target: last.map(|attempt| attempt.target.as_str()),
            attempts: self.attempts.len(),
            status: self.status,
            outcome: self.outcome.as_str(),
            cause: match self.outcome {
                Outcome::StreamBroken(kind) => Some(kind),
                _ => self.shed.map(Shed::as_str),
            },
            code: self.code.as_deref(),
            limit: self.limited.as_ref().map(|(name, _)| name.as_str()),
            limit_kind: self.limited.as_ref().map(|(_, kind)| kind.as_str()),
            cache: self.cache.map(|status| status.counted().as_str()),
            stream: self.stream,
            duration_ms: millis(now.saturating_duration_since(self.began.instant)),
            first_byte_ms: self
                .first_byte
                .map(|at| millis(at.saturating_duration_since(self.began.instant))),
            upstream_ms: millis(self.upstream),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            tokens_in: self.tokens_in,
            tokens_out: self.tokens_out,
            tried: self.failures(),
        };
        let mut bytes = Vec::with_capacity(512);
        if json {
            // Plain fields into memory: there is nothing that could fail.
            let _ = serde_json::to_writer(&mut bytes, &line);
        } else {
            bytes.extend_from_slice(line.for_people().as_bytes());
        }
        bytes.push(b'\n');
        bytes
    }

    /// The attempts, where they tell more than the line does.
    fn failures(&self) -> &[AttemptRecord] {
        let all_well = matches!(self.attempts.as_slice(), [only] if only.cause.is_none());
        if all_well { &[] } else { &self.attempts }
    }
}

impl Line<'_> {
    fn for_people(&self) -> String {
        let mut text = format!(
            "{} {} {} {} {:.1} ms",
            self.time, self.status, self.outcome, self.endpoint, self.duration_ms
        );
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                // A text takes whatever is written into it.
                let _ = write!(text, "  {name}={value}");
            }
        };
        put("asked", self.asked);
        put("model", self.model);
        put("pool", self.pool);
        put("target", self.target);
        put("code", self.code);
        put("cause", self.cause);
        put("limit", self.limit);
        put("limit_kind", self.limit_kind);
        put("cache", self.cache);
        put("client", Some(&self.client));
        put("key", self.key);
        put("id", Some(self.request_id));
        for attempt in self.tried {
            put("tried", Some(&attempt.to_string()));
        }
        text
    }
}

impl fmt::Display for AttemptRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.pool, self.target, self.outcome)?;
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

fn as_text<S: serde::Serializer>(name: &PoolName, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_str())
}

fn seconds(later: Instant, earlier: Instant) -> f64 {
    later.saturating_duration_since(earlier).as_secs_f64()
}

/// A duration in milliseconds, to the microsecond.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn timestamp(wall: std::time::SystemTime) -> String {
    jiff::Timestamp::try_from(wall).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}
