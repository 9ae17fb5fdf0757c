//! How is a message of Anthropic's written?
//!
//! In the order and with the members that the vendor's own have, so that what is made of a chat
//! is taken by whoever takes those.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::gateway::record::id::RequestId;

/// Appends an event of a stream.
pub(super) fn event(kind: &str, data: &impl Serialize, out: &mut Vec<u8>) {
    begin(kind, out);
    // Plain fields into memory: there is nothing that could fail.
    let _ = serde_json::to_writer(&mut *out, data);
    out.extend_from_slice(b"\n\n");
}

/// Appends an event whose data was written by somebody else.
pub(super) fn verbatim(kind: &str, data: &str, out: &mut Vec<u8>) {
    begin(kind, out);
    // Line ends stand between tokens and nowhere else; here they would end the line.
    let lines = data.split(['\n', '\r']);
    lines.for_each(|line| out.extend_from_slice(line.as_bytes()));
    out.extend_from_slice(b"\n\n");
}

fn begin(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    // A line end in it would end the field.
    out.extend(kind.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    out.extend_from_slice(b"\ndata: ");
}

/// A message, all of it or as it begins.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    pub id: &'a str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub role: &'static str,
    pub model: &'a str,
    pub content: Vec<Block<'a>>,
    pub stop_reason: Option<&'a str>,
    pub stop_sequence: Option<&'a str>,
    pub usage: Counts,
}

impl<'a> Message<'a> {
    /// As it begins.
    pub(super) fn new(id: &'a str, model: &'a str) -> Self {
        Self {
            id,
            kind: "message",
            role: "assistant",
            model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Counts::default(),
        }
    }
}

/// A block of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Thinking {
        thinking: &'a str,
        /// Nobody has sealed it.
        signature: &'static str,
    },
    Text {
        text: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
}

/// What was used, as Anthropic counts: what was remembered is beside what was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "these are Anthropic's names")]
pub(super) struct Counts {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

/// What was used, as OpenAI counts.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
    cache_creation_tokens: Option<u64>,
}

impl Usage {
    pub(super) fn counts(&self) -> Counts {
        let details = self.prompt_tokens_details.as_ref();
        let cached = details.and_then(|it| it.cached_tokens).unwrap_or(0);
        let written = details.and_then(|it| it.cache_creation_tokens).unwrap_or(0);
        let all = self.prompt_tokens.unwrap_or(0);
        // What some count beside an answer: `openai::Usage::answer_tokens`.
        let beside = self.total_tokens.unwrap_or(0).saturating_sub(all);
        Counts {
            input_tokens: all.saturating_sub(cached).saturating_sub(written),
            cache_creation_input_tokens: written,
            cache_read_input_tokens: cached,
            output_tokens: self.completion_tokens.unwrap_or(0).max(beside),
        }
    }
}

impl Counts {
    /// The larger of each: some count up, and some end with zeros.
    pub(super) fn larger(self, other: Self) -> Self {
        let asked = |it: &Self| {
            it.input_tokens
                .saturating_add(it.cache_creation_input_tokens)
                .saturating_add(it.cache_read_input_tokens)
        };
        let question = if asked(&other) >= asked(&self) {
            other
        } else {
            self
        };
        Self {
            output_tokens: self.output_tokens.max(other.output_tokens),
            ..question
        }
    }
}

/// Why an answer ended, in Anthropic's words. A reason that is not known goes on as it is.
pub(super) fn stop_reason(finish_reason: &str, has_called: bool) -> &str {
    match finish_reason {
        // Some servers say no more than that it ended.
        "stop" if has_called => "tool_use",
        "stop" | "eos" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" | "function_call" => "tool_use",
        "content_filter" => "refusal",
        other => other,
    }
}

/// `msg_…`, by the upstream's id, or the request's where it has none.
pub(super) fn id(of: Option<&str>, request: &RequestId) -> String {
    let of = of.filter(|of| !of.is_empty());
    let of = of.unwrap_or_else(|| request.as_str());
    format!("msg_{}", of.strip_prefix("chatcmpl-").unwrap_or(of))
}
