//! How is a request counted?
//!
//! By what was called, and how it ended. Most of what could be never is, so a counter is looked up
//! when it is needed first, and found without a search from then on.

use std::sync::OnceLock;

use prometheus::IntCounter;

use super::bounded::Counters;
use crate::gateway::record::outcome::Class;
use crate::gateway::record::outcome::called::Called;
use crate::gateway::record::outcome::ending::Ending;

/// Of one thing that was called: by ending and class.
type Ends = [[OnceLock<IntCounter>; Class::ALL.len()]; Ending::ALL.len()];

/// The counters of requests for one model at one pool.
#[derive(Debug)]
pub struct RequestCounters {
    all: Counters,
    model: Box<str>,
    pool: Box<str>,
    /// Each made with its first request.
    called: [OnceLock<Box<Ends>>; Called::COUNT],
}

impl RequestCounters {
    /// Those of `all` with this model and this pool.
    pub(super) fn new(all: &Counters, model: &str, pool: &str) -> Self {
        Self {
            all: all.clone(),
            model: model.into(),
            pool: pool.into(),
            called: Default::default(),
        }
    }

    /// Counts a request.
    #[expect(
        clippy::indexing_slicing,
        reason = "index < N: each is the number of a variant of an enum with N variants"
    )]
    pub fn count(&self, called: Called, ending: Ending, class: Class) {
        let ends = self.called[called.index()].get_or_init(Box::default);
        let counter = ends[ending as usize][class as usize].get_or_init(|| {
            let words = (called.as_str(), class.as_str(), ending.as_str());
            let (called, class, ending) = words;
            let labels = [&*self.model, &*self.pool, called, class, ending];
            self.all.with_label_values(&labels)
        });
        counter.inc();
    }
}
