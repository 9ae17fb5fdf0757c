//! Does anybody read something else in a body than we do, a million times?
//!
//! The bodies of `tests/it/bodies/readers.rs`, and more of them.

use crate::kit::readers::compare;

/// Bodies by chance.
const BODIES: u64 = 1_000_000;

#[test]
fn of_a_million_bodies_everybody_reads_alike_what_is_taken() {
    let read = compare(0..BODIES);
    assert!(read.taken > BODIES / 5, "{read:?}");
    assert!(read.strict > BODIES / 10, "{read:?}");
    println!("{read:?}");
}
