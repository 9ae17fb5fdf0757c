//! Is another question always asked, a million times?
//!
//! The pairs of `tests/it/cache_key.rs`, more of them, and all of them against each other:
//! wherever two bodies have one key they are one question.

use crate::kit::keys::Keys;

/// Pairs of bodies that differ in one place.
const PAIRS: u64 = 1_000_000;

#[test]
fn a_million_changes_make_a_million_keys() {
    let keys = Keys::new();
    let mut found = keys.compare(0..PAIRS);
    assert!(found.changed > PAIRS * 9 / 10);
    found
        .seen
        .sort_unstable_by_key(|(key, form)| (*key.bytes(), *form));
    let seen = found.seen.len();
    found.seen.dedup();
    let collision = found.seen.windows(2).find(|pair| pair[0].0 == pair[1].0);
    assert!(collision.is_none(), "{collision:?}");
    println!(
        "{} pairs that differ, {} that do not; of {seen} bodies {} questions",
        found.changed,
        found.unchanged,
        found.seen.len()
    );
}
