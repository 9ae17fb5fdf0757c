//! Which spans does a request leave?
//!
//! One of its own, of kind SERVER, and below it one of kind CLIENT for each attempt, with the
//! attributes of OpenTelemetry's conventions for HTTP and for generative AI, and ours for what
//! those have no words for. They are made once, at its end, of its record, and only where it is
//! sampled.
//!
//! Source: OpenTelemetry's semantic conventions, HTTP spans and generative AI spans.

use std::time::Instant;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status};

use super::ANSWERED;
use super::outcome::AttemptOutcome;
use super::trace::Trace;
use super::{AttemptRecord, Outcome, RequestRecord};
use crate::config::dialect::Dialect;
use crate::otlp::Otlp;
use crate::otlp::points::{Point, nanos};
use crate::otlp::said::{flag, number, text, texts};

/// In `flags`: the trace is sampled, it is known where the parent is, and that is elsewhere.
const SAMPLED: u32 = 1;
const PARENT_IS_KNOWN: u32 = 1 << 8;
const PARENT_IS_REMOTE: u32 = 1 << 9;

/// What an attempt comes to that another beside it has beaten.
const OUTRUN: &str = AttemptOutcome::Outrun.as_str();

/// What is known of an attempt for its span.
#[derive(Debug, Clone)]
pub struct AttemptSpan {
    /// Its id; not 0.
    pub id: u64,
    /// What the model was called.
    pub model: Box<str>,
    /// Which protocol was spoken.
    pub dialect: Dialect,
}

impl RequestRecord {
    /// Tells a collector of the request, as far as it wants to know.
    pub fn export(&self, now: Instant, otlp: &Otlp) {
        if let Some(points) = &otlp.points
            && let Some(plan) = &self.plan
        {
            let last = self.telling_attempt().map(|attempt| &attempt.pool);
            let mut legs = plan.legs.iter();
            let leg = legs.find(|leg| Some(&leg.pool.name) == last);
            let dialect = leg.or(plan.legs.first()).map(|leg| leg.pool.dialect);
            let seconds = |at: Instant| at.saturating_duration_since(self.began()).as_secs_f64();
            points.measure(&Point {
                operation: operation(self.endpoint),
                provider: dialect.map_or("openai", provider),
                model: &plan.model,
                error: self.error().unwrap_or_default(),
                duration: seconds(now),
                first: self.first_event.filter(|_| self.stream).map(seconds),
                tokens: (self.tokens_in, self.tokens_out),
            });
        }
        if let Some(trace) = self.trace.as_ref().filter(|trace| trace.sampled) {
            otlp.trace(self.spans(trace, now));
        }
    }

    /// The request's span, and those of its attempts.
    fn spans(&self, trace: &Trace, now: Instant) -> Vec<Span> {
        let mut spans = Vec::with_capacity(1 + self.attempts.len());
        spans.push(self.span(trace, now));
        let attempts = self.attempts.iter().filter_map(|attempt| {
            let of = attempt.span.as_ref()?;
            Some(self.attempt(trace, (attempt, of), now))
        });
        spans.extend(attempts);
        spans
    }

    fn span(&self, trace: &Trace, now: Instant) -> Span {
        let route = route(self.endpoint);
        let name = match route {
            Some(route) => format!("{} {route}", trace.method),
            None => trace.method.to_owned(),
        };
        let mut attributes = vec![
            text("http.request.method", trace.method),
            number("http.response.status_code", u64::from(self.status)),
            text("url.scheme", if trace.tls { "https" } else { "http" }),
            text("network.protocol.version", trace.version),
            text("spafe.request_id", self.id.as_str()),
            text("spafe.outcome", self.outcome.as_str()),
        ];
        attributes.extend(route.map(|route| text("http.route", route)));
        attributes.extend(self.error().map(|error| text("error.type", error)));
        self.facts(&mut attributes);
        self.conversation(&mut attributes);
        let parent = trace.parent.map_or(0, |_| PARENT_IS_REMOTE);
        Span {
            trace_id: trace.id.to_be_bytes().to_vec(),
            span_id: trace.span.to_be_bytes().to_vec(),
            parent_span_id: trace
                .parent
                .map(|parent| parent.to_be_bytes().to_vec())
                .unwrap_or_default(),
            trace_state: state(trace),
            flags: SAMPLED | PARENT_IS_KNOWN | parent,
            name,
            kind: SpanKind::Server.into(),
            start_time_unix_nano: self.at(self.began()),
            end_time_unix_nano: self.at(now),
            attributes,
            // Whoever asks what cannot be answered makes no error of ours.
            status: (self.status >= 500 || self.is_broken()).then(failed),
            ..Span::default()
        }
    }

    /// What only a gateway knows.
    fn facts(&self, attributes: &mut Vec<KeyValue>) {
        let telling = self.telling_attempt();
        attributes.extend(telling.map(|it| text("spafe.pool", it.pool.as_str())));
        attributes.push(number("spafe.attempts", self.attempts.len() as u64));
        if let Some(key) = &self.client.key {
            attributes.push(text("spafe.key", key.name.as_str()));
        }
        if let Some(code) = &self.code {
            attributes.push(text("spafe.code", code.as_str()));
        }
        if let Some(cache) = self.cache {
            attributes.push(text("spafe.cache", cache.counted().as_str()));
        }
        if let Some((limit, kind)) = &self.limited {
            attributes.push(text("spafe.limit", limit.as_str()));
            attributes.push(text("spafe.limit.kind", kind.as_str()));
        }
        if let Some(shed) = self.shed {
            attributes.push(text("spafe.shed", shed.as_str()));
        }
    }

    /// What was asked of a model, and what came of it.
    fn conversation(&self, attributes: &mut Vec<KeyValue>) {
        let Some(plan) = &self.plan else {
            return;
        };
        attributes.push(text("gen_ai.operation.name", operation(self.endpoint)));
        attributes.push(text("gen_ai.request.model", plan.model.as_str()));
        attributes.push(flag("spafe.stream", self.stream));
        if let Some(answered) = &self.answered {
            attributes.push(text("gen_ai.response.model", answered.as_str()));
        }
        let span = self.telling_attempt().and_then(|it| it.span.as_ref());
        attributes.extend(span.map(|it| text("gen_ai.provider.name", provider(it.dialect))));
        self.usage(attributes);
        if let Some([question, answer]) = self.heard.as_ref().and_then(|heard| heard.said()) {
            attributes.push(text("spafe.content.request", question));
            attributes.push(text("spafe.content.response", answer));
        }
    }

    fn usage(&self, attributes: &mut Vec<KeyValue>) {
        let tokens = [
            ("gen_ai.usage.input_tokens", self.tokens_in),
            ("gen_ai.usage.output_tokens", self.tokens_out),
            ("gen_ai.usage.cache_read.input_tokens", self.tokens_cached),
        ];
        for (name, tokens) in tokens {
            attributes.extend(tokens.map(|tokens| number(name, tokens)));
        }
        let reasons = self.heard.as_ref().map(|heard| heard.reasons());
        if let Some(reasons) = reasons.filter(|reasons| !reasons.is_empty()) {
            attributes.push(texts("gen_ai.response.finish_reasons", reasons));
        }
    }

    fn attempt(
        &self,
        trace: &Trace,
        (attempt, of): (&AttemptRecord, &AttemptSpan),
        now: Instant,
    ) -> Span {
        let operation = operation(self.endpoint);
        let (host, port) = attempt
            .target
            .rsplit_once(':')
            .unwrap_or((&attempt.target, ""));
        let mut attributes = vec![
            text("gen_ai.operation.name", operation),
            text("gen_ai.provider.name", provider(of.dialect)),
            text("gen_ai.request.model", &*of.model),
            text("http.request.method", "POST"),
            text("server.address", host.trim_matches(['[', ']'])),
            text("spafe.pool", attempt.pool.as_str()),
            text("spafe.outcome", attempt.outcome),
        ];
        let port = port.parse().ok().map(|port| number("server.port", port));
        attributes.extend(port);
        if let Some(status) = attempt.status {
            let status = u64::from(status);
            attributes.push(number("http.response.status_code", status));
        }
        let committed = attempt.began + attempt.duration;
        let has_answered = attempt.outcome == ANSWERED;
        let mut events = Vec::new();
        // Its stream goes on behind the commit, for as long as it is passed on.
        let ended = if has_answered && self.stream {
            events.push(Event {
                time_unix_nano: self.at(committed),
                name: "first_event".to_owned(),
                ..Event::default()
            });
            now.max(committed)
        } else {
            committed
        };
        if has_answered {
            self.usage(&mut attributes);
        } else {
            attributes.push(text("error.type", attempt.outcome));
        }
        Span {
            trace_id: trace.id.to_be_bytes().to_vec(),
            span_id: of.id.to_be_bytes().to_vec(),
            parent_span_id: trace.span.to_be_bytes().to_vec(),
            trace_state: state(trace),
            flags: SAMPLED | PARENT_IS_KNOWN,
            name: format!("{operation} {}", of.model),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: self.at(attempt.began),
            end_time_unix_nano: self.at(ended),
            attributes,
            events,
            // To be beaten is no fault.
            status: (!has_answered && attempt.outcome != OUTRUN).then(failed),
            ..Span::default()
        }
    }

    /// A moment of this request as OTLP writes it: by its own clock, from when it began.
    fn at(&self, moment: Instant) -> u64 {
        let after = moment.saturating_duration_since(self.began());
        nanos(self.began_wall() + after)
    }

    fn is_broken(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::StreamBroken(_) | Outcome::UpstreamFailed
        )
    }

    /// How it failed, in a word of ours: an upstream's own may say anything.
    fn error(&self) -> Option<&'static str> {
        match self.outcome {
            Outcome::Served => None,
            Outcome::StreamBroken(how) => Some(how),
            outcome => Some(outcome.as_str()),
        }
    }
}

fn failed() -> Status {
    Status {
        code: status::StatusCode::Error.into(),
        ..Status::default()
    }
}

fn state(trace: &Trace) -> String {
    let state = trace.state.as_ref().and_then(|state| state.to_str().ok());
    state.unwrap_or_default().to_owned()
}

/// The convention's word for what was asked for, where it has one.
fn operation(endpoint: &'static str) -> &'static str {
    match endpoint {
        "chat.completions" | "messages" | "responses" => "chat",
        "completions" => "text_completion",
        other => other,
    }
}

/// The convention's word for whose protocol is spoken.
fn provider(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAi | Dialect::Responses | Dialect::Images => "openai",
        Dialect::Azure => "azure.ai.openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gcp.gemini",
    }
}

/// Where it was asked; `None`: nowhere in particular.
fn route(endpoint: &str) -> Option<&'static str> {
    let route = match endpoint {
        "chat.completions" => "/v1/chat/completions",
        "completions" => "/v1/completions",
        "embeddings" => "/v1/embeddings",
        "images.generations" => "/v1/images/generations",
        "responses" => "/v1/responses",
        "audio.speech" => "/v1/audio/speech",
        "audio.transcriptions" => "/v1/audio/transcriptions",
        "moderations" => "/v1/moderations",
        "rerank" => "/v1/rerank",
        "messages" => "/v1/messages",
        "models" => "/v1/models",
        "model" => "/v1/models/{id}",
        "image" => "/images/{id}",
        _ => return None,
    };
    Some(route)
}
