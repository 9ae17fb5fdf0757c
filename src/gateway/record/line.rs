//! What does a request's line in the log say?
//!
//! One JSON object, or a line for people; the same facts in the same order. What is not known
//! is left out, so a line is as long as its request was eventful.

use std::fmt::Write as _;
use std::time::{Instant, SystemTime};

use serde::Serialize;

use super::{AttemptRecord, Outcome, RequestRecord, millis};
use crate::gateway::record::outcome::Shed;
use crate::money::Usd;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<Usd>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tried: &'a [AttemptRecord],
}

impl RequestRecord {
    /// The line, with its end.
    pub(super) fn line(&self, now: Instant, json: bool) -> Vec<u8> {
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
            cost_usd: self.cost,
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

fn timestamp(wall: SystemTime) -> String {
    jiff::Timestamp::try_from(wall).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}
