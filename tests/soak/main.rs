//! Does it hold for as long as it takes?
//!
//! Deadlines at their full length, thousands of connections, and a caller beside them
//! that must notice nothing. `make soak` runs these, one after the other, each within
//! minutes; the same guards are tested at a small scale in `tests/it`, on every change.

/// What the tests of `tests/it` are written with.
#[cfg(test)]
#[path = "../it"]
mod it {
    #[expect(dead_code, reason = "each binary uses a part of the kit")]
    pub(crate) mod kit;
}
#[cfg(test)]
use it::kit;

/// Process after process, and nobody notices.
#[cfg(test)]
mod upgrade;
/// A stop at full load.
#[cfg(test)]
mod drain;
/// Configurations that come and go.
#[cfg(test)]
mod reload;
