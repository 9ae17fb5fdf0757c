//! Which series end with the configuration that named them?
//!
//! A label's values come from the configuration, and configurations come and go: a
//! series whose model, pool or target no configuration names any more would be told
//! for ever, and a process would grow with every name it has ever heard of.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

/// A metric with labels.
#[derive(Debug)]
pub(super) enum Labelled {
    Counters(IntCounterVec),
    Gauges(IntGaugeVec),
    Histograms(HistogramVec),
}

impl Labelled {
    /// Forgets every series whose labels, by name, say that it is gone.
    pub(super) fn forget(&self, is_gone: &dyn Fn(&HashMap<&str, &str>) -> bool) {
        match self {
            Self::Counters(metric) => forget(metric, is_gone),
            Self::Gauges(metric) => forget(metric, is_gone),
            Self::Histograms(metric) => forget(metric, is_gone),
        }
    }
}

fn forget<T: MetricVecBuilder>(
    metric: &MetricVec<T>,
    is_gone: &dyn Fn(&HashMap<&str, &str>) -> bool,
) {
    for family in metric.collect() {
        for series in family.get_metric() {
            let labels: HashMap<&str, &str> = series
                .get_label()
                .iter()
                .map(|label| (label.name(), label.value()))
                .collect();
            if is_gone(&labels) {
                // It can only fail where somebody else was faster.
                let _ = metric.remove(&labels);
            }
        }
    }
}
