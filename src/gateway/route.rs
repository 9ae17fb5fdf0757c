//! Who may answer?
//!
//! Compiled once from the configuration: exact names and aliases in one map,
//! patterns by falling length, so that the longest that fits is found first. A
//! request gets a shared [`Plan`] and nothing is allocated for it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{Config, Modality, Timeouts, TimeoutsOverride};
use crate::gateway::pools::Pool;
use crate::gateway::record::metrics::{LegMetrics, Metrics, ModelMetrics};
use crate::names::ModelId;

/// Everything that was decided for a model when the configuration was read.
#[derive(Debug)]
pub struct Plan {
    /// Its canonical name.
    pub model: ModelId,
    /// What it makes.
    pub modality: Modality,
    /// Who may answer, in order of preference; at least one.
    pub legs: Vec<Leg>,
    /// Where what happens to its requests is counted.
    pub metrics: Arc<ModelMetrics>,
}

/// One pool of a plan.
#[derive(Debug)]
pub struct Leg {
    /// The pool.
    pub pool: Arc<Pool>,
    /// What the pool calls the model; `None`: as the caller wrote it.
    pub name: Option<String>,
    /// Deadlines for this model at this pool.
    pub timeouts: Timeouts,
    /// Where what happens to its attempts is counted.
    pub metrics: Arc<LegMetrics>,
}

/// Finds the plan for a model's name.
#[derive(Debug)]
pub struct Router {
    exact: HashMap<Box<str>, Arc<Plan>>,
    /// By falling length of the prefix.
    patterns: Vec<(Box<str>, Arc<Plan>)>,
}

impl Router {
    /// Compiles the configuration's models over its pools, which stand in the same order.
    #[must_use]
    pub fn new(config: &Config, pools: &[Arc<Pool>], metrics: &Metrics) -> Self {
        let mut exact = HashMap::new();
        let mut patterns = Vec::new();
        for model in &config.models {
            let plan = |rename_to_id: bool| {
                Arc::new(Plan {
                    model: model.id.clone(),
                    modality: model.modality,
                    legs: legs(config, pools, model, rename_to_id, metrics),
                    metrics: metrics.model(&model.id),
                })
            };
            if model.is_pattern {
                let prefix = model.id.as_str().trim_end_matches('*');
                patterns.push((prefix.into(), plan(false)));
            } else {
                exact.insert(model.id.as_str().into(), plan(false));
            }
            // An upstream knows the model, not what we also call it.
            if !model.aliases.is_empty() {
                let plan = plan(true);
                for alias in &model.aliases {
                    exact.insert(alias.as_str().into(), Arc::clone(&plan));
                }
            }
        }
        patterns.sort_by_key(|(prefix, _): &(Box<str>, _)| std::cmp::Reverse(prefix.len()));
        Self { exact, patterns }
    }

    /// The plan for `model`: its exact name or alias, else the longest pattern.
    #[must_use]
    pub fn route(&self, model: &str) -> Option<&Arc<Plan>> {
        self.exact.get(model).or_else(|| {
            self.patterns
                .iter()
                .find(|(prefix, _)| model.starts_with(&**prefix))
                .map(|(_, plan)| plan)
        })
    }
}

impl Plan {
    /// How long all attempts together may take: the longest of what its pools allow.
    #[must_use]
    pub fn request_timeout(&self) -> std::time::Duration {
        let allowed = self.legs.iter().map(|leg| leg.timeouts.request);
        allowed.max().unwrap_or_default()
    }
}

fn legs(
    config: &Config,
    pools: &[Arc<Pool>],
    model: &crate::config::Model,
    rename_to_id: bool,
    metrics: &Metrics,
) -> Vec<Leg> {
    let renamed = (rename_to_id && !model.is_pattern).then(|| model.id.as_str().to_owned());
    let legs = model.pools.iter().filter_map(|wanted| {
        let pool = pools.get(wanted.pool)?;
        let timeouts = config.pools.get(wanted.pool)?.timeouts;
        Some(Leg {
            name: wanted.name.clone().or_else(|| renamed.clone()),
            timeouts: overridden(timeouts, &model.timeouts),
            metrics: metrics.leg(&model.id, &pool.name),
            pool: Arc::clone(pool),
        })
    });
    legs.collect()
}

fn overridden(pool: Timeouts, model: &TimeoutsOverride) -> Timeouts {
    let TimeoutsOverride {
        connect,
        first_event,
        answer,
        event_gap,
        stream,
        request,
    } = *model;
    Timeouts {
        connect: connect.unwrap_or(pool.connect),
        first_event: first_event.unwrap_or(pool.first_event),
        answer: answer.unwrap_or(pool.answer),
        event_gap: event_gap.unwrap_or(pool.event_gap),
        stream: stream.unwrap_or(pool.stream),
        request: request.unwrap_or(pool.request),
        idle: pool.idle,
    }
}
