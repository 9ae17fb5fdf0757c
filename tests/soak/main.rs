//! Does it hold for longer than a test of every change may take?
//!
//! What `tests/it/` shows in seconds is done here a hundred times as often. The binary is
//! not among those that `cargo test` runs; `make soak` runs it.

#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside, where time passes"
)]

/// The other tests, of which only the words are used here.
#[cfg(test)]
#[path = "../it"]
mod it {
    #[expect(dead_code, reason = "the other tests use more words")]
    pub(crate) mod kit;
}
#[cfg(test)]
use it::kit;

/// Configurations that come and go.
#[cfg(test)]
mod reload;
