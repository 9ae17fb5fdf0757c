//! What is left of a request that is over?
//!
//! Its record, without what would keep more than it alive: a plan has pools, which end with their
//! configuration, and a caller's address is told as the operator wants it and kept in no other
//! form. Its line is made of this, and whoever asks for it later is told the same.

use std::time::{Duration, Instant};

use super::policy::LogPolicy;
use super::{Outcome, RequestRecord};
use crate::gateway::client::Client;
use crate::gateway::client::shown::Shown;
use crate::names::{KeyName, ModelId};

/// A request that is over.
#[derive(Debug)]
pub struct Ended {
    pub(super) record: RequestRecord,
    /// What its model is called.
    pub model: Option<ModelId>,
    /// What the key is called that its caller showed.
    pub key: Option<KeyName>,
    /// Where its caller is, as far as that is told.
    pub client: Shown,
    /// From its head to its end.
    pub duration: Duration,
    /// Whether it took longer than the operator finds well: up to its end, or, as a stream may
    /// be long for good reasons, to the first byte of it.
    pub slow: bool,
    /// Whether it leaves a line only because its id was drawn, and from which share.
    pub sample: Option<f64>,
}

impl Ended {
    /// What is left of a record. `own` is a secret of this process.
    #[must_use]
    pub(super) fn new(
        mut record: RequestRecord,
        now: Instant,
        policy: &LogPolicy,
        own: &[u8; 32],
    ) -> Self {
        let duration = now.saturating_duration_since(record.began());
        let waited = record.first_byte.filter(|_| record.stream);
        let waited = waited.map(|at| at.saturating_duration_since(record.began()));
        let client = policy.shown(&record.client, record.began_wall(), own);
        let gone = std::mem::replace(&mut record.client, Client::new(None));
        let model = record.plan.take().map(|plan| plan.model.clone());
        (record.leg, record.served) = (None, None);
        // What was said is told to a collector where that is wanted, and kept nowhere.
        record.heard = None;
        let slow = policy.is_slow(waited.unwrap_or(duration));
        let is_drawn = policy.sample < 1.0 && went_well(&record) && !slow;
        Self {
            model,
            key: gone.key.map(|key| key.name.clone()),
            client,
            duration,
            slow,
            sample: is_drawn.then_some(policy.sample),
            record,
        }
    }

    /// Its record.
    #[must_use]
    pub fn record(&self) -> &RequestRecord {
        &self.record
    }

    /// Whether its caller lost it to a failure, ours or an upstream's. Who was refused for what
    /// they asked, or because a limit is met, has lost nothing.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let outcome = self.record.outcome;
        let broken = matches!(outcome, Outcome::UpstreamFailed | Outcome::StreamBroken(_));
        broken || self.record.status >= 500
    }

    /// What of its time was spent here, as it is counted; where it was answered.
    #[must_use]
    pub fn overhead(&self) -> Option<Duration> {
        self.record.first_byte?;
        let ended = self.record.began() + self.duration;
        Some(self.record.overhead(ended))
    }
}

fn went_well(record: &RequestRecord) -> bool {
    record.outcome == Outcome::Served && record.status < 400
}
