//! Is every replay a stream, and the same message?

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::gateway::cache::generated::any_completion;
use crate::openai::Usage;
use crate::openai::glance::{Ending, Glance};
use crate::sse::{First, Scanner};

/// The most that an event may be, as the exchange has it.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Adds what only some SDKs would join: so it must come once, or be empty before.
fn once(message: &mut Map<String, Value>, name: &str, value: &Value) {
    if let Some(before) = message.insert(name.to_owned(), value.clone()) {
        panic!("{name}: {before} and then {value}");
    }
}

/// Adds what all SDKs join.
fn join(message: &mut Map<String, Value>, name: &str, value: &Value) {
    let before = message.get(name).and_then(Value::as_str);
    let Some((before, more)) = before.zip(value.as_str()) else {
        return once(message, name, value);
    };
    message[name] = json!(format!("{before}{more}"));
}

fn function(into: &mut Map<String, Value>, fragment: &Value) {
    for (name, value) in fragment.as_object().unwrap() {
        match name.as_str() {
            "arguments" => join(into, name, value),
            _ => once(into, name, value),
        }
    }
}

/// What the common part of all SDKs makes of a delta.
fn accumulate(message: &mut Map<String, Value>, delta: &Value) {
    for (name, value) in delta.as_object().unwrap() {
        match (name.as_str(), value) {
            ("content" | "refusal", _) => join(message, name, value),
            ("function_call", Value::Object(_)) => {
                let call = message.entry(name).or_insert(json!({}));
                function(call.as_object_mut().unwrap(), value);
            }
            ("tool_calls", Value::Array(fragments)) if !fragments.is_empty() => {
                let calls = message.entry(name).or_insert(json!([]));
                for fragment in fragments {
                    tool(calls.as_array_mut().unwrap(), fragment);
                }
            }
            _ => once(message, name, value),
        }
    }
}

fn tool(calls: &mut Vec<Value>, fragment: &Value) {
    let mut fragment = fragment.as_object().unwrap().clone();
    let index = fragment.remove("index").unwrap().as_u64().unwrap();
    let index = usize::try_from(index).unwrap();
    if index == calls.len() {
        calls.push(json!({}));
    }
    let call = calls[index].as_object_mut().unwrap();
    for (name, value) in fragment {
        if name == "function" && value.is_object() {
            let known = call.entry(name).or_insert(json!({}));
            function(known.as_object_mut().unwrap(), &value);
        } else {
            once(call, &name, &value);
        }
    }
}

/// The choices that SDKs have after these chunks.
fn accumulated(chunks: &[Value]) -> Vec<Value> {
    let mut choices: BTreeMap<u64, Value> = BTreeMap::new();
    for chunk in chunks {
        for part in chunk["choices"].as_array().unwrap() {
            let index = part["index"].as_u64().unwrap();
            let is_first = !choices.contains_key(&index);
            let empty = json!({"index": index, "message": {}, "finish_reason": null});
            let choice = choices.entry(index).or_insert(empty);
            assert_eq!(is_first, part["delta"].get("role").is_some(), "{part}");
            accumulate(choice["message"].as_object_mut().unwrap(), &part["delta"]);
            assert_eq!(
                choice["finish_reason"],
                Value::Null,
                "{part} is behind its end"
            );
            for (name, value) in part.as_object().unwrap() {
                match name.as_str() {
                    "index" | "delta" => {}
                    "logprobs" if is_first => assert!(value.is_null(), "{part}"),
                    "logprobs" if value.is_null() => {}
                    _ => choice[name] = value.clone(),
                }
            }
        }
    }
    choices.into_values().collect()
}

/// `logprobs` that is `null` and one that is absent are the same to all SDKs.
fn without_null_logprobs(mut choices: Vec<Value>) -> Vec<Value> {
    for choice in &mut choices {
        let choice = choice.as_object_mut().unwrap();
        if choice.get("logprobs") == Some(&Value::Null) {
            choice.remove("logprobs");
        }
    }
    choices
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_replay_is_a_whole_stream(answer in any_completion(true), include_usage: bool) {
        let events = events(answer.completion.as_bytes(), include_usage).unwrap();
        let told = answer.usage.filter(|_| include_usage);
        let mut scanner = Scanner::new(EVENT_BYTES_MAX);
        let mut out = Vec::new();
        for (count, event) in events.iter().enumerate() {
            out.clear();
            scanner.feed(event.clone(), &mut out);
            prop_assert_eq!(&out[..], std::slice::from_ref(event), "an event each");
            prop_assert_eq!(scanner.facts().events, count as u64 + 1);
            let line = event.strip_suffix(b"\n\n").unwrap();
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        }
        let facts = scanner.facts();
        prop_assert_eq!(&facts.first_event, &Some(First::Chunk));
        prop_assert!(facts.done && !facts.error && !facts.oversized);
        let choices = Glance::read(answer.completion.as_bytes()).unwrap();
        prop_assert!(choices.ending <= Ending::Length);
        prop_assert!(facts.every_choice_finished(1));
        let usage = told.map(|usage| serde_json::from_str::<Usage>(usage).unwrap());
        prop_assert_eq!(facts.usage, usage);
    }

    #[test]
    fn sdks_make_the_same_message_of_it(answer in any_completion(false), include_usage: bool) {
        let mut data = replayed(&answer.completion, include_usage);
        prop_assert_eq!(data.pop().unwrap(), "[DONE]");
        let chunks: Vec<Value> = data.iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        let mut whole: Value = serde_json::from_str(&answer.completion).unwrap();
        let usage = whole.as_object_mut().unwrap().remove("usage");
        let choices = whole.as_object_mut().unwrap().remove("choices").unwrap();
        prop_assert_eq!(
            without_null_logprobs(accumulated(&chunks)),
            without_null_logprobs(choices.as_array().unwrap().clone())
        );
        whole["object"] = json!("chat.completion.chunk");
        let told = usage.filter(|usage| include_usage && usage.is_object());
        for (place, chunk) in chunks.iter().enumerate() {
            let mut chunk = chunk.clone();
            let is_last = place + 1 == chunks.len();
            let choices = chunk.as_object_mut().unwrap().remove("choices").unwrap();
            let usage = chunk.as_object_mut().unwrap().remove("usage");
            let expected = if is_last { told.clone() } else { told.as_ref().map(|_| Value::Null) };
            prop_assert_eq!(usage, expected);
            prop_assert_eq!(choices.as_array().unwrap().is_empty(), is_last && told.is_some());
            prop_assert_eq!(&chunk, &whole);
        }
    }
}
