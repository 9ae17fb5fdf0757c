//! What do answers cost?
//!
//! By the model and the pool that answered; only where a price is known is there a series.

use std::sync::Arc;

use super::Metrics;
use super::bounded::Costs;
use super::make::Make;
use crate::config::costs::Price;
use crate::gateway::record::spend::Served;
use crate::names::{ModelId, PoolName};

/// `spafe_cost_usd_total`
pub(super) fn new(new: &Make<'_>) -> Costs {
    new.costs(
        "spafe_cost_usd_total",
        "What answers have cost by their prices, in US dollars.",
        &["model", "pool"],
    )
}

impl Metrics {
    /// A model at a pool that is paid so much, and where that is counted.
    #[must_use]
    pub fn served(&self, model: &ModelId, pool: &PoolName, price: Option<Price>) -> Arc<Served> {
        let labels = [model.as_str(), pool.as_str()];
        Arc::new(Served {
            model: model.clone(),
            pool: pool.clone(),
            price,
            cost: price.map(|_| self.cost.with_label_values(&labels)),
        })
    }
}
