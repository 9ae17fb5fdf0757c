//! Is this a request that Anthropic would take?

use serde_json::{Map, Value, json};

use super::Invalid;
use super::said::along;
use crate::simulator::chat::tokens;

/// Fields that are known; any other is refused.
const KNOWN: [&str; 19] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
    "cache_control",
    "container",
    "inference_geo",
    "mcp_servers",
];

/// Those of a question whose tokens are only counted.
const COUNTED: [&str; 8] = [
    "model",
    "messages",
    "cache_control",
    "output_config",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

/// What was asked, as far as it shapes the answer.
pub(super) struct Asked<'a> {
    pub model: &'a str,
    pub max_tokens: u64,
    pub stream: bool,
    pub thinks: bool,
    pub schema: Option<&'a Value>,
    pub stop_sequences: Vec<&'a str>,
    messages: &'a [Value],
    tools: &'a [Value],
    choice: Option<&'a Value>,
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(message.into()))
}

fn list<'a>(body: &'a Value, name: &str) -> &'a [Value] {
    body.get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

impl<'a> Asked<'a> {
    pub(super) fn parse(body: &'a Value) -> Result<Self, Invalid> {
        let model = model(body, &KNOWN)?;
        let max_tokens = match body.get("max_tokens").map(Value::as_u64) {
            None => return invalid("max_tokens: Field required"),
            Some(Some(max_tokens)) if max_tokens > 0 => max_tokens,
            Some(_) => return invalid("max_tokens: must be greater than or equal to 1"),
        };
        for name in ["temperature", "top_p"] {
            let value = body.get(name).map(Value::as_f64);
            let is_fit =
                value.is_none_or(|value| value.is_some_and(|it| (0.0..=1.0).contains(&it)));
            if !is_fit {
                return invalid(format!("{name}: range: 0..1"));
            }
        }
        let thinking = body.get("thinking");
        let budget = thinking.and_then(|thinking| thinking.get("budget_tokens"));
        if let Some(budget) = budget.and_then(Value::as_u64)
            && !(1024..max_tokens).contains(&budget)
        {
            return invalid(
                "`max_tokens` must be greater than `thinking.budget_tokens`, which is 1024 or more",
            );
        }
        let messages = list(body, "messages");
        turns(messages)?;
        Ok(Self {
            model,
            max_tokens,
            stream: body.get("stream") == Some(&Value::Bool(true)),
            thinks: thinking.is_some_and(|thinking| thinking["type"] != "disabled"),
            schema: body.pointer("/output_config/format/schema"),
            stop_sequences: list(body, "stop_sequences")
                .iter()
                .filter_map(Value::as_str)
                .collect(),
            messages,
            tools: list(body, "tools"),
            choice: body.get("tool_choice"),
        })
    }

    /// The conversation as OpenAI's protocol has it, for what is said of it.
    pub(super) fn as_chat(&self) -> Value {
        json!({"model": self.model, "messages": self.messages, "stop": self.stop_sequences})
    }

    /// What came of the calls, where that is what was said last.
    pub(super) fn results(&self) -> Vec<String> {
        let last = self.messages.last().map(|last| list(last, "content"));
        let results = last
            .unwrap_or_default()
            .iter()
            .filter(|block| block["type"] == "tool_result");
        results.map(|result| said(&result["content"])).collect()
    }

    /// The calls that are made: of each tool, or of the one that must be called.
    pub(super) fn calls(&self) -> Vec<Value> {
        let kind = self.choice.and_then(|choice| choice["type"].as_str());
        if !self.results().is_empty() || kind == Some("none") {
            return Vec::new();
        }
        let wanted = self.choice.and_then(|choice| choice["name"].as_str());
        let is_wanted = |tool: &&Value| wanted.is_none_or(|wanted| tool["name"] == wanted);
        let serial = self
            .choice
            .is_some_and(|it| it["disable_parallel_tool_use"] == true);
        let most = if serial { 1 } else { self.tools.len() };
        let tools = self.tools.iter().filter(is_wanted).take(most).enumerate();
        let call = |(place, tool): (usize, &Value)| {
            json!({
                "type": "tool_use",
                "id": format!("toolu_simulated{place}"),
                "name": tool["name"],
                "input": along(&tool["input_schema"]),
            })
        };
        tools.map(call).collect()
    }
}

/// How many words a question has, where it is one.
pub(super) fn counted(body: &Value) -> Result<usize, Invalid> {
    model(body, &COUNTED)?;
    let messages = list(body, "messages");
    turns(messages)?;
    let contents = messages.iter().map(|message| &message["content"]);
    let texts = contents.chain(body.get("system")).map(said);
    Ok(texts.map(|text| tokens(&text).count()).sum())
}

/// The name of a model in a question that has these fields and no others.
fn model<'a>(body: &'a Value, known: &[&str]) -> Result<&'a str, Invalid> {
    let mut members = body.as_object().into_iter().flat_map(Map::keys);
    if let Some(unknown) = members.find(|name| !known.contains(&name.as_str())) {
        return invalid(format!("{unknown}: Extra inputs are not permitted"));
    }
    let model = body.get("model").and_then(Value::as_str);
    model.map_or_else(|| invalid("model: Field required"), Ok)
}

/// The text of a content.
fn said(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// Whether the turns are as they must be.
fn turns(messages: &[Value]) -> Result<(), Invalid> {
    if messages.is_empty() {
        return invalid("messages: at least one message is required");
    }
    let mut open: Vec<&str> = Vec::new();
    for (place, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "user" | "assistant") {
            return invalid(format!(
                "messages.{place}.role: Input should be 'user' or 'assistant'"
            ));
        }
        if place == 0 && role != "user" {
            return invalid("messages: first message must use the \"user\" role");
        }
        let blocks = list(message, "content");
        if blocks.is_empty() && !message["content"].is_string() {
            return invalid(format!(
                "messages.{place}: all messages must have non-empty content"
            ));
        }
        let empty = |block: &Value| block["type"] == "text" && block["text"] == "";
        if blocks.iter().any(empty) {
            return invalid("messages: text content blocks must be non-empty");
        }
        let ids = |kind: &str, name: &str| -> Vec<&str> {
            let blocks = blocks.iter().filter(|block| block["type"] == kind);
            blocks
                .filter_map(|block| block.get(name)?.as_str())
                .collect()
        };
        let results = ids("tool_result", "tool_use_id");
        if let Some(lacking) = open.iter().find(|id| !results.contains(id)) {
            return invalid(format!(
                "messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: {lacking}"
            ));
        }
        if let Some(stray) = results.iter().find(|id| !open.contains(id)) {
            return invalid(format!(
                "messages.{place}: unexpected `tool_use_id` found in `tool_result` blocks: {stray}"
            ));
        }
        open = ids("tool_use", "id");
    }
    Ok(())
}
