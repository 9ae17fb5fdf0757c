//! What do replicas share of an answer?
//!
//! All that is kept of it here. Only its time is told otherwise: each process has a steady clock
//! of its own, and what all have together is the time of day.

use crate::gateway::cache::store::Entry;
use crate::gateway::shared::answers::Deposit;
use crate::sys::Now;

/// An answer that is kept here, for all.
#[must_use]
pub fn deposit(entry: Entry, now: Now) -> Deposit {
    let age = entry.age(now.instant);
    let Entry {
        body,
        usage,
        model,
        pool,
        made: _,
        fresh,
        stale_while_revalidate,
        stale_if_error,
    } = entry;
    Deposit {
        body,
        usage,
        model,
        pool,
        // A clock that shows less than an answer's age is wrong, and then nothing is known of it.
        made: now.wall.checked_sub(age).unwrap_or(now.wall),
        fresh,
        stale_while_revalidate,
        stale_if_error,
    }
}

/// An answer of all, to be kept here; `None`: it is older than anything can be here.
#[must_use]
pub fn entry(deposit: Deposit, now: Now) -> Option<Entry> {
    let age = deposit.age(now.wall);
    let Deposit {
        body,
        usage,
        model,
        pool,
        made: _,
        fresh,
        stale_while_revalidate,
        stale_if_error,
    } = deposit;
    Some(Entry {
        body,
        usage,
        model,
        pool,
        made: now.instant.checked_sub(age)?,
        fresh,
        stale_while_revalidate,
        stale_if_error,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::names::{ModelId, PoolName};
    use crate::sys;

    #[test]
    fn an_answer_is_as_old_elsewhere_as_it_is_here() {
        let minute = Duration::from_mins(1);
        let made = sys::now();
        let kept = Entry {
            body: "an answer".into(),
            usage: None,
            model: ModelId::new("m"),
            pool: PoolName::new("p"),
            made: made.instant,
            fresh: 3 * minute,
            stale_while_revalidate: minute,
            stale_if_error: 2 * minute,
        };
        // Shared a minute after it was made, by a clock of its own found a minute after that.
        let here = Now {
            instant: made.instant + minute,
            wall: made.wall,
        };
        let there = Now {
            instant: made.instant + 7 * minute,
            wall: made.wall + minute,
        };
        let shared = deposit(kept.clone(), here);
        assert_eq!(shared.age(here.wall), minute);
        let found = entry(shared, there).unwrap();
        assert_eq!(found.age(there.instant), 2 * minute);
        assert_eq!(
            Entry {
                made: kept.made,
                ..found
            },
            kept
        );
    }
}
