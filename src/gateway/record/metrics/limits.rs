//! How often are limits met, and how many are counted?

use prometheus::{IntCounter, IntGauge};

use super::bounded::Counters;
use super::make::Make;
use super::pick;
use crate::config::limits::{Allowance, Limit};
use crate::gateway::limit::{Kept, Kind};
use crate::names::LimitName;

/// What every key's own limits are called: there may be many keys.
pub(super) const OWN: &str = "key";

/// The counters of limits.
#[derive(Debug)]
pub struct LimitMetrics {
    refused: Counters,
    shadow_refused: Counters,
    keys: IntGauge,
    evictions: IntCounter,
    decisions: [IntCounter; 3],
}

impl LimitMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let decisions = new.counters(
            "spafe_limit_decisions_total",
            "Requests whose limits were asked, by what they said.",
            &["result"],
        );
        Self {
            decisions: Decision::ALL.map(|it| decisions.with_label_values(&[it.as_str()])),
            refused: new.counters(
                "spafe_limit_refused_total",
                "Requests that a limit refused, by limit and what it is of.",
                &["limit", "kind"],
            ),
            shadow_refused: new.counters(
                "spafe_limit_shadow_refused_total",
                "Requests that a limit would have refused if it were no shadow.",
                &["limit", "kind"],
            ),
            keys: new.gauge(
                "spafe_limiter_keys",
                "Windows of limits that are not full, of all callers.",
            ),
            evictions: new.counter(
                "spafe_limiter_evictions_total",
                "Windows that were forgotten before they were full, to make room.",
            ),
        }
    }

    /// The counter of requests of which the limits said this.
    #[must_use]
    pub fn decisions(&self, decision: Decision) -> &IntCounter {
        pick(&self.decisions, decision as usize)
    }

    /// Begins what limits may refuse, those of keys under one name.
    pub(super) fn begin<'a>(&self, limits: &[Limit], of_keys: impl Iterator<Item = &'a Allowance>) {
        for limit in limits {
            let counters = if limit.shadow {
                &self.shadow_refused
            } else {
                &self.refused
            };
            for kind in kinds(&limit.allowance) {
                counters.begin(&[label(&limit.name), kind.as_str()]);
            }
        }
        for kind in of_keys.flat_map(kinds) {
            self.refused.begin(&[OWN, kind.as_str()]);
        }
    }

    /// Counts a request that a limit refused.
    pub fn refused(&self, limit: &LimitName, kind: Kind) {
        let labels = [label(limit), kind.as_str()];
        self.refused.with_label_values(&labels).inc();
    }

    /// Counts a request that a shadow would have refused.
    pub fn shadow_refused(&self, limit: &LimitName, kind: Kind) {
        let labels = [label(limit), kind.as_str()];
        self.shadow_refused.with_label_values(&labels).inc();
    }

    /// Tells what is kept. Only one may do so at a time.
    pub fn keep(&self, kept: Kept) {
        let keys = i64::try_from(kept.keys).unwrap_or(i64::MAX);
        self.keys.set(keys);
        let new = kept.evictions.saturating_sub(self.evictions.get());
        self.evictions.inc_by(new);
    }
}

/// What limits said of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may come in.
    Admitted,
    /// It may not.
    Refused,
    /// It may, but it would not if no limit were a shadow.
    ShadowRefused,
}

impl Decision {
    /// Every decision, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Admitted, Self::Refused, Self::ShadowRefused];

    /// The word for the label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::ShadowRefused => "shadow_refused",
        }
    }
}

/// What is bounded.
fn kinds(allowance: &Allowance) -> impl Iterator<Item = Kind> + use<> {
    let Allowance {
        requests,
        tokens,
        cost,
        concurrent,
        streams,
    } = *allowance;
    let all = [
        (Kind::Requests, requests.is_some()),
        (Kind::Tokens, tokens.is_some()),
        (Kind::Cost, cost.is_some()),
        (Kind::Concurrent, concurrent.is_some()),
        (Kind::Streams, streams.is_some()),
    ];
    let bounded = all.into_iter().filter(|(_, is_bounded)| *is_bounded);
    bounded.map(|(kind, _)| kind)
}

/// A colon is in no name of `[[limits]]`: it is a key's own limit.
fn label(limit: &LimitName) -> &str {
    let name = limit.as_str();
    if name.contains(':') { OWN } else { name }
}
