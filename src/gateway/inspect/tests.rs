//! Tables of bodies and what becomes of them.
//!
//! `check` takes a whole body. `value` puts a value under an unknown key of an
//! otherwise good body, `member` puts whole members there.

#![expect(
    clippy::string_slice,
    reason = "the tests cut text of their own, all ASCII"
)]

/// Agreement with another reader.
mod agreement;
/// How much is asked for.
mod counts;
/// What image models are asked.
mod images;
/// Keys, their values, and how many.
mod members;
/// What is JSON.
mod json;
/// What it is about.
mod subjects;

use proptest::prelude::*;
use serde_json::Value;

use super::image::{ImageAsk, image_ask, last_user_text};
use super::*;

const BOUNDS: Bounds = Bounds {
    depth_max: 64,
    keys_max: 10_000,
};

/// What a refusal is compared by: its code and its parameter.
type Outcome = Result<(), (&'static str, Option<&'static str>)>;

const OK: Outcome = Ok(());
const JSON: Outcome = Err(("invalid_json", None));
const TWICE: Outcome = Err(("duplicate_key", None));

fn twice(param: &'static str) -> Outcome {
    Err(("duplicate_key", Some(param)))
}

fn unusable(param: &'static str) -> Outcome {
    Err(("invalid_value", Some(param)))
}

fn missing(param: &'static str) -> Outcome {
    Err(("missing_field", Some(param)))
}

fn check(body: impl AsRef<[u8]>, expected: Outcome) {
    let body = body.as_ref();
    let found = inspect(body, &BOUNDS);
    let outcome = found
        .as_ref()
        .map(|_| ())
        .map_err(|error| (error.code(), error.param()));
    let start = &body[..body.len().min(200)];
    assert_eq!(
        outcome,
        expected,
        "{} gave {found:?}",
        String::from_utf8_lossy(start)
    );
    if let Err(error) = found {
        assert!(error.message().ends_with('.'), "{}", error.message());
    }
}

fn member(members: &str, expected: Outcome) {
    check(
        format!(r#"{{"model":"a","messages":[],{members}}}"#),
        expected,
    );
    check(
        format!(r#"{{ {members} , "messages" : [ ] , "model" : "a" }}"#),
        expected,
    );
}

fn value(value: &str, expected: Outcome) {
    member(&format!(r#""x":{value}"#), expected);
    member(&format!(r#""x":[1,{{"y": {value} }}]"#), expected);
}

fn fault(body: impl AsRef<[u8]>, expected: Fault, expected_offset: usize) {
    match inspect(body.as_ref(), &BOUNDS) {
        Err(InspectError::Json { fault, offset }) => {
            assert_eq!((fault, offset), (expected, expected_offset));
        }
        other => panic!("{other:?}"),
    }
}

fn ask(body: &str) -> Ask {
    inspect(body.as_bytes(), &BOUNDS).unwrap()
}

#[test]
fn every_routed_field_is_read() {
    let body = r#" {"messages":[{"role":"user","content":"Hi"}], "stream":true,"model":"gpt-4o",
        "n":2,"max_tokens":16,"max_completion_tokens":17,"user":"u","temperature":0.5,"store":true,
        "prompt_cache_key":"k","stream_options":{"include_usage":true,"other":[1]}} "#;
    let found = ask(body);
    assert_eq!(&body[found.model_span.clone()], r#""gpt-4o""#);
    assert_eq!(
        &body[found.messages_span.clone()],
        r#"[{"role":"user","content":"Hi"}]"#
    );
    let expected = Ask {
        operation: Operation::Chat,
        model: "gpt-4o".into(),
        stream: true,
        n: Some(2),
        max_tokens: Some(16),
        max_completion_tokens: Some(17),
        user: Some("u".into()),
        prompt_cache_key: Some("k".into()),
        include_usage: true,
        stream_options_span: found.stream_options_span.clone(),
        store: true,
        temperature: Some(0.5),
        model_span: found.model_span.clone(),
        messages_span: found.messages_span.clone(),
        inputs: 1,
        boundary: None,
    };
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_said_or_null_is_the_default() {
    let short = ask(r#"{"model":"a","messages":[]}"#);
    let mut nulls = ask(
        r#"{"model":"a","messages":[],"stream":null,"n":null,"max_tokens":null,
        "max_completion_tokens":null,"user":null,"stream_options":null,"store":null,"temperature":null}"#,
    );
    assert!(nulls.stream_options_span.take().is_some());
    assert_eq!(short, nulls);
    assert!(!short.stream && !short.include_usage);
    assert_eq!((short.n, short.max_tokens, short.user), (None, None, None));
    assert_eq!((short.store, short.temperature), (false, None));
}

#[test]
fn an_answer_may_have_the_larger_of_both_maxima_for_each_choice() {
    for (members, expected) in [
        ("", 1000),
        (r#","n":3"#, 3000),
        (r#","max_tokens":7"#, 7),
        (r#","max_tokens":7,"max_completion_tokens":5,"n":2"#, 14),
        (r#","max_tokens":5,"max_completion_tokens":7,"n":2"#, 14),
        (r#","max_tokens":9007199254740991,"n":4294967295"#, u64::MAX),
    ] {
        let ask = ask(&format!(r#"{{"model":"m","messages":[]{members}}}"#));
        assert_eq!(ask.answer_tokens_max(1000), expected, "{members}");
    }
}

/// The log says it; a caller is told what is wrong.
#[test]
fn a_fault_has_a_place() {
    #[track_caller]
    fn check(body: &str, expected: &str) {
        let error = inspect(body.as_bytes(), &BOUNDS).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    check(r#"{"model":"m",]"#, "at byte 13");
    check(r#"{"model":7,"messages":[]}"#, "at byte 9 ");
    check(r#"{"Model":"m","messages":[]}"#, "before byte 9 ");
    check(r#"{"x":{"a":1,"a":2},"y":0}"#, "ends at byte 17,");
}

#[test]
fn names_are_decoded() {
    let decoded = |literal: &str| ask(&format!(r#"{{"model":{literal},"messages":[]}}"#)).model;
    assert_eq!(&*decoded(r#""\u0067pt\/4o""#), "gpt/4o");
    assert_eq!(&*decoded(r#""é😀""#), "é😀");
    assert_eq!(&*decoded(r#""\ud83d\ude00""#), "😀");
    assert_eq!(&*decoded(r#""../x\u0000\r\n*""#), "../x\0\r\n*");
    assert_eq!(
        decoded(&format!("\"{}\"", "m".repeat(10_240))).len(),
        10_240
    );
}
