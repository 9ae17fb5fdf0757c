//! What does `[metrics]` look like?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::metrics::SERIES_MAX;

/// How much metrics may tell.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Metrics {
    /// Label sets of all metrics together; what is beyond them is counted under `other`.
    #[schemars(range(min = 500, max = 100_000))]
    pub(in crate::config) series_max: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            series_max: SERIES_MAX,
        }
    }
}
