//! Does it make a difference how a stream is cut?
//!
//! The first byte says how long the slices are, the second how long an event may be.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run sse`

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spafe::sse::{Facts, Scanner};

fuzz_target!(|input: &[u8]| {
    let [slice_bytes, bound, stream @ ..] = input else {
        return;
    };
    let max = 16 + usize::from(*bound) * 8;
    let whole = run(stream, stream.len().max(1), max);
    let cut = run(stream, usize::from(*slice_bytes).max(1), max);
    let bytewise = run(stream, 1, max);
    assert_eq!(whole, cut);
    assert_eq!(whole, bytewise);
});

/// Feeds a stream in slices; what went out is its beginning, what waits is the rest.
fn run(stream: &[u8], slice_bytes: usize, max: usize) -> Facts {
    let mut scanner = Scanner::new(max);
    let mut out = Vec::new();
    for slice in stream.chunks(slice_bytes) {
        scanner.feed(Bytes::copy_from_slice(slice), &mut out);
        assert!(scanner.held_bytes() <= max);
    }
    let out = out.concat();
    assert!(stream.starts_with(&out));
    if scanner.facts().done {
        // Nothing goes out behind `[DONE]`, and all that went out was needed to get there.
        assert_eq!(scanner.held_bytes(), 0);
        let (mut again, mut same) = (Scanner::new(max), Vec::new());
        again.feed(Bytes::copy_from_slice(&out), &mut same);
        assert!(again.facts().done && same.concat() == out);
    } else {
        assert_eq!(out.len() + scanner.held_bytes(), stream.len());
    }
    scanner.facts().clone()
}
