//! How is a metric made?
//!
//! Built and registered in one go. Names and labels are constants, so this fails
//! at the first start or never.

use std::cell::RefCell;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::forget::Labelled;
use crate::gateway::record::spend::CostCounters;

/// Makes metrics and registers them. Names are constants, so it fails at the first start or never.
pub(super) struct Make<'a> {
    registry: &'a Registry,
    labelled: RefCell<Vec<Labelled>>,
}

impl<'a> Make<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            labelled: RefCell::default(),
        }
    }

    /// Every metric with labels that was made.
    pub(super) fn labelled(self) -> Vec<Labelled> {
        self.labelled.into_inner()
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

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        let made = IntCounterVec::new(Opts::new(name, help), labels).expect("a valid name");
        self.keep(made.clone());
        self.labelled
            .borrow_mut()
            .push(Labelled::Counters(made.clone()));
        made
    }

    pub(super) fn costs(&self, name: &str, help: &str, labels: &[&str]) -> CostCounters {
        let made = CostCounters::new(Opts::new(name, help), labels).expect("a valid name");
        self.keep(made.clone());
        self.labelled
            .borrow_mut()
            .push(Labelled::Costs(made.clone()));
        made
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        let made = IntCounter::new(name, help).expect("a valid name");
        self.keep(made.clone());
        made
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        let made = IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid name");
        self.keep(made.clone());
        self.labelled
            .borrow_mut()
            .push(Labelled::Gauges(made.clone()));
        made
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        let made = IntGauge::new(name, help).expect("a valid name");
        self.keep(made.clone());
        made
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let made = HistogramVec::new(options, labels).expect("a valid name");
        self.keep(made.clone());
        self.labelled
            .borrow_mut()
            .push(Labelled::Histograms(made.clone()));
        made
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let made = Histogram::with_opts(options).expect("a valid name");
        self.keep(made.clone());
        made
    }
}
