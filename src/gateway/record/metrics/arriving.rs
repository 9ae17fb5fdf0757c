//! How do callers come in?

use prometheus::IntCounter;

use super::make::Make;
use super::pick;
use crate::gateway::record::outcome::arriving::{Excess, Handshake, Listener, Spoken};

/// Connections of callers, and the heads on them.
#[derive(Debug)]
pub struct ArrivingMetrics {
    accepted: [IntCounter; 2],
    handshakes: [IntCounter; 2],
    heads: [IntCounter; 3],
    ended: [IntCounter; 3],
}

impl ArrivingMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let accepted = new.counters(
            "spafe_connections_accepted_total",
            "Connections that were let in, by what their listener speaks.",
            &["listener"],
        );
        let handshakes = new.counters(
            "spafe_tls_handshakes_total",
            "TLS handshakes of callers that are over, by result.",
            &["result"],
        );
        let heads = new.counters(
            "spafe_http_requests_total",
            "Heads of requests that were read, by version of HTTP.",
            &["version"],
        );
        let ended = new.counters(
            "spafe_connections_ended_total",
            "Connections of HTTP/2 ended because of what their clients did beside requests.",
            &["reason"],
        );
        Self {
            accepted: Listener::ALL.map(|it| accepted.with_label_values(&[it.as_str()])),
            handshakes: Handshake::ALL.map(|it| handshakes.with_label_values(&[it.as_str()])),
            heads: Spoken::ALL.map(|it| heads.with_label_values(&[it.as_str()])),
            ended: Excess::ALL.map(|it| ended.with_label_values(&[it.as_str()])),
        }
    }

    /// The counter of connections that this listener let in.
    #[must_use]
    pub fn accepted(&self, listener: Listener) -> &IntCounter {
        pick(&self.accepted, listener as usize)
    }

    /// The counter of handshakes that came to this.
    #[must_use]
    pub fn handshakes(&self, handshake: Handshake) -> &IntCounter {
        pick(&self.handshakes, handshake as usize)
    }

    /// The counter of heads in this version.
    #[must_use]
    pub fn heads(&self, spoken: Spoken) -> &IntCounter {
        pick(&self.heads, spoken as usize)
    }

    /// The counter of connections that were ended because of this.
    #[must_use]
    pub fn ended(&self, excess: Excess) -> &IntCounter {
        pick(&self.ended, excess as usize)
    }
}
