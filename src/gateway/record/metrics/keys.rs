//! How much is asked with which key?
//!
//! By its name, which stands in the configuration. A key has six series once it was used, and
//! none after a reload that does not name it any more; callers without one are not counted here.

use prometheus::IntCounterVec;

use super::make::Make;
use crate::gateway::record::outcome::Class;
use crate::names::KeyName;

/// The counters of all keys.
#[derive(Debug)]
pub struct KeyMetrics {
    requests: IntCounterVec,
    tokens: IntCounterVec,
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
        }
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
