//! What do callers get who ask in Anthropic's words, whatever anybody says?
//!
//! The input is taken for a caller's body, for a whole answer and for a stream of chunks, which
//! is also cut into slices as long as its last byte says. Golden files are seeds as they are.
//! What comes of it is JSON by its grammar: a caller may be told half of a surrogate pair, or a
//! number that no machine holds, where an upstream said so.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run messages fuzz/corpus/messages tests/golden/messages`

#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use spafe::gateway::idiom::{Idiom, Telling, answer, question};
use spafe::gateway::inspect::{Bounds, inspect, strict};
use spafe::gateway::record::id::RequestId;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 1000,
};

fuzz_target!(|input: &[u8]| {
    asked(input);
    let id = RequestId::made(0, 0);
    if let Ok(message) = answer::message(input, &id) {
        let _: &RawValue = serde_json::from_slice(&message).expect("JSON");
    }
    let slice_bytes = usize::from(input.last().copied().unwrap_or(0)).max(1);
    let whole = told(input, input.len().max(1));
    assert_eq!(whole, told(input, slice_bytes));
    assert_eq!(whole, told(input, 1));
    for line in whole.split(|byte| *byte == b'\n') {
        if let Some(data) = line.strip_prefix(b"data: ") {
            let _: &RawValue = serde_json::from_slice(data).expect("JSON in one line");
        }
    }
});

/// What is one strict object becomes a chat that inspection reads, or is refused.
fn asked(body: &[u8]) {
    if strict::model(body, &BOUNDS).is_err() {
        return;
    }
    if let Ok(chat) = question::chat(body) {
        let _: &RawValue = serde_json::from_slice(&chat.body).expect("JSON");
        let _ = inspect(&chat.body, &BOUNDS);
    }
}

fn told(stream: &[u8], slice_bytes: usize) -> Vec<u8> {
    let id = RequestId::accept(&HeaderValue::from_static("req-1")).expect("an id");
    let mut telling = Telling::new(Idiom::Anthropic, &id).expect("a translation");
    let mut out = Vec::new();
    for slice in stream.chunks(slice_bytes) {
        if telling.feed(slice, &mut out).is_err() {
            return out.concat();
        }
    }
    telling.end(&mut out);
    out.concat()
}
