//! What does a model say in Gemini's protocol?
//!
//! The same as in OpenAI's (`chat.rs`), in parts. As far as a gateway can get it wrong it is as
//! strict as the vendor: no unknown field is taken, each part is of one kind, calls and what
//! came of them are as many, and models from 3 on want their signatures back. Given tools, it
//! calls each of them once, and then tells what came of that; given a schema, it answers along
//! it; asked for pictures, it shows one.

/// Is this a request that Gemini would take?
mod asked;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::application::Refusal;
use super::azure::UNKNOWN_KEY;
use super::messages::said::along;
use super::record::Request;
use super::script::Script;
use super::{Options, chat, image};
use asked::Asked;

/// A request that cannot be answered, in Google's terms.
#[derive(Debug)]
struct Invalid(String);

/// What every question counts.
const PROMPT_TOKENS: usize = 9;

/// The model of a path, and whether its answer is to come as events.
pub(super) fn asked_for(path: &str) -> Option<(&str, bool)> {
    let (_, named) = path.split_once("/models/")?;
    let (model, verb) = named.rsplit_once(':')?;
    match verb {
        "generateContent" => Some((model, false)),
        "streamGenerateContent" => Some((model, true)),
        _ => None,
    }
}

/// Answers a `POST …/models/MODEL:generateContent`, or the same as a stream.
pub(super) fn answer(
    request: &Request,
    (model, stream): (&str, bool),
    options: &Options,
    number: u64,
) -> Script {
    if request.header("x-goog-api-key") == Some(UNKNOWN_KEY) {
        return Script::gemini_key_invalid();
    }
    let body: Option<Value> = serde_json::from_slice(&request.body).ok();
    let Some(body) = body.filter(Value::is_object) else {
        return refused("Invalid JSON payload received.");
    };
    let said = Asked::parse(&body, model).and_then(|asked| {
        let choices = (0..asked.candidates).map(|_| parts(&asked));
        let choices: Result<Vec<Vec<Value>>, Invalid> = choices.collect();
        Ok((choices?, asked.tokens_max))
    });
    match said {
        Err(Invalid(message)) => refused(&message),
        Ok((choices, tokens_max)) => {
            let answer = Answer {
                model: model.to_owned(),
                id: format!("simulated{number:010}"),
                choices: choices
                    .into_iter()
                    .map(|parts| Choice::cut(parts, tokens_max))
                    .collect(),
            };
            match (stream, request.target.contains("alt=sse")) {
                (false, _) => answer.whole(options),
                (true, true) => answer.stream(options),
                (true, false) => answer.listed(options),
            }
        }
    }
}

fn refused(message: &str) -> Script {
    Script::gemini_error(400, "INVALID_ARGUMENT", message, &json!([]))
}

/// What is answered, before it is cut off anywhere.
fn parts(asked: &Asked<'_>) -> Result<Vec<Value>, Invalid> {
    let mut parts = Vec::new();
    if asked.thinks {
        parts.push(json!({"text": "The simulator thinks nothing of it.", "thought": true}));
    }
    let calls = asked.calls();
    if !calls.is_empty() {
        parts.extend(calls);
        return Ok(parts);
    }
    let text = if let Some(schema) = asked.schema {
        along(schema).to_string()
    } else {
        let said = chat::said(&asked.as_chat());
        let said = said.map_err(|Refusal { message, .. }| Invalid(message))?;
        match asked.results() {
            results if results.is_empty() => said,
            results => format!("That came of it: {}. {said}", results.join(", ")),
        }
    };
    parts.push(json!({"text": text}));
    if asked.shows {
        let picture = STANDARD.encode(image::of(&asked.question()));
        parts.push(json!({"inlineData": {"mimeType": "image/png", "data": picture}}));
    }
    Ok(parts)
}

/// One of the answers, cut off where it must be.
struct Choice {
    pieces: Vec<Value>,
    tokens: usize,
    finish_reason: &'static str,
}

impl Choice {
    /// Texts in words, and no more of them than are allowed.
    fn cut(parts: Vec<Value>, tokens_max: usize) -> Self {
        let mut pieces = Vec::new();
        for part in parts {
            let Some(text) = part.get("text").and_then(Value::as_str) else {
                pieces.push(part);
                continue;
            };
            let thought = part.get("thought").and_then(Value::as_bool);
            pieces.extend(chat::tokens(text).map(|token| said(token, thought)));
        }
        let is_cut = pieces.len() > tokens_max;
        pieces.truncate(tokens_max);
        Self {
            tokens: pieces.len(),
            pieces,
            finish_reason: if is_cut { "MAX_TOKENS" } else { "STOP" },
        }
    }

    /// All of it, texts laid end to end.
    fn parts(&self) -> Vec<Value> {
        let mut parts: Vec<Value> = Vec::new();
        for piece in &self.pieces {
            let last = parts.last_mut();
            let joined = last.filter(|last| {
                last["text"].is_string()
                    && piece["text"].is_string()
                    && last["thought"] == piece["thought"]
            });
            match joined {
                Some(last) => {
                    let more = piece["text"].as_str().unwrap_or_default();
                    let text = last["text"].as_str().unwrap_or_default();
                    *last = said(&format!("{text}{more}"), last["thought"].as_bool());
                }
                None => parts.push(piece.clone()),
            }
        }
        parts
    }
}

struct Answer {
    model: String,
    id: String,
    choices: Vec<Choice>,
}

impl Answer {
    fn said(&self, candidates: &[Value], tokens: usize) -> Value {
        json!({
            "candidates": candidates,
            "usageMetadata": {
                "promptTokenCount": PROMPT_TOKENS,
                "candidatesTokenCount": tokens,
                "totalTokenCount": PROMPT_TOKENS + tokens,
            },
            "modelVersion": self.model,
            "responseId": self.id,
        })
    }

    fn whole(&self, options: &Options) -> Script {
        let tokens: usize = self.choices.iter().map(|choice| choice.tokens).sum();
        let gaps = u32::try_from(tokens).unwrap_or(u32::MAX);
        let speaking = options.token_gap.saturating_mul(gaps);
        let candidates: Vec<Value> = self
            .choices
            .iter()
            .enumerate()
            .map(|(index, choice)| candidate(index, &choice.parts(), Some(choice.finish_reason)))
            .collect();
        let body = serde_json::to_string_pretty(&self.said(&candidates, tokens));
        Script::json(200, body.unwrap_or_default())
            .delay_head(options.first_token.saturating_add(speaking))
    }

    /// The events of a stream, without what is around them.
    fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let mut tokens = 0;
        for (index, choice) in self.choices.iter().enumerate() {
            let mut pieces = choice.pieces.iter().peekable();
            while let Some(piece) = pieces.next() {
                tokens += 1;
                let is_last = pieces.peek().is_none();
                let reason = is_last.then_some(choice.finish_reason);
                let candidate = candidate(index, std::slice::from_ref(piece), reason);
                events.push(self.said(&[candidate], tokens));
            }
        }
        events
    }

    fn stream(&self, options: &Options) -> Script {
        let mut script = Script::event_stream().delay_head(options.first_token);
        for (place, event) in self.events().into_iter().enumerate() {
            let gap = if place == 0 {
                std::time::Duration::ZERO
            } else {
                options.token_gap
            };
            // Google ends its lines with both.
            script = script.piece_after(gap, format!("data: {event}\r\n\r\n"));
        }
        script
    }

    /// As it comes to who does not ask for events: one list, bit by bit.
    fn listed(&self, options: &Options) -> Script {
        let list = Value::Array(self.events());
        Script::json(200, list.to_string()).delay_head(options.first_token)
    }
}

/// A part that is a text, said or thought.
fn said(text: &str, thought: Option<bool>) -> Value {
    match thought {
        Some(thought) => json!({"text": text, "thought": thought}),
        None => json!({ "text": text }),
    }
}

/// What is not said is left out, as protocol buffers do.
fn candidate(index: usize, parts: &[Value], finish_reason: Option<&str>) -> Value {
    let content = json!({"parts": parts, "role": "model"});
    let mut candidate = serde_json::Map::new();
    candidate.insert("content".to_owned(), content);
    if index > 0 {
        candidate.insert("index".to_owned(), json!(index));
    }
    if let Some(reason) = finish_reason {
        candidate.insert("finishReason".to_owned(), json!(reason));
    }
    Value::Object(candidate)
}

impl Script {
    /// An answer that says this, in Gemini's form.
    #[must_use]
    pub fn gemini(model: &str, said: &str) -> Self {
        Answer::scripted(model, said).whole(&Options::instant())
    }

    /// The same as a stream with an event for each word.
    #[must_use]
    pub fn gemini_stream(model: &str, said: &str) -> Self {
        Answer::scripted(model, said).stream(&Options::instant())
    }

    /// An error in Google's form.
    #[must_use]
    pub fn gemini_error(code: u16, status: &str, message: &str, details: &Value) -> Self {
        let error = if details.as_array().is_some_and(Vec::is_empty) {
            json!({"code": code, "message": message, "status": status})
        } else {
            json!({"code": code, "message": message, "status": status, "details": details})
        };
        Self::json(code, json!({ "error": error }).to_string())
    }

    /// What Google says to a key that it does not know.
    #[must_use]
    pub fn gemini_key_invalid() -> Self {
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }]);
        let message = "API key not valid. Please pass a valid API key.";
        Self::gemini_error(400, "INVALID_ARGUMENT", message, &details)
    }

    /// What Google says to who asks too often, and when to come back.
    #[must_use]
    pub fn gemini_exhausted(retry_delay: &str) -> Self {
        let details = json!([
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay},
        ]);
        let message =
            "You exceeded your current quota, please check your plan and billing details.";
        Self::gemini_error(429, "RESOURCE_EXHAUSTED", message, &details)
    }

    /// What Google answers to a prompt that it does not.
    #[must_use]
    pub fn gemini_blocked() -> Self {
        let answer = json!({
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": PROMPT_TOKENS, "totalTokenCount": PROMPT_TOKENS},
            "modelVersion": "gemini-2.5-flash",
        });
        Self::json(200, answer.to_string())
    }
}

impl Answer {
    /// One that was made before anything was asked.
    fn scripted(model: &str, said: &str) -> Self {
        Self {
            model: model.to_owned(),
            id: "scripted".to_owned(),
            choices: vec![Choice::cut(vec![json!({"text": said})], usize::MAX)],
        }
    }
}
