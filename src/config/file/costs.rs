//! What do `price`, `cost` and `[costs]` look like?

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::notation::{Length, Written};

/// What answers cost, in US dollars.
#[derive(Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "input": 2.5, "output": 10.0 }))]
pub(in crate::config) struct Price {
    /// A million tokens of questions; unset: 0.
    #[schemars(range(min = 0, max = 10_000))]
    pub(in crate::config) input: Option<f64>,
    /// A million of them that the upstream had kept from before; unset: as `input`.
    #[schemars(range(min = 0, max = 10_000))]
    pub(in crate::config) cached_input: Option<f64>,
    /// A million tokens of answers; unset: 0.
    #[schemars(range(min = 0, max = 10_000))]
    pub(in crate::config) output: Option<f64>,
    /// An image; unset: 0.
    #[schemars(range(min = 0, max = 1000))]
    pub(in crate::config) image: Option<f64>,
}

/// So many dollars in each span of the calendar.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "usd": 5.0, "per": "1d" }))]
pub(in crate::config) struct Budget {
    /// How many.
    #[schemars(range(min = 0.000_001, max = 1_000_000))]
    pub(in crate::config) usd: f64,
    /// In which time, from a minute to 31 days; it begins anew at its multiples since a Monday's
    /// midnight in UTC.
    pub(in crate::config) per: Written<Length>,
}

/// How long it is remembered what was used.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Costs {
    /// How long, from an hour to 31 days.
    pub(in crate::config) history: Written<Length>,
    /// How many rows that may take; beyond them the oldest hour is forgotten.
    #[schemars(range(min = 1000, max = 10_000_000))]
    pub(in crate::config) history_rows_max: u32,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            history: Written(Duration::from_hours(31 * 24)),
            history_rows_max: 100_000,
        }
    }
}
