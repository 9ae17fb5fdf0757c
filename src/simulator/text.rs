//! What does a model say that is asked for no chat?
//!
//! The same as in a chat, in the two other forms that OpenAI has for it: `completions`, which
//! came before, and `responses`, which came after, with its typed events.
//!
//! Source: OpenAI's API reference.

use std::time::Duration;

use serde_json::{Value, json};

use super::application::{Refusal, bounded, model_of};
use super::chat::spoken;
use super::script::{DONE, Script};
use super::{Options, unix_seconds};

/// As many as OpenAI makes at once.
const CHOICES_MAX: u64 = 128;

/// Answers a completion.
pub(super) fn completions(body: &Value, options: &Options, number: u64) -> Result<Script, Refusal> {
    let model = model_of(body)?;
    let prompts: Vec<String> = match body.get("prompt") {
        None => return Err(Refusal::missing("prompt")),
        Some(Value::String(prompt)) => vec![prompt.clone()],
        Some(Value::Array(prompts)) if prompts.iter().all(Value::is_number) => {
            vec![format!("{} tokens", prompts.len())]
        }
        Some(Value::Array(prompts)) => prompts.iter().map(prompt).collect(),
        Some(_) => return Err(Refusal::invalid("prompt", "a text or a list of some")),
    };
    let n = bounded(body, "n", 1..=CHOICES_MAX)?.unwrap_or(1);
    let most = bounded(body, "max_tokens", 0..=u64::MAX)?.unwrap_or(u64::MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let id = format!("cmpl-simulated{number:010}");
    let created = unix_seconds();
    let mut answers: Vec<(Vec<String>, &str)> = Vec::new();
    for prompt in &prompts {
        for _ in 0..n {
            let mut tokens = spoken(model, prompt);
            let reason = if tokens.len() > most {
                "length"
            } else {
                "stop"
            };
            tokens.truncate(most);
            answers.push((tokens, reason));
        }
    }
    let prompt_tokens: usize = prompts.iter().map(|prompt| prompt.len().div_ceil(4)).sum();
    let completion_tokens: usize = answers.iter().map(|(tokens, _)| tokens.len()).sum();
    let usage = json!({"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens});
    let completion = |choices: Vec<Value>, usage: &Value| {
        json!({"id": id, "object": "text_completion",
        "created": created, "model": model, "choices": choices, "usage": usage})
    };
    let choice = |index: usize, text: &str, reason: Option<&str>| {
        json!({"text": text, "index": index,
        "logprobs": null, "finish_reason": reason})
    };
    let flag = |pointer| {
        body.pointer(pointer)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    if !flag("/stream") {
        let choices = answers.iter().enumerate();
        let choices =
            choices.map(|(at, (tokens, reason))| choice(at, &tokens.concat(), Some(reason)));
        let whole = completion(choices.collect(), &usage);
        return Ok(Script::json(200, whole.to_string()).delay_head(options.first_token));
    }
    let mut script = Script::event_stream().delay_head(options.first_token);
    let event = |chunk: &Value| format!("data: {chunk}\n\n");
    for (at, (tokens, reason)) in answers.iter().enumerate() {
        for token in tokens {
            let chunk = completion(vec![choice(at, token, None)], &Value::Null);
            script = script.piece_after(options.token_gap, event(&chunk));
        }
        let chunk = completion(vec![choice(at, "", Some(reason))], &Value::Null);
        script = script.piece(event(&chunk));
    }
    if flag("/stream_options/include_usage") {
        script = script.piece(event(&completion(Vec::new(), &usage)));
    }
    Ok(script.piece(DONE))
}

fn prompt(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => format!("{} tokens", other.as_array().map_or(0, Vec::len)),
    }
}

/// One answer of `responses`.
struct Response<'a> {
    id: String,
    item: String,
    created: u64,
    model: &'a str,
    tokens: Vec<String>,
    is_cut: bool,
    input_tokens: usize,
}

/// Answers a response.
pub(super) fn responses(body: &Value, options: &Options, number: u64) -> Result<Script, Refusal> {
    let model = model_of(body)?;
    let input = match body.get("input") {
        None => return Err(Refusal::missing("input")),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items.last().map(item_text).unwrap_or_default(),
        Some(_) => return Err(Refusal::invalid("input", "a text or a list of items")),
    };
    let most = bounded(body, "max_output_tokens", 1..=u64::MAX)?.unwrap_or(u64::MAX);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut tokens = spoken(model, &input);
    let is_cut = tokens.len() > most;
    tokens.truncate(most);
    let response = Response {
        id: format!("resp_simulated{number:010}"),
        item: format!("msg_simulated{number:010}"),
        created: unix_seconds(),
        model,
        tokens,
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
        let output = if is_done {
            vec![self.message(true)]
        } else {
            Vec::new()
        };
        let (question, answer) = (self.input_tokens, self.tokens.len());
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
        let at = |members: Value| {
            let place = json!({"item_id": self.item, "output_index": 0, "content_index": 0});
            with(place, members)
        };
        let text = self.tokens.concat();
        let last = if self.is_cut {
            "response.incomplete"
        } else {
            "response.completed"
        };
        let mut events = vec![
            ("response.created", json!({"response": self.object(false)})),
            (
                "response.in_progress",
                json!({"response": self.object(false)}),
            ),
            (
                "response.output_item.added",
                json!({"output_index": 0, "item": self.message(false)}),
            ),
            ("response.content_part.added", at(json!({"part": part("")}))),
        ];
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
            (
                "response.output_item.done",
                json!({"output_index": 0, "item": self.message(true)}),
            ),
            (last, json!({"response": self.object(true)})),
        ]);
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
