//! How much is asked with which key?
//!
//! By its name, which stands in the configuration. A key has seven series once it was used, and
//! none after a reload that does not name it any more; callers without one are not counted here.

use super::bounded::{Costs, Counters};
use super::make::Make;
use crate::gateway::record::outcome::Class;
use crate::money::Usd;
use crate::names::KeyName;

/// The counters of all keys.
#[derive(Debug)]
pub struct KeyMetrics {
    requests: Counters,
    tokens: Counters,
    cost: Costs,
}

impl KeyMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        Self {
            requests: new.counters(
                "spafe_key_requests_total",
                "Requests of callers with a key, by its name and class of status.",
                &["key", "class"],
            ),
            tokens: new.counters(
                "spafe_key_tokens_total",
                "Tokens of callers with a key, as upstreams told them.",
                &["key", "direction"],
            ),
            cost: new.costs(
                "spafe_key_cost_usd_total",
                "What answers to callers with a key have cost by their prices, in US dollars.",
                &["key"],
            ),
        }
    }

    /// Counts what an answer to this key cost.
    pub fn cost(&self, key: &KeyName, cost: Usd) {
        self.cost.with_label_values(&[key.as_str()]).inc_by(cost);
    }

    /// Counts a request with this key, and what it used, as far as that was told.
    pub fn count(&self, key: &KeyName, class: Class, tokens: [(&str, Option<u64>); 2]) {
        let labels = [key.as_str(), class.as_str()];
        self.requests.with_label_values(&labels).inc();
        for (direction, tokens) in tokens {
            if let Some(tokens) = tokens {
                let labels = [key.as_str(), direction];
                self.tokens.with_label_values(&labels).inc_by(tokens);
            }
        }
    }
}
