//! Is another question always asked, and the same one never twice?
//!
//! Bodies by chance, each beside one that differs in one place: they have one key where their
//! canonical forms are one, and else two. `make soak` does the same a million times.

use crate::kit::keys::Keys;

/// A few seconds of them.
const PAIRS: u64 = 20_000;

#[test]
fn whatever_is_changed_makes_another_key_and_order_and_space_make_none() {
    let keys = Keys::new();
    let found = keys.compare(0..PAIRS);
    // What was to be tried was tried.
    assert!(found.changed > PAIRS * 9 / 10, "{found:?}");
    assert!(found.unchanged > 0, "{found:?}");
}
