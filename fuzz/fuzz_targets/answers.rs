//! Is an answer the same whole and streamed, and what becomes of what is none?
//!
//! The first byte says how long the slices are; the rest is taken for a stream and for a
//! whole answer.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run answers`

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spafe::gateway::cache::{admission, assembly, replay};
use spafe::sse::without_usage::WithoutUsage;

fuzz_target!(|input: &[u8]| {
    let [slice_bytes, input @ ..] = input else {
        return;
    };
    let slice_bytes = usize::from(*slice_bytes).max(1);
    streamed(input, slice_bytes);
    whole(input);
});

fn streamed(stream: &[u8], slice_bytes: usize) {
    let one = [Bytes::copy_from_slice(stream)];
    let slices: Vec<Bytes> = stream
        .chunks(slice_bytes)
        .map(Bytes::copy_from_slice)
        .collect();
    for done_was_added in [false, true] {
        let found = assembly::completion(&one, done_was_added);
        assert_eq!(found, assembly::completion(&slices, done_was_added));
        if let Ok(found) = found {
            assert!(found.bytes.len() < 4 * stream.len() + 256);
            whole(&found.bytes);
        }
    }
    assert_eq!(withheld(&one), withheld(&slices));
}

fn withheld(slices: &[Bytes]) -> Vec<u8> {
    let mut filter = WithoutUsage::default();
    let mut out = Vec::new();
    for slice in slices {
        filter.feed(slice, &mut out);
    }
    filter.end(&mut out);
    out.concat()
}

/// What can be replayed is put together again to what ends in the same way, and from then on
/// to the same.
fn whole(answer: &[u8]) {
    let admitted = admission::admit(answer);
    let Ok(events) = replay::events(answer, true) else {
        return;
    };
    let Ok(again) = assembly::completion(&events, false) else {
        return;
    };
    assert!(admitted.is_err() || admission::admit(&again.bytes).is_ok());
    if let Ok(events) = replay::events(&again.bytes, true) {
        assert_eq!(assembly::completion(&events, false), Ok(again));
    }
}
