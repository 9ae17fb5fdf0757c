//! What came of looking names up?

use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

/// Look-ups of names since the start, by what came of them.
#[derive(Debug, Default)]
pub struct Lookups([AtomicU64; 3]);

/// Why a name has no address.
#[derive(Debug, Error, PartialEq, Eq)]
pub(in crate::gateway::pools) enum Unfound {
    /// Who knows says that there is none.
    #[error("the name does not exist or has no address")]
    Empty,
    /// Nobody said.
    #[error("{0}")]
    Failed(String),
}

impl Lookups {
    /// The words for results, in the order of the counts.
    pub const RESULTS: [&str; 3] = ["found", "empty", "failed"];

    /// Counts one.
    pub(super) fn count<T>(&self, result: &Result<T, Unfound>) {
        let [found, empty, failed] = &self.0;
        let counter = match result {
            Ok(_) => found,
            Err(Unfound::Empty) => empty,
            Err(Unfound::Failed(_)) => failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were of each.
    #[must_use]
    pub fn counts(&self) -> [u64; 3] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_counted_by_itself() {
        let lookups = Lookups::default();
        let failed = || Err(Unfound::Failed("time-out".to_owned()));
        lookups.count(&Ok(()));
        lookups.count::<()>(&Err(Unfound::Empty));
        lookups.count::<()>(&Err(Unfound::Empty));
        for _ in 0..3 {
            lookups.count::<()>(&failed());
        }
        assert_eq!(lookups.counts(), [1, 2, 3]);
    }
}
