//! Which configuration is in force, and what became of reloads?

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounter, IntGauge};

use super::bounded::Gauges;
use super::make::Make;

/// What is told of the configuration.
#[derive(Debug)]
pub struct ConfigMetrics {
    reloads: IntCounter,
    failures: IntCounter,
    last_ok: IntGauge,
    last_timestamp: IntGauge,
    info: Gauges,
}

impl ConfigMetrics {
    pub(super) fn new(new: &Make<'_>) -> Self {
        Self {
            reloads: new.counter(
                "spafe_config_reloads_total",
                "Reloads that came into force.",
            ),
            failures: new.counter(
                "spafe_config_reload_failures_total",
                "Reloads that changed nothing because something was wrong.",
            ),
            last_ok: new.gauge(
                "spafe_config_last_reload_ok",
                "1 where the configuration as it stands is in force, 0 where the last reload failed.",
            ),
            last_timestamp: new.gauge(
                "spafe_config_last_reload_timestamp_seconds",
                "When the configuration in force was read, in seconds since 1970.",
            ),
            info: new.gauges(
                "spafe_config_info",
                "1, with the version of the configuration in force as a label.",
                &["version"],
            ),
        }
    }

    /// This version is in force from now on, and no other.
    pub fn in_force(&self, version: &str, now: SystemTime) {
        self.info.reset();
        self.info.with_label_values(&[version]).set(1);
        self.last_ok.set(1);
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
        self.last_timestamp.set(seconds);
    }

    /// A reload is over.
    pub fn reloaded(&self, is_ok: bool) {
        let counter = if is_ok { &self.reloads } else { &self.failures };
        counter.inc();
        self.last_ok.set(i64::from(is_ok));
    }
}
