//! What is made of requests, answers, streams and errors?
//!
//! `tests/golden/DIALECT/CASE.*`, each pair read by a person against the vendor's reference:
//! * `CASE.asked.json` → `CASE.request.json`, or `CASE.refused.txt`: field and reason. A case
//!   `….drop` leaves out what cannot be said, a case `….adaptive` asks such a model.
//! * `CASE.answer.json` → `CASE.completion.json`, or `CASE.unreadable.txt`;
//! * `CASE.events.sse` → `CASE.chunks.sse`, and behind a stream that is not understood a comment
//!   with the reason. However it is cut, the same must come of it;
//! * `CASE.error.json` → `CASE.told.txt`.
//!
//! `SPAFE_GOLDEN=write` writes what is made, to be read before it is committed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::StatusCode;
use proptest::prelude::*;
use spafe::config::dialect::{Dialect, Thinking, Unsupported};
use spafe::gateway::cache::assembly;
use spafe::gateway::dialect::{self, Asked, Names, Picture, Terms, Translation};
use spafe::gateway::inspect::{Bounds, inspect};

const DIALECTS: [Dialect; 3] = [Dialect::Anthropic, Dialect::Gemini, Dialect::Responses];
/// The fewest cases of a dialect.
const CASES_MIN: usize = 25;

fn folder(dialect: Dialect) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(dialect.as_str())
}

/// The cases of a dialect that end so, by name.
fn cases(dialect: Dialect, ending: &str) -> BTreeMap<String, Bytes> {
    let files = std::fs::read_dir(folder(dialect)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let cases = paths.filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
        Some((name, std::fs::read(&path).unwrap().into()))
    });
    cases.collect()
}

/// What is made must be what stands in the file of this case, and nothing else may stand there.
fn check(dialect: Dialect, case: &str, endings: [&str; 2], made: Result<Vec<u8>, String>) {
    let (ending, other) = match made {
        Ok(_) => (endings[0], endings[1]),
        Err(_) => (endings[1], endings[0]),
    };
    let mut made = made.unwrap_or_else(String::into_bytes);
    if !made.ends_with(b"\n") {
        made.push(b'\n');
    }
    let path = folder(dialect).join(format!("{case}{ending}"));
    if std::env::var("SPAFE_GOLDEN").is_ok_and(|word| word == "write") {
        std::fs::write(&path, &made).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    let (made, expected) = (
        String::from_utf8_lossy(&made),
        String::from_utf8_lossy(&expected),
    );
    assert_eq!(made, expected, "{}", path.display());
    let other = folder(dialect).join(format!("{case}{other}"));
    assert!(
        endings[0] == endings[1] || !other.exists(),
        "{}",
        other.display()
    );
}

fn names() -> Names {
    Names {
        id: "chatcmpl-req_1".to_owned(),
        created: 1_730_888_458,
        model: "asked-for".to_owned(),
        verbatim: false,
    }
}

/// What is said, with the bytes of each picture in the place of its address.
fn shown(said: &[u8], pictures: Vec<Picture>) -> Vec<u8> {
    let mut shown = Vec::new();
    let mut rest = 0;
    for Picture { at, base64 } in pictures {
        shown.extend_from_slice(&said[rest..at]);
        shown.extend_from_slice(base64.as_bytes());
        rest = at;
    }
    shown.extend_from_slice(&said[rest..]);
    shown
}

#[test]
fn there_are_enough_cases() {
    for dialect in DIALECTS {
        let files = std::fs::read_dir(folder(dialect)).unwrap().count();
        assert!(files >= 2 * CASES_MIN, "{dialect:?}: {files} files");
    }
}

#[test]
fn requests_are_put_into_the_upstreams_words_or_refused_by_name() {
    for dialect in DIALECTS {
        for (case, body) in cases(dialect, ".asked.json") {
            let bounds = Bounds {
                depth_max: 64,
                keys_max: 1000,
            };
            let ask = inspect(&body, &bounds).unwrap_or_else(|error| panic!("{case}: {error}"));
            let asked = Asked {
                body: &body,
                ask: &ask,
                original: None,
                image: None,
                model: "claude-x",
                terms: Terms {
                    stream_usage: spafe::config::dialect::StreamUsage::Leave,
                    unsupported: if case.contains(".drop") {
                        Unsupported::Drop
                    } else {
                        Unsupported::Refuse
                    },
                    max_tokens_default: 8192,
                    thinking: if case.contains(".adaptive") {
                        Thinking::Adaptive
                    } else {
                        Thinking::Budget
                    },
                },
            };
            let made = dialect::request(dialect, &asked);
            let made = made.map(|body| body.parts().flatten().copied().collect());
            let made = made.map_err(|what| format!("{}: {:?}", what.param, what.why));
            check(dialect, &case, [".request.json", ".refused.txt"], made);
        }
    }
}

#[test]
fn answers_are_completions() {
    for dialect in DIALECTS {
        for (case, body) in cases(dialect, ".answer.json") {
            let made = dialect::answer(dialect, body, &names());
            let made = made.map(|said| shown(&said.bytes, said.pictures));
            let made = made.map_err(|why| why.to_string());
            check(
                dialect,
                &case,
                [".completion.json", ".unreadable.txt"],
                made,
            );
        }
    }
}

#[test]
fn errors_are_told_by_class_and_words() {
    for dialect in DIALECTS {
        for (case, body) in cases(dialect, ".error.json") {
            let error = dialect::error(dialect, &body).unwrap_or_else(|| panic!("{case}"));
            let mut told = format!("{:?}: {:?}", error.kind, error.message);
            if let Some(wait) = error.retry_after {
                write!(told, ", in {wait:?}").unwrap();
            }
            let status = dialect::status(dialect, StatusCode::BAD_REQUEST, Some(&error));
            if status != StatusCode::BAD_REQUEST {
                write!(told, ", as {status}").unwrap();
            }
            check(
                dialect,
                &case,
                [".told.txt", ".told.txt"],
                Ok(told.into_bytes()),
            );
        }
    }
}

/// What a stream is translated to, if it comes in these slices.
fn translated<'a>(dialect: Dialect, slices: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut translation = Translation::new(dialect, names(), 1 << 20).unwrap();
    let mut out = Vec::new();
    for slice in slices {
        let mut said = Vec::new();
        let fed = translation.feed(slice, &mut said);
        out.append(&mut shown(&said, translation.pictures()));
        if let Err(why) = fed {
            out.extend_from_slice(format!(": {why}\n\n").as_bytes());
            return out;
        }
    }
    translation.end(&mut out);
    out
}

#[test]
fn streams_are_chunks() {
    for dialect in DIALECTS {
        for (case, stream) in cases(dialect, ".events.sse") {
            let made = translated(dialect, [&*stream]);
            check(dialect, &case, [".chunks.sse", ".chunks.sse"], Ok(made));
        }
    }
}

#[test]
fn each_event_leaves_before_the_next_is_read() {
    for dialect in DIALECTS {
        let stream = &cases(dialect, ".events.sse")["text"];
        let whole = translated(dialect, [&**stream]);
        let mut translation = Translation::new(dialect, names(), 1 << 20).unwrap();
        let text = std::str::from_utf8(stream).unwrap();
        let mut said = Vec::new();
        for event in text.split_inclusive("\n\n") {
            let before = said.len();
            translation.feed(event.as_bytes(), &mut said).unwrap();
            // What only says that there is a message waits for something to say.
            let told = ["_delta", "{\"text\""];
            let told = told.iter().any(|word| event.contains(word));
            assert!(said.len() > before || !told, "{event}");
        }
        translation.end(&mut said);
        assert_eq!(said, whole);
    }
}

#[test]
fn what_is_complete_can_be_kept_as_a_whole_answer() {
    for dialect in DIALECTS {
        let mut kept = 0;
        for (case, stream) in cases(dialect, ".events.sse") {
            let made = Bytes::from(translated(dialect, [&*stream]));
            let is_whole = made.ends_with(b"data: [DONE]\n\n");
            let assembled = assembly::completion(&[made], false);
            assert_eq!(assembled.is_ok(), is_whole, "{case}: {assembled:?}");
            if let Ok(assembled) = assembled {
                assert!(assembled.usage.is_some(), "{case}");
                kept += 1;
            }
        }
        assert!(kept >= 4, "{dialect:?}: {kept}");
    }
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_the_same_comes_of_it(
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        for dialect in DIALECTS {
            for (case, stream) in cases(dialect, ".events.sse") {
                let mut places: Vec<usize> =
                    cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
                places.extend([0, stream.len()]);
                places.sort_unstable();
                let slices = places.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
                let made = translated(dialect, slices);
                prop_assert_eq!(made, translated(dialect, [&*stream]), "{}", case);
            }
        }
    }
}
