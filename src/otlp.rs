//! How does a collector of OpenTelemetry's learn what happened?
//!
//! Over OTLP, behind the requests' backs. A request that is traced puts its spans into a queue
//! with two bounds, of requests and of bytes, and goes on; what does not fit is dropped and
//! counted. A thread with a runtime of its own takes them out, many in an export, so that neither
//! encoding nor a collector that hangs takes anything from the workers. A collector that is away is
//! asked again a few times, further and further apart; then its spans are given up, and the log has
//! one line when that begins and one when it is over.
//!
//! The messages are the project's own types (`opentelemetry-proto`), the rest is ours: its SDK makes
//! spans as things happen and asks a clock for each, while here they are made once, of a record that
//! knows everything, and its queue does not tell what it dropped.

/// How is a collector spoken to?
mod collector;
/// What is sent, and when?
mod exporter;
/// Which one is in force?
pub mod kept;
/// What is measured by the conventions for generative AI?
pub mod points;
/// What is said beside a span or a point?
pub mod said;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use prometheus::IntCounter;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use crate::config::otlp::{Otlp as Config, Parent};
use collector::Collector;
pub use collector::CollectorError;
use exporter::Exporter;
use points::Points;

/// Traced requests that wait to be sent: what a busy gateway that samples all of them has in a
/// second or two.
const QUEUE_MAX: usize = 4096;
/// Bytes of their spans.
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// How long the last spans and points may take at the end of the process.
const LEAVE: Duration = Duration::from_secs(3);

/// What became of spans or points.
#[derive(Debug, Clone)]
pub struct Counts {
    /// The collector has taken them.
    pub sent: IntCounter,
    /// It has refused them, or was not there.
    pub failed: IntCounter,
    /// There was no room for them.
    pub dropped: IntCounter,
}

/// What a collector is told.
#[derive(Debug)]
pub struct Otlp {
    config: Config,
    /// What is measured, where that is sent.
    pub points: Option<Arc<Points>>,
    traces: Counts,
    queue: mpsc::Sender<Traced>,
    leave: mpsc::Sender<oneshot::Sender<()>>,
    /// Bytes of spans that have not left.
    held: Arc<AtomicUsize>,
    /// Until its thread has begun.
    exporter: Mutex<Option<Exporter>>,
}

/// The spans of a request.
#[derive(Debug)]
struct Traced {
    spans: Vec<Span>,
    bytes: usize,
}

impl Otlp {
    /// What `[otlp]` says, with nothing sent yet. `counts` are of spans and of points, `instance` is
    /// this process's name.
    ///
    /// # Errors
    /// Where a collector cannot be spoken to like this.
    pub fn new(
        config: &Config,
        (traces, metrics): (Counts, Counts),
        instance: &str,
    ) -> Result<Self, CollectorError> {
        let collector = Collector::new(config)?;
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let (leave, leaving) = mpsc::channel(1);
        let held = Arc::new(AtomicUsize::new(0));
        let points = config.metrics.then(|| Arc::new(Points::new()));
        let exporter = Exporter {
            collector,
            resource: said::resource(config, instance),
            interval: config.interval,
            points: points.clone(),
            traces: traces.clone(),
            metrics,
            held: Arc::clone(&held),
            queued,
            leaving,
        };
        Ok(Self {
            config: config.clone(),
            points,
            traces,
            queue,
            leave,
            held,
            exporter: Mutex::new(Some(exporter)),
        })
    }

    /// Whether any request may be traced.
    #[must_use]
    pub fn traces(&self) -> bool {
        self.config.has_traces()
    }

    /// Whether a request is sampled, by what its caller says of that, where it does.
    #[must_use]
    pub fn samples(&self, parent: Option<bool>, chance: u64) -> bool {
        match parent.filter(|_| self.config.parent == Parent::Follow) {
            Some(sampled) => sampled,
            None => is_within(self.config.traces, chance),
        }
    }

    /// Bytes of each question and each answer that spans tell; `None`: they tell nothing of them.
    #[must_use]
    pub fn content_bytes(&self) -> Option<usize> {
        self.config.content_bytes
    }

    /// Takes the spans of a request to be sent, where there is room for them.
    pub fn trace(&self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let bytes = spans.iter().map(Span::encoded_len).sum();
        let held = self.held.fetch_add(bytes, Ordering::Relaxed);
        let fits = held.saturating_add(bytes) <= QUEUE_BYTES_MAX;
        if !fits || self.queue.try_send(Traced { spans, bytes }).is_err() {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            self.traces.dropped.inc_by(count);
        }
    }

    /// Begins to send, on a thread of its own, until nobody has this any more. The second time does
    /// nothing.
    pub fn start(&self) {
        let mut exporter = self.exporter.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(exporter) = exporter.take() else {
            return;
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let started = runtime.and_then(|runtime| {
            std::thread::Builder::new()
                .name("spafe-otlp".to_owned())
                .spawn(move || runtime.block_on(exporter.run()))
        });
        if let Err(error) = started {
            tracing::error!(%error, "nothing is exported: no thread for it");
        }
    }

    /// Sends what waits, at the end of the process; for no longer than three seconds.
    pub async fn leave(&self) {
        let (left, leaves) = oneshot::channel();
        if self.leave.send(left).await.is_ok() && tokio::time::timeout(LEAVE, leaves).await.is_err()
        {
            tracing::warn!("the last spans and points were not sent in time");
        }
    }
}

/// Whether chance falls into a share of all.
fn is_within(share: f64, chance: u64) -> bool {
    // What a float holds in full: 53 bits, so 0 is never and 1 always.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are held in full")]
    let at = (chance >> 11) as f64 / (1_u64 << 53) as f64;
    at < share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        let counter = |name: &str| IntCounter::new(name, name).unwrap();
        Counts {
            sent: counter("sent"),
            failed: counter("failed"),
            dropped: counter("dropped"),
        }
    }

    fn otlp(keys: &str) -> Otlp {
        let config = crate::config::example(&format!(
            "[otlp]\nendpoint = \"http://127.0.0.1:1\"\n{keys}"
        ));
        let counts = (counts(), counts());
        Otlp::new(config.otlp.as_ref().unwrap(), counts, "test").unwrap()
    }

    #[test]
    fn chance_decides_unless_a_caller_who_is_followed_does() {
        #[track_caller]
        fn check(keys: &str, parent: Option<bool>, expected: [bool; 3]) {
            let otlp = otlp(keys);
            let samples = [0, u64::MAX / 2 - 1, u64::MAX].map(|at| otlp.samples(parent, at));
            assert_eq!(samples, expected, "{keys} {parent:?}");
        }
        const ALL: [bool; 3] = [true; 3];
        const NONE: [bool; 3] = [false; 3];
        for parent in [None, Some(false), Some(true)] {
            check("traces = 0", parent, NONE);
            check("traces = 1", parent, ALL);
            check("traces = 0.5", parent, [true, true, false]);
        }
        check("parent = \"follow\"", Some(true), ALL);
        check("parent = \"follow\"", None, NONE);
        check("parent = \"follow\"\ntraces = 1", Some(false), NONE);
        check("parent = \"follow\"\ntraces = 1", None, ALL);
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_not_held() {
        let otlp = otlp("traces = 1");
        let traced = |name: usize| {
            let name = "n".repeat(name);
            vec![Span {
                name,
                ..Span::default()
            }]
        };
        otlp.trace(traced(QUEUE_BYTES_MAX));
        assert_eq!(otlp.traces.dropped.get(), 1);
        assert_eq!(otlp.held.load(Ordering::Relaxed), 0);
        for _ in 0..QUEUE_MAX {
            otlp.trace(traced(1));
        }
        assert_eq!(otlp.traces.dropped.get(), 1);
        let held = otlp.held.load(Ordering::Relaxed);
        otlp.trace(traced(1));
        assert_eq!(otlp.traces.dropped.get(), 2);
        assert_eq!(otlp.held.load(Ordering::Relaxed), held);
    }
}
