//! How much memory does a body take that was made to take much?
//!
//! Everything that is done with a question before it is asked is done with each of the costly
//! shapes, and none of it may hold more than nine times the body beside the body itself.
//! How long they take is measured by `make soak`.

use bytes::Bytes;
use spafe::config::clients::Anonymous;
use spafe::config::dialect::{Dialect, StreamUsage, Thinking, Unsupported};
use spafe::gateway::dialect::{self, Asked, Terms};
use spafe::gateway::inspect::{Bounds, inspect_within};

use crate::kit::costly::{SHAPES, costly, plain};
use crate::kit::keys::Keys;
use crate::kit::memory::peak_of;

/// A quarter of a mebibyte: what is held grows with it, and nobody waits for long.
const BYTES: usize = 256 << 10;
/// Of a body's size, itself included.
const TIMES_MAX: usize = 10;
const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 10_000,
};
const CAPS: Anonymous = Anonymous {
    n_max: 8,
    best_of_max: 8,
    max_tokens_max: 65_536,
    top_logprobs_max: 20,
    tools_max: 128,
    unknown_fields_refused: false,
    image_side_max: 2048,
};
const TERMS: Terms = Terms {
    unsupported: Unsupported::Drop,
    stream_usage: StreamUsage::Leave,
    max_tokens_default: 8192,
    thinking: Thinking::Budget,
};

#[test]
fn no_shape_of_a_body_takes_ten_times_its_size() {
    let keys = Keys::new();
    let mut taken = 0;
    let mut dear = Vec::new();
    for (shape, body) in SHAPES
        .map(|shape| (shape, costly(shape, BYTES)))
        .into_iter()
        .chain([("plain", plain(BYTES))])
    {
        assert!(
            (BYTES * 9 / 10..BYTES * 11 / 10).contains(&body.len()),
            "{shape}: {}",
            body.len()
        );
        let held_max = body.len() * (TIMES_MAX - 1);
        let mut check = |what: &str, peak: usize| {
            let tenths = peak * 10 / body.len();
            println!("{shape}: {what} {tenths} tenths");
            if peak > held_max {
                dear.push(format!("{shape}: {what} {tenths} tenths"));
            }
        };
        let (ask, peak) = peak_of(|| inspect_within(body.as_bytes(), &BOUNDS, Some(&CAPS)));
        check("inspection", peak);
        // Some have too many keys, and nothing more is done with them.
        let Ok(ask) = ask else {
            continue;
        };
        taken += 1;
        check(
            "tokens",
            peak_of(|| ask.question_tokens(body.as_bytes(), 4)).1,
        );
        check("its key", peak_of(|| keys.key(&body)).1);
        let bytes = Bytes::from(body.clone());
        for dialect in [
            Dialect::OpenAi,
            Dialect::Anthropic,
            Dialect::Gemini,
            Dialect::Responses,
        ] {
            let asked = Asked {
                body: &bytes,
                ask: &ask,
                original: None,
                image: None,
                model: "another",
                terms: TERMS,
            };
            let peak = peak_of(|| dialect::request(dialect, &asked)).1;
            check(dialect.as_str(), peak);
        }
    }
    assert!(dear.is_empty(), "{dear:#?}");
    assert!(taken > SHAPES.len() / 2, "{taken}");
}

#[test]
fn what_is_held_at_once_is_counted_and_not_what_was() {
    let ((), peak) = peak_of(|| {
        for _ in 0..10 {
            drop(vec![1_u8; 1 << 20]);
        }
    });
    assert!((1 << 20..3 << 19).contains(&peak), "{peak}");
}
