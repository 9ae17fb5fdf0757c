//! What is answered from memory, and what is kept there?

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::bounded::{Counters, Lazy};
use super::make::Make;
use super::pick;
use crate::config::cache::CachePolicy;
use crate::gateway::cache::control::Bypass;
use crate::gateway::cache::status::{CacheStatus, Counted};
use crate::gateway::cache::store::{Evictions, Sizes};

/// The counters of what is kept.
#[derive(Debug)]
pub struct CacheMetrics {
    requests: Counters,
    stored: Counters,
    revalidations: Counters,
    bypasses: [IntCounter; 8],
    unstored: Counters,
    evictions: Counters,
    entries: IntGauge,
    bytes: IntGauge,
    bytes_limit: IntGauge,
    /// `spafe_cache_flights`
    pub flights: IntGauge,
}

/// Those of one model.
#[derive(Debug)]
pub struct CacheModelMetrics {
    requests: [Lazy<IntCounterVec>; 8],
    /// Answers that were put into memory.
    pub stored: IntCounter,
    /// Answers that were fetched anew beside one that was given.
    pub revalidations: IntCounter,
}

/// How often memory was of use for a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Answers that nobody was asked for: kept ones, and those of somebody else's request.
    pub from_memory: u64,
    /// Requests for which memory was asked.
    pub asked: u64,
}

impl CacheModelMetrics {
    /// How often memory was of use.
    #[must_use]
    pub fn counted(&self) -> Use {
        let count = |counted: Counted| {
            let counter = self.requests.get(counted as usize).and_then(Lazy::known);
            counter.map_or(0, |counter| counter.get())
        };
        let sum = |of: &[Counted]| of.iter().map(|counted| count(*counted)).sum();
        let from_memory = sum(&[
            Counted::Hit,
            Counted::Stale,
            Counted::StaleIfError,
            Counted::Collapsed,
        ]);
        let others: u64 = sum(&[Counted::Miss, Counted::Expired, Counted::Request]);
        Use {
            from_memory,
            asked: from_memory + others,
        }
    }
}

impl Use {
    /// The part of them; `None`: it was not asked yet.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn ratio(&self) -> Option<f64> {
        (self.asked > 0).then(|| self.from_memory as f64 / self.asked as f64)
    }
}

impl CacheMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let bypasses = new.counters(
            "spafe_cache_bypasses_total",
            "Requests for which memory was not asked, by why.",
            &["reason"],
        );
        Self {
            requests: new.counters(
                "spafe_cache_requests_total",
                "Requests by what memory had to do with their answer.",
                &["model", "verdict"],
            ),
            stored: new.counters(
                "spafe_cache_stored_total",
                "Answers that were put into memory.",
                &["model"],
            ),
            revalidations: new.counters(
                "spafe_cache_revalidations_total",
                "Answers that were fetched anew while an older one was given.",
                &["model"],
            ),
            bypasses: Bypass::ALL.map(|bypass| bypasses.with_label_values(&[bypass.as_str()])),
            unstored: new.counters(
                "spafe_cache_unstored_total",
                "Answers that might have been kept and were not, by why.",
                &["reason"],
            ),
            evictions: new.counters(
                "spafe_cache_evictions_total",
                "Answers that went, by why.",
                &["cause"],
            ),
            entries: new.gauge("spafe_cache_entries", "Answers that are kept."),
            bytes: new.gauge("spafe_cache_bytes", "Memory that they take."),
            bytes_limit: new.gauge("spafe_cache_bytes_limit", "Memory that they may take."),
            flights: new.gauge(
                "spafe_cache_flights",
                "Requests on their way to an upstream that others may share.",
            ),
        }
    }

    /// The counters of a model.
    pub(super) fn model(&self, name: &str) -> CacheModelMetrics {
        CacheModelMetrics {
            requests: Counted::ALL.map(|counted| self.requests.lazy(&[name, counted.as_str()])),
            stored: self.stored.with_label_values(&[name]),
            revalidations: self.revalidations.with_label_values(&[name]),
        }
    }

    /// Begins what somebody is to hear of where it happens: an answer that is given because nobody
    /// could be asked.
    pub(super) fn begin(&self, model: &str, policy: &CachePolicy) {
        if policy.enabled && !policy.stale_if_error.is_zero() {
            let verdict = Counted::StaleIfError.as_str();
            self.requests.begin(&[model, verdict]);
        }
    }

    /// Counts a request for `model`, and why memory was not asked for it.
    pub fn request(&self, model: &CacheModelMetrics, status: CacheStatus) {
        if let Some(counter) = model.requests.get(status.counted() as usize) {
            counter.get().inc();
        }
        if let Some(bypass) = status.bypass() {
            pick(&self.bypasses, bypass as usize).inc();
        }
    }

    /// Counts an answer that was not kept. `reason` is one of a fixed list of ours.
    pub fn unstored(&self, reason: &'static str) {
        self.unstored.with_label_values(&[reason]).inc();
    }

    /// Tells what is kept. Only one may do so at a time.
    pub fn keep(&self, sizes: Sizes, evictions: &Evictions) {
        let gauges = [
            (&self.entries, sizes.entries),
            (&self.bytes, sizes.bytes),
            (&self.bytes_limit, sizes.bytes_max),
        ];
        for (gauge, value) in gauges {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        for (cause, count) in evictions.by_cause() {
            let counter = self.evictions.with_label_values(&[cause]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gateway::cache::status::{Forward, Kept};
    use crate::gateway::record::metrics::Metrics;
    use crate::names::ModelId;

    #[test]
    fn every_verdict_and_every_reason_has_its_own_counter() {
        let metrics = Metrics::new();
        let model = metrics.model(&ModelId::new("m"));
        let time = Duration::ZERO;
        let forwarded = CacheStatus::forwarded;
        let once = [
            CacheStatus::Hit {
                age: time,
                left: time,
            },
            CacheStatus::Stale {
                age: time,
                past: time,
            },
            CacheStatus::StaleIfError {
                age: time,
                past: time,
            },
            forwarded(Forward::Miss).and(Kept::Collapsed),
            forwarded(Forward::Miss).and(Kept::Stored),
            forwarded(Forward::Stale),
            forwarded(Forward::Request),
        ];
        for status in once {
            metrics.cache.request(&model.cache, status);
        }
        for bypass in Bypass::ALL {
            let status = forwarded(Forward::Bypass(bypass));
            metrics.cache.request(&model.cache, status);
        }
        let text = String::from_utf8(metrics.text()).unwrap();
        for counted in Counted::ALL {
            let verdict = counted.as_str();
            let count = if verdict == "bypass" { 8 } else { 1 };
            let line = format!(
                "spafe_cache_requests_total{{model=\"m\",verdict=\"{verdict}\"}} {count}\n"
            );
            assert!(text.contains(&line), "{line}");
        }
        for bypass in Bypass::ALL {
            let reason = bypass.as_str();
            let line = format!("spafe_cache_bypasses_total{{reason=\"{reason}\"}} 1\n");
            assert!(text.contains(&line), "{line}");
        }
    }
}
