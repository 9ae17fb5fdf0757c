//! Why was it answered like this?
//!
//! In a header, for a caller who asks for it with `x-spafe-explain: 1` and may know: which model and
//! pool answered, what was tried, which limits counted it, what memory had to do with it, and where
//! the time went. In words of the configuration; which hosts a pool has, and what its upstreams
//! said, is nobody's business but the operator's.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::Visit;
use crate::config::server::Explain;
use crate::gateway::record::AttemptRecord;
use crate::gateway::record::millis::millis;
use crate::gateway::relay::head::Provenance;
use crate::sys;

/// What a caller asks with, and is answered in.
const EXPLAIN: HeaderName = HeaderName::from_static("x-spafe-explain");

/// As much as fits into any proxy's idea of a head beside the rest. What is left out is last.
const TEXT_BYTES_MAX: usize = 1024;

impl Visit<'_> {
    /// Looks whether it is asked why, in a head that was read.
    pub(super) fn look_whether_why(&mut self) {
        self.common.asks_why = self.snapshot.config.server.explain != Explain::Off && {
            let asked = self.session.req_header().headers.get(EXPLAIN);
            asked.is_some_and(|value| value == "1")
        };
    }

    /// Whether it is asked why, by somebody who may know.
    fn is_asked_why(&self) -> bool {
        let may_know = match self.snapshot.config.server.explain {
            Explain::Off => false,
            Explain::Keys => self.record.client.key.is_some(),
            Explain::All => true,
        };
        self.common.asks_why && may_know
    }

    /// Puts the explanation into the head that is made next, where it is asked for.
    pub(super) fn explain(&mut self, served: Option<&Provenance<'_>>, code: Option<&str>) {
        if self.is_asked_why() {
            let text = self.explanation(served, code);
            self.common.explained = HeaderValue::from_bytes(text.as_bytes()).ok();
        }
    }

    fn explanation(&self, served: Option<&Provenance<'_>>, code: Option<&str>) -> String {
        let record = &self.record;
        let mut told = Told::default();
        if let Some(plan) = &record.plan {
            told.put("asked", plan.model.as_str());
        }
        if let Some(served) = served {
            told.put("model", served.model);
            told.put("pool", served.pool);
        }
        if let Some(code) = code {
            told.put("refused", code);
        }
        if let Some((limit, kind)) = &record.limited {
            told.put("limit", &format!("{}:{}", limit.as_str(), kind.as_str()));
        }
        if let Some(place) = record.telling_attempt().and_then(|it| self.place(it)) {
            told.put("target", &place);
        }
        told.put("attempts", &record.attempts.len().to_string());
        if let Some(cache) = record.cache {
            told.put("cache", cache.counted().as_str());
        }
        told.put_millis("body", record.body);
        told.put_millis("gateway", record.overhead(sys::instant()));
        told.put_millis("upstream", record.upstream);
        told.put("limits", &self.limits());
        told.put("tried", &tried(&record.attempts));
        told.0
    }

    /// Which of how many targets of its pool an attempt was at.
    fn place(&self, attempt: &AttemptRecord) -> Option<String> {
        let mut pools = self.snapshot.pools.iter();
        let pool = pools.find(|pool| pool.name == attempt.pool)?;
        let mut targets = pool.targets.iter();
        let at = targets.position(|target| *target.label == *attempt.target)?;
        Some(format!("{}/{}", at + 1, pool.targets.len()))
    }

    /// The limits that count it, by name.
    fn limits(&self) -> String {
        let Some(plan) = &self.record.plan else {
            return String::new();
        };
        let concern = self.snapshot.limits.all(&self.record.client, &plan.model);
        let names: Vec<&str> = concern.rules().map(|rule| rule.name.as_str()).collect();
        names.join(",")
    }
}

fn tried(attempts: &[AttemptRecord]) -> String {
    let told = |attempt: &AttemptRecord| {
        format!(
            "{}:{}:{}",
            attempt.pool.as_str(),
            attempt.outcome,
            millis(attempt.duration)
        )
    };
    let told: Vec<String> = attempts.iter().map(told).collect();
    told.join(",")
}

/// Pairs of a name and a value, as many as there is room for.
#[derive(Debug, Default)]
struct Told(String);

impl Told {
    fn put(&mut self, name: &str, value: &str) {
        // Only what no reader takes for more than a value, and every one for text.
        let value = value.replace(|c: char| !matches!(c, '!'..='~') || c == ';', "_");
        let between = if self.0.is_empty() { "" } else { "; " };
        let pair = format!("{between}{name}={value}");
        if !value.is_empty() && self.0.len() + pair.len() <= TEXT_BYTES_MAX {
            self.0.push_str(&pair);
        }
    }

    fn put_millis(&mut self, name: &str, duration: Duration) {
        let mut value = String::new();
        // A text takes whatever is written into it.
        let _ = write!(value, "{}ms", millis(duration));
        self.put(name, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_short_and_has_nothing_but_pairs() {
        let mut told = Told::default();
        told.put("model", "a;b c\u{1b}ü");
        told.put("nothing", "");
        told.put_millis("body", Duration::from_micros(1500));
        assert_eq!(told.0, "model=a_b_c__; body=1.5ms");
        told.put("large", &"x".repeat(TEXT_BYTES_MAX));
        told.put("small", "y");
        assert_eq!(told.0, "model=a_b_c__; body=1.5ms; small=y");
    }
}
