//! How many series may there be?
//!
//! Labels come from the configuration, so nobody outside can make a series. A configuration of
//! thousands of models can, and each series costs memory here and at whoever reads them. So all
//! metrics share a bound on their label sets; a histogram's is one, whatever its buckets. What
//! comes beyond it is counted under `other`, once for each metric, for which room is kept free: a
//! sum stays right where its parts are not told any more.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use crate::gateway::record::spend::CostCounters;

/// The value of every label beyond the bound.
pub(super) const OTHER: &str = "other";
/// Whether a series is of what no configuration names any more, by its labels.
pub(super) type IsGone<'a> = dyn Fn(&[(String, String)]) -> bool + 'a;

/// Whole numbers that grow, by labels.
pub(super) type Counters = Bounded<IntCounterVec>;
/// Sums of money, by labels.
pub(in crate::gateway::record) type Costs = Bounded<CostCounters>;
/// Whole numbers at an instant, by labels.
pub(super) type Gauges = Bounded<IntGaugeVec>;
/// Distributions, by labels.
pub(super) type Histograms = Bounded<HistogramVec>;

/// The label sets of all metrics.
#[derive(Debug)]
pub(super) struct Series {
    /// Those that there are.
    used: AtomicUsize,
    /// Metrics with labels that have no series for what is beyond the bound yet.
    reserved: AtomicUsize,
    /// `used + reserved ≤ max`, but for what was there before the bound was lowered.
    max: AtomicUsize,
}

impl Series {
    /// None yet, and at most so many.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            max: AtomicUsize::new(max),
        })
    }

    /// At most so many from now on. Those that are there stay.
    pub(super) fn bound(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many there are.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// One more that does not ask: a metric without labels.
    pub(super) fn one(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        let max = self.max.load(Ordering::Relaxed);
        let reserved = self.reserved.load(Ordering::Relaxed);
        let more = |used: usize| (used + reserved < max).then_some(used + 1);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn give_back(&self, count: usize) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Metrics that differ in their labels only.
pub trait Family: Clone {
    /// One of them.
    type One;
    /// The one of these labels, made where there is none.
    fn one(&self, labels: &[&str]) -> Self::One;
    /// Forgets the one of these labels.
    fn forget(&self, labels: &[&str]);
    /// Forgets all of them.
    fn forget_all(&self);
    /// The labels of each, by name.
    fn labels(&self) -> Vec<Vec<(String, String)>>;
    /// What they are called.
    #[cfg(test)]
    fn name(&self) -> String;
}

impl<T: MetricVecBuilder> Family for MetricVec<T> {
    type One = T::M;

    fn one(&self, labels: &[&str]) -> T::M {
        self.with_label_values(labels)
    }

    fn forget(&self, labels: &[&str]) {
        // It can only fail where there is none.
        let _ = self.remove_label_values(labels);
    }

    fn forget_all(&self) {
        self.reset();
    }

    fn labels(&self) -> Vec<Vec<(String, String)>> {
        let families = self.collect();
        let series = families.iter().flat_map(MetricFamily::get_metric);
        let labels = series.map(|series| {
            let labels = series.get_label().iter();
            let text = |text: &str| text.to_owned();
            labels
                .map(|label| (text(label.name()), text(label.value())))
                .collect()
        });
        labels.collect()
    }

    #[cfg(test)]
    fn name(&self) -> String {
        let described = self.desc();
        let first = described.first().map(|desc| desc.fq_name.clone());
        first.unwrap_or_default()
    }
}

/// Metrics that differ in their labels only, of which there are no more than there may be.
#[derive(Debug, Clone)]
pub struct Bounded<F> {
    family: F,
    names: Arc<[Box<str>]>,
    known: Arc<RwLock<Known>>,
    series: Arc<Series>,
}

/// Which label sets there are.
#[derive(Debug, Default)]
struct Known {
    /// Hashes of their values.
    sets: HashSet<u64>,
    /// Whether there is one for what is beyond the bound.
    has_other: bool,
}

impl<F: Family> Bounded<F> {
    pub(super) fn new(family: F, names: &[&str], series: &Arc<Series>) -> Self {
        series.reserved.fetch_add(1, Ordering::Relaxed);
        Self {
            family,
            names: names.iter().map(|name| (*name).into()).collect(),
            known: Arc::default(),
            series: Arc::clone(series),
        }
    }

    /// The one with these values, in the order of the names; made where there is none, and where
    /// there is no room for it the one that everything else is counted under.
    pub fn with_label_values(&self, values: &[&str]) -> F::One {
        let set = hash(values);
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.sets.contains(&set) {
                return self.family.one(values);
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.sets.contains(&set) {
            return self.family.one(values);
        }
        if values.iter().any(|value| *value != OTHER) && self.series.take() {
            known.sets.insert(set);
            return self.family.one(values);
        }
        if !std::mem::replace(&mut known.has_other, true) {
            self.series.reserved.fetch_sub(1, Ordering::Relaxed);
            self.series.one();
        }
        self.family.one(&vec![OTHER; self.names.len()])
    }

    /// Makes the one with these values, so that it is told before anything is counted.
    pub(super) fn begin(&self, values: &[&str]) {
        let _ = self.with_label_values(values);
    }

    /// The one with these values, where there is one.
    pub(super) fn known(&self, values: &[&str]) -> Option<F::One> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_known = known.sets.contains(&hash(values));
        is_known.then(|| self.family.one(values))
    }

    /// The one with these values, to be made when it is needed first.
    pub(super) fn lazy(&self, values: &[&str]) -> Lazy<F> {
        Lazy {
            all: self.clone(),
            values: values.iter().map(|value| (*value).into()).collect(),
            one: OnceLock::new(),
        }
    }

    /// Forgets all of them.
    pub fn reset(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.series
            .give_back(known.sets.len() + usize::from(known.has_other));
        if known.has_other {
            self.series.reserved.fetch_add(1, Ordering::Relaxed);
        }
        *known = Known::default();
        self.family.forget_all();
    }

    /// Its name, and those of its labels.
    #[cfg(test)]
    pub(super) fn described(&self) -> (String, Vec<String>) {
        let names = self.names.iter().map(ToString::to_string);
        (self.family.name(), names.collect())
    }

    /// Forgets those whose labels say so, and gives their room back.
    pub(super) fn forget(&self, is_gone: &IsGone<'_>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for labels in self.family.labels() {
            if !is_gone(&labels) {
                continue;
            }
            let value = |name: &str| {
                let label = labels.iter().find(|(known, _)| *known == *name);
                label.map_or("", |(_, value)| value.as_str())
            };
            let values: Vec<&str> = self.names.iter().map(|name| value(name)).collect();
            if known.sets.remove(&hash(&values)) {
                self.series.give_back(1);
                self.family.forget(&values);
            }
        }
    }
}

/// One of them that is looked up when it is needed first, and found without a search from then on:
/// most of what could be counted never is.
#[derive(Debug)]
pub struct Lazy<F: Family> {
    all: Bounded<F>,
    values: Box<[Box<str>]>,
    one: OnceLock<F::One>,
}

impl<F: Family> Lazy<F> {
    /// It.
    pub fn get(&self) -> &F::One {
        self.one
            .get_or_init(|| self.all.with_label_values(&self.values()))
    }

    /// It, where it was needed before.
    pub(super) fn known(&self) -> Option<F::One> {
        self.all.known(&self.values())
    }

    fn values(&self) -> Vec<&str> {
        self.values.iter().map(|value| &**value).collect()
    }
}

/// Of the values, each by itself. They are the configuration's: nobody looks for two alike.
fn hash(values: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::*;

    fn counters(series: &Arc<Series>, name: &str) -> Counters {
        let names = ["model", "pool"];
        let all = IntCounterVec::new(Opts::new(name, "help"), &names).unwrap();
        Counters::new(all, &names, series)
    }

    /// What is counted of each label set, by its values.
    fn counted(counters: &Counters) -> Vec<String> {
        let mut told: Vec<String> = counters
            .family
            .labels()
            .iter()
            .map(|labels| {
                let values: Vec<&str> = labels.iter().map(|(_, value)| value.as_str()).collect();
                let count = counters.family.one(&values).get();
                format!("{} {count}", values.join("/"))
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn what_is_beyond_the_bound_is_counted_together() {
        let series = Series::new(5);
        let (first, second) = (counters(&series, "a"), counters(&series, "b"));
        for model in ["m0", "m1", "m2", "m3", "m4", "m0"] {
            first.with_label_values(&[model, "p"]).inc();
        }
        second.with_label_values(&["m0", "p"]).inc();
        let told = ["m0/p 2", "m1/p 1", "m2/p 1", "other/other 2"];
        assert_eq!(counted(&first), told);
        assert_eq!(counted(&second), ["other/other 1"]);
        assert_eq!(series.used(), 5);
    }

    #[test]
    fn what_is_forgotten_makes_room() {
        let series = Series::new(3);
        let counters = counters(&series, "a");
        for model in ["m0", "m1", "m2"] {
            counters.with_label_values(&[model, "p"]).inc();
        }
        assert_eq!(counted(&counters), ["m0/p 1", "m1/p 1", "other/other 1"]);
        let is = |wanted: &'static str| {
            move |labels: &[(String, String)]| labels.iter().any(|(_, value)| value == wanted)
        };
        counters.forget(&is("m0"));
        // What was counted together belongs to nobody who could go.
        counters.forget(&is(OTHER));
        assert_eq!(series.used(), 2);
        counters.with_label_values(&["m2", "p"]).inc();
        counters.with_label_values(&["m3", "p"]).inc();
        assert_eq!(counted(&counters), ["m1/p 1", "m2/p 1", "other/other 2"]);
        counters.reset();
        assert_eq!(series.used(), 0);
        counters.with_label_values(&["m4", "p"]).inc();
        assert_eq!(counted(&counters), ["m4/p 1"]);
    }

    #[test]
    fn a_lowered_bound_leaves_what_is_there() {
        let series = Series::new(10);
        let counters = counters(&series, "a");
        counters.with_label_values(&["m0", "p"]).inc();
        counters.with_label_values(&["m1", "p"]).inc();
        series.bound(1);
        counters.with_label_values(&["m0", "p"]).inc();
        counters.with_label_values(&["m2", "p"]).inc();
        assert_eq!(counted(&counters), ["m0/p 2", "m1/p 1", "other/other 1"]);
    }
}
