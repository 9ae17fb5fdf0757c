//! What does a model say in Responses?
//!
//! The same as in a chat, in the form that OpenAI has for it since: a list of items, in a stream
//! told by typed events. What it does with tools and schemas: `calling.rs`.
//!
//! Source: OpenAI's API reference.

use std::time::Duration;

use serde_json::{Value, json};

use super::application::{Refusal, bounded, model_of};
use super::calling::{Call, Doing};
use super::chat::{spoken, tokens};
use super::script::Script;
use super::{Options, unix_seconds};

/// The vendor takes no lower bound of an answer.
const OUTPUT_TOKENS_MIN: u64 = 16;

/// One answer of `responses`.
struct Response<'a> {
    id: String,
    item: String,
    created: u64,
    model: &'a str,
    tokens: Vec<String>,
    calls: Vec<Call>,
    is_cut: bool,
    input_tokens: usize,
}

/// Answers a response.
pub(super) fn answer(body: &Value, options: &Options, number: u64) -> Result<Script, Refusal> {
    let model = model_of(body)?;
    let input = match body.get("input") {
        None => return Err(Refusal::missing("input")),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => question(items),
        Some(_) => return Err(Refusal::invalid("input", "a text or a list of items")),
    };
    let most = bounded(body, "max_output_tokens", OUTPUT_TOKENS_MIN..=u64::MAX)?;
    let most = most.unwrap_or(u64::MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let doing = Doing::of_responses(body)?;
    let said = doing.said(spoken(model, &input).concat());
    let mut tokens: Vec<String> = tokens(&said).map(str::to_owned).collect();
    if !doing.calls.is_empty() {
        tokens.clear();
    }
    let is_cut = tokens.len() > most;
    tokens.truncate(most);
    let response = Response {
        id: format!("resp_simulated{number:010}"),
        item: format!("msg_simulated{number:010}"),
        created: unix_seconds(),
        model,
        tokens,
        calls: doing.calls,
        is_cut,
        input_tokens: input.len().div_ceil(4),
    };
    let stream = body.get("stream").and_then(Value::as_bool);
    Ok(if stream.unwrap_or(false) {
        response.events(options)
    } else {
        let whole = response.object(true).to_string();
        Script::json(200, whole).delay_head(options.first_token)
    })
}

/// What was said last by the caller, where anything was.
fn question(items: &[Value]) -> String {
    let said = items.iter().rev().filter(|item| item["role"] == "user");
    said.map(item_text).next().unwrap_or_default()
}

fn item_text(item: &Value) -> String {
    match item.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

impl Response<'_> {
    fn object(&self, is_done: bool) -> Value {
        let status = match (is_done, self.is_cut) {
            (false, _) => "in_progress",
            (true, true) => "incomplete",
            (true, false) => "completed",
        };
        let cut = is_done && self.is_cut;
        let output = if is_done { self.output() } else { Vec::new() };
        let calls = self.calls.iter().map(|call| 1 + call.pieces().len());
        let answer = self.tokens.len() + calls.sum::<usize>();
        let question = self.input_tokens;
        let usage = json!({"input_tokens": question, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer, "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": question + answer});
        json!({"id": self.id, "object": "response", "created_at": self.created, "status": status,
            "background": false, "error": null, "instructions": null, "max_output_tokens": null,
            "incomplete_details": cut.then(|| json!({"reason": "max_output_tokens"})),
            "model": self.model, "output": output, "parallel_tool_calls": true,
            "previous_response_id": null, "reasoning": {"effort": null, "summary": null},
            "store": true, "temperature": 1.0, "text": {"format": {"type": "text"}},
            "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
            "usage": is_done.then_some(usage), "user": null, "metadata": {}})
    }

    /// What is called, or said.
    fn output(&self) -> Vec<Value> {
        if self.calls.is_empty() {
            return vec![self.message(true)];
        }
        let calls = self.calls.iter();
        calls.map(|call| called(call, true)).collect()
    }

    fn message(&self, is_done: bool) -> Value {
        let content = if is_done {
            vec![part(&self.tokens.concat())]
        } else {
            Vec::new()
        };
        let status = if is_done { "completed" } else { "in_progress" };
        json!({"id": self.item, "type": "message", "status": status, "role": "assistant",
            "content": content})
    }

    fn events(&self, options: &Options) -> Script {
        let last = if self.is_cut {
            "response.incomplete"
        } else {
            "response.completed"
        };
        let begun = || json!({"response": self.object(false)});
        let mut events = vec![
            ("response.created", begun()),
            ("response.in_progress", begun()),
        ];
        if self.calls.is_empty() {
            self.saying(&mut events);
        }
        for (index, call) in self.calls.iter().enumerate() {
            calling(index, call, &mut events);
        }
        events.push((last, json!({"response": self.object(true)})));
        let mut script = Script::event_stream().delay_head(options.first_token);
        for (number, (kind, event)) in events.into_iter().enumerate() {
            let event = with(json!({"type": kind, "sequence_number": number}), event);
            let gap = if kind == "response.output_text.delta" {
                options.token_gap
            } else {
                Duration::ZERO
            };
            script = script.piece_after(gap, format!("event: {kind}\ndata: {event}\n\n"));
        }
        script
    }

    /// The events of the message.
    fn saying(&self, events: &mut Vec<(&'static str, Value)>) {
        let at = |members: Value| {
            let place = json!({"item_id": self.item, "output_index": 0, "content_index": 0});
            with(place, members)
        };
        let item = |is_done| json!({"output_index": 0, "item": self.message(is_done)});
        let text = self.tokens.concat();
        events.push(("response.output_item.added", item(false)));
        events.push(("response.content_part.added", at(json!({"part": part("")}))));
        for token in &self.tokens {
            let delta = at(json!({"delta": token, "logprobs": []}));
            events.push(("response.output_text.delta", delta));
        }
        events.extend([
            (
                "response.output_text.done",
                at(json!({"text": text, "logprobs": []})),
            ),
            (
                "response.content_part.done",
                at(json!({"part": part(&text)})),
            ),
            ("response.output_item.done", item(true)),
        ]);
    }
}

/// The events of a call.
fn calling(index: usize, call: &Call, events: &mut Vec<(&'static str, Value)>) {
    let item = |is_done| json!({"output_index": index, "item": called(call, is_done)});
    let at = |members| {
        with(
            json!({"item_id": item_id(call), "output_index": index}),
            members,
        )
    };
    events.push(("response.output_item.added", item(false)));
    for piece in call.pieces() {
        let delta = at(json!({ "delta": piece }));
        events.push(("response.function_call_arguments.delta", delta));
    }
    let done = at(json!({"name": call.name, "arguments": call.arguments}));
    events.push(("response.function_call_arguments.done", done));
    events.push(("response.output_item.done", item(true)));
}

/// A call as an item, which is empty where it begins.
fn called(call: &Call, is_done: bool) -> Value {
    let (status, arguments) = if is_done {
        ("completed", call.arguments.as_str())
    } else {
        ("in_progress", "")
    };
    json!({"id": item_id(call), "type": "function_call", "status": status,
        "call_id": call.id, "name": call.name, "arguments": arguments})
}

/// An item has an id of its own, which is not the call's.
fn item_id(call: &Call) -> String {
    format!("fc_{}", call.id)
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// An object with the members of both.
fn with(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut all), Value::Object(more)) => {
            all.extend(more);
            Value::Object(all)
        }
        (first, _) => first,
    }
}
