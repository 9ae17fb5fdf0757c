//! How does a whole answer read in Anthropic's words?
//!
//! What the model thought, what it said and what it calls, in this order. Where the upstream
//! speaks the caller's own protocol, its words stand beside what they mean, and go out as they
//! came: the message itself, or the events of a stream that was put together.

/// What message do the events of a stream make?
mod joined;

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::parts::{self, Piece};
use super::written::{self, Block, Message, Usage};
use crate::gateway::dialect::Unreadable;
use crate::gateway::dialect::members::{Members, list, text};
use crate::gateway::record::id::RequestId;
use crate::openai::VERBATIM;

/// As much of a completion as is read.
#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Said<'a>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    /// What vLLM stopped at, beside OpenAI's members.
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    /// The same, as others call it.
    #[serde(borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
}

/// A `chat.completion` as a message, of the request of this id.
///
/// # Errors
/// Where it is none.
pub fn message(completion: &[u8], id: &RequestId) -> Result<Bytes, Unreadable> {
    if let Some(own) = own_words(completion) {
        return Ok(own.into());
    }
    let completion: Completion =
        serde_json::from_slice(completion).map_err(|_| Unreadable("no completion"))?;
    let choice = completion.choices.first();
    let choice = choice.ok_or(Unreadable("a completion without an answer"))?;
    let calls = choice.message.tool_calls.as_deref().unwrap_or_default();
    let finish = choice.finish_reason.as_deref().unwrap_or("stop");
    let inputs = calls.iter().map(|call| input(call, finish == "length"));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let ids = names(calls);
    let said = said(choice.message.content)?;
    let (id, model) = (
        written::id(completion.id.as_deref(), id),
        completion.model.as_deref().unwrap_or_default(),
    );
    let stopped_at: Option<String> = (choice.stop_reason)
        .filter(|_| finish == "stop")
        .and_then(|at| serde_json::from_str(at.get()).ok());
    let message = Message {
        content: blocks(&choice.message, &said, (calls, &ids, &inputs)),
        stop_reason: Some(match stopped_at {
            Some(_) => "stop_sequence",
            None => written::stop_reason(finish, !calls.is_empty()),
        }),
        stop_sequence: stopped_at.as_deref(),
        usage: completion.usage.unwrap_or_default().counts(),
        ..Message::new(&id, model)
    };
    serde_json::to_vec(&message)
        .map(Bytes::from)
        .map_err(|_| Unreadable("no completion"))
}

/// A text without its escapes, and whether it was only thought.
type Spoken<'a> = (bool, Cow<'a, str>);

/// What is said; what was thought in one go, or said, is one.
fn said(content: Option<&RawValue>) -> Result<Vec<Spoken<'_>>, Unreadable> {
    let mut all: Vec<Spoken<'_>> = Vec::new();
    for piece in parts::pieces(content)? {
        let (is_thought, written) = match piece {
            Piece::Thought(written) => (true, written),
            Piece::Text(written) => (false, written),
        };
        let text = text(written).ok_or(Unreadable("a text that is none"))?;
        match all.last_mut() {
            Some((same, before)) if *same == is_thought => before.to_mut().push_str(&text),
            _ => all.push((is_thought, text)),
        }
    }
    Ok(all)
}

/// The blocks of what is said, and of the calls with their ids and inputs.
fn blocks<'a>(
    message: &'a Said<'_>,
    said: &'a [Spoken<'_>],
    (calls, ids, inputs): (&'a [Call<'_>], &'a [Cow<'_, str>], &'a [Box<RawValue>]),
) -> Vec<Block<'a>> {
    let thought = message.reasoning_content.as_deref();
    let thought = thought.or(message.reasoning.as_deref());
    let said = said.iter().map(|(is_thought, text)| (*is_thought, &**text));
    let refused = message.refusal.as_deref().map(|text| (false, text));
    let all = thought.map(|text| (true, text)).into_iter();
    let all = all.chain(said).chain(refused);
    let told = all.filter(|(_, text)| !text.is_empty());
    let mut blocks: Vec<Block<'a>> = told
        .map(|(is_thought, text)| {
            if is_thought {
                Block::Thinking {
                    thinking: text,
                    signature: "",
                }
            } else {
                Block::Text { text }
            }
        })
        .collect();
    for ((call, id), input) in calls.iter().zip(ids).zip(inputs) {
        blocks.push(Block::ToolUse {
            id,
            name: &call.function.name,
            input,
        });
    }
    blocks
}

/// What the calls' results will be known by; some servers give none.
fn names<'a>(calls: &'a [Call<'_>]) -> Vec<Cow<'a, str>> {
    let named = calls.iter().enumerate().map(|(place, call)| {
        let id = call.id.as_deref().filter(|id| !id.is_empty());
        id.map_or_else(|| format!("call_{place}").into(), Cow::Borrowed)
    });
    named.collect()
}

/// What is called with. A call that was cut off has no input yet.
fn input(call: &Call<'_>, is_cut: bool) -> Result<Box<RawValue>, Unreadable> {
    let arguments = call.function.arguments.as_deref().unwrap_or_default();
    let arguments = match arguments.trim_ascii() {
        "" => "{}",
        arguments => arguments,
    };
    let input = serde_json::from_str::<Box<RawValue>>(arguments).ok();
    match input.filter(|input| input.get().starts_with('{')) {
        Some(input) => Ok(input),
        None if is_cut => RawValue::from_string("{}".to_owned()).map_err(|_| Unreadable("no JSON")),
        None => Err(Unreadable("a call with arguments that are no object")),
    }
}

/// The upstream's own message, where it is here.
fn own_words(completion: &[u8]) -> Option<String> {
    let items = own_items(completion)?;
    match items.as_slice() {
        [only] if kind(only).as_deref() == Some("message") => Some(only.get().to_owned()),
        events => joined::message(events),
    }
}

/// The list in which the upstream's own words stand in a whole answer.
fn own_items(completion: &[u8]) -> Option<Vec<&RawValue>> {
    // Only looked for where it can be.
    memchr::memmem::find(completion, VERBATIM.as_bytes())?;
    let completion: Members = serde_json::from_slice(completion).ok()?;
    let choices = list(completion.member("choices")?)?;
    let choice = Members::of(choices.first()?)?;
    let message = Members::of(choice.member("message")?)?;
    list(message.member(VERBATIM)?).filter(|items| !items.is_empty())
}

fn kind(item: &RawValue) -> Option<Cow<'_, str>> {
    Members::of(item)?.text("type")
}
