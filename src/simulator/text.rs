//! What does a model say that is asked for no chat?
//!
//! The same as in a chat, in the form that OpenAI had for it before: `completions`.
//!
//! Source: OpenAI's API reference.

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
