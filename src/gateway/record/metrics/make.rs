//! How is a metric made?
//!
//! Built and registered in one go. Names and labels are constants, so this fails
//! at the first start or never. Whatever has labels is bounded here and nowhere else.

use std::cell::RefCell;
use std::sync::Arc;

use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::bounded::{Bounded, Costs, Counters, Family, Gauges, Histograms, Series};
use super::forget::Labelled;
use crate::gateway::record::spend::CostCounters;

/// Makes metrics and registers them. Names are constants, so it fails at the first start or never.
pub(super) struct Make<'a> {
    registry: &'a Registry,
    series: &'a Arc<Series>,
    labelled: RefCell<Vec<Labelled>>,
}

impl<'a> Make<'a> {
    pub(super) fn new(registry: &'a Registry, series: &'a Arc<Series>) -> Self {
        Self {
            registry,
            series,
            labelled: RefCell::default(),
        }
    }

    /// Every metric with labels that was made.
    pub(super) fn labelled(self) -> Vec<Labelled> {
        self.labelled.into_inner()
    }

    fn bounded<F: Family>(&self, family: F, labels: &[&str]) -> Bounded<F>
    where
        Labelled: From<Bounded<F>>,
    {
        let made = Bounded::new(family, labels, self.series);
        self.labelled.borrow_mut().push(made.clone().into());
        made
    }
}

#[expect(
    clippy::expect_used,
    reason = "names and labels are constants of this file; a test makes them all"
)]
impl Make<'_> {
    pub(super) fn keep(&self, collector: impl prometheus::core::Collector + 'static) {
        self.registry
            .register(Box::new(collector))
            .expect("each metric is registered once");
    }

    fn single<C: prometheus::core::Collector + Clone + 'static>(&self, made: C) -> C {
        self.keep(made.clone());
        self.series.one();
        made
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Counters {
        let made = IntCounterVec::new(Opts::new(name, help), labels).expect("a valid name");
        self.keep(made.clone());
        self.bounded(made, labels)
    }

    pub(super) fn costs(&self, name: &str, help: &str, labels: &[&str]) -> Costs {
        let made = CostCounters::new(Opts::new(name, help), labels).expect("a valid name");
        self.keep(made.clone());
        self.bounded(made, labels)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.single(IntCounter::new(name, help).expect("a valid name"))
    }

    pub(super) fn float_counter(&self, name: &str, help: &str) -> Counter {
        self.single(Counter::new(name, help).expect("a valid name"))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Gauges {
        let made = IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid name");
        self.keep(made.clone());
        self.bounded(made, labels)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.single(IntGauge::new(name, help).expect("a valid name"))
    }

    pub(super) fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.single(Gauge::new(name, help).expect("a valid name"))
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Histograms {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let made = HistogramVec::new(options, labels).expect("a valid name");
        self.keep(made.clone());
        self.bounded(made, labels)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.single(Histogram::with_opts(options).expect("a valid name"))
    }
}
