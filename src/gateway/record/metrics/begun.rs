//! Which series stand at 0 before anything has happened?
//!
//! A rate is made of the difference of two values, so what a series begins with is in none: of a
//! series that begins with what it counts, nobody sees the first time, and there may be no second.
//! What seldom happens and somebody waits for therefore begins with the configuration that names
//! it, where that is a handful of series. What is counted all the time needs no such thing.

use super::Metrics;
use crate::config::{Config, Target};
use crate::gateway::pools::health::EjectionReason;
use crate::gateway::record::BEFORE_FIRST_EVENT;

impl Metrics {
    /// Begins what seldom happens to what this configuration names; `breaks` are the ways in which a
    /// stream may break.
    pub fn begin(&self, config: &Config, breaks: &[&'static str]) {
        for pool in &config.pools {
            let name = pool.name.as_str();
            // Nothing is too late where nobody has said when.
            let tells_late = pool.ejection.latency.is_some();
            let reasons = EjectionReason::ALL.into_iter();
            let reasons = reasons.filter(|it| tells_late || *it != EjectionReason::Slow);
            for target in pool.targets.iter().map(Target::label) {
                for reason in reasons.clone() {
                    self.ejections.begin(&[name, &target, reason.as_str()]);
                }
            }
        }
        let of_keys = config.keys.iter().map(|key| &key.allowance);
        self.limiter.begin(&config.limits, of_keys);
        for model in &config.models {
            let policy = config.cache.policy.overridden(&model.cache);
            self.cache.begin(model.id.as_str(), &policy);
        }
        for kind in breaks.iter().chain([&BEFORE_FIRST_EVENT]) {
            self.stream_breaks.begin(&[*kind]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The series of a metric that stand at 0, by their labels.
    fn begun(metrics: &Metrics, name: &str) -> Vec<String> {
        let text = String::from_utf8(metrics.text()).unwrap();
        let series = text.lines().filter_map(|line| {
            let labels = line.strip_prefix(name)?.strip_prefix('{')?;
            labels.strip_suffix("} 0").map(str::to_owned)
        });
        series.collect()
    }

    #[test]
    fn what_seldom_happens_is_told_before_it_does() {
        let config = crate::config::example(
            "[[limits]]\nname = \"l\"\nby = \"client\"\nstreams = 1\n\
             requests = { count = 1, per = \"1m\" }\n\
             [[limits]]\nname = \"s\"\nby = \"client\"\nconcurrent = 1\nshadow = true\n\
             [[keys]]\nname = \"k\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n\
             tokens = { count = 1, per = \"1m\" }\n[auth]\nkeys = \"optional\"\n\
             [cache]\nstale_if_error = \"1m\"",
        );
        let metrics = Metrics::new();
        metrics.begin(&config, &["cut", "stalled"]);
        let (pool, model) = (&config.pools[0], &config.models[0]);
        let (name, target) = (pool.name.as_str(), pool.targets[0].label());
        let of = |reason: &str| format!("pool=\"{name}\",reason=\"{reason}\",target=\"{target}\"");
        let ejections = begun(&metrics, "spafe_target_ejections_total");
        for reason in ["in_a_row", "probe", "share"] {
            assert!(ejections.contains(&of(reason)), "{ejections:?}");
        }
        assert!(!ejections.contains(&of("slow")), "{ejections:?}");
        let refused = [
            "kind=\"requests\",limit=\"l\"",
            "kind=\"streams\",limit=\"l\"",
            "kind=\"tokens\",limit=\"key\"",
        ];
        assert_eq!(begun(&metrics, "spafe_limit_refused_total"), refused);
        assert_eq!(
            begun(&metrics, "spafe_limit_shadow_refused_total"),
            ["kind=\"concurrent\",limit=\"s\""]
        );
        let stale = format!("model=\"{}\",verdict=\"stale_if_error\"", model.id);
        let verdicts = begun(&metrics, "spafe_cache_requests_total");
        assert!(verdicts.contains(&stale), "{verdicts:?}");
        assert_eq!(verdicts.len(), config.models.len());
        let breaks =
            ["before_first_event", "cut", "stalled"].map(|kind| format!("kind=\"{kind}\""));
        assert_eq!(begun(&metrics, "spafe_stream_breaks_total"), breaks);
        // A reload begins nothing anew.
        metrics.stream_broken("cut");
        metrics.begin(&config, &["cut", "stalled"]);
        assert_eq!(begun(&metrics, "spafe_stream_breaks_total").len(), 2);
    }
}
