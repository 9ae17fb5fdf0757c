//! What do other protocols make of what nobody says?
//!
//! The input is taken for a caller's body, for a whole answer and for a stream, which is also
//! cut into slices as long as its last byte says. Golden files are seeds as they are.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run dialects fuzz/corpus/dialects tests/golden/anthropic \
//! tests/golden/gemini tests/golden/responses`

#![no_main]

use std::collections::BTreeMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use spafe::config::dialect::{Dialect, StreamUsage, Thinking, Unsupported};
use spafe::gateway::dialect::{self, Asked, Names, Terms, Translation};
use spafe::gateway::inspect::{Bounds, inspect};
use spafe::sse::finished::Finished;

const DIALECTS: [Dialect; 3] = [Dialect::Anthropic, Dialect::Gemini, Dialect::Responses];
const EVENT_BYTES_MAX: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let body = Bytes::copy_from_slice(input);
    for dialect in DIALECTS {
        request(dialect, &body);
        answer(dialect, &body);
        stream(dialect, &body);
        let _ = dialect::error(dialect, &body);
    }
});

/// Whatever inspection lets through is refused or becomes an object, which names the model where
/// the path does not.
fn request(dialect: Dialect, body: &Bytes) {
    let bounds = Bounds {
        depth_max: 64,
        keys_max: 1000,
    };
    let Ok(ask) = inspect(body, &bounds) else {
        return;
    };
    for unsupported in [Unsupported::Refuse, Unsupported::Drop] {
        for thinking in [Thinking::Budget, Thinking::Adaptive] {
            let asked = Asked {
                body,
                ask: &ask,
                original: None,
                image: None,
                model: "m",
                terms: Terms {
                    unsupported,
                    stream_usage: StreamUsage::Leave,
                    max_tokens_default: 8192,
                    thinking,
                },
            };
            let Ok(made) = dialect::request(dialect, &asked) else {
                continue;
            };
            let made: Vec<u8> = made.parts().flatten().copied().collect();
            // Gemini's stands in the path.
            let expected = (dialect != Dialect::Gemini).then_some("\"m\"");
            assert_eq!(
                members(&made).get("model").map(|model| model.get()),
                expected
            );
        }
    }
}

/// What is an answer becomes a completion or an error, as JSON.
fn answer(dialect: Dialect, body: &Bytes) {
    if let Ok(made) = dialect::answer(dialect, body.clone(), &names()) {
        assert!(answers_or_fails(&made.bytes));
    }
}

/// However it is cut, a stream becomes the same chunks, each of them JSON in one line.
fn stream(dialect: Dialect, stream: &Bytes) {
    let slice_bytes = usize::from(stream.last().copied().unwrap_or(0)).max(1);
    let whole = translated(dialect, stream, stream.len().max(1));
    assert_eq!(whole, translated(dialect, stream, slice_bytes));
    assert_eq!(whole, translated(dialect, stream, 1));
    for data in Finished::read(&whole.0).data {
        assert!(answers_or_fails(&data));
    }
    assert!(whole.0.len() < 512 * (stream.len() + 1));
}

fn answers_or_fails(made: &[u8]) -> bool {
    let made = members(made);
    let begins = |name, with| {
        made.get(name)
            .is_some_and(|value: &&RawValue| value.get().starts_with(with))
    };
    begins("choices", '[') || begins("error", '{')
}

/// The members of an object, which is JSON by its grammar: half of a surrogate pair and a number
/// that no machine holds are passed on.
fn members(made: &[u8]) -> BTreeMap<String, &RawValue> {
    serde_json::from_slice(made).expect("JSON")
}

fn translated(dialect: Dialect, stream: &[u8], slice_bytes: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let Some(mut translation) = Translation::new(dialect, names(), EVENT_BYTES_MAX) else {
        return (out, true);
    };
    for slice in stream.chunks(slice_bytes) {
        if translation.feed(slice, &mut out).is_err() {
            return (out, false);
        }
    }
    translation.end(&mut out);
    (out, true)
}

fn names() -> Names {
    Names {
        id: "chatcmpl-1".to_owned(),
        created: 1,
        model: "m".to_owned(),
        verbatim: false,
    }
}
