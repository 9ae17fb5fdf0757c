//! What is sent, and when?
//!
//! Spans when there are enough for an export, or a second after the first of them; points at each
//! interval. While a collector is to be asked again, nothing is taken from the queue: what does not
//! fit there is dropped where it is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::{mpsc, oneshot};

use super::collector::{Again, Collector, Refused, Signal};
use super::points::Points;
use super::{Counts, Traced, said};
use crate::sys;

/// Spans in one export, as in the SDKs.
const SPANS_MAX: usize = 512;
/// Bytes of them: a collector takes 4 MiB, unless told otherwise.
const SPANS_BYTES_MAX: usize = 1 << 20;
/// How long spans are gathered. Short enough that whoever looks for a trace finds it.
const GATHER: Duration = Duration::from_secs(1);
/// How often an export is tried.
const TRIES_MAX: u32 = 5;
/// Time before the second try; it doubles from one to the next.
const AGAIN: Duration = Duration::from_secs(1);
/// The longest, whatever a collector asks for.
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// Takes from the queue, and sends.
#[derive(Debug)]
pub(super) struct Exporter {
    pub(super) collector: Collector,
    pub(super) resource: Resource,
    pub(super) interval: Duration,
    pub(super) points: Option<Arc<Points>>,
    pub(super) traces: Counts,
    pub(super) metrics: Counts,
    pub(super) held: Arc<AtomicUsize>,
    pub(super) queued: mpsc::Receiver<Traced>,
    pub(super) leaving: mpsc::Receiver<oneshot::Sender<()>>,
}

/// Spans on their way.
#[derive(Default)]
struct Batch {
    spans: Vec<Span>,
    bytes: usize,
    /// When they leave; `None`: there are none.
    due: Option<Instant>,
    /// How often that was tried.
    tries: u32,
}

/// Whether a collector takes what it is sent; `None`: nothing was sent yet.
#[derive(Default)]
struct Takes {
    traces: Option<bool>,
    metrics: Option<bool>,
}

/// Why there is something to do.
enum Woken {
    Traced(Traced),
    Due,
    Tick,
    Leave(oneshot::Sender<()>),
    Over,
}

impl Exporter {
    /// Sends until nobody is left who could leave a span.
    pub(super) async fn run(mut self) {
        let mut batch = Batch::default();
        let mut takes = Takes::default();
        let mut tick = sys::instant() + self.interval;
        loop {
            match self.woken(&batch, tick).await {
                Woken::Traced(traced) => batch.add(traced, sys::instant()),
                Woken::Due => self.send(&mut batch, &mut takes).await,
                Woken::Tick => {
                    self.send_points(&mut takes).await;
                    tick = sys::instant() + self.interval;
                }
                Woken::Leave(left) => {
                    self.send_all(&mut batch, &mut takes).await;
                    // Whoever waited has waited no longer than they wanted to.
                    let _ = left.send(());
                }
                Woken::Over => return self.send_all(&mut batch, &mut takes).await,
            }
            if batch.is_full() && batch.tries == 0 {
                self.send(&mut batch, &mut takes).await;
            }
        }
    }

    async fn woken(&mut self, batch: &Batch, tick: Instant) -> Woken {
        let due = batch.due;
        tokio::select! {
            biased;
            Some(left) = self.leaving.recv() => Woken::Leave(left),
            () = async { tokio::time::sleep_until(tick.into()).await },
                if self.points.is_some() => Woken::Tick,
            () = async {
                if let Some(due) = due {
                    tokio::time::sleep_until(due.into()).await;
                }
            }, if due.is_some() => Woken::Due,
            traced = self.queued.recv(), if batch.tries == 0 => {
                traced.map_or(Woken::Over, Woken::Traced)
            }
        }
    }

    /// Sends spans once; those that may be taken later stay.
    async fn send(&self, batch: &mut Batch, takes: &mut Takes) {
        if batch.spans.is_empty() {
            return;
        }
        let count = batch.spans.len() as u64;
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(said::scope()),
                    spans: std::mem::take(&mut batch.spans),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let sent = self.collector.export(Signal::Traces, &request).await;
        takes.note(Signal::Traces, &sent);
        match sent {
            Ok(rejected) => {
                self.traces.sent.inc_by(count.saturating_sub(rejected));
                self.traces.failed.inc_by(rejected.min(count));
            }
            Err(refused) if refused.again != Again::Never && batch.tries + 1 < TRIES_MAX => {
                let parts = request.resource_spans.into_iter();
                let parts = parts.flat_map(|part| part.scope_spans);
                batch.spans = parts.flat_map(|part| part.spans).collect();
                let wait = match refused.again {
                    Again::After(wait) => wait,
                    Again::Soon | Again::Never => AGAIN * 2_u32.pow(batch.tries),
                };
                batch.tries += 1;
                batch.due = Some(sys::instant() + wait.min(AGAIN_MAX));
                return;
            }
            Err(_) => self.traces.failed.inc_by(count),
        }
        self.held.fetch_sub(batch.bytes, Ordering::Relaxed);
        *batch = Batch::default();
    }

    /// Everything that waits, once each; after the first that is not taken, the rest is given up.
    async fn send_all(&mut self, batch: &mut Batch, takes: &mut Takes) {
        loop {
            while !batch.is_full()
                && let Ok(traced) = self.queued.try_recv()
            {
                batch.add(traced, sys::instant());
            }
            if batch.spans.is_empty() {
                break;
            }
            batch.tries = TRIES_MAX;
            self.send(batch, takes).await;
            if takes.traces == Some(false) {
                break;
            }
        }
        while let Ok(traced) = self.queued.try_recv() {
            self.traces.dropped.inc_by(traced.spans.len() as u64);
            self.held.fetch_sub(traced.bytes, Ordering::Relaxed);
        }
        self.send_points(takes).await;
    }

    async fn send_points(&self, takes: &mut Takes) {
        let Some(points) = &self.points else {
            return;
        };
        let (metrics, count) = points.told(sys::now().wall);
        if count == 0 {
            return;
        }
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(self.resource.clone()),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(said::scope()),
                    metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        // They are sums since the start: the next export has these, too.
        let sent = self.collector.export(Signal::Metrics, &request).await;
        takes.note(Signal::Metrics, &sent);
        match sent {
            Ok(rejected) => {
                self.metrics.sent.inc_by(count.saturating_sub(rejected));
                self.metrics.failed.inc_by(rejected.min(count));
            }
            Err(_) => self.metrics.failed.inc_by(count),
        }
    }
}

impl Batch {
    fn add(&mut self, traced: Traced, now: Instant) {
        self.spans.extend(traced.spans);
        self.bytes += traced.bytes;
        self.due.get_or_insert(now + GATHER);
    }

    fn is_full(&self) -> bool {
        self.spans.len() >= SPANS_MAX || self.bytes >= SPANS_BYTES_MAX
    }
}

impl Takes {
    /// Tells where that changes, and only there.
    fn note(&mut self, signal: Signal, sent: &Result<u64, Refused>) {
        let before = match signal {
            Signal::Traces => &mut self.traces,
            Signal::Metrics => &mut self.metrics,
        };
        let took = before.replace(sent.is_ok());
        let signal = signal.as_str();
        match sent {
            Err(refused) if took != Some(false) => tracing::warn!(
                signal,
                cause = refused.words,
                "the collector takes nothing: requests are served on, and this is said once"
            ),
            Ok(_) if took == Some(false) => {
                tracing::info!(signal, "the collector takes exports again");
            }
            _ => {}
        }
    }
}
