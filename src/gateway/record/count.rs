//! What is counted of a request?
//!
//! Once, at its end, and of what its plan has looked up already: additions, no searches, but for
//! what is rare.

use std::time::{Duration, Instant};

use super::{Outcome, RequestRecord};
use crate::gateway::record::metrics::limits::Decision;
use crate::gateway::record::metrics::{Metrics, SpeedMetrics};
use crate::gateway::record::outcome::Class;
use crate::gateway::record::outcome::ending::Ending;

impl RequestRecord {
    /// Counts the request.
    pub(super) fn count(&self, now: Instant, metrics: &Metrics) {
        let class = Class::of(self.status, self.outcome == Outcome::ClientGone);
        let counters = match (&self.leg, &self.plan) {
            (Some(leg), _) => &leg.requests,
            (None, Some(plan)) => &plan.metrics.unpooled,
            (None, None) => &metrics.unrouted,
        };
        counters.count(self.called, self.ending(), class);
        if let Some(leg) = &self.leg {
            let told = [self.tokens_in, self.tokens_out, self.tokens_cached];
            leg.tokens.count(told, self.estimated);
        }
        if let Some(code) = &self.code {
            metrics.error(code);
        }
        if let Some(key) = &self.client.key {
            let tokens = [("in", self.tokens_in), ("out", self.tokens_out)];
            metrics.keys.count(&key.name, class, tokens);
            if let Some(cost) = self.cost {
                metrics.keys.cost(&key.name, cost);
            }
        }
        if let Some(served) = &self.served {
            served.spent(self.cost);
        }
        if let Some(decision) = self.decision() {
            metrics.limiter.decisions(decision).inc();
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
        if let Some(first_byte) = self.first_byte {
            let to_first_byte = first_byte.saturating_duration_since(self.began.instant);
            model.first_byte.observe(to_first_byte.as_secs_f64());
            metrics.overhead.observe(self.overhead(now).as_secs_f64());
        }
        self.count_speed(now, &model.speed);
    }

    /// What of its time was spent here: neither on its body nor with upstreams, to whom all the
    /// time belongs that an answer is handed on as it comes.
    #[must_use]
    pub fn overhead(&self, now: Instant) -> Duration {
        let whole = now.saturating_duration_since(self.began.instant);
        let elsewhere = self.body + self.upstream + self.passing(now);
        whole.saturating_sub(elsewhere)
    }

    /// How long its answer was handed on as it came.
    fn passing(&self, now: Instant) -> Duration {
        let since = self.passing_since.unwrap_or(now);
        now.saturating_duration_since(since)
    }

    /// How fast its answer came.
    fn count_speed(&self, now: Instant, speed: &SpeedMetrics) {
        if let Some(first_event) = self.first_event {
            speed.began(first_event.saturating_duration_since(self.began.instant));
        }
        // What others asked for came when they did.
        if self.leg.is_none() || self.source.is_some() || self.outcome != Outcome::Served {
            return;
        }
        if let Some(first_event) = self.first_event {
            speed.went_on(self.events, now.saturating_duration_since(first_event));
        }
        if let Some(tokens) = self.tokens_out {
            speed.said(tokens, self.upstream + self.passing(now));
        }
    }

    /// What its limits said, where they were asked.
    fn decision(&self) -> Option<Decision> {
        match (&self.limited, self.admitted) {
            (Some(_), _) => Some(Decision::Refused),
            (None, false) => None,
            (None, true) if self.shadowed.is_empty() => Some(Decision::Admitted),
            (None, true) => Some(Decision::ShadowRefused),
        }
    }
}

impl RequestRecord {
    /// How it ended, as it is counted.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self.outcome {
            Outcome::Served => Ending::Served,
            Outcome::Refused if self.shed.is_some() => Ending::Shed,
            Outcome::Refused if self.limited.is_some() => Ending::Limited,
            Outcome::Refused => Ending::Refused,
            Outcome::UpstreamFailed => Ending::UpstreamFailed,
            Outcome::StreamBroken(_) => Ending::StreamBroken,
            Outcome::ClientGone => Ending::ClientGone,
        }
    }
}

fn seconds(later: Instant, earlier: Instant) -> f64 {
    later.saturating_duration_since(earlier).as_secs_f64()
}
