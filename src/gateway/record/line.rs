//! What does a request's line in the log say?
//!
//! One JSON object, pairs of `name=value`, or a line for people: the same facts in the same
//! order. What is not known is left out, so a line is as long as its request was eventful.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use super::ended::Ended;
use super::millis::{millis, put_millis};
use super::text::{TEXT_BYTES_MAX, bounded};
use super::{AttemptRecord, Outcome};
use crate::gateway::record::outcome::Shed;
use crate::money::Usd;
use crate::names::{KeyName, ModelId, PoolName};
use crate::telemetry::Form;

/// A fact.
pub(super) enum Fact<'a> {
    Text(&'a str),
    Number(u64),
    Millis(Duration),
    Share(f64),
    Usd(Usd),
    Flag(bool),
}

impl Ended {
    /// The line, with its end.
    pub(super) fn line(&self, form: Form) -> Vec<u8> {
        let mut line = Vec::with_capacity(768);
        match form {
            Form::Json => self.json(&mut line, false),
            Form::Logfmt => self.logfmt(&mut line),
            Form::People => line.extend_from_slice(self.for_people().as_bytes()),
        }
        line.push(b'\n');
        line
    }

    /// One JSON object; `whole` with its attempts where they tell no more than the rest, too.
    pub fn json(&self, to: &mut Vec<u8>, whole: bool) {
        let mut object = Object::begin(to);
        self.each(&mut |name, fact| object.put(name, &fact));
        let attempts = if whole {
            &self.record.attempts
        } else {
            self.telling()
        };
        if whole || !attempts.is_empty() {
            let to = object.name("attempts");
            to.push(b'[');
            for (number, attempt) in attempts.iter().enumerate() {
                if number > 0 {
                    to.push(b',');
                }
                let mut object = Object::begin(to);
                attempt.each(self.record.began(), &mut |name, fact| {
                    object.put(name, &fact);
                });
                object.end();
            }
            to.push(b']');
        }
        object.end();
    }

    /// Pairs of a name and a value, as <https://brandur.org/logfmt> has them; what is not plain
    /// is quoted as in JSON. Attempts are numbered from 1.
    fn logfmt(&self, to: &mut Vec<u8>) {
        self.each(&mut |name, fact| pair(to, &[name], &fact));
        for (number, attempt) in self.telling().iter().enumerate() {
            let number = (number + 1).to_string();
            attempt.each(self.record.began(), &mut |name, fact| {
                pair(to, &["attempt", &number, name], &fact);
            });
        }
    }

    fn for_people(&self) -> String {
        let record = &self.record;
        let mut text = format!(
            "{} {} {} {} {:.1} ms",
            timestamp(record.began_wall()),
            record.status,
            record.outcome.as_str(),
            record.endpoint,
            millis(self.duration)
        );
        self.each(&mut |name, fact| {
            const TOLD: [&str; 15] = [
                "asked",
                "model",
                "answered_by",
                "pool",
                "target",
                "code",
                "cause",
                "limit",
                "limit_kind",
                "cache",
                "client",
                "key",
                "request_id",
                "trace_id",
                "slow",
            ];
            match fact {
                _ if !TOLD.contains(&name) => {}
                // A text takes whatever is written into it.
                Fact::Text(value) => {
                    let name = if name == "request_id" { "id" } else { name };
                    let _ = write!(text, "  {name}={}", bounded(value));
                }
                Fact::Flag(true) => text.push_str("  slow"),
                _ => {}
            }
        });
        for attempt in self.telling() {
            let _ = write!(text, "  attempt={}", bounded(&attempt.to_string()));
        }
        text
    }

    /// The attempts, where they tell more than the line does.
    fn telling(&self) -> &[AttemptRecord] {
        let attempts = &self.record.attempts;
        let all_well = matches!(attempts.as_slice(), [only] if only.cause.is_none());
        if all_well { &[] } else { attempts }
    }

    /// Every fact that is known, in order.
    fn each(&self, put: &mut dyn FnMut(&'static str, Fact<'_>)) {
        let record = &self.record;
        let mut text = |name, value: Option<&str>| {
            if let Some(value) = value {
                put(name, Fact::Text(value));
            }
        };
        let telling = record.telling_attempt();
        text("time", Some(&timestamp(record.began_wall())));
        text("request_id", Some(record.id.as_str()));
        let trace = record.trace.as_ref().map(|trace| trace.id_text());
        text("trace_id", trace.as_deref());
        text("client", Some(&self.client.to_string()));
        text("key", self.key.as_ref().map(KeyName::as_str));
        text("user_agent", record.user_agent.as_deref());
        text("endpoint", Some(record.endpoint));
        text("asked", record.refused.as_deref());
        text("model", self.model.as_ref().map(ModelId::as_str));
        let answered = record.answered.as_ref();
        let answered = answered.filter(|answered| Some(*answered) != self.model.as_ref());
        text("answered_by", answered.map(ModelId::as_str));
        text("pool", record.pool().map(PoolName::as_str));
        text("target", telling.map(|attempt| attempt.target.as_str()));
        text("outcome", Some(record.outcome.as_str()));
        let cause = match record.outcome {
            Outcome::StreamBroken(kind) => Some(kind),
            _ => record.shed.map(Shed::as_str),
        };
        text("cause", cause);
        text("code", record.code.as_deref());
        let limited = record.limited.as_ref();
        text("limit", limited.map(|(name, _)| name.as_str()));
        text("limit_kind", limited.map(|(_, kind)| kind.as_str()));
        text(
            "cache",
            record.cache.map(|status| status.counted().as_str()),
        );
        put("status", Fact::Number(record.status.into()));
        put("attempt_count", Fact::Number(record.attempts.len() as u64));
        put("stream", Fact::Flag(record.stream));
        if self.slow {
            put("slow", Fact::Flag(true));
        }
        if let Some(share) = self.sample {
            put("sample", Fact::Share(share));
        }
        self.each_number(put);
    }

    fn each_number(&self, put: &mut dyn FnMut(&'static str, Fact<'_>)) {
        let record = &self.record;
        let since = |at: Instant| at.saturating_duration_since(record.began());
        for (name, duration) in [
            ("duration_ms", Some(self.duration)),
            ("first_byte_ms", record.first_byte.map(since)),
            ("body_ms", Some(record.body)),
            ("upstream_ms", Some(record.upstream)),
            ("overhead_ms", self.overhead()),
        ] {
            if let Some(duration) = duration {
                put(name, Fact::Millis(duration));
            }
        }
        for (name, number) in [
            ("bytes_in", Some(record.bytes_in)),
            ("bytes_out", Some(record.bytes_out)),
            ("tokens_in", record.tokens_in),
            ("tokens_out", record.tokens_out),
            ("tokens_cached", record.tokens_cached),
        ] {
            if let Some(number) = number {
                put(name, Fact::Number(number));
            }
        }
        if let Some(cost) = record.cost {
            put("cost_usd", Fact::Usd(cost));
        }
    }
}

impl AttemptRecord {
    /// Every fact that is known of an attempt of a request that began then, in order.
    fn each(&self, request_began: Instant, put: &mut dyn FnMut(&'static str, Fact<'_>)) {
        put("pool", Fact::Text(self.pool.as_str()));
        put("target", Fact::Text(&self.target));
        if let Some(status) = self.status {
            put("status", Fact::Number(status.into()));
        }
        put("outcome", Fact::Text(self.outcome));
        if let Some(cause) = &self.cause {
            put("cause", Fact::Text(cause));
        }
        let start = self.began.saturating_duration_since(request_began);
        put("start_ms", Fact::Millis(start));
        put("duration_ms", Fact::Millis(self.duration));
        if let Some(reused) = self.reused {
            put("reused", Fact::Flag(reused));
        }
    }
}

/// A JSON object on its way.
struct Object<'a> {
    to: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn begin(to: &'a mut Vec<u8>) -> Self {
        to.push(b'{');
        Self { to, is_empty: true }
    }

    /// A name, behind which its value is to be written.
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.to.push(b',');
        }
        self.is_empty = false;
        // Names are ours and need no escapes.
        for part in [b"\"".as_slice(), name.as_bytes(), b"\":"] {
            self.to.extend_from_slice(part);
        }
        self.to
    }

    fn put(&mut self, name: &str, fact: &Fact<'_>) {
        fact.json(self.name(name));
    }

    fn end(self) {
        self.to.push(b'}');
    }
}

impl Fact<'_> {
    fn json(&self, to: &mut Vec<u8>) {
        // Plain values into memory: there is nothing that could fail.
        let _ = match self {
            Self::Text(text) if stands_as_it_is(text) => {
                to.push(b'"');
                to.extend_from_slice(text.as_bytes());
                to.push(b'"');
                Ok(())
            }
            Self::Text(text) => serde_json::to_writer(to, &*bounded(text)),
            Self::Number(number) => serde_json::to_writer(to, number),
            Self::Millis(duration) => {
                put_millis(to, *duration);
                Ok(())
            }
            Self::Share(number) => serde_json::to_writer(to, number),
            Self::Usd(amount) => serde_json::to_writer(to, amount),
            Self::Flag(flag) => serde_json::to_writer(to, flag),
        };
    }
}

/// One pair of logfmt; the parts of its name are joined by dots.
fn pair(to: &mut Vec<u8>, name: &[&str], fact: &Fact<'_>) {
    if !to.is_empty() {
        to.push(b' ');
    }
    for (number, part) in name.iter().enumerate() {
        if number > 0 {
            to.push(b'.');
        }
        to.extend_from_slice(part.as_bytes());
    }
    to.push(b'=');
    match fact {
        Fact::Text(text) if is_plain(text) => to.extend_from_slice(bounded(text).as_bytes()),
        fact => fact.json(to),
    }
}

/// Whether a text is the same within the quotes of JSON: nearly every one is, which is seen many
/// bytes at a time.
fn stands_as_it_is(text: &str) -> bool {
    let plain = |byte| matches!(byte, b' '..=b'~') & !matches!(byte, b'"' | b'\\');
    text.len() <= TEXT_BYTES_MAX && text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// Whether a text needs no quotes.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte > b' ' && !matches!(byte, b'=' | b'"' | b'\\' | 0x7f..);
    !text.is_empty() && text.bytes().all(plain)
}

fn timestamp(wall: SystemTime) -> String {
    jiff::Timestamp::try_from(wall).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests;
