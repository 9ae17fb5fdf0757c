//! What could an upstream say?
//!
//! Completions for properties, made as text so that strings may be written in any way, and
//! a form in which two of them can be compared whatever the order of their members.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::raw::{Members, items, text};

/// What an upstream may have said.
#[derive(Debug, Clone)]
pub(super) struct Generated {
    /// The whole completion.
    pub(super) completion: String,
    /// The value of its `usage`.
    pub(super) usage: Option<&'static str>,
}

/// Pieces of strings as JSON writes them; those of the second list stand for no text.
const PIECES: [&str; 20] = [
    "a",
    " word",
    " ",
    "漢字",
    "é",
    "🙂",
    "👨‍👩‍👧",
    r"\n",
    r"\n\n",
    r"\r\n",
    r#"\""#,
    r"\\",
    r"\/",
    r"\u00e9",
    r"\u0000",
    r"\ud83d\ude42",
    r"\uD83D\uDE42",
    "data: [DONE]",
    r#"{\"error\":null,\"usage\":{}}"#,
    "x01234567890123456789012345678901234567890123456789",
];
const HALVES: [&str; 3] = [r"\ud83d", r"\udE42", r"\uD83D\ud83d"];

/// The text of a string.
pub(super) fn any_text(halves: bool) -> impl Strategy<Value = String> {
    let mut pieces = PIECES.to_vec();
    pieces.extend(HALVES.iter().filter(|_| halves));
    prop::collection::vec(prop::sample::select(pieces), 1..40).prop_map(|pieces| pieces.concat())
}

fn quoted(halves: bool) -> impl Strategy<Value = String> {
    any_text(halves).prop_map(|text| format!("\"{text}\""))
}

/// A member that is absent, as often as it is one of the others.
fn member(
    name: &'static str,
    value: impl Strategy<Value = String> + 'static,
) -> impl Strategy<Value = String> {
    let told = value.prop_map(move |value| format!(",\"{name}\":{value}"));
    prop_oneof![Just(String::new()), told]
}

/// A member that is absent, one of these, or a generated string.
fn said(
    name: &'static str,
    halves: bool,
    others: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let others = prop::sample::select(others).prop_map(str::to_owned);
    member(name, prop_oneof![others, quoted(halves), quoted(halves)])
}

fn call(halves: bool) -> impl Strategy<Value = String> {
    let function = (said("arguments", halves, &["\"\"", "null"]), any::<bool>()).prop_map(
        |(arguments, strict)| {
            let strict = if strict { ",\"strict\":true" } else { "" };
            format!(r#","type":"function","function":{{"name":"f"{strict}{arguments}}}"#)
        },
    );
    let custom = Just(r#","type":"custom","custom":{"name":"c","input":"i"}"#.to_owned());
    (0..9_u8, prop_oneof![3 => function, 1 => custom])
        .prop_map(|(id, rest)| format!("{{\"id\":\"call_{id}\"{rest}}}"))
}

fn message(halves: bool) -> impl Strategy<Value = String> {
    let calls = prop::collection::vec(call(halves), 0..4);
    let calls = calls.prop_map(|calls| format!("[{}]", calls.join(", ")));
    let function = said("arguments", halves, &["\"\""]);
    let function = function.prop_map(|arguments| format!("{{\"name\":\"f\"{arguments}}}"));
    let parts = (
        said(
            "content",
            halves,
            &["null", "\"\"", "[{\"type\":\"text\"}]"],
        ),
        said("refusal", halves, &["null", "\"\""]),
        said("reasoning_content", halves, &["null", "\"\""]),
        said(
            "annotations",
            halves,
            &["[]", "[{\"type\":\"u\"}, {\"n\":1e2}]", "null"],
        ),
        said(
            "audio",
            halves,
            &["null", "{}", "{\"id\":\"a\",\"expires_at\":1}"],
        ),
        member(
            "function_call",
            prop_oneof![Just("null".to_owned()), function],
        ),
        member("tool_calls", prop_oneof![Just("null".to_owned()), calls]),
        said("\\u0078", halves, &["1", "true", "-0.10e+7", "[[1,2],[]]"]),
    );
    parts.prop_map(
        |(content, refusal, thought, sources, audio, function, tools, other)| {
            // Not in the order in which a stream says them.
            let first = format!("{thought}{content}{sources}{other}{audio}");
            format!("{{\"role\":\"assistant\"{first}{refusal}{function}{tools}}}")
        },
    )
}

fn choice(halves: bool) -> impl Strategy<Value = String> {
    let reason = prop::sample::select(vec!["stop", "tool_calls", "function_call", "length"]);
    let logprobs = prop::sample::select(vec![
        "null",
        r#"{"content":[{"token":"a","logprob":-0.5},{"token":"b"}],"refusal":null}"#,
        r#"{"content":null,"refusal":[{"token":"c"}]}"#,
        r#"{"content":[]}"#,
    ]);
    let logprobs = member("logprobs", logprobs.prop_map(str::to_owned));
    let beside = said("stop_reason", halves, &["null", "151643", "{\"a\":[]}"]);
    (message(halves), reason, logprobs, beside).prop_map(|(message, reason, logprobs, beside)| {
        format!("\"message\":{message}{logprobs},\"finish_reason\":\"{reason}\"{beside}}}")
    })
}

/// Any completion of which every choice finished; with `halves` its strings may have halves
/// of surrogate pairs in them.
pub(super) fn any_completion(halves: bool) -> impl Strategy<Value = Generated> {
    let choices = prop::collection::vec(choice(halves), 1..4).prop_map(|choices| {
        let choices = (0..).zip(choices);
        let choices = choices.map(|(index, rest): (u32, _)| format!("{{\"index\":{index},{rest}"));
        choices.collect::<Vec<_>>().join(",\n")
    });
    let usage = prop::sample::select(vec![
        None,
        Some("null"),
        Some(r#"{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8,"details":{"a":[1]}}"#),
    ]);
    let beside = (
        member("system_fingerprint", Just("\"fp_1\"".to_owned())),
        said(
            "provider",
            halves,
            &["null", "[\"a\",\r\n\"b\"]", "{\"c\": 1.0}"],
        ),
    );
    let pretty = prop::sample::select(vec!["", " ", "\n  ", "\r\n\t"]);
    (choices, usage, beside, pretty).prop_map(|(choices, usage, (fingerprint, provider), blank)| {
        let told = usage.map_or(String::new(), |usage| format!(",{blank}\"usage\":{usage}"));
        let completion = format!(
            "{{{blank}\"id\":\"chatcmpl-1\",{blank}\"object\":\"chat.completion\",{blank}\"created\":1730888458,\
             {blank}\"model\":\"m\"{fingerprint}{provider},\"choices\":{blank}[{choices}]{told}{blank}}}"
        );
        let usage = usage.filter(|usage| *usage != "null");
        Generated { completion, usage }
    })
}

/// JSON with the members of its objects in one order and without blanks; what no text can
/// hold stays as it is written.
pub(super) fn ordered(json: &str) -> String {
    let value: &RawValue = serde_json::from_str(json).unwrap();
    if text(value).is_some() {
        return value.get().to_owned();
    }
    if let Some(members) = Members::read(value.get()) {
        let members = members.0.into_iter();
        let members: BTreeMap<_, _> = members.map(|(name, value)| (name, value.get())).collect();
        let members = members.into_iter();
        let members = members.map(|(name, value)| format!("{name:?}:{}", ordered(value)));
        return format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    }
    if items(value).is_some() {
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap();
        let items = items.into_iter().map(|item| ordered(item.get()));
        return format!("[{}]", items.collect::<Vec<_>>().join(","));
    }
    value.get().to_owned()
}
