//! Does anybody read something else in a body than we do?
//!
//! `make soak` has a million bodies read.

use crate::kit::readers::compare;

/// A few seconds of them.
const BODIES: u64 = 50_000;

#[test]
fn whatever_is_taken_everybody_reads_alike() {
    let read = compare(0..BODIES);
    println!("{read:?}");
    // What was to be tried was tried: much is taken, and much is refused that others take.
    assert!(read.taken > BODIES / 5, "{read:?}");
    assert!(read.strict > BODIES / 10, "{read:?}");
    assert!(read.not_held < BODIES / 20, "{read:?}");
}
