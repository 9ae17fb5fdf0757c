//! Where is it written down what happened?
//!
//! In the log, unless it is one of many that went well and was not drawn, and in the ring of the
//! last requests. Both are told what the policy lets be told and no more.

use std::time::{Instant, SystemTime};

use super::RequestRecord;
use super::ended::Ended;
use super::metrics::Metrics;
use super::policy::LogPolicy;
use super::recent::Recent;
use crate::gateway::client::Client;
use crate::gateway::client::shown::Shown;
use crate::telemetry::RequestLog;

/// The log, and the last requests.
#[derive(Debug)]
pub struct Journal {
    /// Where lines go.
    pub log: RequestLog,
    /// The last requests.
    pub recent: Recent,
    /// A secret of this process, of which numbers for callers are made.
    own: [u8; 32],
}

impl Journal {
    /// A journal that begins now. `own` is a secret of this process.
    #[must_use]
    pub fn new(log: RequestLog, policy: &LogPolicy, own: [u64; 4]) -> Self {
        let [a, b, c, d] = own.map(u64::to_le_bytes);
        let mut secret = [0; 32];
        for (to, from) in secret.iter_mut().zip([a, b, c, d].iter().flatten()) {
            *to = *from;
        }
        Self {
            log,
            recent: Recent::new(policy.recent),
            own: secret,
        }
    }

    /// Keeps as many requests in mind as this says.
    pub fn apply(&self, policy: &LogPolicy) {
        self.recent.resize(policy.recent);
    }

    /// What is told of where a caller is.
    #[must_use]
    pub fn shown(&self, client: &Client, at: SystemTime, policy: &LogPolicy) -> Shown {
        policy.shown(client, at, &self.own)
    }

    /// Writes down what happened.
    pub(super) fn note(
        &self,
        record: RequestRecord,
        now: Instant,
        metrics: &Metrics,
        policy: &LogPolicy,
    ) {
        let ended = Ended::new(record, now, policy, &self.own);
        if ended.slow {
            metrics.journal.slow.inc();
        }
        if self.log.is_on() {
            if ended.sample.is_none() || policy.takes(&ended.record().id) {
                self.log.write(ended.line(self.log.form(policy.format)));
            } else {
                metrics.journal.sampled_out.inc();
            }
        }
        self.recent.note(ended);
    }
}
