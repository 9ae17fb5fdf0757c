//! Which series end with the configuration that named them?
//!
//! A label's values come from the configuration, and configurations come and go: a
//! series whose model, pool, target, key or limit no configuration names any more would be told
//! for ever, and a process would grow with every name it has ever heard of.

use std::collections::{HashMap, HashSet};

use super::bounded::{Costs, Counters, Gauges, Histograms, IsGone};
use super::limits::OWN;
use super::{Metrics, NO_MODEL, NO_POOL};
use crate::config::{self, Config, Target};

impl Metrics {
    /// Forgets the series of models, pools, targets, keys and limits that this configuration does not name.
    pub fn keep_only(&self, config: &Config) {
        let models = config.models.iter().map(|model| model.id.as_str());
        let models: HashSet<&str> = models.chain([NO_MODEL]).collect();
        let targets_of = |pool: &config::Pool| pool.targets.iter().map(Target::label).collect();
        let mut pools: HashMap<&str, HashSet<String>> = config
            .pools
            .iter()
            .map(|pool| (pool.name.as_str(), targets_of(pool)))
            .collect();
        pools.insert(NO_POOL, HashSet::new());
        let keys: HashSet<&str> = config.keys.iter().map(|key| key.name.as_str()).collect();
        let limits = config.limits.iter().map(|limit| limit.name.as_str());
        let limits: HashSet<&str> = limits.chain([OWN]).collect();
        let is_gone = |labels: &[(String, String)]| {
            let of = |wanted: &str| {
                let label = labels.iter().find(|(name, _)| name == wanted);
                label.map(|(_, value)| value.as_str())
            };
            let model = of("model");
            let key = of("key");
            let limit = of("limit");
            let pool = of("pool").map(|pool| pools.get(pool));
            model.is_some_and(|model| !models.contains(model))
                || key.is_some_and(|key| !keys.contains(key))
                || limit.is_some_and(|limit| !limits.contains(limit))
                || pool.is_some_and(|targets| match (targets, of("target")) {
                    (None, _) => true,
                    (Some(targets), Some(target)) => !targets.contains(target),
                    (Some(_), None) => false,
                })
        };
        for metric in &self.labelled {
            metric.forget(&is_gone);
        }
    }
}

/// A metric with labels.
#[derive(Debug)]
pub(super) enum Labelled {
    Counters(Counters),
    Costs(Costs),
    Gauges(Gauges),
    Histograms(Histograms),
}

impl Labelled {
    /// Forgets every series whose labels, by name, say that it is gone.
    pub(super) fn forget(&self, is_gone: &IsGone<'_>) {
        match self {
            Self::Counters(metric) => metric.forget(is_gone),
            Self::Costs(metric) => metric.forget(is_gone),
            Self::Gauges(metric) => metric.forget(is_gone),
            Self::Histograms(metric) => metric.forget(is_gone),
        }
    }
}

impl From<Counters> for Labelled {
    fn from(metric: Counters) -> Self {
        Self::Counters(metric)
    }
}

impl From<Costs> for Labelled {
    fn from(metric: Costs) -> Self {
        Self::Costs(metric)
    }
}

impl From<Gauges> for Labelled {
    fn from(metric: Gauges) -> Self {
        Self::Gauges(metric)
    }
}

impl From<Histograms> for Labelled {
    fn from(metric: Histograms) -> Self {
        Self::Histograms(metric)
    }
}
