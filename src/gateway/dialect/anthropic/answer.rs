//! How does a whole answer read?
//!
//! Its blocks are laid end to end by what they are: text, thoughts, calls. Blocks of a kind that
//! is not known are the upstream's own business (its server's tools), and nothing that OpenAI's
//! protocol could show.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Usage, finish_reason};
use crate::gateway::dialect::calls::Call;
use crate::gateway::dialect::written::{self, Message};
use crate::gateway::dialect::{Names, Unreadable};

/// As much of an answer as is read.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    error: Option<Failure<'a>>,
}

/// A block, with the members of every kind.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// What an error says.
#[derive(Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

impl Failure<'_> {
    /// As OpenAI writes it.
    pub(super) fn written(&self) -> String {
        written::error(
            self.kind.as_deref().unwrap_or("api_error"),
            None,
            self.message.as_deref().unwrap_or_default(),
        )
    }
}

/// The answer as a `chat.completion`.
pub(in crate::gateway::dialect) fn completion(
    body: &[u8],
    names: &Names,
) -> Result<Bytes, Unreadable> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| Unreadable("no message"))?;
    if let Some(error) = answer.error {
        return Ok(error.written().into());
    }
    let (Some("message"), Some(blocks)) = (answer.kind.as_deref(), &answer.content) else {
        return Err(Unreadable("no message"));
    };
    let own = names.verbatim.then(|| serde_json::from_slice(body).ok());
    let mut message = Message {
        role: Some("assistant"),
        anthropic: own.flatten().map(|own| [own]),
        ..Message::default()
    };
    for block in blocks {
        match &*block.kind {
            "text" => {
                let text = block.text.as_deref().unwrap_or_default();
                message.content.get_or_insert_default().push_str(text);
            }
            "thinking" => {
                let thought = block.thinking.as_deref().unwrap_or_default();
                message.reasoning_content.push_str(thought);
            }
            "tool_use" => message.tool_calls.push(call(block)?),
            _ => {}
        }
    }
    if message.tool_calls.is_empty() {
        message.content.get_or_insert_default();
    }
    let model = names.model(answer.model.as_deref());
    let finish = answer.stop_reason.as_deref().map(finish_reason);
    let tokens = answer.usage.unwrap_or_default().tokens();
    Ok(written::completion(names, model, &message, finish, tokens).into())
}

fn call<'a>(block: &'a Block<'_>) -> Result<Call<'a>, Unreadable> {
    let (Some(id), Some(name)) = (block.id.as_deref(), block.name.as_deref()) else {
        return Err(Unreadable("a call without id or name"));
    };
    let arguments = block.input.map_or("{}", RawValue::get);
    Ok(Call::whole(None, id, name, arguments))
}
