//! What does a model say in Anthropic's protocol?
//!
//! The same as in OpenAI's (`chat.rs`), in blocks. As far as a gateway can get it wrong it is as
//! strict as the vendor: the version must be told, the length of the answer too, no unknown
//! field is taken, sides alternate as they like but begin with the user's, and every call is
//! followed by what came of it. Given tools, it calls each of them once, and then tells what
//! came of that; given a schema, it answers along it.

/// Is this a request that Anthropic would take?
mod asked;
/// How is an answer cut into blocks and events?
pub(super) mod said;

use serde_json::{Value, json};

use super::application::Refusal;
use super::record::Request;
use super::script::Script;
use super::{Options, chat};
use asked::Asked;

/// A request that cannot be answered, in Anthropic's terms.
#[derive(Debug)]
struct Invalid(String);

/// Answers a `POST …/messages`.
pub(super) fn answer(request: &Request, options: &Options, number: u64) -> Script {
    let answered = posted(request).and_then(|body| {
        let asked = Asked::parse(&body)?;
        let id = format!("msg_simulated{number:010}");
        let blocks = blocks(&asked)?;
        let answer = said::Answer::new(id, &asked, blocks);
        Ok(if asked.stream {
            answer.stream(options)
        } else {
            answer.whole(options)
        })
    });
    answered.unwrap_or_else(Invalid::script)
}

/// Answers a `POST …/messages/count_tokens`: a word is a token, as everywhere here.
pub(super) fn count(request: &Request) -> Script {
    let counted = posted(request).and_then(|body| {
        let input_tokens = asked::counted(&body)?;
        Ok(Script::json(
            200,
            json!({"input_tokens": input_tokens}).to_string(),
        ))
    });
    counted.unwrap_or_else(Invalid::script)
}

/// The body of a request whose client tells a version.
fn posted(request: &Request) -> Result<Value, Invalid> {
    version(request)?;
    let body: Option<Value> = serde_json::from_slice(&request.body).ok();
    let body = body.filter(Value::is_object);
    body.ok_or_else(|| Invalid("The request body is not valid JSON".to_owned()))
}

impl Invalid {
    fn script(self) -> Script {
        Script::anthropic_error(400, "invalid_request_error", &self.0)
    }
}

/// Every client tells the version that it was written for.
fn version(request: &Request) -> Result<(), Invalid> {
    match request.header("anthropic-version") {
        Some("2023-06-01") => Ok(()),
        Some(other) => Err(Invalid(format!(
            "anthropic-version: {other} is not a valid version"
        ))),
        None => Err(Invalid("anthropic-version: header is required".to_owned())),
    }
}

/// What is answered, before it is cut off anywhere.
fn blocks(asked: &Asked<'_>) -> Result<Vec<Value>, Invalid> {
    let mut blocks = Vec::new();
    if asked.thinks {
        blocks.push(json!({
            "type": "thinking",
            "thinking": "The simulator thinks nothing of it.",
            "signature": "c2ltdWxhdGVk",
        }));
    }
    let calls = asked.calls();
    if !calls.is_empty() {
        blocks.push(json!({"type": "text", "text": "I look that up."}));
        blocks.extend(calls);
        return Ok(blocks);
    }
    let text = if let Some(schema) = asked.schema {
        said::along(schema).to_string()
    } else {
        let said = chat::said(&asked.as_chat());
        let said = said.map_err(|Refusal { message, .. }| Invalid(message))?;
        match asked.results() {
            results if results.is_empty() => said,
            results => format!("That came of it: {}. {said}", results.join(", ")),
        }
    };
    blocks.push(json!({"type": "text", "text": text}));
    Ok(blocks)
}

impl Script {
    /// A message that says this, in Anthropic's form.
    #[must_use]
    pub fn message(model: &str, said: &str) -> Self {
        let blocks = vec![json!({"type": "text", "text": said})];
        said::Answer::scripted(model, blocks).whole(&Options::instant())
    }

    /// The same as a stream with an event for each word.
    #[must_use]
    pub fn message_stream(model: &str, said: &str) -> Self {
        let blocks = vec![json!({"type": "text", "text": said})];
        said::Answer::scripted(model, blocks).stream(&Options::instant())
    }

    /// An error in Anthropic's form.
    #[must_use]
    pub fn anthropic_error(status: u16, kind: &str, message: &str) -> Self {
        let error = json!({"type": kind, "message": message});
        let body = json!({"type": "error", "error": error, "request_id": "req_simulated"});
        Self::json(status, body.to_string())
    }
}
