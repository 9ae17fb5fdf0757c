//! How much is asked of the process at once, and what is turned away?

use prometheus::{IntCounter, IntGauge};

use super::make::Make;
use super::pick;
use crate::gateway::record::outcome::{Cap, Shed};

/// Connections, requests and bodies against their bounds.
#[derive(Debug)]
pub struct LoadMetrics {
    /// `spafe_connections`
    pub connections: IntGauge,
    /// `spafe_bodies_bytes`
    pub bodies_bytes: IntGauge,
    /// `spafe_proxy_headers_refused_total`
    pub proxy_headers_refused: IntCounter,
    /// `spafe_memory_pressure`
    pub memory_pressure: IntGauge,
    refused: [IntCounter; 6],
    shed: [IntCounter; 4],
}

impl LoadMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        let refused = new.counters(
            "spafe_connections_refused_total",
            "Connections closed as they came, by the cap that was met.",
            &["reason"],
        );
        let shed = new.counters(
            "spafe_requests_shed_total",
            "Requests refused because too much was asked at once, by the bound that was met.",
            &["reason"],
        );
        Self {
            connections: new.gauge("spafe_connections", "Open connections of clients."),
            bodies_bytes: new.gauge(
                "spafe_bodies_bytes",
                "Bytes of bodies held, of requests and of answers.",
            ),
            memory_pressure: new.gauge(
                "spafe_memory_pressure",
                "How near the process is to memory_max: 0, 1 (requests are refused) or 2 (connections, too).",
            ),
            proxy_headers_refused: new.counter(
                "spafe_proxy_headers_refused_total",
                "Connections closed because no PROXY protocol header came, or none that is understood.",
            ),
            refused: Cap::ALL.map(|cap| refused.with_label_values(&[cap.as_str()])),
            shed: Shed::ALL.map(|shed_by| shed.with_label_values(&[shed_by.as_str()])),
        }
    }

    /// The counter of connections that this cap refused.
    #[must_use]
    pub fn refused(&self, cap: Cap) -> &IntCounter {
        pick(&self.refused, cap as usize)
    }

    /// The counter of requests that this bound refused.
    #[must_use]
    pub fn shed(&self, shed: Shed) -> &IntCounter {
        pick(&self.shed, shed as usize)
    }
}
