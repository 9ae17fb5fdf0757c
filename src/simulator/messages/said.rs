//! How is an answer cut into blocks and events?
//!
//! Tokens are words, as in OpenAI's protocol, and count only where they are text: that is
//! enough to see limits and usage work.

use std::time::Duration;

use serde_json::{Value, json};

use super::asked::Asked;
use crate::simulator::Options;
use crate::simulator::chat::tokens;
use crate::simulator::script::Script;

/// An answer, cut off where it must be.
pub(super) struct Answer {
    id: String,
    model: String,
    blocks: Vec<Value>,
    stop_reason: &'static str,
    stop_sequence: Option<String>,
    output_tokens: usize,
}

/// What every question counts.
const INPUT_TOKENS: usize = 12;

impl Answer {
    pub(super) fn new(id: String, asked: &Asked<'_>, mut blocks: Vec<Value>) -> Self {
        let mut left = usize::try_from(asked.max_tokens).unwrap_or(usize::MAX);
        let (mut cut, mut stop_sequence) = (false, None);
        for block in &mut blocks {
            let Some(Value::String(text)) = block.get_mut("text") else {
                continue;
            };
            let stops = asked.stop_sequences.iter();
            let stops = stops.filter_map(|stop| text.find(stop).map(|at| (at, *stop)));
            if let Some((at, stop)) = stops.min() {
                text.truncate(at);
                stop_sequence = Some(stop.to_owned());
            }
            let words: Vec<&str> = tokens(text).collect();
            cut |= words.len() > left;
            let kept: String = words.iter().take(left).copied().collect();
            left -= words.len().min(left);
            *text = kept;
        }
        let calls = blocks.iter().any(|block| block["type"] == "tool_use");
        let stop_reason = match (cut, &stop_sequence, calls) {
            (true, ..) => "max_tokens",
            (_, Some(_), _) => "stop_sequence",
            (.., true) => "tool_use",
            _ => "end_turn",
        };
        Self {
            id,
            model: asked.model.to_owned(),
            output_tokens: blocks.iter().map(|block| pieces(block).len()).sum(),
            blocks,
            stop_reason,
            stop_sequence,
        }
    }

    /// One that was made before anything was asked.
    pub(super) fn scripted(model: &str, blocks: Vec<Value>) -> Self {
        Self {
            id: "msg_scripted".to_owned(),
            model: model.to_owned(),
            output_tokens: blocks.iter().map(|block| pieces(block).len()).sum(),
            blocks,
            stop_reason: "end_turn",
            stop_sequence: None,
        }
    }

    fn message(&self, content: &[Value], is_over: bool) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": is_over.then_some(self.stop_reason),
            "stop_sequence": self.stop_sequence.as_ref().filter(|_| is_over),
            "usage": {
                "input_tokens": INPUT_TOKENS,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": if is_over { self.output_tokens } else { 1 },
            },
        })
    }

    pub(super) fn whole(&self, options: &Options) -> Script {
        let gaps = u32::try_from(self.output_tokens).unwrap_or(u32::MAX);
        let speaking = options.token_gap.saturating_mul(gaps);
        let body = self.message(&self.blocks, true).to_string();
        Script::json(200, body).delay_head(options.first_token.saturating_add(speaking))
    }

    pub(super) fn stream(&self, options: &Options) -> Script {
        let start = json!({"type": "message_start", "message": self.message(&[], false)});
        let mut script = Script::event_stream()
            .delay_head(options.first_token)
            .piece(event(&start));
        for (index, block) in self.blocks.iter().enumerate() {
            let begun = json!({"type": "content_block_start", "index": index, "content_block": opened(block)});
            script = script.piece(event(&begun));
            if index == 0 {
                script = script.piece(event(&json!({"type": "ping"})));
            }
            let mut gap = Duration::ZERO;
            for delta in pieces(block) {
                let piece = json!({"type": "content_block_delta", "index": index, "delta": delta});
                script = script.piece_after(gap, event(&piece));
                gap = options.token_gap;
            }
            script = script.piece(event(
                &json!({"type": "content_block_stop", "index": index}),
            ));
        }
        let ending = json!({
            "type": "message_delta",
            "delta": {"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence},
            "usage": {"output_tokens": self.output_tokens},
        });
        script
            .piece(event(&ending))
            .piece(event(&json!({"type": "message_stop"})))
    }
}

fn event(data: &Value) -> String {
    let kind = data["type"].as_str().unwrap_or_default();
    format!("event: {kind}\ndata: {data}\n\n")
}

/// A block as it begins.
fn opened(block: &Value) -> Value {
    match block["type"].as_str() {
        Some("text") => json!({"type": "text", "text": ""}),
        Some("thinking") => json!({"type": "thinking", "thinking": "", "signature": ""}),
        _ => json!({"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}),
    }
}

/// The pieces of a block.
fn pieces(block: &Value) -> Vec<Value> {
    match block["type"].as_str() {
        Some("text") => {
            let text = block["text"].as_str().unwrap_or_default();
            let piece = |token| json!({"type": "text_delta", "text": token});
            tokens(text).map(piece).collect()
        }
        Some("thinking") => vec![
            json!({"type": "thinking_delta", "thinking": block["thinking"]}),
            json!({"type": "signature_delta", "signature": block["signature"]}),
        ],
        _ => {
            let input = block["input"].to_string();
            let middle =
                (1..input.len()).find(|at| 2 * at >= input.len() && input.is_char_boundary(*at));
            let (first, rest) = input
                .split_at_checked(middle.unwrap_or(0))
                .unwrap_or(("", &input));
            let piece = |part| json!({"type": "input_json_delta", "partial_json": part});
            ["", first, rest].map(piece).into()
        }
    }
}

/// A value along a schema, as far as simple ones go.
pub(in crate::simulator) fn along(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!("simulated"),
        Some("integer") => json!(7),
        Some("number") => json!(0.5),
        Some("boolean") => json!(true),
        Some("array") => json!([along(&schema["items"])]),
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let value = |(name, schema): (&String, &Value)| (name.clone(), along(schema));
            Value::Object(properties.map(value).collect())
        }
        _ => Value::Null,
    }
}
