//! How does Azure say what OpenAI says?
//!
//! In OpenAI's words, with what its filter found beside them: before the first choice of a
//! stream in an event that has none, and in each choice. A deployment stands in the path
//! and a version in the query; without one, and with a credential that is not taken,
//! Azure's gate answers in an envelope of its own.

use serde_json::{Value, json};

use super::Options;
use super::application::Refusal;
use super::chat;
use super::record::Request;
use super::script::Script;

/// A credential that is refused, as every vendor refuses one that it does not know.
pub(super) const UNKNOWN_KEY: &str = "unknown-key";

/// The deployment that a path names, if it is one of Azure's.
pub(super) fn deployment(path: &str) -> Option<String> {
    let (_, behind) = path.split_once("/openai/deployments/")?;
    let name = behind.strip_suffix("/chat/completions")?;
    Some(decoded(name))
}

/// A segment of a path with its escapes decoded.
pub(super) fn decoded(segment: &str) -> String {
    let pairs = url::form_urlencoded::parse(segment.as_bytes());
    pairs.map(|(name, _)| name).collect()
}

/// Answers a chat completion of this deployment.
pub(super) fn answer(
    request: &Request,
    deployment: &str,
    options: &Options,
    number: u64,
) -> Result<Script, Refusal> {
    let query = request
        .target
        .split_once('?')
        .map_or("", |(_, query)| query);
    if !query
        .split('&')
        .any(|pair| pair.starts_with("api-version="))
    {
        let error = json!({"error": {"code": "404", "message": "Resource not found"}});
        return Ok(Script::json(404, error.to_string()));
    }
    if request.header("api-key") == Some(UNKNOWN_KEY) {
        return Ok(Script::azure_unauthorized());
    }
    let mut body = super::application::posted(request)?;
    if let Some(members) = body.as_object_mut() {
        members.insert("model".to_owned(), Value::from(deployment));
    }
    let script = chat::answer(&body, options, number)?;
    Ok(script
        .header("apim-request-id", format!("simulated-{number}"))
        .header("x-ms-region", "Simulated")
        .filtered())
}

impl Script {
    /// What Azure says where its filter stops a prompt.
    #[must_use]
    pub fn azure_filtered_prompt() -> Self {
        let error = json!({"error": {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
            "type": null,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {"violence": {"filtered": true, "severity": "medium"}},
            },
        }});
        Self::json(400, error.to_string())
    }

    /// What Azure's gate says to a credential that it does not know.
    #[must_use]
    pub fn azure_unauthorized() -> Self {
        let error = json!({
            "statusCode": 401,
            "message": "Access denied due to invalid subscription key or wrong API endpoint.",
        });
        Self::json(401, error.to_string())
    }

    /// OpenAI's answer with what a filter found in it, as Azure writes it.
    fn filtered(self) -> Self {
        let is_stream = self.body_starts_with(b"data: ");
        let script = self.map_pieces(|bytes| {
            let text = std::str::from_utf8(bytes).ok()?;
            let json = text.trim_end();
            let json = json.strip_prefix("data: ").unwrap_or(json);
            let mut chunk: Value = serde_json::from_str(json).ok()?;
            for choice in chunk.get_mut("choices")?.as_array_mut()? {
                let choice = choice.as_object_mut()?;
                choice.insert("content_filter_results".to_owned(), nothing_found());
            }
            if !is_stream {
                let members = chunk.as_object_mut()?;
                members.insert("prompt_filter_results".to_owned(), of_the_prompt());
                return Some(chunk.to_string());
            }
            Some(format!("data: {chunk}\n\n"))
        });
        if !is_stream {
            return script;
        }
        let first = json!({
            "id": "",
            "object": "",
            "created": 0,
            "model": "",
            "choices": [],
            "prompt_filter_results": of_the_prompt(),
        });
        script.first_piece(format!("data: {first}\n\n"))
    }
}

fn of_the_prompt() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": nothing_found()}])
}

fn nothing_found() -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe})
}
