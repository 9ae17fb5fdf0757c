//! Which numbers does an operator see?
//!
//! Every metric is a field here, with its unit in its name. Labels come from the
//! configuration alone. A request finds its counters already looked up in its
//! plan: counting is an atomic addition, not a search by label.

/// How do callers come in?
mod arriving;
/// How do attempts fare, and how many more may there be?
mod attempts;
/// Which series stand at 0 before anything has happened?
mod begun;
/// How many series may there be?
mod bounded;
/// What is answered from memory, and what is kept there?
mod cache;
/// Which configuration is in force?
mod configuration;
/// What is told to a collector?
mod exports;
/// Which series end with the configuration that named them?
mod forget;
/// What is counted of the request log?
mod journal;
/// How is a metric made?
mod make;
/// How much is asked with which key?
mod keys;
/// How often are limits met, and how many are counted?
pub mod limits;
/// How much is asked of the process at once, and what is turned away?
mod load;
/// What do answers cost?
mod cost;
/// What is counted of a model, and of it at a pool?
mod models;
/// How full are pools, and who waits?
pub mod places;
/// How is a request counted?
mod requests;
/// Is the process itself busy, and with what?
pub mod runtime;
/// How fast do answers come?
mod speed;
/// How does what replicas share fare?
mod shared;
/// How do answers fare that replicas share?
mod second;

use std::sync::Arc;

use prometheus::{Encoder, Histogram, IntCounter, IntGauge, Registry, TextEncoder};

use crate::config::metrics::SERIES_MAX;
pub use arriving::ArrivingMetrics;
pub use attempts::{AttemptMetrics, TookMetrics};
use bounded::Series;
use bounded::{Costs, Counters, Gauges, Histograms};
pub use cache::{CacheMetrics, CacheModelMetrics};
use configuration::ConfigMetrics;
use exports::ExportMetrics;
use forget::Labelled;
pub use journal::JournalMetrics;
pub use keys::KeyMetrics;
pub use limits::LimitMetrics;
pub use load::LoadMetrics;
use make::Make;
pub use models::{LegMetrics, ModelMetrics};
use places::Places;
pub use requests::RequestCounters;
use runtime::RuntimeMetrics;
pub use second::SecondMetrics;
pub use shared::{RedisMetrics, SharedMetrics};
use speed::Speed;
pub use speed::SpeedMetrics;

/// Buckets of whole requests and first bytes, in seconds.
const DURATION_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];
/// Buckets of what the gateway itself adds, in seconds, from 50 µs.
const OVERHEAD_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];
/// To an upstream, and from it.
const DIRECTIONS: [&str; 2] = ["in", "out"];
/// The same as upstreams tell of tokens, and those of the question that they remembered.
const TOLD: [&str; 3] = ["in", "out", "cached"];
/// The pool label where no pool was asked.
const NO_POOL: &str = "none";
/// The model label where no model was found.
const NO_MODEL: &str = "other";

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    series: Arc<Series>,
    series_used: IntGauge,
    requests: Counters,
    /// Requests for which no model was found.
    pub unrouted: RequestCounters,
    duration: Histograms,
    first_byte: Histograms,
    /// `spafe_gateway_overhead_seconds`
    pub overhead: Histogram,
    /// `spafe_requests_in_flight`
    pub in_flight: IntGauge,
    /// `spafe_panics_total`
    pub panics: IntCounter,
    /// The configuration in force.
    pub config: ConfigMetrics,
    /// What is held against the bounds of the process.
    pub load: LoadMetrics,
    /// Of callers with a key.
    pub keys: KeyMetrics,
    /// Of limits.
    pub limiter: LimitMetrics,
    /// Of answers from memory.
    pub cache: CacheMetrics,
    /// What replicas share.
    pub shared: SharedMetrics,
    /// Of answers that replicas share.
    pub second: SecondMetrics,
    /// What a collector is told.
    pub exports: ExportMetrics,
    attempts: Counters,
    connections: Counters,
    auth_failures: Counters,
    ejections: Counters,
    retries_unpaid: Counters,
    hedges: Counters,
    fallbacks: Counters,
    bytes: Counters,
    tokens: Counters,
    cost: Costs,
    errors: Counters,
    stream_breaks: Counters,
    /// `spafe_stream_terminators_added_total`
    pub terminators_added: IntCounter,
    /// `spafe_target_fit`
    pub target_fit: Gauges,
    /// `spafe_target_state`
    pub target_state: Gauges,
    /// `spafe_target_checks_total`
    pub target_checks: Counters,
    /// `spafe_target_in_flight`
    pub target_in_flight: Gauges,
    /// Of pools.
    pub places: Places,
    /// `spafe_images_stored_bytes`
    pub images_bytes: IntGauge,
    /// `spafe_images_stored`
    pub images_count: IntGauge,
    /// Of attempts at pools and their targets.
    pub attempts_at: AttemptMetrics,
    /// Of how fast answers come.
    speed: Speed,
    /// Of how callers come in.
    pub arriving: ArrivingMetrics,
    /// Of the runtime.
    pub runtime: RuntimeMetrics,
    /// Of the request log.
    pub journal: JournalMetrics,
    limits: Gauges,
    labelled: Vec<Labelled>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics, at zero.
    #[expect(clippy::too_many_lines, reason = "a table: one metric after the other")]
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let series = Series::new(SERIES_MAX);
        let new = Make::new(&registry, &series);
        let requests = new.counters(
            "spafe_requests_total",
            "Requests by model, pool that answered, what was called, class of status and how they ended.",
            &["model", "pool", "endpoint", "class", "outcome"],
        );
        let mut metrics = Self {
            duration: new.histograms(
                "spafe_request_duration_seconds",
                "Whole requests, first byte in to last byte out.",
                DURATION_BUCKETS,
                &["model"],
            ),
            first_byte: new.histograms(
                "spafe_time_to_first_byte_seconds",
                "First byte in to first byte of the answer out.",
                DURATION_BUCKETS,
                &["model"],
            ),
            overhead: new.histogram(
                "spafe_gateway_overhead_seconds",
                "Whole requests less the time their bodies took and the time spent with upstreams.",
                OVERHEAD_BUCKETS,
            ),
            in_flight: new.gauge("spafe_requests_in_flight", "Requests being served."),
            panics: new.counter(
                "spafe_panics_total",
                "Requests that ended in a panic of ours: someone must act.",
            ),
            config: ConfigMetrics::new(&new),
            load: LoadMetrics::new(&new),
            keys: KeyMetrics::new(&new),
            limiter: LimitMetrics::new(&new),
            cache: CacheMetrics::new(&new),
            shared: SharedMetrics::new(&new),
            second: SecondMetrics::new(&new),
            exports: ExportMetrics::new(&new),
            attempts: new.counters(
                "spafe_attempts_total",
                "Upstream attempts by pool and outcome.",
                &["pool", "outcome"],
            ),
            connections: new.counters(
                "spafe_upstream_connections_total",
                "Upstream connections used, by whether they were reused.",
                &["pool", "reused"],
            ),
            auth_failures: new.counters(
                "spafe_upstream_auth_failures_total",
                "Answers that refused our credential, or what it may not have: 401, 402, 403.",
                &["pool"],
            ),
            ejections: new.counters(
                "spafe_target_ejections_total",
                "Endpoints of targets put to rest after failures, by what was one too many.",
                &["pool", "target", "reason"],
            ),
            retries_unpaid: new.counters(
                "spafe_retries_unpaid_total",
                "Attempts that were not made because a pool's budget was spent.",
                &["pool"],
            ),
            hedges: new.counters(
                "spafe_hedges_total",
                "Second targets asked beside a slow one, and those that were sooner.",
                &["pool", "event"],
            ),
            fallbacks: new.counters(
                "spafe_fallbacks_total",
                "Requests that another model answered.",
                &["model"],
            ),
            bytes: new.counters(
                "spafe_bytes_total",
                "Bytes of bodies, from clients and to clients.",
                &["model", "direction"],
            ),
            tokens: new.counters(
                "spafe_tokens_total",
                "Tokens as upstreams told them.",
                &["model", "direction", "source"],
            ),
            cost: cost::new(&new),
            errors: new.counters(
                "spafe_errors_total",
                "Errors that clients saw, by code.",
                &["code"],
            ),
            stream_breaks: new.counters(
                "spafe_stream_breaks_total",
                "Streams that ended before their time, by kind.",
                &["kind"],
            ),
            terminators_added: new.counter(
                "spafe_stream_terminators_added_total",
                "Finished streams whose missing [DONE] was added.",
            ),
            target_fit: new.gauges(
                "spafe_target_fit",
                "1 where a target may be asked, else 0.",
                &["pool", "target"],
            ),
            target_state: new.gauges(
                "spafe_target_state",
                "Endpoints of a target by the state they are in.",
                &["pool", "target", "state"],
            ),
            target_checks: new.counters(
                "spafe_target_checks_total",
                "Checks of targets by what they came to.",
                &["pool", "outcome"],
            ),
            target_in_flight: new.gauges(
                "spafe_target_in_flight",
                "Requests in flight at a target.",
                &["pool", "target"],
            ),
            places: Places::new(&new),
            images_bytes: new.gauge(
                "spafe_images_stored_bytes",
                "Bytes of generated images kept.",
            ),
            images_count: new.gauge("spafe_images_stored", "Generated images kept."),
            attempts_at: AttemptMetrics::new(&new),
            speed: Speed::new(&new),
            arriving: ArrivingMetrics::new(&new),
            runtime: RuntimeMetrics::new(&new),
            journal: JournalMetrics::new(&new),
            limits: new.gauges("spafe_limit", "Effective limits, by name.", &["name"]),
            unrouted: RequestCounters::new(&requests, NO_MODEL, NO_POOL),
            requests,
            series_used: new.gauge("spafe_metric_series", "Label sets of all metrics."),
            series: Arc::clone(&series),
            registry: registry.clone(),
            labelled: Vec::new(),
        };
        let build = new.gauges(
            "spafe_build_info",
            "1, with the version as a label.",
            &["version"],
        );
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        new.keep(prometheus::process_collector::ProcessCollector::for_self());
        metrics.labelled = new.labelled();
        metrics
    }

    /// Counts an error that a client saw. `code` is one of ours; an upstream's own counts as `upstream_refused`.
    pub fn error(&self, code: &str) {
        self.errors.with_label_values(&[code]).inc();
    }

    /// Counts a stream that ended before its time.
    pub fn stream_broken(&self, kind: &'static str) {
        self.stream_breaks.with_label_values(&[kind]).inc();
    }

    /// There are at most so many label sets from now on; those that are there stay.
    pub fn bound_series(&self, max: usize) {
        self.series.bound(max);
    }

    /// Tells an effective limit.
    pub fn limit(&self, name: &str, value: usize) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.limits.with_label_values(&[name]).set(value);
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let used = i64::try_from(self.series.used()).unwrap_or(i64::MAX);
        self.series_used.set(used);
        let mut text = Vec::with_capacity(64 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics not encoded");
        }
        text
    }
}

/// The counter of a variant: `counters` has one for each, in the order of the enum.
#[expect(
    clippy::indexing_slicing,
    reason = "index < N: it is the discriminant of an enum with N variants"
)]
fn pick<const N: usize>(counters: &[IntCounter; N], index: usize) -> &IntCounter {
    &counters[index]
}

#[cfg(test)]
mod documented;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::pools::health::EjectionReason;
    use crate::gateway::record::outcome::AttemptOutcome;
    use crate::gateway::record::outcome::Class;
    use crate::gateway::record::outcome::called::Called;
    use crate::gateway::record::outcome::ending::Ending;
    use crate::names::{ModelId, PoolName};
    use crate::operation::Operation;

    /// Every ending with every class.
    fn endings() -> impl Iterator<Item = (Ending, (Class, &'static str))> {
        let ending = |ending| Class::ALL.into_iter().map(move |class| (ending, class));
        Ending::ALL.into_iter().flat_map(ending)
    }

    #[test]
    fn every_variant_has_its_own_counter() {
        let metrics = Metrics::new();
        let leg = metrics.leg(&ModelId::new("m"), &PoolName::new("p"));
        for outcome in AttemptOutcome::ALL {
            leg.attempts(outcome).inc();
        }
        for called in [Called::Nothing, Called::Operation(Operation::Rerank)] {
            for (ending, (class, _)) in endings() {
                leg.requests.count(called, ending, class);
            }
        }
        let text = String::from_utf8(metrics.text()).unwrap();
        for outcome in AttemptOutcome::ALL {
            let line = format!(
                "spafe_attempts_total{{outcome=\"{}\",pool=\"p\"}} 1\n",
                outcome.as_str()
            );
            assert!(text.contains(&line), "{line}");
        }
        for called in ["none", "rerank"] {
            for (ending, (_, class)) in endings() {
                let outcome = ending.as_str();
                let line = format!(
                    "spafe_requests_total{{class=\"{class}\",endpoint=\"{called}\",model=\"m\",outcome=\"{outcome}\",pool=\"p\"}} 1\n"
                );
                assert!(text.contains(&line), "{line}");
            }
        }
    }

    #[test]
    fn counters_are_the_same_ones_after_a_reload() {
        let metrics = Metrics::new();
        metrics.model(&ModelId::new("m")).bytes_in.inc_by(3);
        metrics.model(&ModelId::new("m")).bytes_in.inc_by(4);
        assert_eq!(metrics.model(&ModelId::new("m")).bytes_in.get(), 7);
    }

    #[test]
    fn everything_of_fifty_models_and_twenty_targets_has_room_and_is_not_much_to_read() {
        let metrics = Metrics::new();
        let pools = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"].map(PoolName::new);
        let second = std::time::Duration::from_secs(1);
        for number in 0..47 {
            let model = ModelId::new(&format!("vendor/model-number-{number}"));
            let of = metrics.model(&model);
            of.duration.observe(1.0);
            of.first_byte.observe(1.0);
            of.speed.began(second);
            of.speed.went_on(9, second);
            of.speed.said(9, second);
            let chat = Called::Operation(Operation::Chat);
            of.unpooled.count(chat, Ending::Limited, Class::Caller);
            of.unpooled
                .count(chat, Ending::UpstreamFailed, Class::Server);
            let leg = metrics.leg(&model, &pools[number % pools.len()]);
            leg.requests.count(chat, Ending::Served, Class::Success);
            leg.requests.count(chat, Ending::ClientGone, Class::Gone);
            leg.requests
                .count(chat, Ending::StreamBroken, Class::Success);
            leg.connect.get().observe(0.1);
            leg.tokens.count([Some(1); 3], None);
            leg.tokens.count([None; 3], Some((1, 1)));
        }
        for number in 0..20 {
            let pool = &pools[number % pools.len()];
            let target = format!("target-{number}.vendor.example:443");
            let leg = metrics.leg(&ModelId::new("vendor/model-number-0"), pool);
            leg.took.of(&target).observe(1.0);
            leg.ejections.count(&target, EjectionReason::InARow);
            let labels = [pool.as_str(), &*target];
            metrics.target_fit.with_label_values(&labels).set(1);
            for state in 0..7 {
                let labels = [pool.as_str(), &*target, &*format!("state-{state}")];
                metrics.target_state.with_label_values(&labels).set(1);
            }
        }
        let text = String::from_utf8(metrics.text()).unwrap();
        assert!(
            !text.contains("{pool=\"other\""),
            "{}",
            metrics.series.used()
        );
        assert!(metrics.series.used() < 1_800, "{}", metrics.series.used());
        assert!(text.len() < 1 << 20, "{} bytes", text.len());
        let began = crate::sys::instant();
        assert!(!metrics.text().is_empty());
        // Ten milliseconds with optimisation, on a machine that does nothing else.
        assert!(began.elapsed() < 20 * second / 10, "{:?}", began.elapsed());
    }
}
