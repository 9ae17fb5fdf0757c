//! What is counted of a request?
//!
//! Once, at its end, and of what its plan has looked up already: additions, no searches, but for
//! what is rare.

use std::time::Instant;

use super::{Outcome, RequestRecord};
use crate::gateway::record::metrics::Metrics;
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
        let told = [self.tokens_in, self.tokens_out, self.tokens_cached];
        model.tokens(told, self.estimated);
        if let Some(first_byte) = self.first_byte {
            let to_first_byte = first_byte.saturating_duration_since(self.began.instant);
            model.first_byte.observe(to_first_byte.as_secs_f64());
            let overhead = to_first_byte.saturating_sub(self.upstream + self.body);
            metrics.overhead.observe(overhead.as_secs_f64());
        }
    }
}

impl RequestRecord {
    /// How it ended, as it is counted.
    fn ending(&self) -> Ending {
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
