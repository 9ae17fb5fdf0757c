//! What is talked about?
//!
//! What came of calls stands in the user's turn there, and in a chat each result is a message of
//! its own before what the user says. What an assistant said in several blocks is one text, as
//! our own answers are; what it thought is its own, and no other model could use it.

use serde::Serialize;
use serde_json::value::RawValue;

use super::blocks::{self, Block, Part};
use super::object;
use crate::gateway::dialect::Inexpressible;
use crate::gateway::dialect::members::{is_null, is_text, list};
use crate::gateway::dialect::original::Unsaid;

/// A message of a chat.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: &'static str,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a RawValue>,
}

/// What a message says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(&'a RawValue),
    Made(&'static str),
    Joined(Box<RawValue>),
    Parts(Vec<Part<'a>>),
}

/// A call that was made.
#[derive(Debug, Serialize)]
struct Call<'a> {
    id: &'a RawValue,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Called<'a>,
}

#[derive(Debug, Serialize)]
struct Called<'a> {
    name: &'a RawValue,
    arguments: &'a str,
}

impl<'a> Message<'a> {
    fn said(role: &'static str, content: Content<'a>) -> Self {
        Self {
            role,
            content: Some(content),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }
}

impl<'a> Content<'a> {
    /// One text as a text, anything else as parts; `None` where nothing is said.
    fn of(mut parts: Vec<Part<'a>>) -> Option<Self> {
        match parts.pop() {
            None => None,
            Some(Part::Text { text }) if parts.is_empty() => Some(Self::Text(text)),
            Some(last) => {
                parts.push(last);
                Some(Self::Parts(parts))
            }
        }
    }

    /// All texts end to end.
    fn joined(parts: &[Part<'a>]) -> Option<Self> {
        let texts = parts.iter().filter_map(|part| match part {
            Part::Text { text } => Some(*text),
            _ => None,
        });
        let texts: Vec<&RawValue> = texts.collect();
        if let [only] = texts.as_slice() {
            return Some(Self::Text(only));
        }
        let inside = texts.iter().filter_map(|text| {
            let text = text.get().strip_prefix('"')?;
            text.strip_suffix('"')
        });
        let joined = format!("\"{}\"", inside.collect::<String>());
        let joined = RawValue::from_string(joined).ok()?;
        (!texts.is_empty()).then_some(Self::Joined(joined))
    }
}

/// What is said before all.
pub(super) fn system<'a>(
    value: &'a RawValue,
    unsaid: &mut Unsaid,
) -> Result<Option<Message<'a>>, Inexpressible> {
    systems(content(value, "system", unsaid)?, "system")
}

/// What is said to the model and not by who asks: before all, or from some turn on.
fn systems<'a>(blocks: Vec<Block<'a>>, path: &str) -> Result<Option<Message<'a>>, Inexpressible> {
    let mut parts = Vec::new();
    for block in blocks {
        match block {
            Block::Part(part @ Part::Text { .. }) => parts.push(part),
            _ => return Err(Inexpressible::malformed(path, "must be text")),
        }
    }
    Ok(Content::of(parts).map(|content| Message::said("system", content)))
}

/// One turn, as the messages that it is in a chat.
pub(super) fn turn<'a>(
    value: &'a RawValue,
    path: &str,
    messages: &mut Vec<Message<'a>>,
    unsaid: &mut Unsaid,
) -> Result<(), Inexpressible> {
    let members = object(value, path)?;
    for (name, _) in members.all().iter().filter(|(_, value)| !is_null(value)) {
        if !matches!(&**name, "role" | "content") {
            unsaid.content(Inexpressible::unknown(format!("{path}.{name}")));
        }
    }
    let at = format!("{path}.content");
    let said = members.member("content");
    let said = said.ok_or_else(|| Inexpressible::malformed(&*at, "must be there"))?;
    let blocks = content(said, &at, unsaid)?;
    match members.text("role").as_deref() {
        Some("user") => users(blocks, &at, messages),
        Some("assistant") => assistants(blocks, &at, messages),
        Some("system") => {
            messages.extend(systems(blocks, &at)?);
            Ok(())
        }
        _ => Err(Inexpressible::malformed(
            format!("{path}.role"),
            "must be user, assistant or system",
        )),
    }
}

/// What a turn says: a text, or a list of blocks.
fn content<'a>(
    value: &'a RawValue,
    path: &str,
    unsaid: &mut Unsaid,
) -> Result<Vec<Block<'a>>, Inexpressible> {
    if is_text(value) {
        return Ok(vec![Block::Part(Part::Text { text: value })]);
    }
    let blocks = list(value)
        .ok_or_else(|| Inexpressible::malformed(path, "must be a text or a list of blocks"))?;
    let mut found = Vec::with_capacity(blocks.len());
    for (place, value) in blocks.into_iter().enumerate() {
        found.extend(blocks::block(value, &format!("{path}[{place}]"), unsaid)?);
    }
    Ok(found)
}

fn users<'a>(
    blocks: Vec<Block<'a>>,
    path: &str,
    messages: &mut Vec<Message<'a>>,
) -> Result<(), Inexpressible> {
    let mut parts = Vec::new();
    for block in blocks {
        match block {
            Block::Part(part) => parts.push(part),
            Block::Result {
                id,
                is_error,
                parts,
            } => {
                // A list of nothing is refused by most, and failing in silence is no success.
                let nothing = Content::Made(if is_error { "error" } else { "" });
                messages.push(Message {
                    tool_call_id: Some(id),
                    ..Message::said("tool", Content::of(parts).unwrap_or(nothing))
                });
            }
            Block::Call { .. } => {
                return Err(Inexpressible::malformed(
                    path,
                    "must call nothing: it is the user's",
                ));
            }
        }
    }
    messages.extend(Content::of(parts).map(|content| Message::said("user", content)));
    Ok(())
}

fn assistants<'a>(
    blocks: Vec<Block<'a>>,
    path: &str,
    messages: &mut Vec<Message<'a>>,
) -> Result<(), Inexpressible> {
    let mut parts = Vec::new();
    let mut tool_calls = Vec::new();
    for block in blocks {
        match block {
            Block::Part(part @ Part::Text { .. }) => parts.push(part),
            Block::Call { id, name, input } => tool_calls.push(Call {
                id,
                kind: "function",
                function: Called {
                    name,
                    arguments: input.get(),
                },
            }),
            Block::Part(_) | Block::Result { .. } => {
                let must = "must be text and calls: it is the assistant's";
                return Err(Inexpressible::malformed(path, must));
            }
        }
    }
    let content = Content::joined(&parts);
    if content.is_some() || !tool_calls.is_empty() {
        messages.push(Message {
            role: "assistant",
            content,
            tool_calls,
            tool_call_id: None,
        });
    }
    Ok(())
}
