//! How does a whole answer read?
//!
//! Its items are laid end to end by what they are: texts, refusals, thoughts, calls. Items of a
//! kind that is not known are the upstream's own business (its server's tools).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Failure, Incomplete, Usage, finish_reason};
use crate::gateway::dialect::calls::Call;
use crate::gateway::dialect::written::{Completion, Message};
use crate::gateway::dialect::{Answered, Names, Unreadable};

/// As much of an answer as is read.
#[derive(Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub error: Option<Failure<'a>>,
    #[serde(borrow)]
    pub incomplete_details: Option<Incomplete<'a>>,
    pub usage: Option<Usage>,
    #[serde(borrow)]
    output: Option<Vec<Item<'a>>>,
}

/// An item, with the members of every kind.
#[derive(Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    content: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    summary: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    pub call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub arguments: Option<Cow<'a, str>>,
}

/// A part, with the members of every kind.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    logprobs: Option<Vec<&'a RawValue>>,
}

/// What tokens weighed, in the form that both protocols have.
#[derive(Serialize)]
struct Logprobs<'a> {
    content: Vec<&'a RawValue>,
    refusal: Option<()>,
}

/// A message that may say that it refuses.
#[derive(Serialize)]
struct Refusing<'a> {
    #[serde(flatten)]
    message: Message<'a>,
    #[serde(skip_serializing_if = "String::is_empty")]
    refusal: String,
}

/// The answer as a `chat.completion`.
pub(in crate::gateway::dialect) fn completion(
    body: &[u8],
    names: &Names,
) -> Result<Answered, Unreadable> {
    let response: Response = serde_json::from_slice(body).map_err(|_| Unreadable("no response"))?;
    if let Some(error) = response.error {
        return Ok(error.written().into());
    }
    let (Some("completed" | "incomplete"), Some(output)) =
        (response.status.as_deref(), &response.output)
    else {
        return Err(Unreadable("no response that is over"));
    };
    let mut message = Message {
        role: Some("assistant"),
        ..Message::default()
    };
    let mut refusal = String::new();
    let mut logprobs = Vec::new();
    for item in output {
        match &*item.kind {
            "message" => {
                for part in item.content.iter().flatten() {
                    logprobs.extend(part.logprobs.iter().flatten());
                    refusal.push_str(part.refusal.as_deref().unwrap_or_default());
                    if part.kind == "output_text" {
                        let text = part.text.as_deref().unwrap_or_default();
                        message.content.get_or_insert_default().push_str(text);
                    }
                }
            }
            "reasoning" => thought(item, &mut message.reasoning_content),
            "function_call" => message.tool_calls.push(call(item)?),
            _ => {}
        }
    }
    let has_calls = !message.tool_calls.is_empty();
    if !has_calls && refusal.is_empty() {
        message.content.get_or_insert_default();
    }
    let model = names.model(response.model.as_deref());
    let finish = finish_reason(response.incomplete_details.as_ref(), has_calls);
    let logprobs = (!logprobs.is_empty()).then_some(Logprobs {
        content: logprobs,
        refusal: None,
    });
    let message = Refusing { message, refusal };
    let mut completion = Completion::new(names, model);
    completion.choice(0, logprobs, Some(finish), |out| {
        // Plain fields into memory: there is nothing that could fail.
        let _ = serde_json::to_writer(out, &message);
    });
    let tokens = response.usage.unwrap_or_default().tokens();
    Ok(completion.end(tokens).into())
}

/// Paragraphs of what was thought, each apart from the next.
fn thought(item: &Item<'_>, thoughts: &mut String) {
    let summary = item.summary.iter().flatten();
    for part in summary.chain(item.content.iter().flatten()) {
        let text = part.text.as_deref().unwrap_or_default();
        if !thoughts.is_empty() && !text.is_empty() {
            thoughts.push_str("\n\n");
        }
        thoughts.push_str(text);
    }
}

fn call<'a>(item: &'a Item<'_>) -> Result<Call<'a>, Unreadable> {
    let (Some(id), Some(name)) = (item.call_id.as_deref(), item.name.as_deref()) else {
        return Err(Unreadable("a call without id or name"));
    };
    let arguments = item.arguments.as_deref().unwrap_or_default();
    Ok(Call::whole(None, id, name, arguments))
}
