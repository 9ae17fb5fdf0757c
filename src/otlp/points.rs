//! What is measured by the conventions for generative AI?
//!
//! Histograms with the names, units and buckets of those conventions, sums since this began.
//! What is said of a point comes from the configuration and from fixed lists, so there are as many
//! points as models, operations and protocols; and never more than a bound, whatever comes and
//! goes with reloads.
//!
//! Source: OpenTelemetry's semantic conventions for generative AI, metrics.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric,
};
use prometheus::core::Collector as _;
use prometheus::{HistogramOpts, HistogramVec, proto};

use super::said;
use crate::names::ModelId;
use crate::sys;

/// Kinds of requests that are told apart, each with a handful of points.
const KINDS_MAX: usize = 2000;
const SECONDS: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const SECONDS_TO_FIRST: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const SECONDS_PER_TOKEN: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// What is said of a request, in the words of our own metrics and of the conventions.
const LABELS: [(&str, &str); 5] = [
    ("operation", "gen_ai.operation.name"),
    ("provider", "gen_ai.provider.name"),
    ("model", "gen_ai.request.model"),
    ("error", "error.type"),
    ("token", "gen_ai.token.type"),
];

/// What of a request is measured.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// What was asked for.
    pub operation: &'static str,
    /// Whose protocol was spoken.
    pub provider: &'static str,
    /// The model's configured name.
    pub model: &'a ModelId,
    /// How it failed; empty: it did not.
    pub error: &'static str,
    /// The whole request, in seconds.
    pub duration: f64,
    /// Of a stream: to its first event, in seconds.
    pub first: Option<f64>,
    /// Tokens of question and answer, where they were told.
    pub tokens: (Option<u64>, Option<u64>),
}

/// Everything that is measured, since this began.
#[derive(Debug)]
pub struct Points {
    since: SystemTime,
    kinds: Mutex<HashSet<(&'static str, &'static str, ModelId)>>,
    duration: Measured,
    first: Measured,
    per_token: Measured,
    tokens: Measured,
}

#[derive(Debug)]
struct Measured {
    name: &'static str,
    unit: &'static str,
    about: &'static str,
    seen: HistogramVec,
}

impl Default for Points {
    fn default() -> Self {
        Self::new()
    }
}

impl Points {
    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        const OF: [&str; 3] = ["operation", "provider", "model"];
        Self {
            since: sys::now().wall,
            kinds: Mutex::default(),
            duration: Measured::new(
                ("gen_ai.server.request.duration", "s"),
                "Requests, from their head to the end of their answer.",
                SECONDS,
                &[&OF[..], &["error"]].concat(),
            ),
            first: Measured::new(
                ("gen_ai.server.time_to_first_token", "s"),
                "Streams that were answered, from their head to their first event.",
                SECONDS_TO_FIRST,
                &OF,
            ),
            per_token: Measured::new(
                ("gen_ai.server.time_per_output_token", "s"),
                "Streams that were answered, each token after the first.",
                SECONDS_PER_TOKEN,
                &OF,
            ),
            tokens: Measured::new(
                ("gen_ai.client.token.usage", "{token}"),
                "Tokens of questions and answers, as upstreams told them.",
                TOKENS,
                &[&OF[..], &["token"]].concat(),
            ),
        }
    }

    /// Measures a request.
    pub fn measure(&self, point: &Point<'_>) {
        if !self.has_room(point) {
            return;
        }
        let of = [point.operation, point.provider, point.model.as_str()];
        let [operation, provider, model] = of;
        self.duration
            .observe(&[operation, provider, model, point.error], point.duration);
        for (kind, tokens) in [("input", point.tokens.0), ("output", point.tokens.1)] {
            if let Some(tokens) = tokens.filter(|tokens| *tokens > 0) {
                let seen = [operation, provider, model, kind];
                self.tokens.observe(&seen, as_float(tokens));
            }
        }
        let Some(first) = point.first.filter(|_| point.error.is_empty()) else {
            return;
        };
        self.first.observe(&of, first);
        if let Some(after_first) = point.tokens.1.filter(|tokens| *tokens > 1) {
            let each = (point.duration - first).max(0.0) / as_float(after_first - 1);
            self.per_token.observe(&of, each);
        }
    }

    fn has_room(&self, point: &Point<'_>) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (point.operation, point.provider, point.model.clone());
        if kinds.contains(&kind) {
            return true;
        }
        let fits = kinds.len() < KINDS_MAX;
        fits && kinds.insert(kind)
    }

    /// What was measured up to now, and how many points that is.
    pub(super) fn told(&self, now: SystemTime) -> (Vec<Metric>, u64) {
        let span = (nanos(self.since), nanos(now));
        let all = [&self.duration, &self.first, &self.per_token, &self.tokens];
        let told: Vec<_> = all.into_iter().filter_map(|one| one.told(span)).collect();
        let count = told.iter().map(|(_, count)| count).sum();
        (told.into_iter().map(|(metric, _)| metric).collect(), count)
    }
}

impl Measured {
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants of this file; a test makes them all"
    )]
    fn new(
        (name, unit): (&'static str, &'static str),
        about: &'static str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Self {
        let options = HistogramOpts::new(name.replace('.', "_"), about).buckets(buckets.to_vec());
        Self {
            name,
            unit,
            about,
            seen: HistogramVec::new(options, labels).expect("a valid name"),
        }
    }

    fn observe(&self, labels: &[&str], value: f64) {
        self.seen.with_label_values(labels).observe(value);
    }

    /// As OTLP tells it; `None`: there is nothing.
    fn told(&self, span: (u64, u64)) -> Option<(Metric, u64)> {
        let families = self.seen.collect();
        let series = families.iter().flat_map(proto::MetricFamily::get_metric);
        let data_points: Vec<_> = series.map(|series| data_point(series, span)).collect();
        let count = data_points.len() as u64;
        let metric = Metric {
            name: self.name.to_owned(),
            description: self.about.to_owned(),
            unit: self.unit.to_owned(),
            data: Some(Data::Histogram(Histogram {
                data_points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            })),
            ..Metric::default()
        };
        (count > 0).then_some((metric, count))
    }
}

fn data_point(series: &proto::Metric, (since, now): (u64, u64)) -> HistogramDataPoint {
    let seen = series.get_histogram();
    let buckets = seen.get_bucket();
    // Ours count everything up to a bound, and theirs what lies between two.
    let mut below = 0;
    let mut bucket_counts = Vec::with_capacity(buckets.len() + 1);
    for bucket in buckets {
        let up_to = bucket.cumulative_count();
        bucket_counts.push(up_to.saturating_sub(below));
        below = up_to;
    }
    // A request may be counted while this is read; the sum of the parts is the whole.
    let count = seen.get_sample_count().max(below);
    bucket_counts.push(count - below);
    let labels = series.get_label().iter().filter_map(|label| {
        let (_, name) = LABELS.iter().find(|(ours, _)| *ours == label.name())?;
        (!label.value().is_empty()).then(|| said::text(name, label.value()))
    });
    HistogramDataPoint {
        attributes: labels.collect(),
        start_time_unix_nano: since,
        time_unix_nano: now,
        count,
        sum: Some(seen.get_sample_sum()),
        bucket_counts,
        explicit_bounds: buckets.iter().map(proto::Bucket::upper_bound).collect(),
        ..HistogramDataPoint::default()
    }
}

/// A moment as OTLP writes it.
#[must_use]
pub fn nanos(moment: SystemTime) -> u64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2⁵³ tokens")]
fn as_float(tokens: u64) -> f64 {
    tokens as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_told_as_the_conventions_want_them() {
        let points = Points::new();
        assert_eq!(points.told(SystemTime::UNIX_EPOCH).1, 0);
        let model = ModelId::new("m");
        let point = Point {
            operation: "chat",
            provider: "openai",
            model: &model,
            error: "",
            duration: 1.5,
            first: Some(0.5),
            tokens: (Some(5), Some(11)),
        };
        points.measure(&point);
        points.measure(&Point {
            error: "timeout",
            tokens: (None, None),
            ..point
        });
        let (metrics, count) = points.told(sys::now().wall);
        assert_eq!(count, 6);
        let told = |name: &str| {
            let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
            let Some(Data::Histogram(histogram)) = &metric.data else {
                panic!("{name} is no histogram");
            };
            assert_eq!(histogram.aggregation_temporality, 2);
            histogram.data_points.clone()
        };
        assert_eq!(told("gen_ai.server.request.duration").len(), 2);
        let [per_token] = &told("gen_ai.server.time_per_output_token")[..] else {
            panic!("one point, for the one that was answered");
        };
        assert_eq!(per_token.sum, Some(0.1));
        assert_eq!(per_token.explicit_bounds, SECONDS_PER_TOKEN);
        assert_eq!(per_token.bucket_counts.iter().sum::<u64>(), 1);
        assert_eq!(per_token.bucket_counts.len(), SECONDS_PER_TOKEN.len() + 1);
        assert_eq!(told("gen_ai.client.token.usage").len(), 2);
    }

    #[test]
    fn kinds_have_a_bound() {
        let points = Points::new();
        for number in 0..KINDS_MAX + 10 {
            let model = ModelId::new(&format!("m{number}"));
            points.measure(&Point {
                operation: "chat",
                provider: "openai",
                model: &model,
                error: "",
                duration: 1.0,
                first: None,
                tokens: (None, None),
            });
        }
        assert_eq!(points.told(sys::now().wall).1, KINDS_MAX as u64);
    }
}
