//! Who may answer?
//!
//! Compiled once from the configuration: exact names and aliases in one map,
//! patterns by falling length, so that the longest that fits is found first. A
//! request gets a shared [`Plan`] and nothing is allocated for it.

/// Which parts of the configuration does an answer depend on?
mod epoch;

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::cache::CachePolicy;
use crate::config::costs::Used;
use crate::config::dialect::Thinking;
use crate::config::{Config, Modality, Timeouts, TimeoutsOverride};
use crate::gateway::pools::Pool;
use crate::gateway::record::metrics::{LegMetrics, Metrics, ModelMetrics};
use crate::gateway::record::spend::Served;
use crate::money::Usd;
use crate::names::ModelId;
use crate::operation::Operation;

/// Everything that was decided for a model when the configuration was read.
#[derive(Debug)]
pub struct Plan {
    /// Its canonical name.
    pub model: ModelId,
    /// What it makes.
    pub modality: Modality,
    /// What it is asked for.
    pub operations: Vec<Operation>,
    /// Whether an answer may show images that are kept here.
    pub shows_images: bool,
    /// How many requests one request counts as, ≥ 1.
    pub weight: u32,
    /// What its answers are kept by.
    pub cache: CachePolicy,
    /// Who may answer, in order of preference; at least one.
    pub legs: Vec<Leg>,
    /// Who answers in its place.
    pub fallbacks: Fallbacks,
    /// A hash of what the configuration says of who answers, and in which words.
    pub epoch: [u8; 32],
    /// Where what happens to its requests is counted.
    pub metrics: Arc<ModelMetrics>,
}

/// Models that answer in another's place, in order. Theirs in turn are not followed.
#[derive(Debug, Default)]
pub struct Fallbacks {
    /// Where none of its pools can.
    pub unavailable: Vec<Fallback>,
    /// Where the request is too long for it.
    pub context: Vec<Fallback>,
    /// Where an upstream's policy refuses what was asked.
    pub policy: Vec<Fallback>,
}

/// A model that answers in another's place.
#[derive(Debug)]
pub struct Fallback {
    /// What it is called by, as the configuration names it.
    pub name: Box<str>,
    /// Who may answer for it.
    pub plan: Arc<Plan>,
}

/// One pool of a plan.
#[derive(Debug)]
pub struct Leg {
    /// The pool.
    pub pool: Arc<Pool>,
    /// What the pool calls the model; `None`: as the caller wrote it.
    pub name: Option<String>,
    /// How many tokens an answer may have where the caller does not say and the dialect must.
    pub max_tokens_default: u32,
    /// How the model is told how hard to think, where the dialect has words for that.
    pub thinking: Thinking,
    /// Who is paid for its answers, and how much.
    pub served: Arc<Served>,
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
        let without = Self::compile(config, pools, metrics, |_| Fallbacks::default());
        Self::compile(config, pools, metrics, |model| {
            Fallbacks::of(model, &without)
        })
    }

    fn compile(
        config: &Config,
        pools: &[Arc<Pool>],
        metrics: &Metrics,
        fallbacks: impl Fn(&crate::config::Model) -> Fallbacks,
    ) -> Self {
        let mut exact = HashMap::new();
        let mut patterns = Vec::new();
        for model in &config.models {
            let plan = |rename_to_id: bool| {
                let fallbacks = fallbacks(model);
                let legs = legs(config, pools, model, rename_to_id, metrics);
                Arc::new(Plan {
                    shows_images: model.modality == Modality::Image
                        || legs.iter().any(|leg| leg.pool.dialect.shows_pictures())
                        || fallbacks.all().any(|fallback| fallback.plan.shows_images),
                    model: model.id.clone(),
                    modality: model.modality,
                    operations: model.operations.clone(),
                    weight: model.weight,
                    cache: config.cache.policy.overridden(&model.cache),
                    legs,
                    epoch: epoch::epoch(config, model, &fallbacks),
                    fallbacks,
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

impl Fallbacks {
    /// Those that the configuration names for a model, as `router` knows them.
    fn of(model: &crate::config::Model, router: &Router) -> Self {
        let found = |names: &[String]| {
            let fallback = |name: &String| {
                let plan = Arc::clone(router.route(name)?);
                let name = name.as_str().into();
                Some(Fallback { name, plan })
            };
            names.iter().filter_map(fallback).collect()
        };
        Self {
            unavailable: found(&model.fallbacks),
            context: found(&model.context_fallbacks),
            policy: found(&model.policy_fallbacks),
        }
    }
}

impl Fallbacks {
    /// All of them.
    fn all(&self) -> impl Iterator<Item = &Fallback> {
        let Self {
            unavailable,
            context,
            policy,
        } = self;
        unavailable.iter().chain(context).chain(policy)
    }
}

impl Fallback {
    /// Whether it can answer this in another model's place.
    #[must_use]
    pub fn serves(&self, operation: Operation) -> bool {
        operation.may_fall_back() && self.plan.serves(operation)
    }
}

impl Leg {
    /// Whether its pool can be asked for this.
    #[must_use]
    pub fn answers(&self, operation: Operation) -> bool {
        self.pool.dialect.answers(operation)
    }

    /// What the pool calls a model that is called `name` here.
    #[must_use]
    pub fn model<'a>(&'a self, name: &'a str) -> &'a str {
        self.name.as_deref().unwrap_or(name)
    }
}

impl Plan {
    /// Whether it is asked for this, and has a pool that could answer.
    #[must_use]
    pub fn serves(&self, operation: Operation) -> bool {
        self.operations.contains(&operation.configured_as())
            && self.legs.iter().any(|leg| leg.answers(operation))
    }

    /// What so much would cost at the dearest of its pools; nothing where nobody knows.
    #[must_use]
    pub fn cost(&self, used: &Used) -> Usd {
        let prices = self.legs.iter().filter_map(|leg| leg.served.price);
        prices.map(|price| price.of(used)).max().unwrap_or_default()
    }

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
            max_tokens_default: model.max_tokens_default,
            thinking: model.thinking,
            served: metrics.served(&model.id, &pool.name, wanted.price.or(model.price)),
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
