//! Which models are there, and can they be asked now?
//!
//! The list of models says what is configured; a person who chooses one wants to know whether
//! somebody would answer. That is read where it is asked for, and kept nowhere.

use std::time::Instant;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{Config, Modality};
use crate::gateway::route::Router;

/// The models, as they stand.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelStates")]
pub(super) struct Told<'a> {
    /// In the operator's order.
    models: Vec<Model<'a>>,
}

/// A model, as it stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelState")]
struct Model<'a> {
    /// What it is asked for by.
    id: &'a str,
    /// What it makes: `text` or `image`.
    modality: &'static str,
    /// Who made it.
    owned_by: &'a str,
    /// What else it is asked for by.
    aliases: &'a [String],
    /// `ready`, or `unavailable` where none of its pools could be asked.
    state: &'static str,
}

/// The models in the order of the configuration, as JSON; patterns are no model's name.
#[must_use]
pub fn models(config: &Config, router: &Router, now: Instant) -> Bytes {
    let told = |model: &'_ crate::config::Model| {
        let plan = router.route(model.id.as_str());
        plan.is_some_and(|plan| plan.legs.iter().any(|leg| leg.pool.is_usable(now)))
    };
    let models = config.models.iter().filter(|model| !model.is_pattern);
    let models = models.map(|model| Model {
        id: model.id.as_str(),
        modality: modality(model.modality),
        owned_by: &model.owned_by,
        aliases: &model.aliases,
        state: if told(model) { "ready" } else { "unavailable" },
    });
    let told = Told {
        models: models.collect(),
    };
    // Plain fields into memory: there is nothing that could fail.
    Bytes::from(serde_json::to_vec(&told).unwrap_or_default())
}

/// The word for what a model makes.
pub(super) fn modality(modality: Modality) -> &'static str {
    match modality {
        Modality::Text => "text",
        Modality::Image => "image",
    }
}
